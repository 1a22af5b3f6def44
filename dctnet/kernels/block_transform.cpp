#include "block_transform.hpp"

#include <cmath>
#include <numbers>

#include "target.hpp"
#include "vectors.hpp"

namespace dctnet {
namespace {

// T[k][n] = sqrt((1 + [k > 0]) / B) cos(pi (2n + 1) k / 2B), and its transpose.
template <std::size_t B>
struct Basis {
    alignas(32) float forward[B * B], inverse[B * B];

    Basis() {
        for (std::size_t k = 0; k < B; ++k) {
            for (std::size_t n = 0; n < B; ++n) {
                const double angle = std::numbers::pi * static_cast<double>((2 * n + 1) * k) / (2.0 * B);
                forward[k * B + n] = inverse[n * B + k] = static_cast<float>(std::sqrt((k > 0 ? 2.0 : 1.0) / B) * std::cos(angle));
            }
        }
    }
};

template <std::size_t B>
const Basis<B>& basis() {
    static const Basis<B> made;
    return made;
}

// C = A M, all of B x B, with rows `ld_a`, B and `ld_c` apart: four rows and up to two vectors of a row at a time.
template <std::size_t B>
DCTNET_INLINE void product(const float* a, std::size_t ld_a, const float* m, float* c, std::size_t ld_c) {
    if constexpr (B % kLanes == 0) {
        constexpr std::size_t kRows = 4, kVectors = B == kLanes ? 1 : 2;
        for (std::size_t i = 0; i < B; i += kRows) {
            for (std::size_t j = 0; j < B; j += kVectors * kLanes) {
                Vec sums[kRows][kVectors] = {};
                for (std::size_t k = 0; k < B; ++k) {
                    Vec row[kVectors];
                    for (std::size_t n = 0; n < kVectors; ++n) load(row[n], m + k * B + j + n * kLanes);
                    for (std::size_t r = 0; r < kRows; ++r) {
                        for (std::size_t n = 0; n < kVectors; ++n) multiply_add(sums[r][n], a[(i + r) * ld_a + k], row[n]);
                    }
                }
                for (std::size_t r = 0; r < kRows; ++r) {
                    for (std::size_t n = 0; n < kVectors; ++n) store(sums[r][n], c + (i + r) * ld_c + j + n * kLanes);
                }
            }
        }
    } else {
        for (std::size_t i = 0; i < B; ++i) {
            float sums[B] = {};
            for (std::size_t k = 0; k < B; ++k) {
                for (std::size_t j = 0; j < B; ++j) sums[j] += a[i * ld_a + k] * m[k * B + j];
            }
            for (std::size_t j = 0; j < B; ++j) c[i * ld_c + j] = sums[j];
        }
    }
}

// M X M', the rows of X and of the result `ld` and `ld_to` apart; `transposed` is M'.
template <std::size_t B>
DCTNET_INLINE void both_axes(const float* matrix, const float* transposed, const float* x, std::size_t ld, float* to,
                             std::size_t ld_to) {
    alignas(32) float along[B * B];
    product<B>(x, ld, transposed, along, B);
    product<B>(matrix, B, along, to, ld_to);
}

template <std::size_t B, bool Forward>
DCTNET_INLINE void row_body(const float* from, std::size_t columns, std::size_t row, const Affine& affine, float* to) {
    const Basis<B>& t = basis<B>();
    const std::size_t offset = row * columns * B * B, width = columns * B;
    for (std::size_t column = 0; column < columns; ++column) {
        if constexpr (Forward) {
            float* const block = to + offset + column * B * B;
            both_axes<B>(t.forward, t.inverse, from + offset + column * B, width, block, B);
            if (affine.gain != nullptr) {
                for (std::size_t k = 0; k < B * B; ++k) block[k] = affine.gain[k] * block[k] + affine.shift[k];
            }
        } else {
            both_axes<B>(t.inverse, t.forward, from + offset + column * B * B, B, to + offset + column * B, width);
        }
    }
}

template <std::size_t B, bool Forward>
void row_plain(const float* from, std::size_t columns, std::size_t row, const Affine& affine, float* to) {
    row_body<B, Forward>(from, columns, row, affine, to);
}

#if defined(DCTNET_FAST)
template <std::size_t B, bool Forward>
DCTNET_FAST void row_fast(const float* from, std::size_t columns, std::size_t row, const Affine& affine, float* to) {
    row_body<B, Forward>(from, columns, row, affine, to);
}
#endif

template <std::size_t B, bool Forward>
void one_row(const float* from, std::size_t columns, std::size_t row, const Affine& affine, float* to) {
#if defined(DCTNET_FAST)
    if (fast_processor()) return row_fast<B, Forward>(from, columns, row, affine, to);
#endif
    row_plain<B, Forward>(from, columns, row, affine, to);
}

template <bool Forward>
void transform(std::size_t b, const float* from, std::size_t columns, std::size_t row, const Affine& affine, float* to) {
    switch (b) {
        case 2: return one_row<2, Forward>(from, columns, row, affine, to);
        case 4: return one_row<4, Forward>(from, columns, row, affine, to);
        case 8: return one_row<8, Forward>(from, columns, row, affine, to);
        case 16: return one_row<16, Forward>(from, columns, row, affine, to);
        case 32: return one_row<32, Forward>(from, columns, row, affine, to);
        default: return;
    }
}

}  // namespace

bool is_transformed(std::size_t b) { return b == 2 || b == 4 || b == 8 || b == 16 || b == 32; }

void blocks_of_samples(std::size_t b, const float* samples, std::size_t columns, std::size_t row, const Affine& affine,
                       float* blocks) {
    transform<true>(b, samples, columns, row, affine, blocks);
}

void samples_of_blocks(std::size_t b, const float* blocks, std::size_t columns, std::size_t row, float* samples) {
    transform<false>(b, blocks, columns, row, {}, samples);
}

}  // namespace dctnet
