// Bits into entropy-coded data, byte stuffing included.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace dctnet::jpeg {

class BitWriter {
public:
    explicit BitWriter(std::vector<std::uint8_t>& out) : out_(out) {}

    // The lowest `count` bits of `bits`, at most 31; the others are zero.
    void put(std::uint32_t bits, unsigned count) {
        buffer_ = buffer_ << count | bits;
        filled_ += count;
        if (filled_ < 32) return;
        filled_ -= 32;
        const auto word = static_cast<std::uint32_t>(buffer_ >> filled_);
        const std::array<std::uint8_t, 4> bytes = {static_cast<std::uint8_t>(word >> 24), static_cast<std::uint8_t>(word >> 16),
                                                   static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word)};
        if (((~word - 0x01010101u) & word & 0x80808080u) == 0) {  // none of them is FF
            out_.insert(out_.end(), bytes.begin(), bytes.end());
        } else {
            for (const std::uint8_t byte : bytes) stuffed(byte);
        }
    }
    // Ones up to the next byte.
    void finish() {
        const unsigned ones = (8 - filled_ % 8) % 8;
        put((1u << ones) - 1, ones);
        for (; filled_ > 0; filled_ -= 8) stuffed(static_cast<std::uint8_t>(buffer_ >> (filled_ - 8)));
    }

private:
    void stuffed(std::uint8_t byte) {
        out_.push_back(byte);
        if (byte == 0xFF) out_.push_back(0);
    }

    std::vector<std::uint8_t>& out_;
    std::uint64_t buffer_ = 0;  // the lowest `filled_` bits wait to be written
    unsigned filled_ = 0;
};

}  // namespace dctnet::jpeg
