#include "warp.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "target.hpp"

namespace dctnet {
namespace {

// So many samples of a row are placed at a time, from one point: a float holds the way from there well enough.
constexpr std::int32_t kRun = 16;

// A row begins at (x, y) in the plane and goes on by (dx, dy) a sample.
struct Line {
    double x, y, dx, dy;
};

struct Span {
    std::int32_t from, to;
};

// Of the samples `all` of a row those that lie between `low` and `high` along one axis, of which they are `x`, `x + dx`...
DCTNET_INLINE Span between(double low, double high, double x, double dx, Span all) {
    const Span none{all.from, all.from};
    if (!(low < high)) return none;
    if (dx == 0) return low < x && x < high ? all : none;
    double first = (low - x) / dx, last = (high - x) / dx;
    if (first > last) std::swap(first, last);
    const double from = first > all.from ? std::min(first, static_cast<double>(all.to)) : all.from;
    const double to = last < all.to - 1 ? std::max(last + 1, from) : all.to;
    return {static_cast<std::int32_t>(std::ceil(from)), static_cast<std::int32_t>(to)};
}

// All four neighbours of all samples lie inside.
DCTNET_INLINE void inside(const float* from, PlaneSize size, const Line& line, Span span, float* to) {
    const float dx = static_cast<float>(line.dx), dy = static_cast<float>(line.dy);
    for (std::int32_t start = span.from; start < span.to; start += kRun) {
        const std::int32_t count = std::min(kRun, span.to - start);
        const double at_x = line.x + line.dx * start, at_y = line.y + line.dy * start;
        const double column = std::floor(at_x), row = std::floor(at_y);
        const float x = static_cast<float>(at_x - column), y = static_cast<float>(at_y - row);
        float fx[kRun], fy[kRun];
        std::int32_t places[kRun];
        for (std::int32_t k = 0; k < count; ++k) {
            const float px = x + static_cast<float>(k) * dx, py = y + static_cast<float>(k) * dy;
            auto wx = static_cast<std::int32_t>(px), wy = static_cast<std::int32_t>(py);
            wx -= static_cast<float>(wx) > px;  // floor
            wy -= static_cast<float>(wy) > py;
            fx[k] = px - static_cast<float>(wx);
            fy[k] = py - static_cast<float>(wy);
            places[k] = wy * size.columns + wx;
        }
        const float* const origin = from + static_cast<std::ptrdiff_t>(row) * size.columns + static_cast<std::ptrdiff_t>(column);
        for (std::int32_t k = 0; k < count; ++k) {
            const float *const p = origin + places[k], *const q = p + size.columns;
            const float above = p[0] + fx[k] * (p[1] - p[0]), below = q[0] + fx[k] * (q[1] - q[0]);
            to[start + k] = above + fy[k] * (below - above);
        }
    }
}

// Neighbours that lie outside are `fill`.
DCTNET_INLINE void anywhere(const float* from, PlaneSize size, const Line& line, float fill, Span span, float* to) {
    for (std::int32_t j = span.from; j < span.to; ++j) {
        const double x = line.x + line.dx * j, y = line.y + line.dy * j;
        if (!(x > -1 && x < size.columns && y > -1 && y < size.rows)) {
            to[j] = fill;
            continue;
        }
        const double column = std::floor(x), row = std::floor(y);
        const auto wx = static_cast<std::int32_t>(column), wy = static_cast<std::int32_t>(row);
        const float fx = static_cast<float>(x - column), fy = static_cast<float>(y - row);
        const auto sample = [&](std::int32_t v, std::int32_t u) {
            const bool there = v >= 0 && v < size.rows && u >= 0 && u < size.columns;
            return there ? from[static_cast<std::ptrdiff_t>(v) * size.columns + u] : fill;
        };
        const float above = sample(wy, wx) + fx * (sample(wy, wx + 1) - sample(wy, wx));
        const float below = sample(wy + 1, wx) + fx * (sample(wy + 1, wx + 1) - sample(wy + 1, wx));
        to[j] = above + fy * (below - above);
    }
}

DCTNET_INLINE void row_body(const float* from, PlaneSize size, const double* m, float fill, std::int32_t row,
                            std::int32_t columns, float* to) {
    // For what rounding may add to a place. `inside` rounds three times: a step, its multiple, and the sum. Both ends of a way lie
    // in the plane, so each adds at most kTold / 2^24 samples, all three 0.003; a plane of 2^16 would exceed the margin.
    constexpr double kMargin = 0.01;
    constexpr std::int32_t kTold = 1 << 14;
    const Line line{m[1] * row + m[2], m[4] * row + m[5], m[0], m[3]};
    // Beyond these a double or a float no longer tells places apart within the margin; false for what is no number.
    const auto tame = [&](double x, double dx, std::int32_t samples) {
        return std::abs(x) + std::abs(dx) * columns < 1e12 && samples <= kTold;
    };
    if (!tame(line.x, line.dx, size.columns) || !tame(line.y, line.dy, size.rows)) {
        return anywhere(from, size, line, fill, {0, columns}, to);
    }
    const auto span = [&](double outside, Span all) {
        const Span across = between(-outside, size.columns - 1 + outside, line.x, line.dx, all);
        return between(-outside, size.rows - 1 + outside, line.y, line.dy, across);
    };
    const Span near = span(1 + kMargin, {0, columns}), within = span(-kMargin, near);
    std::fill(to, to + near.from, fill);
    anywhere(from, size, line, fill, {near.from, within.from}, to);
    inside(from, size, line, within, to);
    anywhere(from, size, line, fill, {within.to, near.to}, to);
    std::fill(to + near.to, to + columns, fill);
}

#if defined(DCTNET_FAST)
DCTNET_FAST void row_fast(const float* from, PlaneSize size, const double* m, float fill, std::int32_t row,
                          std::int32_t columns, float* to) {
    row_body(from, size, m, fill, row, columns, to);
}
#endif

}  // namespace

void warp_row(const float* from, PlaneSize size, const double* m, float fill, std::int32_t row, std::int32_t columns, float* to) {
#if defined(DCTNET_FAST)
    if (fast_processor()) return row_fast(from, size, m, fill, row, columns, to);
#endif
    row_body(from, size, m, fill, row, columns, to);
}

}  // namespace dctnet
