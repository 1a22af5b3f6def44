// R_v P R_h' for planes of float samples, R_v and R_h with a few consecutive non-zeros a row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dctnet {

// Row i of the matrix has weights[i * taps + t] in column start[i] + t, and zeros elsewhere.
struct Banded {
    const std::int64_t* start;
    const float* weights;
    std::size_t rows, taps;
};

// Row `row` of R_v P R_h', P with rows of `width` samples; `along` has room for these.
void banded_row(const float* from, std::size_t width, const Banded& vertical, const Banded& horizontal, std::size_t row,
                float* along, float* to);

}  // namespace dctnet
