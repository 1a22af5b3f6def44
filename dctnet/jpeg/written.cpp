#include "written.hpp"

#include <bit>

#include "../kernels/vectors.hpp"

#if defined(DCTNET_FAST)
#include <immintrin.h>
#endif

namespace dctnet::jpeg {
namespace {

std::uint16_t float16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return static_cast<std::uint16_t>(sign | 0x7E00);    // not a number
    if (magnitude >= 0x47800000) return static_cast<std::uint16_t>(sign | 0x7C00);   // 2^16 and more
    if (magnitude < 0x38800000) {
        // Below 2^-14: adding 1/2 leaves the value in units of 2^-24, rounded by the addition itself.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
        return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000));
    }
    const std::uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000) >> 13));
}

DCTNET_INLINE void bfloat16_body(const float* from, std::uint16_t* to, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(from[i]);
        const std::uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
        to[i] = static_cast<std::uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? bits >> 16 | 0x40 : rounded);
    }
}

#if defined(DCTNET_FAST)
DCTNET_FAST void float16_fast(const float* from, std::uint16_t* to, std::size_t count) {
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), halves);
    }
    for (; i < count; ++i) to[i] = float16(from[i]);
}

DCTNET_FAST void bfloat16_fast(const float* from, std::uint16_t* to, std::size_t count) { bfloat16_body(from, to, count); }
#endif

}  // namespace

void to_float16(const float* from, std::uint16_t* to, std::size_t count) {
#if defined(DCTNET_FAST)
    if (fast_processor()) return float16_fast(from, to, count);
#endif
    for (std::size_t i = 0; i < count; ++i) to[i] = float16(from[i]);
}

void to_bfloat16(const float* from, std::uint16_t* to, std::size_t count) {
#if defined(DCTNET_FAST)
    if (fast_processor()) return bfloat16_fast(from, to, count);
#endif
    bfloat16_body(from, to, count);
}

}  // namespace dctnet::jpeg
