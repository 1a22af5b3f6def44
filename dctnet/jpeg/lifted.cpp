#include "lifted.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "lifted_kernels.hpp"
#include "../kernels/vectors.hpp"
#include "written.hpp"

namespace dctnet::jpeg {
namespace {

constexpr std::size_t kStrip = 24;  // floats of a strip, where blocks are not wider: three vectors

std::size_t whole_vectors(std::size_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

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
    const LiftKernels& kernels = lift_kernels();
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
    const bool past = out.type == Written::float32 && bands % kLanes == 0 &&
                      reinterpret_cast<std::uintptr_t>(out.data) % sizeof(Vec) == 0;
    for (std::size_t p = 0; p < out.rows; p += tall) {
        const std::size_t count = std::min(tall, out.rows - p);
        if (in.data != nullptr) {
            kernels.multiply(horizontal, turned + p * v_out, rows_out, whole_vectors(count * v_out) / kLanes, result,
                             columns_out);
        }
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t place = (p + i) * out.columns * bands, length = out.columns * bands;
            float* const to = out.type == Written::float32 ? static_cast<float*>(out.data) + place : floats;
            (past ? kernels.write_past : kernels.write)(format, result + i * v_out * columns_out, columns_out, out.columns, to);
            if (out.type != Written::float32) {
                auto* const halves = static_cast<std::uint16_t*>(out.data) + place;
                out.type == Written::float16 ? to_float16(to, halves, length) : to_bfloat16(to, halves, length);
            }
        }
    }
    if (past) kernels.written();
}

}  // namespace dctnet::jpeg
