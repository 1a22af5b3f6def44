#include "entropy.hpp"

#include <algorithm>
#include <string>

#include "decoder.hpp"

namespace dctnet::jpeg {

void IntervalReader::open(std::size_t position) {
    start_ = position;
    const std::uint8_t* in = data_ + position;
    const std::uint8_t* const stop = data_ + size_;
    std::size_t used = 0;
    while (in < stop) {
        const auto* found = static_cast<const std::uint8_t*>(std::memchr(in, 0xFF, static_cast<std::size_t>(stop - in)));
        const std::uint8_t* upto = found != nullptr ? found : stop;
        const auto length = static_cast<std::size_t>(upto - in);
        reserve(used + length + 1);
        std::memcpy(memory_.data() + used, in, length);
        used += length;
        in = upto;
        if (found == nullptr) break;
        // Any number of FF before the byte that decides: 00 stands for one FF of data, the rest are markers.
        const std::uint8_t* decides = found + 1;
        while (decides < stop && *decides == 0xFF) ++decides;
        if (decides == stop || *decides != 0) break;
        memory_[used++] = 0xFF;
        in = decides + 1;
    }
    marker_ = static_cast<std::size_t>(in - data_);
    reserve(used);
    std::uint8_t* const out = memory_.data() + used;
    std::memset(out, 0, kPadding);
    bits = BitReader{0, 0, memory_.data(), memory_.data(), out};
    bits.refill();
}

// Grows by what the interval needs, not by what the file has left: a file may hold very many scans.
void IntervalReader::reserve(std::size_t bytes) {
    if (memory_.size() < bytes + kPadding) memory_.resize(std::max(bytes + kPadding, 2 * memory_.size()));
}

void IntervalReader::check() const {
    if (bits.overran()) fail(Outcome::exhausted);
}

void IntervalReader::restart(unsigned number) {
    check();
    std::size_t at = marker_;
    while (at < size_ && data_[at] == 0xFF) ++at;
    if (at == size_) {
        throw Error{ErrorKind::corrupt, size_, "the file ends where a restart marker is due"};
    }
    if (data_[at] != 0xD0 + number) {
        throw Error{ErrorKind::corrupt, marker_,
                    "restart marker RST" + std::to_string(number) + " is due, found marker " + std::to_string(data_[at])};
    }
    open(at + 1);
}

std::size_t IntervalReader::close() const {
    check();
    return marker_;
}

std::size_t IntervalReader::position_in_file() const {
    // Walk the stuffed data again; only an error pays for it.
    const std::size_t length = static_cast<std::size_t>(bits.end - bits.begin);
    std::size_t bytes = std::min(bits.bits_taken() / 8, length);
    std::size_t at = start_;
    while (bytes > 0 && at < marker_) {
        if (data_[at] == 0xFF) {
            while (at < marker_ && data_[at] == 0xFF) ++at;
        }
        ++at;
        --bytes;
    }
    return std::min(at, marker_);
}

void IntervalReader::fail(Outcome outcome) const {
    // A code that is invalid only with the padding behind the data is a sign of their end.
    const bool at_end = bits.bits_taken() + 16 > static_cast<std::size_t>(bits.end - bits.begin) * 8;
    if (outcome == Outcome::exhausted || bits.overran() || (outcome == Outcome::invalid_code && at_end)) {
        const std::string what = marker_ == size_ ? "the file ends" : "a marker stands";
        throw Error{ErrorKind::corrupt, marker_, what + " in the middle of entropy-coded data"};
    }
    const char* reason = outcome == Outcome::invalid_code ? "invalid Huffman code"
                         : outcome == Outcome::past_end   ? "a run of zeros goes past the last coefficient of its block"
                                                          : "a refinement scan brings a coefficient of more than one bit";
    throw Error{ErrorKind::corrupt, position_in_file(), reason};
}

int place_blocks(const Scan& scan, int row, int column, std::array<BlockPlace, 10>& places) {
    int count = 0;
    for (int c = 0; c < scan.count; ++c) {
        const ScanComponent& component = scan.components[static_cast<std::size_t>(c)];
        for (int y = 0; y < component.vertical; ++y) {
            for (int x = 0; x < component.horizontal; ++x) {
                const int block_row = row * component.vertical + y;
                const int block_column = column * component.horizontal + x;
                const int wide = component.horizontal;
                const auto mcus_to = [&](int edge) { return edge > block_column ? (edge - block_column + wide - 1) / wide : 0; };
                const int first = mcus_to(component.left), inside = mcus_to(component.right);
                BlockPlace& place = places[static_cast<std::size_t>(count++)];
                place = {nullptr, std::ptrdiff_t{component.channels} * wide, 0, 0, c};
                if (block_row < component.top || block_row >= component.bottom || first >= inside) continue;
                const std::ptrdiff_t down = block_row - component.top, across = block_column + first * wide - component.left;
                place.out = component.blocks + (down * component.pitch + across) * component.channels;
                place.first = first;
                place.inside = inside;
            }
        }
    }
    return count;
}

}  // namespace dctnet::jpeg
