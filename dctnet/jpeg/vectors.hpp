// Eight floats at a time, and functions compiled twice: for the processor at hand, and for any.
//
// The extension is built for the oldest processor of its platform. A loop that carries weight is therefore a function
// marked DCTNET_INLINE, written in Vec, with two callers that it is inlined into: one marked DCTNET_FAST, which may use
// AVX2, FMA and F16C, and a plain one. `fast_processor()` says which to call.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__GNUC__)
#define DCTNET_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define DCTNET_INLINE __forceinline
#else
#define DCTNET_INLINE inline
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#define DCTNET_X86 1
#define DCTNET_FAST __attribute__((target("avx2,fma,f16c")))
#endif

namespace dctnet::jpeg {

inline bool fast_processor() {
#if defined(DCTNET_X86)
    static const bool fast = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    return fast;
#else
    return false;
#endif
}

inline constexpr std::size_t kLanes = 8;

#if defined(__GNUC__)
using Vec = float __attribute__((vector_size(32)));
#else
struct Vec {
    float lane[kLanes];
};
#endif

DCTNET_INLINE void load(Vec& x, const float* from) { std::memcpy(&x, from, sizeof x); }
DCTNET_INLINE void store(const Vec& x, float* to) { std::memcpy(to, &x, sizeof x); }

// sum += a * x
DCTNET_INLINE void multiply_add(Vec& sum, float a, const Vec& x) {
#if defined(__GNUC__)
    sum += a * x;
#else
    for (std::size_t i = 0; i < kLanes; ++i) sum.lane[i] += a * x.lane[i];
#endif
}

// Four rows of eight as eight columns of four: column i goes to `to + i * stride`.
DCTNET_INLINE void store_transposed(const Vec (&row)[4], float* to, std::size_t stride) {
#if defined(__GNUC__)
    using Half = float __attribute__((vector_size(16)));
    const Vec a = __builtin_shufflevector(row[0], row[1], 0, 8, 1, 9, 4, 12, 5, 13);
    const Vec b = __builtin_shufflevector(row[0], row[1], 2, 10, 3, 11, 6, 14, 7, 15);
    const Vec c = __builtin_shufflevector(row[2], row[3], 0, 8, 1, 9, 4, 12, 5, 13);
    const Vec d = __builtin_shufflevector(row[2], row[3], 2, 10, 3, 11, 6, 14, 7, 15);
    const Vec columns[4] = {
        __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13),
        __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15),
        __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13),
        __builtin_shufflevector(b, d, 2, 3, 10, 11, 6, 7, 14, 15),
    };
    for (std::size_t i = 0; i < 4; ++i) {
        const Half low = __builtin_shufflevector(columns[i], columns[i], 0, 1, 2, 3);
        const Half high = __builtin_shufflevector(columns[i], columns[i], 4, 5, 6, 7);
        std::memcpy(to + i * stride, &low, sizeof low);
        std::memcpy(to + (i + 4) * stride, &high, sizeof high);
    }
#else
    for (std::size_t i = 0; i < kLanes; ++i) {
        for (std::size_t r = 0; r < 4; ++r) to[i * stride + r] = row[r].lane[i];
    }
#endif
}

// The same of fewer rows.
template <int R>
DCTNET_INLINE void store_transposed(const Vec (&row)[R], float* to, std::size_t stride) {
    for (int r = 0; r < R; ++r) {
        float lanes[kLanes];
        store(row[r], lanes);
        for (std::size_t i = 0; i < kLanes; ++i) to[i * stride + static_cast<std::size_t>(r)] = lanes[i];
    }
}

}  // namespace dctnet::jpeg
