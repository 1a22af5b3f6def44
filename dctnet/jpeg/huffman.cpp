#include "huffman.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

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

// The symbol that an index begins with.
struct Prefix {
    std::uint8_t length = 0;  // of its code; 0: the code is longer than the index
    std::uint8_t run = 0, size = 0;
    bool ends() const { return size == 0 && run != 15; }
    unsigned whole() const { return unsigned{length} + size; }
};
using Prefixes = std::array<Prefix, 1 << kStrideBits>;
static_assert(kDifferenceBits <= kStrideBits);

Stride stride(unsigned length, unsigned next, unsigned former, std::int32_t value, unsigned size) {
    return Stride{static_cast<std::uint8_t>(length),      static_cast<std::uint8_t>(next),
                  static_cast<std::uint8_t>(former),      static_cast<std::uint8_t>((64 - length) & 63),
                  static_cast<std::int16_t>(value),       static_cast<std::uint16_t>((1u << size) - 1)};
}

Stride make_stride(const Prefixes& prefixes, std::uint32_t index) {
    const Prefix first = prefixes[index];
    if (first.length == 0 || first.whole() > kLongestStride) return stride(0, kStrideNone, 0, 0, 0);
    if (first.ends()) return stride(first.length, kStrideEnd, 0, 0, 0);
    if (first.whole() < kStrideBits) {
        const unsigned known = kStrideBits - first.whole();
        const Prefix second = prefixes[index << first.whole() & (prefixes.size() - 1)];
        const unsigned length = first.whole() + second.whole();
        if (second.length != 0 && second.length <= known && length <= kLongestStride) {
            const std::int32_t value = extend(index >> known & ((1u << first.size) - 1), first.size);
            const unsigned next = second.ends() ? kStrideEnd + first.run : first.run + 1u + second.run + 1u;
            return stride(length, next, first.run, value, second.size);
        }
    }
    return stride(first.whole(), first.run + 1u, 0, 0, first.size);
}

Difference make_difference(const Prefix& symbol) {
    if (symbol.length == 0 || symbol.length > kDifferenceBits) return Difference{};
    const Stride whole = stride(symbol.whole(), 0, 0, 0, symbol.size);
    return Difference{whole.length, whole.shift, whole.ones};
}

// What looks up symbols of sequential files; `spec` is a prefix code.
void build_sequential(HuffmanTable& table, const HuffmanSpec& spec, HuffmanUse use) {
    Prefixes prefixes;
    std::size_t filled = 0, index = 0;
    for (unsigned length = 1; length <= kStrideBits; ++length) {
        for (unsigned i = 0; i < spec.bytes[length - 1]; ++i, ++index) {
            const unsigned symbol = table.symbols[index];
            const Prefix prefix{static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(symbol >> 4),
                                static_cast<std::uint8_t>(symbol & 15)};
            const std::size_t count = std::size_t{1} << (kStrideBits - length);
            std::fill_n(prefixes.begin() + static_cast<std::ptrdiff_t>(filled), count, prefix);
            filled += count;
        }
    }
    std::fill(prefixes.begin() + static_cast<std::ptrdiff_t>(filled), prefixes.end(), Prefix{});
    if (use == HuffmanUse::ac) {
        for (std::uint32_t i = 0; i < table.strides.size(); ++i) table.strides[i] = make_stride(prefixes, i);
    } else {
        for (std::size_t i = 0; i < table.differences.size(); ++i) {
            table.differences[i] = make_difference(prefixes[i << (kStrideBits - kDifferenceBits)]);
        }
    }
}

void build(HuffmanTable& table, const HuffmanSpec& spec, HuffmanUse use) {
    const std::size_t count = spec.size - 16;
    table.symbols.fill(0);
    std::copy_n(spec.bytes + 16, count, table.symbols.begin());
    table.fits_dc = std::all_of(table.symbols.begin(), table.symbols.end(), [](auto symbol) { return symbol <= 15; });
    table.limit[0] = 0;
    table.offset[0] = 0;
    std::uint32_t code = 0;
    int index = 0;
    for (unsigned length = 1; length <= 16; ++length) {
        table.offset[length] = index - static_cast<std::int32_t>(code);
        const unsigned codes = spec.bytes[length - 1];
        table.valid = codes == 0 || code + codes < (1u << length);
        if (!table.valid) return;
        code += codes;
        index += static_cast<int>(codes);
        table.limit[length] = code << (16 - length);
        code <<= 1;
    }
    if (use == HuffmanUse::ac || (use == HuffmanUse::dc && table.fits_dc)) build_sequential(table, spec, use);
    if (use == HuffmanUse::ac) return;
    table.look.fill(kLong);
    code = 0;
    index = 0;
    for (unsigned length = 1; length <= kLookBits; ++length, code <<= 1) {
        for (unsigned i = 0; i < spec.bytes[length - 1]; ++i, ++code, ++index) {
            fill(table.look.data(), code << (kLookBits - length), length, table.symbols[static_cast<std::size_t>(index)], use);
        }
    }
}

struct Cached {
    std::array<std::uint8_t, 16 + 256> bytes;
    std::size_t size = 0;
    HuffmanUse use = HuffmanUse::dc;
    std::uint64_t last_used = 0;
    std::unique_ptr<HuffmanTable> table;
};

struct Standard {
    std::array<HuffmanSpec, 4> tables;  // DC luma, DC chroma, AC luma, AC chroma
    Standard() {
        static constexpr std::uint8_t dc_luma[] = {0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
        static constexpr std::uint8_t dc_chroma[] = {0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
        static constexpr std::uint8_t ac_luma[] = {
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
        static constexpr std::uint8_t ac_chroma[] = {
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
        tables[0] = {dc_luma, sizeof dc_luma};
        tables[1] = {dc_chroma, sizeof dc_chroma};
        tables[2] = {ac_luma, sizeof ac_luma};
        tables[3] = {ac_chroma, sizeof ac_chroma};
    }
};

}  // namespace

const HuffmanTable& huffman_table(const HuffmanSpec& spec, HuffmanUse use) {
    thread_local std::array<Cached, kTablesKept> cache;
    thread_local std::uint64_t now = 0;
    Cached* oldest = &cache[0];
    for (Cached& cached : cache) {
        if (cached.size == spec.size && cached.use == use && std::memcmp(cached.bytes.data(), spec.bytes, spec.size) == 0) {
            cached.last_used = ++now;
            return *cached.table;
        }
        if (cached.last_used < oldest->last_used) oldest = &cached;
    }
    if (oldest->table == nullptr) oldest->table.reset(new HuffmanTable);
    oldest->size = 0;  // until it is whole
    build(*oldest->table, spec, use);
    std::copy_n(spec.bytes, spec.size, oldest->bytes.begin());
    oldest->size = spec.size;
    oldest->use = use;
    oldest->last_used = ++now;
    return *oldest->table;
}

HuffmanSpec standard_huffman(bool ac, bool chroma) {
    static const Standard standard;
    return standard.tables[(ac ? 2u : 0u) + (chroma ? 1u : 0u)];
}

}  // namespace dctnet::jpeg
