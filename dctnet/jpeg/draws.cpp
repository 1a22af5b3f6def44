#include "draws.hpp"

#include <algorithm>
#include <cmath>

namespace dctnet::jpeg {

double Stream::uniform(double low, double high) {
    const auto from = static_cast<float>(low), to = static_cast<float>(high);
    const double unit = static_cast<double>(twister_() & 0xFFFFFF) / 16777216;
    return static_cast<float>(unit * static_cast<double>(to - from) + static_cast<double>(from));
}

std::int64_t Stream::below(std::int64_t count) { return static_cast<std::int64_t>(twister_()) % count; }

Box Stream::box(std::int64_t height, std::int64_t width, const BoxRange& range) {
    const auto rows = static_cast<double>(height), columns = static_cast<double>(width);
    for (int attempt = 0; attempt < 10; ++attempt) {
        const double area = rows * columns * uniform(range.scale[0], range.scale[1]);
        const double aspect = std::exp(uniform(range.log_ratio[0], range.log_ratio[1]));
        const double w = std::nearbyint(std::sqrt(area * aspect)), h = std::nearbyint(std::sqrt(area / aspect));
        if (w > 0 && w <= columns && h > 0 && h <= rows) {
            Box box{0, 0, static_cast<std::int64_t>(h), static_cast<std::int64_t>(w)};
            box.top = below(height - box.height + 1);
            box.left = below(width - box.width + 1);
            return box;
        }
    }
    const double shape = columns / rows;
    const std::int64_t w = shape > range.ratio[1] ? static_cast<std::int64_t>(std::nearbyint(rows * range.ratio[1])) : width;
    const std::int64_t h = shape < range.ratio[0] ? static_cast<std::int64_t>(std::nearbyint(columns / range.ratio[0])) : height;
    const Box box{0, 0, std::min(height, h), std::min(width, w)};
    return {(height - box.height) / 2, (width - box.width) / 2, box.height, box.width};
}

}  // namespace dctnet::jpeg
