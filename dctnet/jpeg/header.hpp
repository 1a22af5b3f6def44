// Marker segments: everything in a file that is not entropy-coded data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "decoder.hpp"
#include "huffman.hpp"

namespace dctnet::jpeg {

struct FrameComponent {
    unsigned id = 0;
    int horizontal = 1, vertical = 1;  // sampling factors
    unsigned table = 0;                // index of the quantisation table
    int width = 0, height = 0;         // in blocks, without the padding of MCUs
};

struct Frame {
    bool progressive = false;
    int height = 0, width = 0;
    int count = 0;  // of components; 0: no frame header yet
    int max_horizontal = 1, max_vertical = 1;
    std::array<FrameComponent, 3> components;
};

struct QuantizationTable {
    bool defined = false;
    std::array<std::uint16_t, 64> steps{};  // row-major
};

struct ScanHeader {
    int count = 0;
    std::array<int, 3> components{};  // indices into the frame
    std::array<unsigned, 3> dc{}, ac{};
    int first = 0, last = 0, high = 0, low = 0;
    std::size_t offset = 0;  // of the marker
};

// Reads segments one after the other and keeps what they define.
class HeaderReader {
public:
    // Throws Error where the data do not begin like a JPEG file.
    HeaderReader(const std::uint8_t* data, std::size_t size, std::uint64_t max_pixels);

    // Reads on to the next scan header. False at the end of the image, or of data that end between two segments.
    bool next_scan(ScanHeader& scan);

    // next_scan() of a reader that has read nothing yet, quickly where this thread has met data that begin with the same
    // bytes (opening.cpp). The Huffman tables may then lie in memory of the thread, until it calls this again.
    bool first_scan(ScanHeader& scan);

    std::size_t position = 0;  // of the next byte; the caller moves it past entropy-coded data

    Frame frame;
    std::array<QuantizationTable, 4> quantization;
    std::array<HuffmanSpec, 4> dc, ac;
    std::uint32_t restart_interval = 0;
    int orientation = 1;
    bool ended = false;  // by the marker EOI

private:
    struct Opening;

    struct Segment {
        std::size_t at, end;  // content, and its end
    };

    [[noreturn]] void corrupt(std::size_t offset, const char* reason) const;
    unsigned byte(std::size_t at) const { return data_[at]; }
    unsigned word(std::size_t at) const { return unsigned{data_[at]} << 8 | data_[at + 1]; }
    Segment segment(bool needed = true);
    void read_frame(unsigned marker);
    void read_scan(ScanHeader& scan);
    void read_quantization();
    void read_huffman();
    void read_restart_interval();
    void read_application(unsigned marker);
    void read_exif(Segment exif);
    void check_color() const;

    const std::uint8_t* data_;
    std::size_t size_, marker_ = 0;
    std::uint64_t max_pixels_;
    std::size_t frame_offset_ = 0;
    bool jfif_ = false, adobe_ = false, exif_ = false, color_checked_ = false;
    unsigned transform_ = 0;
};

}  // namespace dctnet::jpeg
