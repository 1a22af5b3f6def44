// Huffman decoding tables whose entries hold a whole coefficient: run, value and number of bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace dctnet::jpeg {

// A DHT entry where it stands in the file: 16 counts, then the symbols.
struct HuffmanSpec {
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;  // 16 + number of symbols, at most 256; 0: not defined
};

enum class HuffmanUse : std::uint8_t {
    dc,       // of either kind of file
    ac,       // of sequential files
    first,    // AC, first pass of a progressive file: a symbol of size 0 with a run below 15 begins a run of ended blocks
    symbols,  // AC, refinement pass: entries give symbols
};

// An entry of HuffmanTable::look:
//   bits 0-5    number of bits of code and value together (`symbols`: of the code)
//   bit 6       kExtra: value bits reach past the index; bits 16-23 hold the length of the code, 24-31 the size
//   bit 7       kLong: the code itself is longer than the index, or no code begins so
//   bits 8-15   run + 1, or kEndOfBlock
//   bits 16-31  value, signed (`symbols`: the symbol; end-of-block runs of `first`: see kExtra, size = exponent)
inline constexpr int kLookBits = 11;
inline constexpr std::uint32_t kExtra = 0x40, kLong = 0x80;
inline constexpr unsigned kEndOfBlock = 128;

// An entry of HuffmanTable::strides, the AC decoding of sequential files: one or two coefficients at a time. With p the
// place in zigzag order of the next coefficient, the former, if there is one, has its code and its value within the index;
// of the latter only the code need be. Where there is one coefficient, it is the latter, and the former a zero at p.
struct Stride {
    std::uint8_t length;  // bits of both together, values included; at most kLongestStride
    std::uint8_t next;    // the place behind the latter, less p; kStrideEnd + run of the former where the latter ends the
                          // block; kStrideNone where no code of up to kStrideBits bits begins the index
    std::uint8_t former;  // its place less p
    std::uint8_t shift;   // 64 - length: brings the last value bit to the right end
    std::int16_t value;   // of the former
    std::uint16_t ones;   // as many as the latter has value bits
};
static_assert(sizeof(Stride) == 8);
inline constexpr int kStrideBits = 10;
inline constexpr unsigned kStrideEnd = 129, kStrideNone = 255;
// Of the 56 bits that a refill leaves at least, two strides leave enough for another index.
inline constexpr unsigned kLongestStride = 22;
static_assert(56 - 2 * kLongestStride >= kStrideBits);

// An entry of HuffmanTable::differences, the DC decoding of sequential files; the fields are those of Stride, length 0
// where no code of up to kDifferenceBits bits begins the index.
struct Difference {
    std::uint8_t length, shift;
    std::uint16_t ones;
};
inline constexpr int kDifferenceBits = 9;

struct HuffmanTable {
    // Small tables stay in the cache beside the blocks that stream through it.
    std::array<std::uint32_t, 1 << kLookBits> look;   // but for HuffmanUse::ac
    std::array<Stride, 1 << kStrideBits> strides;     // only for HuffmanUse::ac
    std::array<Difference, 1 << kDifferenceBits> differences;  // only for HuffmanUse::dc
    // Codes of up to l bits, shifted up to 16, are below limit[l]; symbol = symbols[(code >> (16 - l)) + offset[l]].
    std::array<std::uint32_t, 17> limit;
    std::array<std::int32_t, 17> offset;
    std::array<std::uint8_t, 256> symbols;
    bool valid;     // the counts describe a prefix code in which no code is all ones
    bool fits_dc;   // no symbol above 15
};

// The length of the code that 16 bits begin with; 17 where there is none.
inline unsigned code_length(const HuffmanTable& table, std::uint32_t bits) {
    unsigned length = 1;
    while (length <= 16 && bits >= table.limit[length]) ++length;
    return length;
}

// The symbol of a code of `length` bits, at most 16, with which 16 bits begin.
inline unsigned symbol_of(const HuffmanTable& table, std::uint32_t bits, unsigned length) {
    return table.symbols[static_cast<std::size_t>(static_cast<std::int32_t>(bits >> (16 - length)) + table.offset[length])];
}

// The table of a specification, from a cache of this thread: files of one source share their tables. It stays for
// kTablesKept - 1 further calls at least.
inline constexpr unsigned kTablesKept = 16;
const HuffmanTable& huffman_table(const HuffmanSpec& spec, HuffmanUse use);

// Tables K.3 to K.6 of ITU-T T.81, which Motion JPEG frames leave out. `ac`: AC table; `chroma`: the second pair.
HuffmanSpec standard_huffman(bool ac, bool chroma);

// The value that `size` bits stand for (F.2.2.1, EXTEND).
inline std::int32_t extend(std::uint32_t bits, int size) {
    const std::int32_t value = static_cast<std::int32_t>(bits);
    return size == 0 || (bits >> (size - 1)) != 0 ? value : value - (1 << size) + 1;
}

}  // namespace dctnet::jpeg
