// Decoding for Python: a batch of sources in, a batch of results out, the GIL released between.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "bindings.hpp"
#include "decoder.hpp"
#include "sources.hpp"

namespace nb = nanobind;

namespace {

using dctnet::jpeg::Error;
using dctnet::jpeg::ErrorKind;
using dctnet::jpeg::Image;
using dctnet::jpeg::Options;
using dctnet::jpeg::Plane;
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

void decode_all(const std::vector<Source>& sources, const Options& options, std::size_t threads,
                std::vector<Result>& results) {
    std::atomic<std::size_t> next{0};
    const auto work = [&]() noexcept {
        for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < sources.size();) {
            decode_one(sources[i], options, dctnet::jpeg::file_memory(), results[i]);
        }
    };
    std::vector<std::thread> workers;
    try {
        for (std::size_t i = 1; i < std::min(threads, sources.size()); ++i) workers.emplace_back(work);
    } catch (const std::exception&) {
        // The system gives no more threads: those there are do the work.
    }
    work();
    for (std::thread& worker : workers) worker.join();
}

nb::object to_python(Result& result) {
    switch (result.state) {
        case Result::State::no_memory:
            return nb::make_tuple(nb::none(), "memory", nb::none(), "out of memory");
        case Result::State::not_opened:
            return nb::make_tuple(nb::none(), "system", result.system_error, "");
        case Result::State::failed:
            return nb::make_tuple(nb::none(), result.error.kind == ErrorKind::unsupported ? "unsupported" : "corrupt",
                                  result.error.offset, result.error.reason);
        case Result::State::decoded:
            break;
    }
    Image& image = result.image;
    auto memory = std::make_unique<dctnet::jpeg::Buffer>(std::move(image.memory));
    const nb::capsule owner(memory.get(), [](void* buffer) noexcept { delete static_cast<dctnet::jpeg::Buffer*>(buffer); });
    (void)memory.release();
    const auto plane = [&](const Plane& p) {
        return nb::ndarray<nb::numpy, std::int16_t>(
                   p.blocks, {static_cast<std::size_t>(p.height), static_cast<std::size_t>(p.width), 64}, owner)
            .cast();
    };
    const auto count = static_cast<std::size_t>(image.components);
    nb::list sampling;
    for (std::size_t c = 0; c < count; ++c) {
        sampling.append(nb::make_tuple(image.planes[c].vertical, image.planes[c].horizontal));
    }
    return nb::make_tuple(plane(image.planes[0]), plane(image.planes[1]), plane(image.planes[2]),
                          nb::ndarray<nb::numpy, std::uint16_t>(image.quantization, {count, 64}, owner).cast(),
                          nb::make_tuple(image.height, image.width), nb::tuple(sampling), image.progressive,
                          image.orientation);
}

nb::list decode_batch(const nb::list& objects, std::size_t threads, bool dequantize, std::uint64_t max_pixels) {
    std::vector<Source> sources;
    sources.reserve(objects.size());
    for (nb::handle object : objects) sources.push_back(dctnet::jpeg::source_from(object));
    std::vector<Result> results(sources.size());
    {
        const nb::gil_scoped_release release;
        decode_all(sources, Options{dequantize, max_pixels}, threads, results);
    }
    nb::list out;
    for (Result& result : results) out.append(to_python(result));
    return out;
}

}  // namespace

namespace dctnet::jpeg {

void bind_decoder(nb::module_& module) {
    module.def("decode", &decode_batch, nb::arg("sources"), nb::arg("threads"), nb::arg("dequantize"), nb::arg("max_pixels"),
               "Decodes a list of paths and buffers on `threads` threads, the GIL released. For each source a tuple: "
               "(y, cb, cr, quantization, size, sampling, progressive, orientation), or (None, kind, offset or errno, "
               "reason) with kind one of 'corrupt', 'unsupported', 'system', 'memory'.");
    module.def("pooled_bytes", &dctnet::jpeg::pooled_bytes, "Bytes of freed images that wait to be reused.");
}

}  // namespace dctnet::jpeg
