// Files into a batch for Python, in two steps with the GIL released: `Files` reads the bytes and the headers, so that
// crops can be drawn from the sizes; `load` decodes, lifts and writes.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "batch_arguments.hpp"
#include "bindings.hpp"
#include "buffers.hpp"
#include "decoder.hpp"
#include "../kernels/parallel.hpp"
#include "sources.hpp"

namespace nb = nanobind;

namespace dctnet::jpeg {
namespace {

struct File {
    Buffer bytes;
    std::size_t size = 0;
    Head head;
    bool readable = false;
};

void open_file(const Source& source, const Options& options, File& file) noexcept {
    try {
        if (source.is_path) {
            if (read_file(source.path, file.bytes, file.size) != 0) return;
        } else {
            file.size = static_cast<std::size_t>(source.buffer.len);
            file.bytes = Buffer(file.size);
            std::memcpy(file.bytes.data(), source.buffer.buf, file.size);
        }
        file.head = read_head(static_cast<const std::uint8_t*>(file.bytes.data()), file.size, options);
        file.readable = true;
    } catch (const Error&) {
    } catch (const std::exception&) {
    }
}

// False where the file is damaged, or memory is short.
bool decode_file(const File& file, const Options& options, Image& image) {
    try {
        image = decode(static_cast<const std::uint8_t*>(file.bytes.data()), file.size, options);
        return true;
    } catch (const Error&) {
        return false;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

// False as decode_file. Throws std::invalid_argument for operators of another picture.
bool load_file(const File& file, const Options& options, const Formats& formats, const Operators& operators,
               const PlanesOut& out) {
    Image image;
    if (!decode_file(file, options, image)) return false;
    PlanesIn in;
    for (std::size_t c = 0; c < 3; ++c) {
        const Plane& plane = image.planes[c];
        const bool absent = static_cast<int>(c) >= image.components;
        in[c] = {Stored::int16, absent ? nullptr : plane.blocks, static_cast<std::size_t>(plane.height),
                 static_cast<std::size_t>(plane.width)};
    }
    lift_picture(formats, operators, in, out);
    return true;
}

// False as decode_file. Throws std::invalid_argument for a window that is not in its plane.
bool pack_file(const File& file, Options options, const std::array<PlaneWindow, 3>& windows) {
    options.windows = &windows;
    Image image;
    try {
        image = decode(static_cast<const std::uint8_t*>(file.bytes.data()), file.size, options);
        return true;
    } catch (const Error& error) {
        if (error.kind == ErrorKind::other_shape) throw std::invalid_argument(error.reason);
        return false;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

class Files {
public:
    Files(nb::sequence objects, std::size_t threads, std::uint64_t max_pixels) : options_{true, max_pixels} {
        std::vector<Source> sources;
        for (nb::handle object : objects) sources.push_back(source_from(object));
        files_.resize(sources.size());
        const nb::gil_scoped_release release;
        in_parallel(sources.size(), threads, [&](std::size_t i) { open_file(sources[i], options_, files_[i]); });
    }

    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    nb::list heads() const {
        nb::list heads;
        for (const File& file : files_) {
            if (!file.readable) {
                heads.append(nb::none());
                continue;
            }
            nb::list sampling;
            for (std::size_t c = 0; c < static_cast<std::size_t>(file.head.components); ++c) {
                sampling.append(nb::make_tuple(file.head.vertical[c], file.head.horizontal[c]));
            }
            heads.append(nb::make_tuple(nb::make_tuple(file.head.height, file.head.width), nb::tuple(sampling)));
        }
        return heads;
    }

    std::vector<bool> load(const std::vector<std::size_t>& chosen, nb::object operators, nb::sequence formats_given,
                           nb::sequence outputs_given, const std::vector<std::size_t>& places, std::size_t threads) const {
        const Formats formats = formats_from(formats_given);
        for (const PlaneFormat& format : formats) {
            if (format.bands_in.size() != 64) throw nb::value_error("a file has all 64 bands; the formats read fewer");
        }
        const Outputs outputs(outputs_given, formats);
        const GivenOperators given(operators);
        if (given.size() != chosen.size() || places.size() != chosen.size()) {
            throw nb::value_error("each chosen file needs its operators and its place");
        }
        for (std::size_t i = 0; i < chosen.size(); ++i) {
            if (chosen[i] >= files_.size() || !files_[chosen[i]].readable || places[i] >= outputs.count()) {
                throw nb::value_error("a chosen file is not there or not readable, or its place is outside of the batch");
            }
        }
        std::vector<char> loaded(chosen.size(), 0);
        FirstFailure failure;
        {
            const nb::gil_scoped_release release;
            in_parallel(chosen.size(), threads, [&](std::size_t i) {
                failure.watch([&] {
                    loaded[i] = load_file(files_[chosen[i]], options_, formats, given[i], outputs.place(places[i]));
                });
            });
        }
        failure.rethrow();
        return {loaded.begin(), loaded.end()};
    }

    using Numbers = std::array<std::size_t, 5>;
    using Packed = nb::ndarray<std::int16_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

    std::vector<bool> pack(const std::vector<std::array<Numbers, 3>>& windows, const std::array<Packed, 3>& outputs,
                           std::size_t threads) const {
        for (const Packed& output : outputs) {
            if (output.shape(2) != 64) throw nb::value_error("an output is int16 of shape (rows, columns, 64)");
        }
        if (windows.size() != files_.size()) throw nb::value_error("each file needs its three windows");
        std::vector<std::array<PlaneWindow, 3>> places(files_.size());
        for (std::size_t i = 0; i < places.size(); ++i) {
            for (std::size_t c = 0; c < 3; ++c) places[i][c] = place_of(windows[i][c], outputs[c]);
        }
        std::vector<char> packed(files_.size(), 0);
        FirstFailure failure;
        {
            const nb::gil_scoped_release release;
            in_parallel(files_.size(), threads, [&](std::size_t i) {
                failure.watch([&] {
                    packed[i] = files_[i].readable && pack_file(files_[i], options_, places[i]);
                });
            });
        }
        failure.rethrow();
        return {packed.begin(), packed.end()};
    }

private:
    // The place of a window (top, bottom, left, right, row) in an output.
    static PlaneWindow place_of(const Numbers& window, const Packed& output) {
        const auto [top, bottom, left, right, row] = window;
        const std::size_t rows = output.shape(0), columns = output.shape(1);
        if (top > bottom || left > right) throw nb::value_error("a window is not inside its plane");
        if (bottom - top > rows || row > rows - (bottom - top) || right - left > columns) {
            throw nb::value_error("a window does not fit into its place");
        }
        return {output.data() + row * columns * 64, top, bottom, left, right, columns};
    }

    std::vector<File> files_;
    Options options_;
};

}  // namespace

void bind_files(nb::module_& module) {
    nb::class_<Files>(module, "Files",
                      "The bytes of a list of paths and buffers, read on `threads` threads, and what their headers say: "
                      "`heads` has ((height, width), sampling) for each, or None where it is not a JPEG that the decoder "
                      "reads.")
        .def(nb::init<nb::sequence, std::size_t, std::uint64_t>(), nb::arg("sources"), nb::arg("threads"), nb::arg("max_pixels"))
        .def_prop_ro("heads", &Files::heads)
        .def("load", &Files::load, nb::arg("files"), nb::arg("operators"), nb::arg("formats"), nb::arg("outputs"),
             nb::arg("places"), nb::arg("threads"),
             "Decodes the files of these numbers and lifts each into its place of the outputs; see lift_planes. For each "
             "whether it was loaded: not if its data are damaged. ValueError where the arguments do not fit.")
        .def("pack", &Files::pack, nb::arg("windows"), nb::arg("outputs"), nb::arg("threads"),
             "Decodes of each plane of each file the blocks of its window (top, bottom, left, right, row) to that row "
             "of three int16 outputs (rows, columns, 64). For each file whether it could be read. ValueError where the "
             "arguments do not fit.");
}

}  // namespace dctnet::jpeg
