// Decoding for Python: a batch of sources in, a batch of results out, the GIL released between.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/array.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "decoder.hpp"
#include "origin.hpp"
#include "../kernels/parallel.hpp"
#include "sources.hpp"

namespace nb = nanobind;

namespace {

using dctnet::jpeg::Bands;
using dctnet::jpeg::Decoded;
using dctnet::jpeg::Error;
using dctnet::jpeg::ErrorKind;
using dctnet::jpeg::Image;
using dctnet::jpeg::Options;
using dctnet::jpeg::Plane;
using dctnet::jpeg::PlaneMemory;
using dctnet::jpeg::Source;

struct Result {
    Image image;
    Error error{ErrorKind::corrupt, 0, {}};
    enum class State { decoded, failed, not_opened, no_memory } state = State::no_memory;
    int system_error = 0;
};

void decode_one(const Source& source, const Options& options, std::vector<std::uint8_t>& file, Result& result) noexcept {
    try {
        const auto* data = static_cast<const std::uint8_t*>(source.buffer.buf);
        auto size = static_cast<std::size_t>(source.buffer.len);
        if (source.is_path) {
            result.system_error = dctnet::jpeg::read_file(source.path, file, size);
            if (result.system_error != 0) {
                result.state = Result::State::not_opened;
                return;
            }
            data = file.data();
        }
        result.image = dctnet::jpeg::decode(data, size, options);
        result.state = Result::State::decoded;
    } catch (Error& error) {
        result.error = std::move(error);
        result.state = Result::State::failed;
    } catch (const std::exception&) {  // bad_alloc, or a thread-local that could not be made
        result.state = Result::State::no_memory;
    }
}

using Batch = std::array<nb::ndarray<std::int16_t, nb::ndim<4>, nb::c_contig, nb::device::cpu>, 3>;

// The memory of image `index` in the caller's batch.
std::array<PlaneMemory, 3> memory_of(const Batch& batch, std::size_t index) {
    std::array<PlaneMemory, 3> memory;
    for (std::size_t c = 0; c < 3; ++c) {
        const std::size_t height = batch[c].shape(1), width = batch[c].shape(2), channels = batch[c].shape(3);
        memory[c] = {batch[c].data() + index * height * width * channels, height, width, channels};
    }
    return memory;
}

void decode_all(const std::vector<Source>& sources, const Options& options, const Batch* batch, std::size_t threads,
                std::vector<Result>& results) {
    dctnet::in_parallel(sources.size(), threads, [&](std::size_t i) {
        Options own = options;
        std::array<PlaneMemory, 3> memory;
        if (batch != nullptr) {
            memory = memory_of(*batch, i);
            own.memory = &memory;
        }
        decode_one(sources[i], own, dctnet::jpeg::file_memory(), results[i]);
    });
}

nb::object error_of(const Result& result) {
    switch (result.state) {
        case Result::State::no_memory:
            return nb::make_tuple("memory", nb::none(), "out of memory");
        case Result::State::not_opened:
            return nb::make_tuple("system", result.system_error, "");
        default:
            const char* kind = result.error.kind == ErrorKind::unsupported   ? "unsupported"
                               : result.error.kind == ErrorKind::other_shape ? "shape"
                                                                             : "corrupt";
            return nb::make_tuple(kind, result.error.offset, result.error.reason);
    }
}

nb::tuple planes_of(nb::handle_t<Decoded> self) {
    const Image& image = nb::cast<const Decoded&>(self).image;
    const auto plane = [&](const Plane& p) {
        const std::size_t height = static_cast<std::size_t>(p.height), width = static_cast<std::size_t>(p.width);
        return nb::ndarray<nb::numpy, std::int16_t>(p.blocks, {height, width, static_cast<std::size_t>(p.channels)}, self).cast();
    };
    return nb::make_tuple(plane(image.planes[0]), plane(image.planes[1]), plane(image.planes[2]));
}

nb::object quantization_of(nb::handle_t<Decoded> self) {
    const Image& image = nb::cast<const Decoded&>(self).image;
    const auto count = static_cast<std::size_t>(image.components);
    return nb::ndarray<nb::numpy, std::uint16_t>(image.quantization, {count, 64}, self).cast();
}

nb::tuple sampling_of(const Decoded& decoded) {
    nb::list sampling;
    for (std::size_t c = 0; c < static_cast<std::size_t>(decoded.image.components); ++c) {
        sampling.append(nb::make_tuple(decoded.image.planes[c].vertical, decoded.image.planes[c].horizontal));
    }
    return nb::tuple(sampling);
}

nb::tuple decode_batch(const nb::list& objects, std::size_t threads, bool dequantize, std::uint64_t max_pixels,
                       const std::optional<Bands>& bands, const std::optional<Batch>& batch, const nb::type_object& type,
                       const nb::object& request) {
    auto* const image_type = reinterpret_cast<PyTypeObject*>(type.ptr());
    std::vector<Source> sources;
    sources.reserve(objects.size());
    for (nb::handle object : objects) sources.push_back(dctnet::jpeg::source_from(object));
    std::vector<Result> results(sources.size());
    Options options;
    options.dequantize = dequantize;
    options.max_pixels = max_pixels;
    options.bands = bands ? &*bands : nullptr;
    {
        const nb::gil_scoped_release release;
        decode_all(sources, options, batch ? &*batch : nullptr, threads, results);
    }
    nb::list out;
    bool complete = true;
    for (std::size_t i = 0; i < results.size(); ++i) {
        const bool decoded = results[i].state == Result::State::decoded;
        complete = complete && decoded;
        if (decoded) {
            out.append(dctnet::jpeg::make_image(image_type, {std::move(results[i].image), nb::object(objects[i]), request, i}));
        } else {
            out.append(error_of(results[i]));
        }
    }
    return nb::make_tuple(out, complete);
}

}  // namespace

