// What the Python module dctnet.jpeg._native is made of; each function lives beside the subject that it binds.
#pragma once

#include <nanobind/nanobind.h>

namespace dctnet::jpeg {

void bind_decoder(nanobind::module_& module);
void bind_draws(nanobind::module_& module);
void bind_encoder(nanobind::module_& module);
void bind_files(nanobind::module_& module);
void bind_lifted(nanobind::module_& module);
void bind_records(nanobind::module_& module);

}  // namespace dctnet::jpeg
