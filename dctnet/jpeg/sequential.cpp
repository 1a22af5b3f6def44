// The inner loop of sequential files: where nearly all the time goes.

#include <algorithm>
#include <cstring>

#include "entropy.hpp"

#if defined(_MSC_VER)
#define DCTNET_INLINE __forceinline
#define DCTNET_UNLIKELY(condition) (condition)
#else
#define DCTNET_INLINE inline __attribute__((always_inline))
#define DCTNET_UNLIKELY(condition) __builtin_expect(static_cast<bool>(condition), 0)
#endif

namespace dctnet::jpeg {
namespace {

// Completes an entry with kExtra or kLong: gives an entry's length, advance and value, or false for an invalid code.
struct Symbol {
    unsigned length, advance;
    std::int32_t value;
};

bool long_symbol(std::uint64_t buffer, const HuffmanTable& table, Symbol& symbol) {
    const auto code = static_cast<std::uint32_t>(buffer >> 48);
    unsigned length = kLookBits + 1;
    while (length <= 16 && code >= table.limit[length]) ++length;
    if (length > 16) return false;
    const auto index = static_cast<std::int32_t>(code >> (16 - length)) + table.offset[length];
    const unsigned byte = table.symbols[static_cast<std::size_t>(index)], run = byte >> 4, size = byte & 15;
    symbol.length = length + size;
    symbol.value = 0;
    symbol.advance = run + 1;
    if (size != 0) {
        symbol.value = extend(static_cast<std::uint32_t>(buffer << length >> (64 - size)), static_cast<int>(size));
    } else if (run != 15) {
        symbol.advance = kEndOfBlock;
    }
    return true;
}

DCTNET_INLINE bool complete(std::uint32_t entry, std::uint64_t buffer, const HuffmanTable& table, Symbol& symbol) {
    if (DCTNET_UNLIKELY(entry & kLong)) return long_symbol(buffer, table, symbol);
    const unsigned length = (entry >> 16) & 0xFF, size = entry >> 24;
    symbol.length = entry & 63;
    symbol.advance = (entry >> 8) & 0xFF;
    symbol.value = extend(static_cast<std::uint32_t>(buffer << length >> (64 - size)), static_cast<int>(size));
    return true;
}

DCTNET_INLINE std::int16_t scale(std::int32_t value, std::int32_t step) {
    return static_cast<std::int16_t>(std::clamp(value * step, -32768, 32767));
}

// Decodes one block into `out`. On entry and on success at least 25 bits are loaded: an entry is looked up before the
// buffer is refilled, so the table's latency hides the refill's; one refill then covers the longest code and value.
template <bool scaled>
DCTNET_INLINE Outcome decode_block(BitReader& bits, const HuffmanTable& dc, const HuffmanTable& ac,
                                   std::int32_t& prediction, std::int16_t* out, const std::uint16_t* steps) {
    std::memset(out, 0, 64 * sizeof(std::int16_t));
    std::uint32_t entry = dc.look[bits.buffer >> (64 - kLookBits)];
    bits.refill();
    Symbol symbol{entry & 63, 0, static_cast<std::int32_t>(entry) >> 16};
    if (DCTNET_UNLIKELY(entry & (kExtra | kLong)) && !complete(entry, bits.buffer, dc, symbol)) {
        return Outcome::invalid_code;
    }
    bits.skip(symbol.length);
    // Wraps like libjpeg's 16-bit coefficients; unsigned, so that a hostile file cannot overflow.
    prediction = static_cast<std::int32_t>(static_cast<std::uint32_t>(prediction) + static_cast<std::uint32_t>(symbol.value));
    const auto level = static_cast<std::int16_t>(static_cast<std::uint16_t>(prediction));
    out[0] = scaled ? scale(level, steps[0]) : level;

    unsigned k = 0;
    do {
        entry = ac.look[bits.buffer >> (64 - kLookBits)];
        bits.refill();
        std::int32_t value = static_cast<std::int32_t>(entry) >> 16;
        if (DCTNET_UNLIKELY(entry & (kExtra | kLong))) {
            if (!complete(entry, bits.buffer, ac, symbol)) return Outcome::invalid_code;
            bits.skip(symbol.length);
            k += symbol.advance;
            value = symbol.value;
        } else {
            bits.skip(entry & 63);
            k += (entry >> 8) & 0xFF;
        }
        if (k > 63) return k >= kEndOfBlock ? Outcome::ok : Outcome::past_end;
        out[kNaturalOrder[k]] = scaled ? scale(value, steps[k]) : static_cast<std::int16_t>(value);
    } while (k < 63);
    return Outcome::ok;
}

template <bool scaled>
Outcome decode_run(const Scan& scan, BitReader& reader, std::array<std::int32_t, 3>& predictions, int row, int column,
                   int length) {
    std::array<BlockPlace, 10> places;
    const int blocks = place_blocks(scan, row, column, places);
    alignas(64) std::array<std::int16_t, 64> dropped;
    BitReader bits = reader;
    Outcome outcome = Outcome::ok;
    for (int mcu = 0; mcu < length && outcome == Outcome::ok; ++mcu) {
        for (int block = 0; block < blocks; ++block) {
            const BlockPlace& place = places[static_cast<std::size_t>(block)];
            const auto c = static_cast<std::size_t>(place.component);
            const ScanComponent& component = scan.components[c];
            std::int16_t* out = mcu < place.inside ? place.out + mcu * place.step : dropped.data();
            outcome = decode_block<scaled>(bits, *component.dc, *component.ac, predictions[c], out, component.quantization);
            if (DCTNET_UNLIKELY(outcome != Outcome::ok)) break;
            if (DCTNET_UNLIKELY(bits.exhausted())) {
                outcome = Outcome::exhausted;
                break;
            }
        }
    }
    reader = bits;
    return outcome;
}

}  // namespace

void decode_sequential(const Scan& scan, IntervalReader& reader) {
    std::array<std::int32_t, 3> predictions{};
    const bool scaled = scan.components[0].quantization != nullptr;
    for_each_run(
        scan, reader, [&] { predictions.fill(0); },
        [&](int row, int column, int length) {
            return scaled ? decode_run<true>(scan, reader.bits, predictions, row, column, length)
                          : decode_run<false>(scan, reader.bits, predictions, row, column, length);
        });
}

}  // namespace dctnet::jpeg
