#include "huffman.hpp"

#include <algorithm>
#include <cstring>

namespace dctnet::jpeg {
namespace {

std::uint32_t entry(unsigned length, unsigned advance, std::int32_t value) {
    return length | (advance << 8) | (static_cast<std::uint32_t>(value) << 16);
}

// The entry of a code of `length` bits whose value bits do not all fit into the index.
std::uint32_t extra_entry(unsigned length, unsigned size, unsigned advance) {
    return (length + size) | kExtra | (advance << 8) | (length << 16) | (size << 24);
}

// Writes the entries of one code, left-aligned in the index at `first`.
void fill(std::uint32_t* look, unsigned first, unsigned length, unsigned symbol, HuffmanUse use) {
    const unsigned spare = kLookBits - length, run = symbol >> 4, size = symbol & 15;
    if (use == HuffmanUse::symbols) {
        std::fill_n(look + first, 1u << spare, entry(length, 0, static_cast<std::int32_t>(symbol)));
    } else if (size == 0 && run != 15) {
        const auto end = use == HuffmanUse::first ? extra_entry(length, run, kEndOfBlock) : entry(length, kEndOfBlock, 0);
        std::fill_n(look + first, 1u << spare, end);
    } else if (size == 0) {
        std::fill_n(look + first, 1u << spare, entry(length, 16, 0));
    } else if (size > spare) {
        std::fill_n(look + first, 1u << spare, extra_entry(length, size, run + 1));
    } else {
        for (unsigned bits = 0; bits < (1u << size); ++bits) {
            const auto value = extend(bits, static_cast<int>(size));
            std::fill_n(look + first + (bits << (spare - size)), 1u << (spare - size),
                        entry(length + size, run + 1, value));
        }
    }
}

// The symbol that an index of 16 bits begins with.
struct Prefix {
    unsigned length = 0;  // of the code; 0: there is none
    unsigned run = 0, size = 0;
    bool ends() const { return size == 0 && run != 15; }
    unsigned whole() const { return length + size; }
};

std::uint16_t ones(unsigned count) { return static_cast<std::uint16_t>((1u << count) - 1); }

Stride make_stride(const HuffmanTable& table, std::uint32_t index) {
    const auto stride = [](unsigned length, unsigned latter, unsigned former, std::int32_t value, unsigned size) {
        return Stride{static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(latter), static_cast<std::uint16_t>(former),
                      static_cast<std::int16_t>(value), ones(size)};
    };
    const auto prefix = [&](std::uint32_t bits, unsigned known) {
        const unsigned length = code_length(table, bits << (16 - kStrideBits));
        if (length > known) return Prefix{};
        const unsigned symbol = symbol_of(table, bits << (16 - kStrideBits), length);
        return Prefix{length, symbol >> 4, symbol & 15};
    };
    const Prefix first = prefix(index, kStrideBits);
    if (first.length == 0 || first.whole() > kLongestStride) return stride(0, kStrideLong, 0, 0, 0);
    const Stride alone = stride(first.whole(), first.ends() ? kStrideEnd : first.run, 0, 0, first.size);
    if (first.ends() || first.whole() >= kStrideBits) return alone;
    const Prefix second = prefix(index << first.whole() & ones(kStrideBits), kStrideBits - first.whole());
    if (second.length == 0 || first.whole() + second.whole() > kLongestStride) return alone;
    const std::uint32_t bits = index >> (kStrideBits - first.whole()) & ones(first.size);
    return stride(first.whole() + second.whole(), second.ends() ? kStrideEnd + first.run : first.run + 1 + second.run,
                  first.run, extend(bits, static_cast<int>(first.size)), second.size);
}

Difference make_difference(const HuffmanTable& table, std::uint32_t index) {
    const std::uint32_t bits = index << (16 - kDifferenceBits);
    const unsigned length = code_length(table, bits);
    if (length > kDifferenceBits) return Difference{};
    const unsigned size = symbol_of(table, bits, length);
    return Difference{static_cast<std::uint16_t>(length + size), ones(size)};
}

void build(HuffmanTable& table, const HuffmanSpec& spec, HuffmanUse use) {
    if (use != HuffmanUse::ac) table.look.fill(kLong);
    const int count = spec.size - 16;
    table.symbols.fill(0);
    std::copy_n(spec.bytes.begin() + 16, count, table.symbols.begin());
    table.fits_dc = std::all_of(table.symbols.begin(), table.symbols.end(), [](auto symbol) { return symbol <= 15; });
    table.valid = true;
    table.limit[0] = 0;
    table.offset[0] = 0;
    std::uint32_t code = 0;
    int index = 0;
    for (unsigned length = 1; length <= 16; ++length) {
        table.offset[length] = index - static_cast<std::int32_t>(code);
        const unsigned codes = spec.bytes[length - 1];
        if (codes != 0 && code + codes >= (1u << length)) {
            table.valid = false;
            return;
        }
        for (unsigned i = 0; i < codes; ++i, ++code, ++index) {
            if (length > kLookBits || use == HuffmanUse::ac) continue;
            fill(table.look.data(), code << (kLookBits - length), length, table.symbols[static_cast<std::size_t>(index)], use);
        }
        table.limit[length] = code << (16 - length);
        code <<= 1;
    }
    if (use == HuffmanUse::ac) {
        for (std::uint32_t i = 0; i < table.strides.size(); ++i) table.strides[i] = make_stride(table, i);
    } else if (use == HuffmanUse::dc && table.fits_dc) {
        for (std::uint32_t i = 0; i < table.differences.size(); ++i) table.differences[i] = make_difference(table, i);
    }
}

struct Cached {
    HuffmanSpec spec;
    HuffmanUse use = HuffmanUse::dc;
    std::shared_ptr<const HuffmanTable> table;
};

struct Standard {
    std::array<HuffmanSpec, 4> tables;  // DC luma, DC chroma, AC luma, AC chroma
    Standard() {
        constexpr std::uint8_t dc_luma[] = {0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
        constexpr std::uint8_t dc_chroma[] = {0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
        constexpr std::uint8_t ac_luma[] = {
            0,    2,    1,    3,    3,    2,    4,    3,    5,    5,    4,    4,    0,    0,    1,    0x7d, 0x01, 0x02,
            0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32,
            0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
            0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
            0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63,
            0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85,
            0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
            0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
            0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4,
            0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa};
        constexpr std::uint8_t ac_chroma[] = {
            0,    2,    1,    2,    4,    4,    3,    4,    7,    5,    4,    4,    0,    1,    2,    0x77, 0x00, 0x01,
            0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81,
            0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16,
            0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38,
            0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a,
            0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83,
            0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
            0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
            0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3,
            0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa};
        set(tables[0], dc_luma, sizeof dc_luma);
        set(tables[1], dc_chroma, sizeof dc_chroma);
        set(tables[2], ac_luma, sizeof ac_luma);
        set(tables[3], ac_chroma, sizeof ac_chroma);
    }
    static void set(HuffmanSpec& spec, const std::uint8_t* bytes, std::size_t size) {
        std::copy_n(bytes, size, spec.bytes.begin());
        spec.size = static_cast<int>(size);
    }
};

}  // namespace

std::shared_ptr<const HuffmanTable> huffman_table(const HuffmanSpec& spec, HuffmanUse use) {
    thread_local std::array<Cached, 16> cache;
    thread_local unsigned oldest = 0;
    for (const Cached& cached : cache) {
        if (cached.spec.size == spec.size && cached.use == use && cached.table != nullptr &&
            std::memcmp(cached.spec.bytes.data(), spec.bytes.data(), static_cast<std::size_t>(spec.size)) == 0) {
            return cached.table;
        }
    }
    const std::shared_ptr<HuffmanTable> table(new HuffmanTable);
    build(*table, spec, use);
    cache[oldest] = Cached{spec, use, table};
    oldest = (oldest + 1) % cache.size();
    return table;
}

const HuffmanSpec& standard_huffman(bool ac, bool chroma) {
    static const Standard standard;
    return standard.tables[(ac ? 2u : 0u) + (chroma ? 1u : 0u)];
}

}  // namespace dctnet::jpeg
