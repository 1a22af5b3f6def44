// Floats to the 16-bit formats, to nearest, ties to even.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dctnet::jpeg {

// IEEE binary16; beyond 65504 infinity.
void to_float16(const float* from, std::uint16_t* to, std::size_t count);

// The upper half of a float.
void to_bfloat16(const float* from, std::uint16_t* to, std::size_t count);

}  // namespace dctnet::jpeg
