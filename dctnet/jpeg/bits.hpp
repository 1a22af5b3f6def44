// Entropy-coded data: byte stuffing out, bits in hand.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../kernels/target.hpp"

#if defined(_MSC_VER)
#include <cstdlib>
#endif

namespace dctnet::jpeg {

// Bytes that may be read behind the end of an interval: a block takes at most 64 codes of 16 + 15 bits (248 bytes), its
// start is checked, and a refill looks 8 bytes ahead.
inline constexpr std::size_t kPadding = 320;

DCTNET_INLINE std::uint64_t load_big_endian(const std::uint8_t* bytes) {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    if constexpr (std::endian::native == std::endian::little) {
#if defined(_MSC_VER)
        word = _byteswap_uint64(word);
#else
        word = __builtin_bswap64(word);
#endif
    }
    return word;
}

// The bits of one restart interval without its byte stuffing, followed by kPadding bytes of zeros.
struct BitReader {
    std::uint64_t buffer = 0;  // the next bits, left-aligned; those past `count` are the stream's or zero
    unsigned count = 0;        // bits in `buffer` that count as loaded
    const std::uint8_t* next = nullptr;
    const std::uint8_t* begin = nullptr;
    const std::uint8_t* end = nullptr;

    // At least 56 bits are in the buffer afterwards.
    DCTNET_INLINE void refill() {
        buffer |= load_big_endian(next) >> count;
        next += (63 - count) >> 3;
        count |= 56;
    }
    DCTNET_INLINE void skip(unsigned bits) {
        buffer <<= bits;
        count -= bits;
    }
    // `bits` in 1..32, all of them loaded.
    DCTNET_INLINE std::uint32_t take(unsigned bits) {
        const auto value = static_cast<std::uint32_t>(buffer >> (64 - bits));
        skip(bits);
        return value;
    }
    // True once reading has gone so far past the end that the padding might not hold another block.
    DCTNET_INLINE bool exhausted() const { return next > end + 16; }
    std::size_t bits_taken() const { return static_cast<std::size_t>(next - begin) * 8 - count; }
    bool overran() const { return bits_taken() > static_cast<std::size_t>(end - begin) * 8; }
};

}  // namespace dctnet::jpeg
