// The memory of a decoded file within the Python object of its picture.
//
// A large batch makes a picture of each file, and most of their parts are never asked for. A picture is therefore one Python
// object that holds the decoder's image as it is; the objects for its parts are made from `Decoded` when one is asked for.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>

#include "decoder.hpp"

namespace dctnet::jpeg {

struct Decoded {
    Image image;
    nanobind::object source, request;
    std::size_t index;
};

// The Python class Origin: a base class whose objects have room for a Decoded, and hold none when Python makes them.
nanobind::object make_origin_class(nanobind::module_& module);

// A new object of `type` that holds `decoded`. Throws nanobind::type_error where `type` is no subclass of Origin.
nanobind::object make_image(PyTypeObject* type, Decoded&& decoded);

// What an object of make_image() holds, as an object of the bound class Decoded, the same each time. Throws
// nanobind::attribute_error for other objects.
nanobind::object decoded_of(nanobind::handle image);

}  // namespace dctnet::jpeg
