#include "lifted_kernels.hpp"

#include <bit>
#include <cstdint>

#include "../kernels/vectors.hpp"

namespace dctnet::jpeg {
namespace {

// R rows of A against N vectors of x: sums[r][n] = sum_t a[t * stride + r] * x[t * ld + 8n], stored transposed.
template <int R, int N>
DCTNET_INLINE void tile(const float* a, std::size_t stride, std::size_t terms, const float* x, std::size_t ld, float* to,
                        std::size_t ld_to) {
    Vec sums[N][R] = {};
    for (std::size_t t = 0; t < terms; ++t) {
        Vec vectors[N];
        for (int n = 0; n < N; ++n) load(vectors[n], x + static_cast<std::size_t>(n) * kLanes);
        for (int r = 0; r < R; ++r) {
            for (int n = 0; n < N; ++n) multiply_add(sums[n][r], a[r], vectors[n]);
        }
        a += stride;
        x += ld;
    }
    for (int n = 0; n < N; ++n) store_transposed(sums[n], to + static_cast<std::size_t>(n) * kLanes * ld_to, ld_to);
}

template <int N>
DCTNET_INLINE void tile_rows(std::size_t rows, const float* a, std::size_t stride, std::size_t terms, const float* x,
                             std::size_t ld, float* to, std::size_t ld_to) {
    while (rows >= 4) {
        tile<4, N>(a, stride, terms, x, ld, to, ld_to);
        a += 4;
        to += 4;
        rows -= 4;
    }
    if (rows == 3) tile<3, N>(a, stride, terms, x, ld, to, ld_to);
    if (rows == 2) tile<2, N>(a, stride, terms, x, ld, to, ld_to);
    if (rows == 1) tile<1, N>(a, stride, terms, x, ld, to, ld_to);
}

// The transpose of A x, x being `vectors` vectors wide: row n of the result holds what A makes of column n.
DCTNET_INLINE void multiply_body(const LiftedAxis& axis, const float* x, std::size_t ld, std::size_t vectors, float* to,
                                 std::size_t ld_to) {
    for (const LiftedAxis::Run& run : axis.runs) {
        const float* const a = axis.weights.data() + run.offset;
        const float* const from = x + (run.first - axis.low) * axis.in * ld;
        std::size_t n = 0;
        for (; n + 3 <= vectors && n + 4 != vectors; n += 3) {
            tile_rows<3>(axis.out, a, axis.out, run.terms, from + n * kLanes, ld, to + n * kLanes * ld_to, ld_to);
        }
        for (; n + 2 <= vectors; n += 2) {
            tile_rows<2>(axis.out, a, axis.out, run.terms, from + n * kLanes, ld, to + n * kLanes * ld_to, ld_to);
        }
        if (n < vectors) {
            tile_rows<1>(axis.out, a, axis.out, run.terms, from + n * kLanes, ld, to + n * kLanes * ld_to, ld_to);
        }
        to += axis.out;
    }
}

// Eight integers at a time as floats, scaled.
template <typename T>
DCTNET_INLINE void read_eight(const T* from, const float* scale, Vec& x) {
    load(x, from);
    if (scale != nullptr) {
        Vec scales;
        load(scales, scale);
        multiply(x, scales);
    }
}

// V x U integers of a block, all there are, in order.
template <typename T, std::size_t U>
DCTNET_INLINE void read_whole(const T* from, std::size_t v_count, const float* scale, float* to, std::size_t ld) {
    std::size_t v = 0;
    if constexpr (U == 8 || U == 4) {
        constexpr std::size_t kRows = kLanes / U;
        for (; v + kRows <= v_count; v += kRows) {
            Vec x;
            read_eight(from + v * U, scale == nullptr ? nullptr : scale + v * U, x);
            if constexpr (U == 8) {
                store(x, to + v * ld);
            } else {
                store_two(x, to + v * ld, to + (v + 1) * ld);
            }
        }
    }
    for (; v < v_count; ++v) {
        for (std::size_t u = 0; u < U; ++u) {
            const auto x = static_cast<float>(from[v * U + u]);
            to[v * ld + u] = scale == nullptr ? x : x * scale[v * U + u];
        }
    }
}

template <typename T>
DCTNET_INLINE void read_body(const PlaneFormat& format, const T* plane, const Strip& strip) {
    const std::size_t bands = format.bands_in.size(), v_count = format.vertical.in, u_count = format.horizontal.in;
    const float* const scale = strip.scale;
    const std::size_t* const channels = format.bands_in.data();
    for (std::size_t i = strip.low; i < strip.high; ++i) {
        float* to = strip.to + (i - strip.low) * v_count * strip.ld;
        const T* from = plane + (i * strip.columns + strip.first) * bands;
        for (std::size_t j = 0; j < strip.count; ++j, from += bands, to += u_count) {
            if (format.whole_in && u_count == 8) {
                read_whole<T, 8>(from, v_count, scale, to, strip.ld);
            } else if (format.whole_in && u_count == 4) {
                read_whole<T, 4>(from, v_count, scale, to, strip.ld);
            } else if (format.whole_in && u_count == 2) {
                read_whole<T, 2>(from, v_count, scale, to, strip.ld);
            } else {
                for (std::size_t v = 0; v < v_count; ++v) {
                    for (std::size_t u = 0; u < u_count; ++u) to[v * strip.ld + u] = 0;
                }
                for (std::size_t k = 0; k < bands; ++k) {
                    to[channels[k] / 8 * strip.ld + channels[k] % 8] =
                        static_cast<float>(from[k]) * (scale == nullptr ? 1.0F : scale[k]);
                }
            }
        }
    }
}

// The V x U bands of a block, all there are, in order, from a matrix whose rows are `ld` long.
template <bool Past, std::size_t U>
DCTNET_INLINE void write_whole(const float* from, std::size_t ld, std::size_t v_count, const float* gain, const float* shift,
                               float* to) {
    std::size_t v = 0;
    if constexpr (U == 8 || U == 4) {
        constexpr std::size_t kRows = kLanes / U;
        for (; v + kRows <= v_count; v += kRows) {
            Vec x;
            if constexpr (U == 8) {
                load(x, from + v * ld);
            } else {
                load_two(x, from + v * ld, from + (v + 1) * ld);
            }
            if (gain != nullptr) {
                Vec gains, shifts;
                load(gains, gain + v * U);
                load(shifts, shift + v * U);
                scale_and_shift(x, gains, shifts);
            }
#if defined(DCTNET_FAST)
            if constexpr (Past) {
                stream(x, to + v * U);
                continue;
            }
#endif
            store(x, to + v * U);
        }
    }
    for (; v < v_count; ++v) {
        for (std::size_t u = 0; u < U; ++u) {
            const float x = from[v * ld + u];
            to[v * U + u] = gain == nullptr ? x : x * gain[v * U + u] + shift[v * U + u];
        }
    }
}

template <bool Past>
DCTNET_INLINE void write_body(const PlaneFormat& format, const float* from, std::size_t ld, std::size_t blocks, float* to) {
    const std::size_t bands = format.bands_out.size(), v_count = format.vertical.out, u_count = format.horizontal.out;
    const float* const gain = format.gain.empty() ? nullptr : format.gain.data();
    const float* const shift = format.shift.empty() ? nullptr : format.shift.data();
    const std::size_t* const channels = format.bands_out.data();
    const auto size = static_cast<unsigned>(std::countr_zero(format.block_out));
    for (std::size_t q = 0; q < blocks; ++q, from += u_count, to += bands) {
        if (format.whole_out && u_count == 8) {
            write_whole<Past, 8>(from, ld, v_count, gain, shift, to);
        } else if (format.whole_out && u_count == 4) {
            write_whole<Past, 4>(from, ld, v_count, gain, shift, to);
        } else if (format.whole_out && u_count == 2) {
            write_whole<Past, 2>(from, ld, v_count, gain, shift, to);
        } else {
            for (std::size_t k = 0; k < bands; ++k) {
                const std::size_t v = channels[k] >> size, u = channels[k] & (format.block_out - 1);
                const float x = from[v * ld + u];
                to[k] = gain == nullptr ? x : x * gain[k] + shift[k];
            }
        }
    }
}

void nothing() {}

#define DCTNET_KERNELS(name, attribute)                                                                                    \
    attribute void multiply_##name(const LiftedAxis& axis, const float* x, std::size_t ld, std::size_t vectors, float* to, \
                                   std::size_t ld_to) {                                                                    \
        multiply_body(axis, x, ld, vectors, to, ld_to);                                                                    \
    }                                                                                                                      \
    attribute void read8_##name(const PlaneFormat& format, const std::int8_t* plane, const Strip& strip) {                 \
        read_body(format, plane, strip);                                                                                   \
    }                                                                                                                      \
    attribute void read16_##name(const PlaneFormat& format, const std::int16_t* plane, const Strip& strip) {               \
        read_body(format, plane, strip);                                                                                   \
    }                                                                                                                      \
    attribute void write_##name(const PlaneFormat& format, const float* from, std::size_t ld, std::size_t blocks,          \
                                float* to) {                                                                               \
        write_body<false>(format, from, ld, blocks, to);                                                                   \
    }

DCTNET_KERNELS(plain, )
constexpr LiftKernels k_plain{multiply_plain, read8_plain, read16_plain, write_plain, write_plain, nothing};
#if defined(DCTNET_FAST)
DCTNET_KERNELS(fast, DCTNET_FAST)
DCTNET_FAST void write_past(const PlaneFormat& format, const float* from, std::size_t ld, std::size_t blocks, float* to) {
    write_body<true>(format, from, ld, blocks, to);
}
constexpr LiftKernels k_fast{multiply_fast, read8_fast, read16_fast, write_fast, write_past, stream_end};
#else
constexpr LiftKernels k_fast = k_plain;
#endif

}  // namespace

const LiftKernels& lift_kernels() { return fast_processor() ? k_fast : k_plain; }

}  // namespace dctnet::jpeg
