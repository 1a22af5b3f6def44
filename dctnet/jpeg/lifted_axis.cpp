#include "lifted_axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "../kernels/vectors.hpp"

namespace dctnet::jpeg {
namespace {

constexpr std::size_t kBlock = 8;        // of the input
constexpr std::int64_t kMost = 1 << 24;  // samples of an axis; JPEG has 65535
constexpr double kNothing = 1e-12;       // a weight below this is the rounding of a zero

// Of each block size c = 2^n the matrix [sample][frequency], rows as long as a vector at least.
struct Basis {
    std::array<std::vector<double>, 6> of;

    Basis() {
        for (std::size_t n = 0; n < of.size(); ++n) {
            const std::size_t c = std::size_t{1} << n, length = std::max<std::size_t>(c, 4);
            of[n].assign(c * length, 0.0);
            for (std::size_t i = 0; i < c; ++i) {
                for (std::size_t k = 0; k < c; ++k) {
                    const double angle = std::numbers::pi * static_cast<double>((2 * i + 1) * k) / static_cast<double>(2 * c);
                    of[n][i * length + k] = std::cos(angle) * std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(c));
                }
            }
        }
    }
};

const double* basis(std::size_t c) {
    static const Basis instance;
    std::size_t n = 0;
    while ((std::size_t{1} << n) < c) ++n;
    return instance.of[n].data();
}

// The non-zeros of one row of R.
struct Row {
    std::int64_t start = 0, taps = 0;
    const double* weights = nullptr;
};

DCTNET_INLINE void trim(Row& row) {
    while (row.taps > 1 && std::abs(row.weights[row.taps - 1]) < kNothing) --row.taps;
    while (row.taps > 1 && std::abs(row.weights[0]) < kNothing) {
        ++row.start;
        ++row.weights;
        --row.taps;
    }
}

// Rows of a Resampling, their weights computed into `memory`, which holds those of one output block.
class ComputedRows {
public:
    ComputedRows(const Resampling& given, std::int64_t block, std::vector<double>& memory)
        : r_(given),
          support_(std::max(std::abs(given.scale), 1.0)),
          narrow_(1 / support_),
          taps_(std::min(static_cast<std::int64_t>(std::ceil(2 * support_ - 1e-9)), given.high - given.low)) {
        memory.resize(static_cast<std::size_t>(block * taps_));
        memory_ = memory.data();
    }

    // Row i, the `place`-th of its block.
    DCTNET_INLINE Row row(std::int64_t i, std::int64_t place) const {
        const double centre = std::clamp(r_.origin + (static_cast<double>(i) + 0.5) * r_.scale, static_cast<double>(r_.low),
                                         static_cast<double>(r_.high));
        const auto start =
            std::clamp(static_cast<std::int64_t>(std::floor(centre - support_ + 0.5)), r_.low, r_.high - taps_);
        double* const weights = memory_ + place * taps_;
        double sum = 0;
        for (std::int64_t t = 0; t < taps_; ++t) {
            const double distance = static_cast<double>(start + t) + 0.5 - centre;
            weights[t] = std::max(0.0, 1.0 - std::abs(distance) * narrow_);
            sum += weights[t];
        }
        const double scale = 1 / sum;
        for (std::int64_t t = 0; t < taps_; ++t) weights[t] *= scale;
        Row row{start, taps_, weights};
        trim(row);
        return row;
    }

private:
    const Resampling& r_;
    double support_, narrow_;
    std::int64_t taps_;
    double* memory_;
};

class GivenRows {
public:
    GivenRows(const Banded& given, std::int64_t, std::vector<double>&) : b_(given) {}

