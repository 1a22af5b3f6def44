// The orthonormal two-dimensional DCT of b x b blocks of float samples, b = 2, 4, 8, 16 or 32, and its inverse.
#pragma once

#include <cstddef>

namespace dctnet {

bool is_transformed(std::size_t b);  // whether there is a loop for blocks of that size

// Coefficient k of a block becomes gain[k] x + shift[k].
struct Affine {
    const float *gain, *shift;  // of b * b numbers each, or null
};

// `rows` x `columns` blocks. Samples lie row by row, blocks one after the other, the b * b coefficients of each row by row.
// Of these rows of blocks only row `row` is done.
void blocks_of_samples(std::size_t b, const float* samples, std::size_t columns, std::size_t row, const Affine& affine,
                       float* blocks);
void samples_of_blocks(std::size_t b, const float* blocks, std::size_t columns, std::size_t row, float* samples);

}  // namespace dctnet
