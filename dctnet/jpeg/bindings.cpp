#include "bindings.hpp"

NB_MODULE(_native, module) {
    nanobind::set_leak_warnings(false);  // tensors may outlive the module: whoever keeps one until the end has leaked nothing
    dctnet::jpeg::bind_decoder(module);
    dctnet::jpeg::bind_draws(module);
    dctnet::jpeg::bind_encoder(module);
    dctnet::jpeg::bind_files(module);
    dctnet::jpeg::bind_lifted(module);
    dctnet::jpeg::bind_records(module);
}
