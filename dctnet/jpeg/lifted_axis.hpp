// One axis of a separable operator on samples, carried over to coefficients: A = T_c R T_8'.
//
// T_b is the block-diagonal matrix of orthonormal b-point DCTs. R has few non-zeros a row, so a block of the output
// depends on a short run of input blocks, and A is kept as those runs. Of the frequencies of a block only the lowest are
// made and read where the rest are not wanted or not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dctnet::jpeg {

// Row i of R in closed form: the triangle of half-width max(|scale|, 1) around origin + (i + 1/2) * scale, over the
// samples [low, high), normalised. The formula is that of dctnet.resampling.Resampling.
struct Resampling {
    std::int64_t inputs = 0, outputs = 0;
    double origin = 0, scale = 1;
    std::int64_t low = 0, high = 0;
};

// R[i, start[i] + t] = weights[i * taps + t].
struct Banded {
    std::int64_t inputs = 0, outputs = 0, taps = 0;
    const std::int64_t* start = nullptr;
    const double* weights = nullptr;
};

// Which part of the blocks an axis reads and writes.
struct AxisBlocks {
    std::size_t in = 8;         // frequencies read, of 8
    std::size_t block_out = 8;  // 1, 2, 4, 8, 16 or 32
    std::size_t out = 8;        // frequencies written, of block_out
};

// A: frequency r of output block p is the sum over t of weights[p.offset + t * out + r] * x[p.first * in + t].
struct LiftedAxis {
    struct Run {
        std::size_t first = 0, terms = 0, offset = 0;
    };
    std::vector<Run> runs;
    std::vector<float> weights;
    std::size_t inputs = 0;          // blocks of the plane
    std::size_t low = 0, high = 0;   // the blocks that are read at all
    std::size_t in = 0, out = 0;
};

// Replaces `axis`, whose memory is reused. Throws std::invalid_argument for rows outside of the inputs, or no outputs.
// Computed in double; the last output row is repeated where the outputs do not fill a block.
void lift(const Resampling& rows, const AxisBlocks& blocks, LiftedAxis& axis);
void lift(const Banded& rows, const AxisBlocks& blocks, LiftedAxis& axis);

}  // namespace dctnet::jpeg
