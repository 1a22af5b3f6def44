#include "code_lengths.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace dctnet::jpeg {

// Package-merge (Larmore and Hirschberg, 1990). A leaf costs its count each time it is taken, and is taken once for each
// bit of its code; taking the 2n - 2 cheapest of the last list takes from each earlier list the packages' contents. In
// each list the leaves taken are the rarest ones, so their number is all that need be known of it.
HuffmanCode shortest_codes(const std::array<std::uint64_t, 256>& counts) {
    constexpr std::size_t kLongest = 16;
    struct Leaf {
        std::uint64_t count;
        int symbol;
    };
    // A leaf that never occurs takes the last of the longest codes, the one that is all ones.
    std::vector<Leaf> leaves{{0, -1}};
    for (int symbol = 255; symbol >= 0; --symbol) {
        const std::uint64_t count = counts[static_cast<std::size_t>(symbol)];
        if (count != 0) leaves.push_back({count, symbol});
    }
    std::stable_sort(leaves.begin(), leaves.end(), [](const Leaf& a, const Leaf& b) { return a.count < b.count; });

    struct Item {
        std::uint64_t cost;
        bool leaf;
    };
    std::array<std::vector<Item>, kLongest> lists;
    for (std::size_t level = 0; level < kLongest; ++level) {
        std::vector<Item>& list = lists[level];
        for (const Leaf& leaf : leaves) list.push_back({leaf.count, true});
        if (level == 0) continue;
        const std::vector<Item>& before = lists[level - 1];
        for (std::size_t i = 0; i + 1 < before.size(); i += 2) list.push_back({before[i].cost + before[i + 1].cost, false});
        std::inplace_merge(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(leaves.size()), list.end(),
                           [](const Item& a, const Item& b) { return a.cost < b.cost; });
    }

    // deeper[i]: how many leaves have a code longer than i bits.
    std::array<std::size_t, kLongest + 1> deeper{};
    std::size_t taken = 2 * leaves.size() - 2;
    for (std::size_t level = kLongest; level-- > 0;) {
        const auto begin = lists[level].begin();
        const auto of_leaves = std::count_if(begin, begin + static_cast<std::ptrdiff_t>(taken), [](const Item& i) { return i.leaf; });
        deeper[kLongest - 1 - level] = static_cast<std::size_t>(of_leaves);
        taken = 2 * (taken - static_cast<std::size_t>(of_leaves));
    }

    HuffmanCode code;
    code.size = 16 + leaves.size() - 1;
    for (std::size_t bits = 1; bits <= kLongest; ++bits) {
        code.bytes[bits - 1] = static_cast<std::uint8_t>(deeper[bits - 1] - deeper[bits]);
    }
    for (std::size_t bits = kLongest; bits > 0; --bits) {
        if (deeper[bits - 1] != 0) {
            --code.bytes[bits - 1];  // the leaf that never occurs
            break;
        }
    }
    for (std::size_t i = 0; i + 1 < leaves.size(); ++i) {
        code.bytes[16 + i] = static_cast<std::uint8_t>(leaves[leaves.size() - 1 - i].symbol);
    }
    return code;
}

}  // namespace dctnet::jpeg
