// Affine maps of float planes by bilinear interpolation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dctnet {

struct PlaneSize {
    std::int32_t rows, columns;  // at least 1, and fewer than 2^31 samples in all
};

// Row `row` of what a plane becomes: sample j is the picture at (x, y) = (m[0] j + m[1] row + m[2], m[3] j + m[4] row + m[5]),
// counted in samples from the centre of the first one. Outside of the plane lies `fill`.
void warp_row(const float* from, PlaneSize size, const double* m, float fill, std::int32_t row, std::int32_t columns, float* to);

}  // namespace dctnet
