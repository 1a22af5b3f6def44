// Eight floats at a time, for functions compiled twice (target.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "target.hpp"

namespace dctnet {

inline constexpr std::size_t kLanes = 8;

#if defined(__GNUC__)

using Vec = float __attribute__((vector_size(32)));
using Half = float __attribute__((vector_size(16)));

// The same in memory, at any address. GCC copies a vector by memcpy in two halves, and stalls on reading them as one.
template <typename V>
struct Anywhere {
    using Type [[gnu::aligned(1), gnu::may_alias]] = V;
};

DCTNET_INLINE void load(Vec& x, const float* from) { x = *reinterpret_cast<const Anywhere<Vec>::Type*>(from); }
DCTNET_INLINE void store(const Vec& x, float* to) { *reinterpret_cast<Anywhere<Vec>::Type*>(to) = x; }

#if defined(DCTNET_FAST)
// Past the caches to a multiple of 32 bytes, in functions marked DCTNET_FAST; stream_end() before others may read it.
DCTNET_INLINE void stream(const Vec& x, float* to) {
#if defined(__clang__)
    __builtin_nontemporal_store(x, reinterpret_cast<Vec*>(to));
#else
    asm volatile("vmovntps %1, %0" : "=m"(*reinterpret_cast<Vec*>(to)) : "x"(x));
#endif
}
inline void stream_end() { asm volatile("sfence" ::: "memory"); }
#endif

// Eight integers as floats.
using Eight8 = std::int8_t __attribute__((vector_size(8)));
using Eight16 = std::int16_t __attribute__((vector_size(16)));
using Eight32 = std::int32_t __attribute__((vector_size(32)));

DCTNET_INLINE void load(Vec& x, const std::int16_t* from) {
    const Eight16 integers = *reinterpret_cast<const Anywhere<Eight16>::Type*>(from);
    x = __builtin_convertvector(__builtin_convertvector(integers, Eight32), Vec);
}
DCTNET_INLINE void load(Vec& x, const std::int8_t* from) {
    const Eight8 integers = *reinterpret_cast<const Anywhere<Eight8>::Type*>(from);
    x = __builtin_convertvector(__builtin_convertvector(__builtin_convertvector(integers, Eight16), Eight32), Vec);
}

#else

struct Vec {
    float lane[kLanes];
};

DCTNET_INLINE void load(Vec& x, const float* from) { std::memcpy(&x, from, sizeof x); }
DCTNET_INLINE void store(const Vec& x, float* to) { std::memcpy(to, &x, sizeof x); }

template <typename T>
DCTNET_INLINE void load(Vec& x, const T* from) {
    for (std::size_t i = 0; i < kLanes; ++i) x.lane[i] = static_cast<float>(from[i]);
}

#endif

// sum += a * x
DCTNET_INLINE void multiply_add(Vec& sum, float a, const Vec& x) {
#if defined(__GNUC__)
    sum += a * x;
#else
    for (std::size_t i = 0; i < kLanes; ++i) sum.lane[i] += a * x.lane[i];
#endif
}

// x = a * x
DCTNET_INLINE void multiply(Vec& x, const Vec& a) {
#if defined(__GNUC__)
    x *= a;
#else
    for (std::size_t i = 0; i < kLanes; ++i) x.lane[i] *= a.lane[i];
#endif
}

// x = a * x + b
DCTNET_INLINE void scale_and_shift(Vec& x, const Vec& a, const Vec& b) {
#if defined(__GNUC__)
    x = a * x + b;
#else
    for (std::size_t i = 0; i < kLanes; ++i) x.lane[i] = a.lane[i] * x.lane[i] + b.lane[i];
#endif
}

// Two rows of four.
DCTNET_INLINE void load_two(Vec& x, const float* first, const float* second) {
#if defined(__GNUC__)
    const Half a = *reinterpret_cast<const Anywhere<Half>::Type*>(first);
    const Half b = *reinterpret_cast<const Anywhere<Half>::Type*>(second);
    x = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
#else
    std::memcpy(x.lane, first, 4 * sizeof(float));
    std::memcpy(x.lane + 4, second, 4 * sizeof(float));
#endif
}

DCTNET_INLINE void store_two(const Vec& x, float* first, float* second) {
#if defined(__GNUC__)
    *reinterpret_cast<Anywhere<Half>::Type*>(first) = __builtin_shufflevector(x, x, 0, 1, 2, 3);
    *reinterpret_cast<Anywhere<Half>::Type*>(second) = __builtin_shufflevector(x, x, 4, 5, 6, 7);
#else
    std::memcpy(first, x.lane, 4 * sizeof(float));
    std::memcpy(second, x.lane + 4, 4 * sizeof(float));
#endif
}

// Four rows of eight as eight columns of four: column i goes to `to + i * stride`.
DCTNET_INLINE void store_transposed(const Vec (&row)[4], float* to, std::size_t stride) {
#if defined(__GNUC__)
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
        *reinterpret_cast<Anywhere<Half>::Type*>(to + i * stride) = low;
        *reinterpret_cast<Anywhere<Half>::Type*>(to + (i + 4) * stride) = high;
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

}  // namespace dctnet
