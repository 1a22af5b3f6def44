#include "layout.hpp"

#include <cstring>
#include <string>

namespace dctnet::jpeg {
namespace {

std::size_t round_up(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::size_t bytes_of(const Plane& plane) {
    return blocks_of(plane) * static_cast<std::size_t>(plane.channels) * sizeof(std::int16_t);
}

void check_memory(const Image& image, const std::array<PlaneMemory, 3>& memory) {
    const auto shape = [](std::size_t channels, std::size_t height, std::size_t width) {
        return "(" + std::to_string(channels) + ", " + std::to_string(height) + ", " + std::to_string(width) + ")";
    };
    for (std::size_t c = 0; c < 3; ++c) {
        const Plane& plane = image.planes[c];
        const PlaneMemory& given = memory[c];
        const auto channels = static_cast<std::size_t>(plane.channels), height = static_cast<std::size_t>(plane.height),
                   width = static_cast<std::size_t>(plane.width);
        if (given.channels == channels && given.height == height && given.width == width) continue;
        throw Error{ErrorKind::other_shape, 0,
                    std::string("its plane ") + (c == 0 ? "y" : c == 1 ? "cb" : "cr") + " has shape " +
                        shape(channels, height, width) + ", out has " + shape(given.channels, given.height, given.width)};
    }
}

void check_windows(const Image& image, const std::array<PlaneWindow, 3>& windows) {
    for (std::size_t c = 0; c < 3; ++c) {
        const PlaneWindow& w = windows[c];
        const Plane& plane = image.planes[c];
        if (w.top > w.bottom || w.left > w.right || w.bottom > static_cast<std::size_t>(plane.height) ||
            w.right > static_cast<std::size_t>(plane.width) || w.right - w.left > w.pitch) {
            throw Error{ErrorKind::other_shape, 0, "a window is not inside its plane"};
        }
    }
}

void clear(const PlaneWindow& window, int channels) {
    const std::size_t row_bytes = (window.right - window.left) * static_cast<std::size_t>(channels) * sizeof(std::int16_t);
    for (std::size_t row = window.top; row < window.bottom; ++row) std::memset(row_of(window, channels, row), 0, row_bytes);
}

}  // namespace

Image lay_out(const Frame& frame, std::size_t size, const Options& options, std::array<PlaneWindow, 3>& windows) {
    Image image;
    image.height = frame.height;
    image.width = frame.width;
    image.components = frame.count;
    image.progressive = frame.progressive;
    std::size_t coded = 0;
    for (std::size_t c = 0; c < 3; ++c) {
        Plane& plane = image.planes[c];
        if (c < static_cast<std::size_t>(frame.count)) {
            const FrameComponent& component = frame.components[c];
            plane.height = component.height;
            plane.width = component.width;
            plane.vertical = component.vertical;
            plane.horizontal = component.horizontal;
            coded += blocks_of(plane);
        } else {
            plane.height = (image.height + 15) / 16;
            plane.width = (image.width + 15) / 16;
        }
        if (options.bands != nullptr) plane.channels = static_cast<int>((*options.bands)[c].size());
    }
    // A block takes one bit at least, so a header cannot ask for more memory than the file could fill.
    if (coded / 8 > size) {
        throw Error{ErrorKind::corrupt, size,
                    "the file ends too soon: its " + std::to_string(coded) + " blocks need at least " +
                        std::to_string(coded / 8) + " bytes"};
    }

    std::array<std::size_t, 3> place{};
    std::size_t total = 0;
    if (options.windows != nullptr) {
        check_windows(image, *options.windows);
    } else if (options.memory == nullptr) {
        for (std::size_t c = 0; c < 3; ++c) {
            place[c] = total;
            total += bytes_of(image.planes[c]);
        }
    } else {
        check_memory(image, *options.memory);
    }
    const std::size_t tables = round_up(total);
    image.memory = Buffer(tables + static_cast<std::size_t>(image.components) * 64 * sizeof(std::uint16_t));
    auto* const memory = static_cast<std::byte*>(image.memory.data());
    image.quantization = reinterpret_cast<std::uint16_t*>(memory + tables);
    for (std::size_t c = 0; c < 3; ++c) {
        Plane& plane = image.planes[c];
        if (options.windows != nullptr) {
            windows[c] = (*options.windows)[c];
        } else {
            plane.blocks =
                options.memory != nullptr ? (*options.memory)[c].blocks : reinterpret_cast<std::int16_t*>(memory + place[c]);
            const auto height = static_cast<std::size_t>(plane.height), width = static_cast<std::size_t>(plane.width);
            windows[c] = {plane.blocks, 0, height, 0, width, width};
        }
        if (c >= static_cast<std::size_t>(image.components)) clear(windows[c], plane.channels);
    }
    return image;
}

}  // namespace dctnet::jpeg
