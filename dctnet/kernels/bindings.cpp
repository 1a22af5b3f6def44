// The Python module dctnet.kernels._native: arrays in, arrays written, the GIL released. dct.py says what is computed.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <limits>
#include <optional>
#include <vector>

#include "banded.hpp"
#include "block_transform.hpp"
#include "parallel.hpp"
#include "warp.hpp"

namespace nb = nanobind;

namespace dctnet {
namespace {

template <typename T>
using Array4 = nb::ndarray<T, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();

template <typename T>
using Array1 = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Array2 = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Array3 = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

void check_shapes(const Array3<const float>& samples, const Array4<const float>& blocks, std::size_t b) {
    const bool fits = is_transformed(b) && blocks.shape(3) == b * b && samples.shape(0) == blocks.shape(0) &&
                      samples.shape(1) == blocks.shape(1) * b && samples.shape(2) == blocks.shape(2) * b;
    if (!fits) throw nb::value_error("samples are (n, rows * b, columns * b), blocks (n, rows, columns, b * b), b 2 to 32");
}

template <typename Row>
void each_row(std::size_t planes, std::size_t rows, std::size_t threads, const Row& row) {
    nb::gil_scoped_release released;
    in_parallel(planes * rows, threads, [&](std::size_t i) { row(i / rows, i % rows); });
}

void forward(const Array3<const float>& samples, const Array4<float>& blocks, std::size_t b, std::size_t threads,
             const std::optional<Array2<const float>>& affine) {
    check_shapes(samples, Array4<const float>(blocks), b);
    if (affine && (affine->shape(0) != 2 || affine->shape(1) != b * b)) {
        throw nb::value_error("a gain and a shift are (2, b * b)");
    }
    const Affine own = affine ? Affine{affine->data(), affine->data() + b * b} : Affine{};
    const std::size_t rows = blocks.shape(1), columns = blocks.shape(2), size = rows * columns * b * b;
    each_row(blocks.shape(0), rows, threads, [&, from = samples.data(), to = blocks.data()](std::size_t n, std::size_t row) {
        blocks_of_samples(b, from + n * size, columns, row, own, to + n * size);
    });
}

void inverse(const Array4<const float>& blocks, const Array3<float>& samples, std::size_t b, std::size_t threads) {
    check_shapes(Array3<const float>(samples), blocks, b);
    const std::size_t rows = blocks.shape(1), columns = blocks.shape(2), size = rows * columns * b * b;
    each_row(blocks.shape(0), rows, threads, [&, from = blocks.data(), to = samples.data()](std::size_t n, std::size_t row) {
        samples_of_blocks(b, from + n * size, columns, row, to + n * size);
    });
}

Banded banded_from(const Array1<const std::int64_t>& start, const Array2<const float>& weights, std::size_t inputs) {
    const Banded made{start.data(), weights.data(), weights.shape(0), weights.shape(1)};
    bool fits = start.shape(0) == made.rows && made.taps > 0;
    for (std::size_t i = 0; fits && i < made.rows; ++i) {
        fits = start(i) >= 0 && static_cast<std::size_t>(start(i)) + made.taps <= inputs;
    }
    if (!fits) throw nb::value_error("an operator is starts (rows,) and weights (rows, taps), all within the samples");
    return made;
}

void separable(const Array3<const float>& planes, const Array1<const std::int64_t>& vertical_start,
               const Array2<const float>& vertical_weights, const Array1<const std::int64_t>& horizontal_start,
               const Array2<const float>& horizontal_weights, const Array3<float>& made, std::size_t threads) {
    const std::size_t height = planes.shape(1), width = planes.shape(2);
    const Banded vertical = banded_from(vertical_start, vertical_weights, height);
    const Banded horizontal = banded_from(horizontal_start, horizontal_weights, width);
    const std::size_t rows = vertical.rows, columns = horizontal.rows;
    if (made.shape(0) != planes.shape(0) || made.shape(1) != rows || made.shape(2) != columns) {
        throw nb::value_error("what is made has the planes, and a row and a column for each of the operators' rows");
    }
    FirstFailure failure;  // of memory
    each_row(planes.shape(0), rows, threads, [&, from = planes.data(), to = made.data()](std::size_t n, std::size_t row) {
        failure.watch([&] {
            thread_local std::vector<float> along;
            if (along.size() < width) along.resize(width);
            banded_row(from + n * height * width, width, vertical, horizontal, row, along.data(), to + (n * rows + row) * columns);
        });
    });
    failure.rethrow();
}

void warp(const Array4<const float>& planes, const Array2<const double>& maps, const Array4<float>& warped,
          const Array1<const float>& fill, std::size_t threads) {
    const std::size_t count = planes.shape(0), each = planes.shape(1), in = planes.shape(2) * planes.shape(3);
    const std::size_t rows = warped.shape(2), columns = warped.shape(3);
    const bool fits = maps.shape(0) == count && maps.shape(1) == 6 && warped.shape(0) == count && warped.shape(1) == each &&
                      fill.shape(0) == each;
    if (!fits) throw nb::value_error("planes are (n, k, H, W), maps (n, 6), what they become (n, k, P, Q), fill (k,)");
    if (in == 0 || in > kMost || rows * columns > kMost) throw nb::value_error("a plane has from 1 to 2^31 - 1 samples");
    const PlaneSize size{static_cast<std::int32_t>(planes.shape(2)), static_cast<std::int32_t>(planes.shape(3))};
    const float *from = planes.data(), *colour = fill.data();
    const double* map = maps.data();
    each_row(count * each, rows, threads, [&, to = warped.data()](std::size_t n, std::size_t row) {
        warp_row(from + n * in, size, map + n / each * 6, colour[n % each], static_cast<std::int32_t>(row),
                 static_cast<std::int32_t>(columns), to + (n * rows + row) * columns);
    });
}

}  // namespace
}  // namespace dctnet

NB_MODULE(_native, module) {
    module.def("block_dct", &dctnet::forward, nb::arg("samples"), nb::arg("blocks"), nb::arg("b"), nb::arg("threads"),
               nb::arg("affine") = nb::none(),
               "Samples (n, H, W) float32 into blocks (n, H/b, W/b, b*b) of the orthonormal DCT-II, each coefficient times its "
               "gain plus its shift, where `affine` (2, b*b) holds them.");
    module.def("block_idct", &dctnet::inverse, nb::arg("blocks"), nb::arg("samples"), nb::arg("b"), nb::arg("threads"),
               "The inverse: blocks into samples.");
    module.def("separable", &dctnet::separable, nb::arg("planes"), nb::arg("vertical_start"), nb::arg("vertical_weights"),
               nb::arg("horizontal_start"), nb::arg("horizontal_weights"), nb::arg("made"), nb::arg("threads"),
               "R_v P R_h' for planes P (n, H, W) float32, R given by starts (rows,) and weights (rows, taps).");
    module.def("warp", &dctnet::warp, nb::arg("planes"), nb::arg("maps"), nb::arg("warped"), nb::arg("fill"),
               nb::arg("threads"), "Planes (n, k, H, W) float32 through maps (n, 6) of sample indices, by bilinear interpolation.");
}
