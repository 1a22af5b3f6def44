// Huffman codes for symbols that have been counted.
#pragma once

#include <array>
#include <cstdint>

#include "huffman.hpp"

namespace dctnet::jpeg {

// The shortest prefix code of at most 16 bits a symbol, in which no code is all ones, for symbols that occur so often;
// those with a count of 0 get none. At least one count is positive.
HuffmanSpec shortest_codes(const std::array<std::uint64_t, 256>& counts);

}  // namespace dctnet::jpeg
