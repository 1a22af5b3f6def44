#include "finish.hpp"

#include <algorithm>
#include <cstring>

#include "../kernels/target.hpp"

#if defined(DCTNET_FAST)
#include <immintrin.h>
#endif

namespace dctnet::jpeg {
namespace {

constexpr std::size_t kBytes = 64 * sizeof(std::int16_t);

void copy(std::int16_t* block, std::int16_t* out, const Finish&) {
    std::memcpy(out, block, kBytes);
    std::memset(block, 0, kBytes);
}

void multiply(std::int16_t* block, std::int16_t* out, const Finish& how) {
    for (std::size_t i = 0; i < 64; ++i) {
        const std::int32_t product = std::int32_t{block[i]} * std::int32_t{how.steps[i]};
        out[i] = static_cast<std::int16_t>(std::clamp(product, -32768, 32767));
    }
    std::memset(block, 0, kBytes);
}

#if defined(DCTNET_FAST)
// Steps below 2^15. The halves of the products are put together lane by lane, and packed again in the same order.
DCTNET_FAST void multiply_fast(std::int16_t* block, std::int16_t* out, const Finish& how) {
    const auto* const steps = reinterpret_cast<const __m256i*>(how.steps);
    auto* const in = reinterpret_cast<__m256i*>(block);
    auto* const to = reinterpret_cast<__m256i*>(out);
    for (int i = 0; i < 4; ++i) {
        const __m256i a = _mm256_load_si256(in + i), b = _mm256_loadu_si256(steps + i);
        const __m256i low = _mm256_mullo_epi16(a, b), high = _mm256_mulhi_epi16(a, b);
        const __m256i first = _mm256_unpacklo_epi16(low, high), second = _mm256_unpackhi_epi16(low, high);
        _mm256_storeu_si256(to + i, _mm256_packs_epi32(first, second));
        _mm256_store_si256(in + i, _mm256_setzero_si256());
    }
}
#endif

void pick(std::int16_t* block, std::int16_t* out, const Finish& how) {
    alignas(64) std::int16_t whole[64];
    how.whole(block, whole, how);
    for (const std::uint8_t band : *how.bands) *out++ = whole[band];
}

}  // namespace

Finish finish_with(const std::uint16_t* steps, const std::vector<std::uint8_t>* bands) {
    Finish finish;
    finish.run = copy;
    if (steps != nullptr) {
        finish.steps = steps;
        finish.run = multiply;
#if defined(DCTNET_FAST)
        unsigned bits = 0;
        for (std::size_t k = 0; k < 64; ++k) bits |= steps[k];
        if (fast_processor() && bits < 0x8000) finish.run = multiply_fast;
#endif
    }
    if (bands != nullptr) {
        finish.bands = bands;
        finish.whole = finish.run;
        finish.run = pick;
    }
    return finish;
}

}  // namespace dctnet::jpeg
