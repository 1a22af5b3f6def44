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
#include "parallel.hpp"
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
        const auto* data = static_cast<const std::uint8_t*>(source.buffer.buf);
        file.size = static_cast<std::size_t>(source.buffer.len);
        if (source.is_path) {
            std::vector<std::uint8_t>& memory = file_memory();
            if (read_file(source.path, memory, file.size) != 0) return;
            data = memory.data();
        }
        file.head = read_head(data, file.size, options);
        file.bytes = Buffer(file.size);
        std::memcpy(file.bytes.data(), data, file.size);
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

// The blocks [top, bottom) x [left, right) of a plane, and the row of the output where they go.
struct Window {
    std::size_t top, bottom, left, right, row;
};

struct PackedPlane {
    std::int16_t* data;
    std::size_t rows, columns;
};

// False as decode_file. Throws std::invalid_argument for a window that does not fit.
bool pack_file(const File& file, const Options& options, const std::array<Window, 3>& windows,
               const std::array<PackedPlane, 3>& out) {
    Image image;
    if (!decode_file(file, options, image)) return false;
    for (std::size_t c = 0; c < 3; ++c) {
        const Plane& plane = image.planes[c];
        const Window& w = windows[c];
        const auto height = static_cast<std::size_t>(plane.height), width = static_cast<std::size_t>(plane.width);
        if (w.top > w.bottom || w.left > w.right || w.bottom > height || w.right > width) {
            throw std::invalid_argument("a window is not inside its plane");
        }
        const std::size_t rows = w.bottom - w.top, columns = w.right - w.left;
        if (rows > out[c].rows || w.row > out[c].rows - rows || columns > out[c].columns) {
            throw std::invalid_argument("a window does not fit into its place");
        }
        for (std::size_t row = 0; row < rows; ++row) {
            std::memcpy(out[c].data + (w.row + row) * out[c].columns * 64,
                        plane.blocks + ((w.top + row) * width + w.left) * 64, columns * 64 * sizeof(std::int16_t));
        }
    }
    return true;
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
        std::array<PackedPlane, 3> out{};
        for (std::size_t c = 0; c < 3; ++c) {
            if (outputs[c].shape(2) != 64) throw nb::value_error("an output is int16 of shape (rows, columns, 64)");
            out[c] = {outputs[c].data(), outputs[c].shape(0), outputs[c].shape(1)};
        }
        if (windows.size() != files_.size()) throw nb::value_error("each file needs its three windows");
        std::vector<char> packed(files_.size(), 0);
        FirstFailure failure;
        {
            const nb::gil_scoped_release release;
            in_parallel(files_.size(), threads, [&](std::size_t i) {
                failure.watch([&] {
                    std::array<Window, 3> three{};
                    for (std::size_t c = 0; c < 3; ++c) {
                        const Numbers& n = windows[i][c];
                        three[c] = {n[0], n[1], n[2], n[3], n[4]};
                    }
                    packed[i] = files_[i].readable && pack_file(files_[i], options_, three, out);
                });
            });
        }
        failure.rethrow();
        return {packed.begin(), packed.end()};
    }

private:
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
             "Decodes all files and copies of each plane the blocks of its window (top, bottom, left, right, row) to the row "
             "of three int16 outputs (rows, columns, 64). For each file whether it could be read. ValueError where the "
             "arguments do not fit.");
}

}  // namespace dctnet::jpeg
