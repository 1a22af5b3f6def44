// Huffman codes for symbols that have been counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace dctnet::jpeg {

// A code as it stands in a DHT segment: 16 counts, then the symbols.
struct HuffmanCode {
    std::array<std::uint8_t, 16 + 256> bytes{};
    std::size_t size = 0;  // 16 + number of symbols
};

// The shortest prefix code of at most 16 bits a symbol, in which no code is all ones, for symbols that occur so often;
// those with a count of 0 get none. At least one count is positive.
HuffmanCode shortest_codes(const std::array<std::uint64_t, 256>& counts);

}  // namespace dctnet::jpeg
