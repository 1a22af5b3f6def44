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

enum class Scaling { raw, small_steps, any_steps };

// The product with a step. Values of kSmallSize bits and steps up to kSmallStep need no saturation.
template <Scaling scaling>
DCTNET_INLINE std::int16_t scale_small(std::int32_t value, std::int32_t step) {
    return scaling == Scaling::any_steps ? scale(value, step) : static_cast<std::int16_t>(value * step);
}

// Where the blocks of one place in an MCU lie, and what decodes them.
struct Place {
    std::int16_t* out;
    std::ptrdiff_t step;
    int inside;
    const HuffmanTable* dc;
    const HuffmanTable* ac;
    const std::uint16_t* steps;
    std::int32_t* prediction;
};

// Decodes one block into `out`. On entry and on success at least 25 bits are loaded: an entry is looked up before the
// buffer is refilled, so the table's latency hides the refill's; one refill then covers the longest code and value.
template <Scaling scaling>
DCTNET_INLINE Outcome decode_block(BitReader& bits, const HuffmanTable& dc, const HuffmanTable& ac,
                                   std::int32_t& prediction, std::int16_t* out, const std::uint16_t* steps) {
    std::memset(out, 0, 64 * sizeof(std::int16_t));
    const std::uint32_t entry = dc.look[bits.buffer >> (64 - kLookBits)];
    bits.refill();
    Symbol symbol{entry & 63, 0, static_cast<std::int32_t>(entry) >> 16};
    if (DCTNET_UNLIKELY(entry & (kExtra | kLong)) && !complete(entry, bits.buffer, dc, symbol)) {
        return Outcome::invalid_code;
    }
    bits.skip(symbol.length);
    // Wraps like libjpeg's 16-bit coefficients; unsigned, so that a hostile file cannot overflow.
    prediction = static_cast<std::int32_t>(static_cast<std::uint32_t>(prediction) + static_cast<std::uint32_t>(symbol.value));
    const auto level = static_cast<std::int16_t>(static_cast<std::uint16_t>(prediction));
    out[0] = scaling == Scaling::raw ? level : scale(level, steps[0]);

    const auto store = [&](unsigned k, std::int32_t value) {
        out[kNaturalOrder[k]] =
            scaling == Scaling::raw ? static_cast<std::int16_t>(value) : scale_small<scaling>(value, steps[k]);
    };
    for (unsigned k = 0;;) {
        const std::uint64_t pair = ac.pairs[bits.buffer >> (64 - kLookBits)];
        bits.refill();
        if (DCTNET_UNLIKELY(pair & (kExtra | kLong))) {
            if (!complete(static_cast<std::uint32_t>(pair), bits.buffer, ac, symbol)) return Outcome::invalid_code;
            bits.skip(symbol.length);
            k += symbol.advance;
            if (k > 63) return k >= kEndOfBlock ? Outcome::ok : Outcome::past_end;
            out[kNaturalOrder[k]] =
                scaling == Scaling::raw ? static_cast<std::int16_t>(symbol.value) : scale(symbol.value, steps[k]);
            if (k == 63) return Outcome::ok;
            continue;
        }
        const unsigned first = k + ((pair >> 8) & 0xFF), second = first + ((pair >> 32) & 0xFF);
        const auto first_value = static_cast<std::int16_t>(pair >> 16), second_value = static_cast<std::int16_t>(pair >> 48);
        if (DCTNET_UNLIKELY(second >= 63)) {
            // The block ends here, nearly always with an end-of-block code as the first or the second of the pair.
            // Which one cannot be predicted, so both go one way: the value of the former is stored where nobody looks.
            if (second >= kEndOfBlock && first - 63 > kEndOfBlock - 1 - 63) {
                std::int16_t nowhere;
                const unsigned k_first = std::min(first, 63u);
                std::int16_t* const place = first > 63 ? &nowhere : out + kNaturalOrder[k_first];
                *place = scaling == Scaling::raw ? first_value : scale_small<scaling>(first_value, steps[k_first]);
                bits.skip(pair & 63);
                return Outcome::ok;
            }
            if (first > 63) return Outcome::past_end;
            store(first, first_value);
            if (first == 63) {  // what follows is no coefficient of this block
                bits.skip((pair >> 40) & 63);
                return Outcome::ok;
            }
            if (second > 63) return Outcome::past_end;
            bits.skip(pair & 63);
            store(second, second_value);
            return Outcome::ok;
        }
        bits.skip(pair & 63);
        store(first, first_value);
        store(second, second_value);
        k = second;
    }
}

template <Scaling scaling>
Outcome decode_run(const Scan& scan, BitReader& reader, std::array<std::int32_t, 3>& predictions, int row, int column,
                   int length) {
    std::array<BlockPlace, 10> blocks;
    std::array<Place, 10> places;
    const int count = place_blocks(scan, row, column, blocks);
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        const auto c = static_cast<std::size_t>(blocks[i].component);
        const ScanComponent& component = scan.components[c];
        places[i] = {blocks[i].out,      blocks[i].step,         blocks[i].inside, component.dc.get(),
                     component.ac.get(), component.quantization, &predictions[c]};
    }
    alignas(64) std::array<std::int16_t, 64> dropped;
    BitReader bits = reader;
    Outcome outcome = Outcome::ok;
    const Place* const end = places.data() + count;
    for (int mcu = 0; mcu < length && outcome == Outcome::ok; ++mcu) {
        for (Place* place = places.data(); place != end; ++place) {
            std::int16_t* out = dropped.data();
            if (mcu < place->inside) {
                out = place->out;
                place->out += place->step;
            }
            outcome = decode_block<scaling>(bits, *place->dc, *place->ac, *place->prediction, out, place->steps);
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

Scaling scaling_of(const Scan& scan) {
    Scaling scaling = Scaling::small_steps;
    for (int c = 0; c < scan.count; ++c) {
        const std::uint16_t* const steps = scan.components[static_cast<std::size_t>(c)].quantization;
        if (steps == nullptr) return Scaling::raw;
        if (*std::max_element(steps, steps + 64) > kSmallStep) scaling = Scaling::any_steps;
    }
    return scaling;
}

}  // namespace

void decode_sequential(const Scan& scan, IntervalReader& reader) {
    std::array<std::int32_t, 3> predictions{};
    const Scaling scaling = scaling_of(scan);
    for_each_run(
        scan, reader, [&] { predictions.fill(0); },
        [&](int row, int column, int length) {
            switch (scaling) {
                case Scaling::raw:
                    return decode_run<Scaling::raw>(scan, reader.bits, predictions, row, column, length);
                case Scaling::small_steps:
                    return decode_run<Scaling::small_steps>(scan, reader.bits, predictions, row, column, length);
                default:
                    return decode_run<Scaling::any_steps>(scan, reader.bits, predictions, row, column, length);
            }
        });
}

}  // namespace dctnet::jpeg
