#include "lifted_axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "vectors.hpp"

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
    std::int64_t start = 0;
    std::size_t taps = 0;
    std::size_t place = 0;  // of its first weight
};

// The rows of one output block, and their weights.
struct Rows {
    std::vector<Row> row;
    std::vector<double> weights;
};

void trim(Row& row, const std::vector<double>& weights) {
    while (row.taps > 1 && std::abs(weights[row.place + row.taps - 1]) < kNothing) --row.taps;
    while (row.taps > 1 && std::abs(weights[row.place]) < kNothing) {
        ++row.start;
        ++row.place;
        --row.taps;
    }
}

void append(const Resampling& r, std::int64_t i, Rows& rows) {
    const double support = std::max(std::abs(r.scale), 1.0);
    const double centre = std::clamp(r.origin + (static_cast<double>(i) + 0.5) * r.scale, static_cast<double>(r.low),
                                     static_cast<double>(r.high));
    const auto taps = std::min(static_cast<std::int64_t>(std::ceil(2 * support - 1e-9)), r.high - r.low);
    const auto start = std::clamp(static_cast<std::int64_t>(std::floor(centre - support + 0.5)), r.low, r.high - taps);
    Row row{start, static_cast<std::size_t>(taps), rows.weights.size()};
    double sum = 0;
    for (std::int64_t t = 0; t < taps; ++t) {
        const double distance = static_cast<double>(start + t) + 0.5 - centre;
        const double weight = std::max(0.0, 1.0 - std::abs(distance) / support);
        rows.weights.push_back(weight);
        sum += weight;
    }
    const double scale = 1 / sum;
    for (std::size_t t = row.place; t < rows.weights.size(); ++t) rows.weights[t] *= scale;
    trim(row, rows.weights);
    rows.row.push_back(row);
}

void append(const Banded& b, std::int64_t i, Rows& rows) {
    Row row{b.start[i], static_cast<std::size_t>(b.taps), rows.weights.size()};
    if (row.start < 0 || row.start > b.inputs - b.taps) throw std::invalid_argument("a row of an operator leaves the plane");
    rows.weights.insert(rows.weights.end(), b.weights + i * b.taps, b.weights + (i + 1) * b.taps);
    trim(row, rows.weights);
    rows.row.push_back(row);
}

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

// g += the row of R on the 8-point frequencies of its blocks.
DCTNET_INLINE void to_frequencies(const Row& row, const double* weights, const double* samples, std::size_t first,
                                  double* g) {
    for (std::size_t t = 0; t < row.taps; ++t) {
        const std::size_t at = static_cast<std::size_t>(row.start) + t;
        const double* const sample = samples + at % kBlock * kBlock;
        double* const to = g + (at / kBlock - first) * kBlock;
        for (std::size_t k = 0; k < kBlock; ++k) to[k] += weights[t] * sample[k];
    }
}

// W[t][k] = sum_i T[i][k] g[i][t] for the frequencies k < C; those beyond `axis.out` are dropped.
template <std::size_t C>
DCTNET_INLINE void to_blocks(const double* matrix, std::size_t length, std::size_t samples, const double* g,
                             std::size_t run, const LiftedAxis& axis, float* weights) {
    for (std::size_t block = 0; block < run; ++block) {
        for (std::size_t v = 0; v < axis.in; ++v) {
            double sum[C] = {};
            const double* column = g + block * kBlock + v;
            for (std::size_t i = 0; i < samples; ++i) {
                const double x = column[i * run * kBlock];
                for (std::size_t k = 0; k < C; ++k) sum[k] += x * matrix[i * length + k];
            }
            for (std::size_t k = 0; k < std::min(C, axis.out); ++k) weights[k] = static_cast<float>(sum[k]);
            weights += axis.out;
        }
    }
}

// The weights of one output block, whose rows are `rows`.
DCTNET_INLINE void block_body(const Rows& rows, std::size_t first, std::size_t run, const LiftedAxis& axis, double* g,
                              float* weights) {
    const std::size_t c = rows.row.size(), length = std::max<std::size_t>(c, 4);
    const double* const samples = basis(kBlock);
    for (std::size_t i = 0; i < c; ++i) {
        to_frequencies(rows.row[i], rows.weights.data() + rows.row[i].place, samples, first, g + i * run * kBlock);
    }
    const double* const matrix = basis(c);
    if (axis.out <= 4) {
        to_blocks<4>(matrix, length, c, g, run, axis, weights);
    } else if (axis.out <= 8) {
        to_blocks<8>(matrix, length, c, g, run, axis, weights);
    } else if (axis.out <= 16) {
        to_blocks<16>(matrix, length, c, g, run, axis, weights);
    } else {
        to_blocks<32>(matrix, length, c, g, run, axis, weights);
    }
}

using Block = void (*)(const Rows&, std::size_t, std::size_t, const LiftedAxis&, double*, float*);

void block_plain(const Rows& rows, std::size_t first, std::size_t run, const LiftedAxis& axis, double* g, float* weights) {
    block_body(rows, first, run, axis, g, weights);
}

#if defined(DCTNET_FAST)
DCTNET_FAST void block_fast(const Rows& rows, std::size_t first, std::size_t run, const LiftedAxis& axis, double* g,
                            float* weights) {
    block_body(rows, first, run, axis, g, weights);
}
constexpr Block kFast = block_fast;
#else
constexpr Block kFast = block_plain;
#endif

template <typename Operator>
void lift_rows(const Operator& given, const AxisBlocks& blocks, LiftedAxis& axis) {
    check(given);
    const Block block = fast_processor() ? kFast : block_plain;
    const auto c = static_cast<std::int64_t>(blocks.block_out);
    axis.in = blocks.in;
    axis.out = blocks.out;
    axis.inputs = static_cast<std::size_t>((given.inputs + 7) / 8);
    axis.low = axis.inputs;
    axis.high = 0;
    axis.runs.clear();
    axis.weights.clear();
    thread_local Rows rows;
    thread_local std::vector<double> g;
    for (std::int64_t i = 0; i < given.outputs; i += c) {
        rows.row.clear();
        rows.weights.clear();
        for (std::int64_t r = 0; r < c; ++r) {
            if (i + r < given.outputs) {
                append(given, i + r, rows);
            } else {
                rows.row.push_back(Row(rows.row.back()));
            }
        }
        std::int64_t start = given.inputs, end = 0;
        for (const Row& row : rows.row) {
            start = std::min(start, row.start);
            end = std::max(end, row.start + static_cast<std::int64_t>(row.taps));
        }
        const auto first = static_cast<std::size_t>(start / 8), last = static_cast<std::size_t>((end + 7) / 8);
        const LiftedAxis::Run run{first, (last - first) * axis.in, axis.weights.size()};
        axis.runs.push_back(run);
        axis.weights.resize(run.offset + run.terms * axis.out);
        axis.low = std::min(axis.low, first);
        axis.high = std::max(axis.high, last);
        g.assign(rows.row.size() * (last - first) * kBlock, 0.0);
        block(rows, first, last - first, axis, g.data(), axis.weights.data() + run.offset);
    }
}

}  // namespace

void lift(const Resampling& rows, const AxisBlocks& blocks, LiftedAxis& axis) { lift_rows(rows, blocks, axis); }
void lift(const Banded& rows, const AxisBlocks& blocks, LiftedAxis& axis) { lift_rows(rows, blocks, axis); }

}  // namespace dctnet::jpeg
