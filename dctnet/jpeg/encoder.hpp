// DCT coefficients to JPEG bytes, without loss.
//
// Writes sequential Huffman-coded files (SOF0, or SOF1 where the values need it) with tables made for the picture. The
// way through the files: encoder.cpp turns the blocks into the symbols of T.81, annex F, and counts them; code_lengths.cpp
// makes the shortest codes for the counts; bit_writer.hpp puts bits into bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "decoder.hpp"

namespace dctnet::jpeg {

struct EncodeOptions {
    bool dequantized = false;            // the blocks hold products with the steps, which are divided out again
    std::uint32_t restart_interval = 0;  // MCUs, up to 65535; 0: none
    std::vector<std::uint8_t> segments;  // whole APPn and COM segments, to stand behind SOI
};

// Thrown by encode(): the sentence says what cannot be written.
struct NotWritable {
    std::string reason;
};

// The file that decode() reads as `image`: same integers, steps, sizes and sampling factors. Components are named 1, 2, 3;
// their scans are interleaved unless that takes more than 10 blocks an MCU. Blocks of padding repeat the DC coefficient
// before them. `image.memory`, `progressive` and `orientation` are not looked at.
//
// Throws NotWritable where planes, factors and size do not belong together; for products that no integer explains or that
// stand at the ends of int16, where they may have been cut off; and for the few integers that no file of this kind can
// hold: an AC coefficient of -32768, a DC difference of 32768.
std::vector<std::uint8_t> encode(const Image& image, const EncodeOptions& options);

}  // namespace dctnet::jpeg
