// The loops of lifting that carry its weight, compiled twice (target.hpp): integers read as floats, products with an axis,
// bands written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lifted.hpp"

namespace dctnet::jpeg {

// Columns [first, first + count) of blocks, rows [axis low, high), as a matrix of floats with rows `ld` long.
struct Strip {
    std::size_t low, high, first, count, columns;
    float* to;
    std::size_t ld;
    const float* scale;  // of each band; null: 1
};

struct LiftKernels {
    // (axis, x, ld, vectors, to, ld_to): the transpose of A x, x being `vectors` vectors wide.
    void (*multiply)(const LiftedAxis&, const float*, std::size_t, std::size_t, float*, std::size_t);
    void (*read8)(const PlaneFormat&, const std::int8_t*, const Strip&);
    void (*read16)(const PlaneFormat&, const std::int16_t*, const Strip&);
    // (format, from, ld, blocks, to): a row of blocks from the V rows of a matrix, scaled and shifted band by band.
    void (*write)(const PlaneFormat&, const float*, std::size_t, std::size_t, float*);
    // The same past the caches, which would read each line before it is overwritten, and lose others for it: 8 % of the time
    // of a picture from a store. `to` at a multiple of 32 bytes. `written` after the last of them, before anybody reads.
    void (*write_past)(const PlaneFormat&, const float*, std::size_t, std::size_t, float*);
    void (*written)();
};

// Those for the processor at hand.
const LiftKernels& lift_kernels();

}  // namespace dctnet::jpeg
