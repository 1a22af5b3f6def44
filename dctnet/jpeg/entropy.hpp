// One scan: which blocks in which order, and the decoding of its entropy-coded data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bits.hpp"
#include "huffman.hpp"
#include "zigzag.hpp"

namespace dctnet::jpeg {

struct ScanComponent {
    std::int16_t* blocks = nullptr;     // of the window that is kept: its first
    int channels = 64;                  // of a block
    int width = 0, height = 0;          // of the plane, in blocks
    int top = 0, bottom = 0, left = 0, right = 0;  // the window, in blocks
    int pitch = 0;                      // blocks of memory from one row of the window to the next
    int horizontal = 1, vertical = 1;   // blocks in one MCU of this scan
    const HuffmanTable *dc = nullptr, *ac = nullptr;
    const std::uint16_t* quantization = nullptr;  // 64 row-major steps; null: leave raw
    const std::vector<std::uint8_t>* bands = nullptr;  // `channels` of a block that are kept; null: all 64
};

struct Scan {
    std::array<ScanComponent, 3> components;
    int count = 0;
    int columns = 0, rows = 0;  // of MCUs
    std::uint32_t restart_interval = 0;
    int first = 0, last = 63, high = 0, low = 0;  // Ss, Se, Ah, Al
};

// What an inner loop reports. All but `ok` end the decoding.
enum class Outcome { ok, exhausted, invalid_code, past_end, not_one_bit };

// Walks the restart intervals of a scan. Holds the memory without byte stuffing, which grows to the longest interval.
class IntervalReader {
public:
    IntervalReader(const std::uint8_t* data, std::size_t size, std::vector<std::uint8_t>& memory)
        : data_(data), size_(size), memory_(memory) {}

    // Takes the data from `position` up to the next marker into `bits`.
    void open(std::size_t position);
    // Ends an interval: throws if it was overrun; otherwise steps over the marker RST`number` and opens the next.
    void restart(unsigned number);
    // Ends the last interval: throws if it was overrun; gives the position of the marker after it, or the file's end.
    std::size_t close() const;
    // Throws the error of `outcome` (not `ok`) at the byte that the reader has reached.
    [[noreturn]] void fail(Outcome outcome) const;

    BitReader bits;

private:
    void reserve(std::size_t bytes);
    std::size_t position_in_file() const;
    void check() const;

    const std::uint8_t* data_;
    std::size_t size_, start_ = 0, marker_ = 0;
    std::vector<std::uint8_t>& memory_;
};

// Calls run(row, column, length) for stretches of MCUs within one row and one restart interval, reset() before each
// interval but the first.
template <class Reset, class Run>
void for_each_run(const Scan& scan, IntervalReader& reader, Reset reset, Run run) {
    std::uint64_t left = scan.restart_interval != 0 ? scan.restart_interval : ~std::uint64_t{0};
    unsigned number = 0;
    for (int row = 0; row < scan.rows; ++row) {
        for (int column = 0; column < scan.columns;) {
            if (left == 0) {
                reader.restart(number);
                number = (number + 1) & 7;
                left = scan.restart_interval;
                reset();
            }
            const auto rest = static_cast<std::uint64_t>(scan.columns - column);
            const int length = static_cast<int>(rest < left ? rest : left);
            const Outcome outcome = run(row, column, length);
            if (outcome != Outcome::ok) reader.fail(outcome);
            column += length;
            left -= static_cast<std::uint64_t>(length);
        }
    }
}

// The blocks of one MCU as they lie in a stretch of MCUs: block `i` of MCU `m` is at out + (m - first) * step while
// first <= m < inside; the others are outside of the window or padding, and are decoded and dropped.
struct BlockPlace {
    std::int16_t* out;
    std::ptrdiff_t step;
    int first, inside;
    int component;
};

// Fills `places` for a stretch at (row, column); gives the number of blocks in an MCU.
int place_blocks(const Scan& scan, int row, int column, std::array<BlockPlace, 10>& places);

// Decode all of a scan whose data begin where `reader` was opened. Throw Error on damage.
void decode_sequential(const Scan& scan, IntervalReader& reader);
void decode_progressive(const Scan& scan, IntervalReader& reader);

}  // namespace dctnet::jpeg