    DCTNET_INLINE Row row(std::int64_t i, std::int64_t) const {
        Row row{b_.start[i], b_.taps, b_.weights + i * b_.taps};
        if (row.start < 0 || row.start > b_.inputs - b_.taps) {
            throw std::invalid_argument("a row of an operator leaves the plane");
        }
        trim(row);
        return row;
    }

private:
    const Banded& b_;
};

void check(const Resampling& r) {
    if (!(r.outputs > 0 && r.outputs <= kMost && r.inputs <= kMost && r.low >= 0 && r.low < r.high && r.high <= r.inputs) ||
        !std::isfinite(r.origin) || !(std::abs(r.scale) <= static_cast<double>(kMost))) {
        throw std::invalid_argument("an operator in closed form needs outputs, and 0 <= low < high <= inputs");
    }
}

void check(const Banded& b) {
    if (!(b.outputs > 0 && b.outputs <= kMost && b.inputs <= kMost && b.taps > 0 && b.taps <= b.inputs)) {
        throw std::invalid_argument("an operator given by rows needs outputs, and 0 < taps <= inputs");
    }
}

// g = the row of R on the F lowest of the 8-point frequencies of its `run` blocks from `first` on, F values a block.
template <std::size_t F>
DCTNET_INLINE void to_frequencies(const Row& row, const double* samples, std::size_t first, std::size_t run, double* g) {
    std::fill_n(g, run * F, 0.0);
    for (std::int64_t t = 0; t < row.taps; ++t) {
        const std::size_t at = static_cast<std::size_t>(row.start + t);
        const double* const sample = samples + at % kBlock * kBlock;
        double* const to = g + (at / kBlock - first) * F;
        for (std::size_t k = 0; k < F; ++k) to[k] += row.weights[t] * sample[k];
    }
}

// W[t][k] = sum_i T[i][k] g[i][t] for the frequencies k < C; those beyond `axis.out` are dropped.
template <std::size_t F, std::size_t C>
DCTNET_INLINE void to_blocks(const double* matrix, std::size_t length, std::size_t samples, const double* g,
                             std::size_t run, const LiftedAxis& axis, float* weights) {
    for (std::size_t block = 0; block < run; ++block) {
        for (std::size_t v = 0; v < axis.in; ++v) {
            double sum[C] = {};
            const double* column = g + block * F + v;
            for (std::size_t i = 0; i < samples; ++i) {
                const double x = column[i * run * F];
                for (std::size_t k = 0; k < C; ++k) sum[k] += x * matrix[i * length + k];
            }
            if (axis.out == C) {
                for (std::size_t k = 0; k < C; ++k) weights[k] = static_cast<float>(sum[k]);
            } else {
                for (std::size_t k = 0; k < axis.out; ++k) weights[k] = static_cast<float>(sum[k]);
            }
            weights += axis.out;
        }
    }
}

// The weights of one output block of c samples.
template <std::size_t F>
DCTNET_INLINE void to_weights(const Row* rows, std::size_t c, std::size_t first, std::size_t run, const LiftedAxis& axis,
                              double* g, float* weights) {
    const double* const samples = basis(kBlock);
    for (std::size_t i = 0; i < c; ++i) to_frequencies<F>(rows[i], samples, first, run, g + i * run * F);
    const double* const matrix = basis(c);
    const std::size_t length = std::max<std::size_t>(c, 4);
    if (axis.out <= 4) {
        to_blocks<F, 4>(matrix, length, c, g, run, axis, weights);
    } else if (axis.out <= 8) {
        to_blocks<F, 8>(matrix, length, c, g, run, axis, weights);
    } else if (axis.out <= 16) {
        to_blocks<F, 16>(matrix, length, c, g, run, axis, weights);
    } else {
        to_blocks<F, 32>(matrix, length, c, g, run, axis, weights);
    }
}

// Memory that a thread keeps between axes.
struct Scratch {
    std::vector<double> weights, g;
    std::array<Row, 32> rows;
};

template <typename Rows, typename Operator>
DCTNET_INLINE void lift_body(const Operator& given, const AxisBlocks& blocks, LiftedAxis& axis, Scratch& scratch) {
    const auto c = static_cast<std::int64_t>(blocks.block_out);
    axis.in = blocks.in;
    axis.out = blocks.out;
    axis.inputs = static_cast<std::size_t>((given.inputs + 7) / 8);
    axis.low = axis.inputs;
    axis.high = 0;
    axis.runs.clear();
    axis.weights.clear();
    const Rows computed(given, c, scratch.weights);
    Row* const rows = scratch.rows.data();
    for (std::int64_t i = 0; i < given.outputs; i += c) {
        std::int64_t start = given.inputs, end = 0;
        for (std::int64_t r = 0; r < c; ++r) {
            rows[r] = i + r < given.outputs ? computed.row(i + r, r) : rows[r - 1];
            start = std::min(start, rows[r].start);
            end = std::max(end, rows[r].start + rows[r].taps);
        }
        const auto first = static_cast<std::size_t>(start / 8), last = static_cast<std::size_t>((end + 7) / 8);
        const LiftedAxis::Run run{first, (last - first) * axis.in, axis.weights.size()};
        axis.runs.push_back(run);
        axis.weights.resize(run.offset + run.terms * axis.out);
        axis.low = std::min(axis.low, first);
        axis.high = std::max(axis.high, last);
        if (scratch.g.size() < blocks.block_out * (last - first) * kBlock) {
            scratch.g.resize(blocks.block_out * (last - first) * kBlock);
        }
        float* const weights = axis.weights.data() + run.offset;
        if (axis.in <= 4) {
            to_weights<4>(rows, blocks.block_out, first, last - first, axis, scratch.g.data(), weights);
        } else {
            to_weights<8>(rows, blocks.block_out, first, last - first, axis, scratch.g.data(), weights);
        }
    }
}

#define DCTNET_LIFT(name, attribute)                                                                                  \
    attribute void lift_##name(const Resampling& given, const AxisBlocks& blocks, LiftedAxis& axis, Scratch& scratch) { \
        lift_body<ComputedRows>(given, blocks, axis, scratch);                                                        \
    }                                                                                                                 \
    attribute void lift_##name(const Banded& given, const AxisBlocks& blocks, LiftedAxis& axis, Scratch& scratch) {   \
        lift_body<GivenRows>(given, blocks, axis, scratch);                                                           \
    }

DCTNET_LIFT(plain, )
#if defined(DCTNET_FAST)
DCTNET_LIFT(fast, DCTNET_FAST)
#endif

template <typename Operator>
void lift_rows(const Operator& given, const AxisBlocks& blocks, LiftedAxis& axis) {
    check(given);
    thread_local Scratch scratch;
#if defined(DCTNET_FAST)
    if (fast_processor()) return lift_fast(given, blocks, axis, scratch);
#endif
    lift_plain(given, blocks, axis, scratch);
}

}  // namespace

void lift(const Resampling& rows, const AxisBlocks& blocks, LiftedAxis& axis) { lift_rows(rows, blocks, axis); }
void lift(const Banded& rows, const AxisBlocks& blocks, LiftedAxis& axis) { lift_rows(rows, blocks, axis); }

}  // namespace dctnet::jpeg
