// The planes of an image and where they lie in memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "decoder.hpp"
#include "header.hpp"

namespace dctnet::jpeg {

inline std::size_t blocks_of(const Plane& plane) {
    return static_cast<std::size_t>(plane.height) * static_cast<std::size_t>(plane.width);
}

// Where row `row` of the plane begins in a window that holds it, `channels` coefficients a block.
inline std::int16_t* row_of(const PlaneWindow& window, int channels, std::size_t row) {
    return window.blocks + (row - window.top) * window.pitch * static_cast<std::size_t>(channels);
}

// The image that a frame describes, of a file of `size` bytes: its planes in memory of the pool or of the caller, those of
// absent chroma clear, others and the quantisation tables undefined. Throws Error where the blocks cannot come from so few
// bytes, or the caller's memory is for other planes. `windows`: what is kept of each plane, and where.
Image lay_out(const Frame& frame, std::size_t size, const Options& options, std::array<PlaneWindow, 3>& windows);

}  // namespace dctnet::jpeg
