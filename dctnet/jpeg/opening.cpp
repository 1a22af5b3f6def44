// What stands before the first scan of a file, read once for the many files that begin with the same bytes.
//
// A writer gives its pictures of one size the same tables and headers, byte for byte; of a thumbnail they are the greater
// part of the file. What they say depends on no byte behind them.

#include <array>
#include <cstring>
#include <memory>

#include "header.hpp"

namespace dctnet::jpeg {
namespace {

constexpr std::size_t kKept = 8;        // openings, by each thread
constexpr std::size_t kLongest = 2048;  // bytes of one that is kept

}  // namespace

// A reader that has just read its first scan header, and the bytes that it read, to which its Huffman tables point.
struct HeaderReader::Opening {
    HeaderReader headers;
    ScanHeader scan;
    std::array<std::uint8_t, kLongest> bytes;

    Opening(const HeaderReader& read, const ScanHeader& first) : headers(read), scan(first) {
        std::memcpy(bytes.data(), read.data_, read.position);
        for (auto* const specs : {&headers.dc, &headers.ac}) {
            for (HuffmanSpec& spec : *specs) {
                if (spec.size != 0) spec.bytes = bytes.data() + (spec.bytes - read.data_);
            }
        }
    }

    bool begins(const HeaderReader& other) const {
        const std::uint64_t pixels = std::uint64_t{1} * static_cast<unsigned>(headers.frame.height) * static_cast<unsigned>(headers.frame.width);
        return other.size_ >= headers.position && std::memcmp(other.data_, bytes.data(), headers.position) == 0 &&
               pixels <= other.max_pixels_;
    }
};

bool HeaderReader::first_scan(ScanHeader& scan) {
    thread_local std::array<std::unique_ptr<const Opening>, kKept> kept;
    thread_local std::size_t oldest = 0;
    for (const auto& opening : kept) {
        if (opening == nullptr || !opening->begins(*this)) continue;
        const std::uint8_t* const data = data_;
        const std::size_t size = size_;
        const std::uint64_t max_pixels = max_pixels_;
        *this = opening->headers;
        data_ = data;
        size_ = size;
        max_pixels_ = max_pixels;
        scan = opening->scan;
        return true;
    }
    if (!next_scan(scan)) return false;
    if (position <= kLongest) {
        kept[oldest] = std::make_unique<const Opening>(*this, scan);
        oldest = (oldest + 1) % kKept;
    }
    return true;
}

}  // namespace dctnet::jpeg
