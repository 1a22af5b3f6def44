// The inner loops of progressive files (T.81, annex G): four kinds of scan over raw coefficients.

#include <algorithm>
#include <cstring>

#include "entropy.hpp"

namespace dctnet::jpeg {
namespace {

// A Huffman symbol of a table for HuffmanUse::symbols, or of a long code of any table. The code is taken from `bits`.
bool take_symbol(BitReader& bits, const HuffmanTable& table, bool direct, unsigned& symbol) {
    const std::uint32_t entry = table.look[bits.buffer >> (64 - kLookBits)];
    if (direct && (entry & kLong) == 0) {
        bits.skip(entry & 63);
        symbol = entry >> 16;
        return true;
    }
    const auto code = static_cast<std::uint32_t>(bits.buffer >> 48);
    unsigned length = kLookBits + 1;
    while (length <= 16 && code >= table.limit[length]) ++length;
    if (length > 16) return false;
    const auto index = static_cast<std::int32_t>(code >> (16 - length)) + table.offset[length];
    symbol = table.symbols[static_cast<std::size_t>(index)];
    bits.skip(length);
    return true;
}

// The number of further blocks of a run of ended blocks, after its symbol's exponent.
std::uint32_t take_end_run(BitReader& bits, unsigned exponent) {
    return (1u << exponent) - 1 + (exponent != 0 ? bits.take(exponent) : 0);
}

std::int16_t shifted(std::int32_t value, int low) {
    return static_cast<std::int16_t>(static_cast<std::uint16_t>(static_cast<std::uint32_t>(value) << low));
}

Outcome dc_first(const Scan& scan, BitReader& bits, std::array<std::int32_t, 3>& predictions, int row, int column,
                 int length) {
    std::array<BlockPlace, 10> places;
    const int blocks = place_blocks(scan, row, column, places);
    for (int mcu = 0; mcu < length; ++mcu) {
        for (int block = 0; block < blocks; ++block) {
            const BlockPlace& place = places[static_cast<std::size_t>(block)];
            const auto c = static_cast<std::size_t>(place.component);
            const HuffmanTable& table = *scan.components[c].dc;
            const std::uint32_t entry = table.look[bits.buffer >> (64 - kLookBits)];
            bits.refill();
            std::int32_t difference = static_cast<std::int32_t>(entry) >> 16;
            if ((entry & (kExtra | kLong)) == 0) {
                bits.skip(entry & 63);
            } else {
                unsigned size = entry >> 24;
                if ((entry & kLong) == 0) {
                    bits.skip((entry >> 16) & 0xFF);
                } else if (!take_symbol(bits, table, false, size)) {
                    return Outcome::invalid_code;
                }
                difference = size == 0 ? 0 : extend(bits.take(size), static_cast<int>(size));
            }
            predictions[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(predictions[c]) +
                                                       static_cast<std::uint32_t>(difference));
            if (mcu < place.inside) place.out[mcu * place.step] = shifted(predictions[c], scan.low);
            if (bits.exhausted()) return Outcome::exhausted;
        }
    }
    return Outcome::ok;
}

Outcome dc_refine(const Scan& scan, BitReader& bits, int row, int column, int length) {
    std::array<BlockPlace, 10> places;
    const int blocks = place_blocks(scan, row, column, places);
    const auto bit = static_cast<std::int16_t>(1 << scan.low);
    for (int mcu = 0; mcu < length; ++mcu) {
        bits.refill();
        for (int block = 0; block < blocks; ++block) {
            const BlockPlace& place = places[static_cast<std::size_t>(block)];
            if (bits.take(1) != 0 && mcu < place.inside) {
                std::int16_t& level = place.out[mcu * place.step];
                level = static_cast<std::int16_t>(level | bit);
            }
        }
        if (bits.exhausted()) return Outcome::exhausted;
    }
    return Outcome::ok;
}

Outcome ac_first(const Scan& scan, BitReader& bits, std::uint32_t& ended, int row, int column, int length) {
    const ScanComponent& component = scan.components[0];
    const HuffmanTable& table = *component.ac;
    std::int16_t* const blocks = component.blocks + (static_cast<std::ptrdiff_t>(row) * component.width + column) * 64;
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(length); ++i) {
        if (ended != 0) {  // this block and perhaps the following have nothing in this scan
            const auto skipped = std::min(ended, static_cast<std::uint32_t>(length) - i);
            ended -= skipped;
            i += skipped - 1;
            continue;
        }
        std::int16_t* const block = blocks + std::ptrdiff_t{64} * i;
        for (int k = scan.first; k <= scan.last;) {
            const std::uint32_t entry = table.look[bits.buffer >> (64 - kLookBits)];
            bits.refill();
            std::int32_t value = static_cast<std::int32_t>(entry) >> 16;
            unsigned advance = (entry >> 8) & 0xFF;
            if ((entry & (kExtra | kLong)) == 0) {
                bits.skip(entry & 63);
            } else {
                unsigned size = entry >> 24;
                if ((entry & kLong) == 0) {
                    bits.skip((entry >> 16) & 0xFF);
                } else {
                    unsigned symbol = 0;
                    if (!take_symbol(bits, table, false, symbol)) return Outcome::invalid_code;
                    size = symbol & 15;
                    advance = (symbol >> 4) + 1;
                    if (size == 0 && advance < 16) {
                        size = symbol >> 4;
                        advance = kEndOfBlock;
                    }
                }
                if (advance == kEndOfBlock) {
                    ended = take_end_run(bits, size);
                    break;
                }
                value = size == 0 ? 0 : extend(bits.take(size), static_cast<int>(size));
            }
            k += static_cast<int>(advance);
            if (value == 0) continue;  // a run of 16 zeros
            if (k > scan.last + 1) return Outcome::past_end;
            block[kNaturalOrder[static_cast<std::size_t>(k - 1)]] = shifted(value, scan.low);
        }
        if (bits.exhausted()) return Outcome::exhausted;
    }
    return Outcome::ok;
}

// Reads a correction bit for a coefficient that is already not zero.
void correct(BitReader& bits, std::int16_t& level, int bit) {
    if (bits.count == 0) bits.refill();
    if (bits.take(1) != 0 && (level & bit) == 0) {
        level = static_cast<std::int16_t>(static_cast<std::uint16_t>(level >= 0 ? level + bit : level - bit));
    }
}

Outcome ac_refine(const Scan& scan, BitReader& bits, std::uint32_t& ended, int row, int column, int length) {
    const ScanComponent& component = scan.components[0];
    const HuffmanTable& table = *component.ac;
    std::int16_t* block = component.blocks + (static_cast<std::ptrdiff_t>(row) * component.width + column) * 64;
    const int bit = 1 << scan.low;
    for (int i = 0; i < length; ++i, block += 64) {
        int k = scan.first;
        while (ended == 0 && k <= scan.last) {
            bits.refill();
            unsigned symbol = 0;
            if (!take_symbol(bits, table, true, symbol)) return Outcome::invalid_code;
            unsigned run = symbol >> 4;
            std::int32_t fresh = 0;
            if ((symbol & 15) == 1) {
                fresh = bits.take(1) != 0 ? bit : -bit;
            } else if ((symbol & 15) != 0) {
                return Outcome::not_one_bit;
            } else if (run != 15) {
                ended = take_end_run(bits, run) + 1;
                break;
            }
            // Pass `run` zeros, correcting what is not zero on the way, and stop on the zero to be filled.
            for (; k <= scan.last; ++k) {
                std::int16_t& level = block[kNaturalOrder[static_cast<std::size_t>(k)]];
                if (level != 0) {
                    correct(bits, level, bit);
                } else if (run-- == 0) {
                    break;
                }
            }
            if (fresh != 0) {
                if (k > scan.last) return Outcome::past_end;
                block[kNaturalOrder[static_cast<std::size_t>(k)]] = static_cast<std::int16_t>(fresh);
            }
            ++k;
        }
        if (ended != 0) {
            for (; k <= scan.last; ++k) {
                std::int16_t& level = block[kNaturalOrder[static_cast<std::size_t>(k)]];
                if (level != 0) correct(bits, level, bit);
            }
            --ended;
        }
        if (bits.exhausted()) return Outcome::exhausted;
    }
    return Outcome::ok;
}

}  // namespace

void decode_progressive(const Scan& scan, IntervalReader& reader) {
    std::array<std::int32_t, 3> predictions{};
    std::uint32_t ended = 0;
    for_each_run(
        scan, reader,
        [&] {
            predictions.fill(0);
            ended = 0;
        },
        [&](int row, int column, int length) {
            BitReader& bits = reader.bits;
            if (scan.first == 0) {
                return scan.high == 0 ? dc_first(scan, bits, predictions, row, column, length)
                                      : dc_refine(scan, bits, row, column, length);
            }
            return scan.high == 0 ? ac_first(scan, bits, ended, row, column, length)
                                  : ac_refine(scan, bits, ended, row, column, length);
        });
}

}  // namespace dctnet::jpeg
