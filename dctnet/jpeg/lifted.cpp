#include "lifted.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "vectors.hpp"
#include "written.hpp"

namespace dctnet::jpeg {
namespace {

constexpr std::size_t kStrip = 24;  // floats of a strip, where blocks are not wider: three vectors

std::size_t whole_vectors(std::size_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

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

// Columns [first, first + count) of blocks, rows [axis low, high), as a matrix of floats with rows `ld` long.
struct Strip {
    std::size_t low, high, first, count, columns;
    float* to;
    std::size_t ld;
    const float* scale;  // of each band; null: 1
};

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
template <std::size_t U>
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

DCTNET_INLINE void write_body(const PlaneFormat& format, const float* from, std::size_t ld, std::size_t blocks, float* to) {
    const std::size_t bands = format.bands_out.size(), v_count = format.vertical.out, u_count = format.horizontal.out;
    const float* const gain = format.gain.empty() ? nullptr : format.gain.data();
    const float* const shift = format.shift.empty() ? nullptr : format.shift.data();
    const std::size_t* const channels = format.bands_out.data();
    const auto size = static_cast<unsigned>(std::countr_zero(format.block_out));
    for (std::size_t q = 0; q < blocks; ++q, from += u_count, to += bands) {
        if (format.whole_out && u_count == 8) {
            write_whole<8>(from, ld, v_count, gain, shift, to);
        } else if (format.whole_out && u_count == 4) {
            write_whole<4>(from, ld, v_count, gain, shift, to);
        } else if (format.whole_out && u_count == 2) {
            write_whole<2>(from, ld, v_count, gain, shift, to);
        } else {
            for (std::size_t k = 0; k < bands; ++k) {
                const std::size_t v = channels[k] >> size, u = channels[k] & (format.block_out - 1);
                const float x = from[v * ld + u];
                to[k] = gain == nullptr ? x : x * gain[k] + shift[k];
            }
        }
    }
}

struct Kernels {
    void (*multiply)(const LiftedAxis&, const float*, std::size_t, std::size_t, float*, std::size_t);
    void (*read8)(const PlaneFormat&, const std::int8_t*, const Strip&);
    void (*read16)(const PlaneFormat&, const std::int16_t*, const Strip&);
    void (*write)(const PlaneFormat&, const float*, std::size_t, std::size_t, float*);
};

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
        write_body(format, from, ld, blocks, to);                                                                          \
    }                                                                                                                      \
    constexpr Kernels k_##name{multiply_##name, read8_##name, read16_##name, write_##name};

DCTNET_KERNELS(plain, )
#if defined(DCTNET_FAST)
DCTNET_KERNELS(fast, DCTNET_FAST)
#else
constexpr Kernels k_fast = k_plain;
#endif

// The least part of a block that holds the channels; whether they are all of it, in order.
bool part(const std::vector<std::size_t>& channels, std::size_t block, std::size_t& rows, std::size_t& columns) {
    rows = columns = 0;
    for (std::size_t k = 0; k < channels.size(); ++k) {
        if (channels[k] >= block * block || (k > 0 && channels[k] <= channels[k - 1])) {
            throw std::invalid_argument("bands are different channels of a block, in ascending order");
        }
        rows = std::max(rows, channels[k] / block + 1);
        columns = std::max(columns, channels[k] % block + 1);
    }
    if (channels.empty()) throw std::invalid_argument("a plane needs one band at least");
    return channels.size() == rows * columns;
}

}  // namespace

void PlaneFormat::complete() {
    if (!std::has_single_bit(block_out) || block_out > 32) {
        throw std::invalid_argument("the block size is one of 1, 2, 4, 8, 16, 32");
    }
    whole_in = part(bands_in, 8, vertical.in, horizontal.in);
    whole_out = part(bands_out, block_out, vertical.out, horizontal.out);
    vertical.block_out = horizontal.block_out = block_out;
    if ((!scale_in.empty() && scale_in.size() != bands_in.size()) || gain.size() != shift.size() ||
        (!gain.empty() && gain.size() != bands_out.size())) {
        throw std::invalid_argument("scale, gain and shift need one value a band");
    }
}

void apply(const PlaneFormat& format, const LiftedAxis& vertical, const LiftedAxis& horizontal, const PlaneIn& in,
           const PlaneOut& out) {
    if (vertical.inputs != in.rows || horizontal.inputs != in.columns || vertical.runs.size() != out.rows ||
        horizontal.runs.size() != out.columns || vertical.in != format.vertical.in || vertical.out != format.vertical.out ||
        horizontal.in != format.horizontal.in || horizontal.out != format.horizontal.out) {
        throw std::invalid_argument("the operators were made for planes of another size");
    }
    const Kernels& kernels = fast_processor() ? k_fast : k_plain;
    const std::size_t u_count = horizontal.in, v_out = vertical.out, bands = format.bands_out.size();
    const std::size_t columns = (horizontal.high - horizontal.low) * u_count;  // of the plane, in coefficients
    const std::size_t rows_out = out.rows * v_out, columns_out = out.columns * horizontal.out;
    const std::size_t wide = std::max<std::size_t>(1, kStrip / u_count), tall = std::max<std::size_t>(1, kStrip / v_out);

    // Three pieces of memory, each a whole number of vectors: the strip; A_v X, transposed; the strip of the result.
    const std::size_t ld = whole_vectors(wide * u_count), height = (vertical.high - vertical.low) * vertical.in;
    const std::size_t strip_in = height * ld, middle = (columns + ld) * rows_out + kLanes;
    const std::size_t strip_out = whole_vectors(tall * v_out) * columns_out;
    const std::size_t row = whole_vectors(out.columns * bands);
    const Buffer memory((whole_vectors(strip_in) + whole_vectors(middle) + whole_vectors(strip_out) + row) * sizeof(float));
    float* const strip = static_cast<float*>(memory.data());
    float* const turned = strip + whole_vectors(strip_in);
    float* const result = turned + whole_vectors(middle);
    float* const floats = result + whole_vectors(strip_out);

    if (in.data != nullptr) {
        const float* const scale = in.scale != nullptr           ? in.scale
                                   : format.scale_in.empty() ? nullptr
                                                             : format.scale_in.data();
        for (std::size_t j = horizontal.low; j < horizontal.high; j += wide) {
            const Strip part{vertical.low, vertical.high, j, std::min(wide, horizontal.high - j), in.columns, strip, ld,
                             scale};
            if (in.type == Stored::int8) {
                kernels.read8(format, static_cast<const std::int8_t*>(in.data), part);
            } else {
                kernels.read16(format, static_cast<const std::int16_t*>(in.data), part);
            }
            kernels.multiply(vertical, strip, ld, whole_vectors(part.count * u_count) / kLanes,
                             turned + (j - horizontal.low) * u_count * rows_out, rows_out);
        }
    } else {
        std::memset(result, 0, strip_out * sizeof(float));
    }
    for (std::size_t p = 0; p < out.rows; p += tall) {
        const std::size_t count = std::min(tall, out.rows - p);
        if (in.data != nullptr) {
            kernels.multiply(horizontal, turned + p * v_out, rows_out, whole_vectors(count * v_out) / kLanes, result,
                             columns_out);
        }
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t place = (p + i) * out.columns * bands, length = out.columns * bands;
            float* const to = out.type == Written::float32 ? static_cast<float*>(out.data) + place : floats;
            kernels.write(format, result + i * v_out * columns_out, columns_out, out.columns, to);
            if (out.type != Written::float32) {
                auto* const halves = static_cast<std::uint16_t*>(out.data) + place;
                out.type == Written::float16 ? to_float16(to, halves, length) : to_bfloat16(to, halves, length);
            }
        }
    }
}

}  // namespace dctnet::jpeg
