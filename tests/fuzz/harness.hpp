// What the fuzz targets share: inputs in memory of their exact size, and a watch over the memory that decoding asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "../../dctnet/jpeg/decoder.hpp"

namespace fuzz {

inline constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 14;

// Ends the program, so that the fuzzer keeps the input.
[[noreturn]] void fail(const char* what);

// What decode() makes of the bytes, nullopt where it throws its Error. Fails where it asks for more memory than decoder.hpp
// promises, or more than the planes and tables of the image that it returns. `bands` as in dctnet::jpeg::Options. The Error
// goes to `why`.
std::optional<dctnet::jpeg::Image> decode(const std::uint8_t* data, std::size_t size, bool dequantize,
                                          std::uint64_t max_pixels = kMaxPixels,
                                          const dctnet::jpeg::Bands* bands = nullptr,
                                          dctnet::jpeg::Error* why = nullptr);

inline std::size_t blocks(const dctnet::jpeg::Plane& plane) {
    return static_cast<std::size_t>(plane.height) * static_cast<std::size_t>(plane.width);
}

// Fails unless the image is of the size and the sampling factors that its header says.
void expect_head(const dctnet::jpeg::Head& head, const dctnet::jpeg::Image& image);

// Fails unless the two hold the same size, factors, steps and blocks.
void expect_same(const dctnet::jpeg::Image& a, const dctnet::jpeg::Image& b);

}  // namespace fuzz
