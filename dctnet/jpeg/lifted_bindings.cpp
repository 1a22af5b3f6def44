// Lifting for Python: planes in memory into the places of a batch, the GIL released.

#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "batch_arguments.hpp"
#include "bindings.hpp"
#include "buffers.hpp"
#include "../kernels/parallel.hpp"

namespace nb = nanobind;

namespace dctnet::jpeg {
namespace {

// A plane of integers in a Python buffer, maybe with a buffer of its scales, held until the batch is done.
class HeldPlane {
public:
    HeldPlane(nb::handle object, std::size_t bands) {
        if (!nb::isinstance<nb::tuple>(object)) {
            hold_values(object, bands);
            return;
        }
        const auto pair = nb::cast<nb::tuple>(object);
        if (pair.size() != 2) throw nb::value_error("a plane is its values, or the pair of values and scales");
        scales_ = nb::cast<nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>>(pair[1]);
        if (scales_.shape(0) != bands) throw nb::value_error("the scales of a plane are float32, one for each band");
        hold_values(pair[0], bands);  // last: an exception would leave it held
        plane_.scale = scales_.data();
    }
    HeldPlane(HeldPlane&& other) noexcept
        : buffer_(std::exchange(other.buffer_, Py_buffer{})), scales_(std::move(other.scales_)), plane_(other.plane_) {}
    HeldPlane& operator=(HeldPlane&&) = delete;
    ~HeldPlane() {
        if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
    }

    const PlaneIn& plane() const { return plane_; }

private:
    void hold_values(nb::handle object, std::size_t bands) {
        if (PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) throw nb::python_error();
        const char* const format = buffer_.format;
        const bool known = std::strcmp(format, "b") == 0 || std::strcmp(format, "h") == 0;
        if (!known || buffer_.ndim != 3 || static_cast<std::size_t>(buffer_.shape[2]) != bands) {
            PyBuffer_Release(&buffer_);
            throw nb::value_error("a plane is int8 or int16 of shape (rows, columns, bands), with the bands of its format");
        }
        plane_ = {*format == 'b' ? Stored::int8 : Stored::int16, buffer_.buf, static_cast<std::size_t>(buffer_.shape[0]),
                  static_cast<std::size_t>(buffer_.shape[1])};
    }

    Py_buffer buffer_{};
    nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu> scales_;
    PlaneIn plane_;
};

void lift_planes(nb::sequence planes, nb::object operators, nb::sequence formats_given, nb::sequence outputs_given,
                 std::size_t threads) {
    const Formats formats = formats_from(formats_given);
    const Outputs outputs(outputs_given, formats);
    const std::size_t count = nb::len(planes);
    const GivenOperators given(operators);
    if (given.size() != count || outputs.count() < count) {
        throw nb::value_error("planes and operators need one entry a picture, outputs as many places at least");
    }
    std::vector<HeldPlane> held;
    held.reserve(3 * count);
    for (nb::handle picture : planes) {
        const auto three = nb::cast<nb::sequence>(picture);
        if (nb::len(three) != 3) throw nb::value_error("a picture is three planes: Y, Cb and Cr");
        for (std::size_t c = 0; c < 3; ++c) held.emplace_back(nb::object(three[c]), formats[c].bands_in.size());
    }
    FirstFailure failure;
    {
        const nb::gil_scoped_release release;
        in_parallel(count, threads, [&](std::size_t i) {
            failure.watch([&] {
                lift_picture(formats, given[i],
                             {held[3 * i].plane(), held[3 * i + 1].plane(), held[3 * i + 2].plane()}, outputs.place(i));
            });
        });
    }
    failure.rethrow();
}

// Bytes that go back to the pool of buffers with their last owner: a fresh allocation of a batch costs a page fault
// for each 4 KB, a tenth of the time that a picture takes.
nb::object memory(std::size_t bytes) {
    auto buffer = std::make_unique<Buffer>(bytes);
    void* const data = buffer->data();
    const nb::capsule owner(buffer.get(), [](void* held) noexcept { delete static_cast<Buffer*>(held); });
    (void)buffer.release();
    return nb::ndarray<nb::numpy, std::uint8_t>(data, {bytes}, owner).cast();
}

}  // namespace

void bind_lifted(nb::module_& module) {
    nb::class_<PlaneFormat>(module, "PlaneFormat",
                            "How the planes of one kind are read and written: the stored bands (channels 8v + u) and what "
                            "multiplies them ([]: 1); the block size written, its bands (channels c*v + u), and a gain and "
                            "shift for each ([]: 1 and 0). ValueError for bands that do not ascend, or lists of other lengths.")
        .def(
            "__init__",
            [](PlaneFormat* self, std::vector<std::size_t> bands_in, std::vector<float> scale_in, std::size_t block_out,
               std::vector<std::size_t> bands_out, std::vector<float> gain, std::vector<float> shift) {
                PlaneFormat format;
                format.bands_in = std::move(bands_in);
                format.scale_in = std::move(scale_in);
                format.block_out = block_out;
                format.bands_out = std::move(bands_out);
                format.gain = std::move(gain);
                format.shift = std::move(shift);
                format.complete();
                new (self) PlaneFormat(std::move(format));
            },
            nb::arg("bands_in"), nb::arg("scale_in"), nb::arg("block_out"), nb::arg("bands_out"), nb::arg("gain"),
            nb::arg("shift"));
    module.def("memory", &memory, nb::arg("bytes"), "Undefined bytes, uint8, from the pool that images are decoded into.");
    module.def("lift_planes", &lift_planes, nb::arg("planes"), nb::arg("operators"), nb::arg("formats"), nb::arg("outputs"),
               nb::arg("threads"),
               "Lifts pictures into the first places of a batch on `threads` threads, the GIL released. `planes`: for each "
               "picture three buffers, int8 or int16 (rows, columns, bands), or pairs of one and its scales, float32 (bands,), in "
               "place of those of the format. `operators`: for each (vertical, horizontal, "
               "...), each three Resampling or Banded tuples; or a float64 array (n, 2, 3, 6) of Resampling. `formats`: three "
               "PlaneFormat. `outputs`: three contiguous "
               "tensors (n, rows, columns, bands) of float32, float16 or bfloat16. ValueError where these do not fit.");
}

}  // namespace dctnet::jpeg