namespace dctnet::jpeg {

void bind_decoder(nb::module_& module) {
    module.attr("Origin") = make_origin_class(module);
    nb::class_<Decoded>(module, "Decoded", "The coefficients of a file in memory of the decoder; arrays of it share that memory.")
        .def_prop_ro("planes", &planes_of, "Y, Cb and Cr, int16 (rows, columns, channels).")
        .def_prop_ro("quantization", &quantization_of, "uint16 (components, 64), row-major.")
        .def_prop_ro("size", [](const Decoded& d) { return nb::make_tuple(d.image.height, d.image.width); })
        .def_prop_ro("sampling", &sampling_of, "(vertical, horizontal) factors of each component.")
        .def_prop_ro("progressive", [](const Decoded& d) { return d.image.progressive; })
        .def_prop_ro("orientation", [](const Decoded& d) { return d.image.orientation; })
        .def_ro("source", &Decoded::source)
        .def_ro("request", &Decoded::request)
        .def_ro("index", &Decoded::index, "Of the source in its batch.");
    module.def("decode", &decode_batch, nb::arg("sources"), nb::arg("threads"), nb::arg("dequantize"), nb::arg("max_pixels"),
               nb::arg("bands").none(), nb::arg("out").none(), nb::arg("type"), nb::arg("request").none(),
               "Decodes a list of paths and buffers on `threads` threads, the GIL released. Gives a list with an "
               "object of `type`, a subclass of Origin, or an error (kind, offset or errno, reason) for each source, and whether "
               "there is no error. The kinds: 'corrupt', 'unsupported', 'system', 'memory', 'shape'. `bands`: three "
               "lists of channels; `out`: three arrays (n, rows, columns, channels) that the planes are written to; `request` "
               "stays with each Decoded.");
    module.def("decoded_of", &decoded_of, nb::arg("image"),
               "The Decoded that an image holds as `decode` made it; AttributeError for others.");
    module.def("pooled_bytes", &dctnet::jpeg::pooled_bytes, "Bytes of freed images that wait to be reused.");
}

}  // namespace dctnet::jpeg
