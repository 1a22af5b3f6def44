// JPEG bytes to DCT coefficients, without pixels.
//
// Reads 8-bit Huffman-coded JPEG files of one or three components: baseline (SOF0), extended (SOF1) and progressive
// (SOF2). Raw coefficients equal those of libjpeg-turbo's jpeg_read_coefficients wherever both read a file; where
// libjpeg would warn that data are damaged and go on with invented ones, this reader throws.
//
// The way through the files: header.cpp reads marker segments; huffman.cpp makes decoding tables; bits.hpp takes the
// byte stuffing out of entropy-coded data and hands out bits; sequential.cpp and progressive.cpp hold the inner loops;
// opening.cpp spares most files the first; layout.cpp gives the planes their memory, which buffers.cpp owns; decoder.cpp
// runs the scans; finish.cpp multiplies, picks and places blocks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "buffers.hpp"

namespace dctnet::jpeg {

enum class ErrorKind {
    corrupt,      // damaged, truncated, or against the standard
    unsupported,  // well-formed as far as read, but of a kind that is not read as YCbCr or gray coefficients
    too_large,    // more pixels than the caller allows
    other_shape,  // the caller's memory or windows are for planes of another shape
};

// Thrown by decode(). `offset` is the byte of the file where reading stopped.
struct Error {
    ErrorKind kind;
    std::size_t offset;
    std::string reason;
};

// Channels of a block that are kept, ascending, for Y, Cb and Cr: row-major places 0..63, one at least.
using Bands = std::array<std::vector<std::uint8_t>, 3>;

// Memory of the caller for one plane: (height, width, channels), contiguous.
struct PlaneMemory {
    std::int16_t* blocks = nullptr;
    std::size_t height = 0, width = 0, channels = 0;
};

// The blocks [top, bottom) x [left, right) of a plane, and memory of the caller for them: `pitch` blocks from one row to
// the next.
struct PlaneWindow {
    std::int16_t* blocks = nullptr;
    std::size_t top = 0, bottom = 0, left = 0, right = 0, pitch = 0;
};

struct Options {
    bool dequantize = true;
    std::uint64_t max_pixels = std::uint64_t{1} << 27;
    const Bands* bands = nullptr;                        // null: all
    const std::array<PlaneMemory, 3>* memory = nullptr;  // where the planes are written; null: to memory from the pool
    const std::array<PlaneWindow, 3>* windows = nullptr;  // what is kept of the planes, in place of `memory`; null: all
};

struct Plane {
    int height = 0, width = 0;          // in blocks: libjpeg's height_in_blocks, width_in_blocks
    int vertical = 1, horizontal = 1;   // sampling factors; of a gray file's absent chroma: 1
    int channels = 64;                  // of a block
    std::int16_t* blocks = nullptr;     // (height, width, channels), row-major within a block; null where windows are kept
};

// A decoded file. `planes` has three entries: the chroma planes of a gray file (components == 1) are zeros at the
// resolution that 4:2:0 would give. Pointers point into `memory`, or
// into the caller's.
struct Image {
    int height = 0, width = 0;
    int components = 0;
    bool progressive = false;
    int orientation = 1;  // EXIF, 1..8
    std::array<Plane, 3> planes;
    std::uint16_t* quantization = nullptr;  // (components, 64), row-major within a block
    Buffer memory;
};

// Decodes a file held in memory. Throws Error, or std::bad_alloc.
//
// Bounds, whatever the bytes say: an image has at least one bit of data for each block, so no more than 1024 bytes are
// allocated for each byte of the file (2048 of a gray one of a single row or column of blocks, whose absent chroma takes as
// much as its luma), and never for more than `max_pixels`. The scans of a progressive file visit at most 64 blocks for each
// block of the frame and 64 for each byte of the file, so the time is linear in the file's size.
// A progressive file needs whole planes until its last scan, even where only some bands or a window are kept.
Image decode(const std::uint8_t* data, std::size_t size, const Options& options);

// What the header says of a file whose scans are not read yet.
struct Head {
    int height = 0, width = 0;
    int components = 0;
    std::array<int, 3> vertical{}, horizontal{};  // sampling factors
};

// Reads up to the first scan. Throws Error.
Head read_head(const std::uint8_t* data, std::size_t size, const Options& options);

}  // namespace dctnet::jpeg
