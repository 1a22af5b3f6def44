#include "banded.hpp"

#include "target.hpp"

namespace dctnet {
namespace {

DCTNET_INLINE void row_body(const float* from, std::size_t width, const Banded& vertical, const Banded& horizontal,
                            std::size_t row, float* __restrict along, float* __restrict to) {
    const float* const weights = vertical.weights + row * vertical.taps;
    const float* const first = from + static_cast<std::size_t>(vertical.start[row]) * width;
    for (std::size_t j = 0; j < width; ++j) along[j] = weights[0] * first[j];
    for (std::size_t t = 1; t < vertical.taps; ++t) {
        const float weight = weights[t];
        const float* const next = first + t * width;
        for (std::size_t j = 0; j < width; ++j) along[j] += weight * next[j];
    }
    if (horizontal.taps == 1) {
        for (std::size_t j = 0; j < horizontal.rows; ++j) to[j] = horizontal.weights[j] * along[horizontal.start[j]];
        return;
    }
    for (std::size_t j = 0; j < horizontal.rows; ++j) {
        const float* const w = horizontal.weights + j * horizontal.taps;
        const float* const x = along + horizontal.start[j];
        float sum = 0;
        for (std::size_t t = 0; t < horizontal.taps; ++t) sum += w[t] * x[t];
        to[j] = sum;
    }
}

#if defined(DCTNET_FAST)
DCTNET_FAST void row_fast(const float* from, std::size_t width, const Banded& vertical, const Banded& horizontal,
                          std::size_t row, float* along, float* to) {
    row_body(from, width, vertical, horizontal, row, along, to);
}
#endif

}  // namespace

void banded_row(const float* from, std::size_t width, const Banded& vertical, const Banded& horizontal, std::size_t row,
                float* along, float* to) {
#if defined(DCTNET_FAST)
    if (fast_processor()) return row_fast(from, width, vertical, horizontal, row, along, to);
#endif
    row_body(from, width, vertical, horizontal, row, along, to);
}

}  // namespace dctnet
