#include "origin.hpp"

#include <new>
#include <utility>

namespace nb = nanobind;

namespace dctnet::jpeg {
namespace {

// Python's allocators give zeros, which is what an Origin without a Decoded is.
struct Origin {
    PyObject_HEAD
    bool filled;          // `memory` holds a Decoded
    PyObject* published;  // or this does, which took it over
    alignas(Decoded) std::byte memory[sizeof(Decoded)];

    Decoded& decoded() { return *std::launder(reinterpret_cast<Decoded*>(memory)); }
};

PyTypeObject* origin_class = nullptr;

void release(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    auto* const origin = reinterpret_cast<Origin*>(self);
    if (origin->filled) origin->decoded().~Decoded();
    Py_CLEAR(origin->published);
    type->tp_free(self);
    Py_DECREF(type);
}

}  // namespace

nb::object make_origin_class(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&release)},
                                  {Py_tp_doc, const_cast<char*>("Room for a decoded file, empty when made in Python.")},
                                  {0, nullptr}};
    static PyType_Spec spec = {"dctnet.jpeg._native.Origin", sizeof(Origin), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
    const nb::object made = nb::steal(PyType_FromModuleAndSpec(module.ptr(), &spec, nullptr));
    if (!made.is_valid()) throw nb::python_error();
    origin_class = reinterpret_cast<PyTypeObject*>(made.ptr());
    return made;
}

nb::object make_image(PyTypeObject* type, Decoded&& decoded) {
    if (!PyType_IsSubtype(type, origin_class)) throw nb::type_error("a class of pictures is a subclass of Origin");
    nb::object image = nb::steal(type->tp_alloc(type, 0));
    if (!image.is_valid()) throw nb::python_error();
    // It can be part of no cycle before it has fields, and Python's collector would walk through thousands of them.
    if (PyType_IS_GC(type)) PyObject_GC_UnTrack(image.ptr());
    auto* const origin = reinterpret_cast<Origin*>(image.ptr());
    new (origin->memory) Decoded(std::move(decoded));
    origin->filled = true;
    return image;
}

nb::object decoded_of(nb::handle image) {
    if (PyObject_TypeCheck(image.ptr(), origin_class)) {
        auto* const origin = reinterpret_cast<Origin*>(image.ptr());
        if (origin->published != nullptr) return nb::borrow(origin->published);
        if (origin->filled) {
            nb::object decoded = nb::cast(std::move(origin->decoded()));
            origin->decoded().~Decoded();
            origin->filled = false;
            origin->published = decoded.inc_ref().ptr();
            if (PyType_IS_GC(Py_TYPE(image.ptr())) && !PyObject_GC_IsTracked(image.ptr())) PyObject_GC_Track(image.ptr());
            return decoded;
        }
    }
    throw nb::attribute_error("not a picture that was decoded");
}

}  // namespace dctnet::jpeg
