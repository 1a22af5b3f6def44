// Huffman decoding tables whose entries hold a whole coefficient: run, value and number of bits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace dctnet::jpeg {

// A DHT entry as it stands in the file: 16 counts, then the symbols.
struct HuffmanSpec {
    std::array<std::uint8_t, 16 + 256> bytes;
    int size = 0;  // 16 + number of symbols; 0: not defined
};

enum class HuffmanUse : std::uint8_t {
    dc,       // run 0 throughout
    ac,       // of sequential files: a symbol of size 0 with a run below 15 ends the block
    first,    // AC, first pass of a progressive file: such a symbol begins a run of ended blocks
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
// Values in the entries of `ac` have at most this many bits, longer ones take the way of kExtra: so the product with a
// step of up to kSmallStep stays within int16.
inline constexpr unsigned kSmallSize = 8;
inline constexpr unsigned kSmallStep = 128;

// An entry of HuffmanTable::pairs: that of `look`, and the next coefficient where the index holds it whole.
//   bits 0-5    number of bits of both
//   bits 6-31   as in `look`
//   bits 32-39  of the second: run + 1, or kEndOfBlock; 0 where there is none
//   bits 40-45  number of bits of the first alone
//   bits 48-63  value of the second; where there is none, that of the first again
struct HuffmanTable {
    std::array<std::uint32_t, 1 << kLookBits> look;
    std::array<std::uint64_t, 1 << kLookBits> pairs;  // only for HuffmanUse::ac
    // Codes of up to l bits, shifted up to 16, are below limit[l]; symbol = symbols[(code >> (16 - l)) + offset[l]].
    std::array<std::uint32_t, 17> limit;
    std::array<std::int32_t, 17> offset;
    std::array<std::uint8_t, 256> symbols;
    bool valid;     // the counts describe a prefix code in which no code is all ones
    bool fits_dc;   // no symbol above 15
};

// The table of a specification, from a cache of this thread: files of one source share their tables.
std::shared_ptr<const HuffmanTable> huffman_table(const HuffmanSpec& spec, HuffmanUse use);

// Tables K.3 to K.6 of ITU-T T.81, which Motion JPEG frames leave out. `ac`: AC table; `chroma`: the second pair.
const HuffmanSpec& standard_huffman(bool ac, bool chroma);

// The value that `size` bits stand for (F.2.2.1, EXTEND).
inline std::int32_t extend(std::uint32_t bits, int size) {
    const std::int32_t value = static_cast<std::int32_t>(bits);
    return size == 0 || (bits >> (size - 1)) != 0 ? value : value - (1 << size) + 1;
}

}  // namespace dctnet::jpeg
