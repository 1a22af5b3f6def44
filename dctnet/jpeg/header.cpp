#include "header.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "zigzag.hpp"

namespace dctnet::jpeg {
namespace {

int divide_up(int value, int by) { return (value + by - 1) / by; }

}  // namespace

HeaderReader::HeaderReader(const std::uint8_t* data, std::size_t size, std::uint64_t max_pixels)
    : data_(data), size_(size), max_pixels_(max_pixels) {
    if (size == 0) corrupt(0, "the file is empty");
    if (size < 2 || byte(0) != 0xFF || byte(1) != 0xD8) {
        throw Error{ErrorKind::unsupported, 0, "not a JPEG file: it does not begin with the marker SOI (FF D8)"};
    }
    position = 2;
}

void HeaderReader::corrupt(std::size_t offset, const char* reason) const {
    throw Error{ErrorKind::corrupt, std::min(offset, size_), reason};
}

HeaderReader::Segment HeaderReader::segment(bool needed) {
    if (size_ - position < 2) corrupt(size_, "the file ends within a marker segment");
    std::size_t length = word(position);
    if (length < 2 && needed) corrupt(position, "a marker segment with a length below 2");
    length = std::max(length, std::size_t{2});  // libjpeg takes such comments and APPn segments for empty ones
    if (length > size_ - position) corrupt(size_, "the file ends within a marker segment");
    const Segment content{position + 2, position + length};
    position = content.end;
    return content;
}

bool HeaderReader::next_scan(ScanHeader& scan) {
    for (;;) {
        // Bytes before a marker and fill bytes are passed over, as libjpeg does.
        unsigned marker = 0;
        do {
            while (position < size_ && byte(position) != 0xFF) ++position;
            while (position < size_ && byte(position) == 0xFF) ++position;
            if (position >= size_) return false;
            marker = byte(position++);
        } while (marker == 0);
        marker_ = position - 2;
        switch (marker) {
            case 0xC0: case 0xC1: case 0xC2:
                read_frame(marker);
                break;
            case 0xC3: case 0xC7: case 0xCB: case 0xCF:
                throw Error{ErrorKind::unsupported, marker_, "lossless JPEG"};
            case 0xC5: case 0xC6: case 0xCD: case 0xCE: case 0xDE: case 0xDF:
                throw Error{ErrorKind::unsupported, marker_, "hierarchical JPEG"};
            case 0xC9: case 0xCA:
                throw Error{ErrorKind::unsupported, marker_, "arithmetic coding"};
            case 0xC4:
                read_huffman();
                break;
            case 0xDB:
                read_quantization();
                break;
            case 0xDD:
                read_restart_interval();
                break;
            case 0xDA:
                read_scan(scan);
                return true;
            case 0xD9:
                ended = true;
                return false;
            case 0xE0: case 0xE1: case 0xEE:
                read_application(marker);
                break;
            case 0xD8:
                corrupt(marker_, "a second marker SOI within the image");
            default:
                if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) break;  // TEM, stray RSTn: no content
                if ((marker >= 0xE0 && marker <= 0xEF) || marker == 0xFE || marker == 0xCC || marker == 0xDC) {
                    segment(false);  // APPn, COM, DAC, DNL: libjpeg passes over them as well
                    break;
                }
                throw Error{ErrorKind::corrupt, marker_, "unknown marker " + std::to_string(marker)};
        }
    }
}

void HeaderReader::read_frame(unsigned marker) {
    const Segment content = segment();
    if (frame.count != 0) corrupt(marker_, "a second frame header");
    if (content.end - content.at < 6) corrupt(content.at, "a frame header that is too short");
    const unsigned precision = byte(content.at), count = byte(content.at + 5);
    const unsigned height = word(content.at + 1), width = word(content.at + 3);
    if (content.end - content.at != 6 + 3 * std::size_t{count}) corrupt(content.at, "a frame header of wrong length");
    if (precision == 12 || precision == 16) {
        throw Error{ErrorKind::unsupported, marker_, std::to_string(precision) + " bits a sample"};
    }
    if (precision != 8) corrupt(content.at, "a frame header with an impossible number of bits a sample");
    if (height == 0) corrupt(content.at + 1, "the height is 0 (DNL files are not read)");
    if (width == 0) corrupt(content.at + 3, "the width is 0");
    if (count == 2 || count == 4) {
        throw Error{ErrorKind::unsupported, marker_, count == 4 ? "4 components (CMYK or YCCK)" : "2 components"};
    }
    if (count != 1 && count != 3) corrupt(content.at + 5, "a frame header with an impossible number of components");
    if (std::uint64_t{height} * width > max_pixels_) {
        throw Error{ErrorKind::too_large, content.at + 1,
                    "the picture has " + std::to_string(height) + "x" + std::to_string(width) +
                        " pixels, more than max_pixels = " + std::to_string(max_pixels_)};
    }
    frame_offset_ = marker_;
    frame.progressive = marker == 0xC2;
    frame.height = static_cast<int>(height);
    frame.width = static_cast<int>(width);
    frame.count = static_cast<int>(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = content.at + 6 + 3 * i;
        FrameComponent& component = frame.components[i];
        component.id = byte(at);
        component.horizontal = static_cast<int>(byte(at + 1) >> 4);
        component.vertical = static_cast<int>(byte(at + 1) & 15);
        component.table = byte(at + 2);
        if (component.horizontal < 1 || component.horizontal > 4 || component.vertical < 1 || component.vertical > 4) {
            corrupt(at + 1, "a sampling factor outside 1..4");
        }
        frame.max_horizontal = std::max(frame.max_horizontal, component.horizontal);
        frame.max_vertical = std::max(frame.max_vertical, component.vertical);
    }
    for (std::size_t i = 0; i < count; ++i) {
        FrameComponent& component = frame.components[i];
        component.width = divide_up(frame.width * component.horizontal, 8 * frame.max_horizontal);
        component.height = divide_up(frame.height * component.vertical, 8 * frame.max_vertical);
    }
}

void HeaderReader::read_scan(ScanHeader& scan) {
    const Segment content = segment();
    scan = ScanHeader{};
    scan.offset = marker_;
    if (frame.count == 0) corrupt(marker_, "a scan before the frame header");
    if (content.end == content.at) corrupt(content.at, "an empty scan header");
    const unsigned count = byte(content.at);
    if (count < 1 || count > 4 || content.end - content.at != 4 + 2 * std::size_t{count}) {
        corrupt(content.at, "a scan header of wrong length");
    }
    if (count > static_cast<unsigned>(frame.count)) corrupt(content.at, "a scan of more components than the frame has");
    scan.count = static_cast<int>(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = content.at + 1 + 2 * i;
        // Of components with one identifier, which some files have, each scan takes them in the frame's order.
        int found = -1;
        for (int c = 0; c < frame.count && found < 0; ++c) {
            const auto taken = scan.components.begin() + static_cast<std::ptrdiff_t>(i);
            if (frame.components[static_cast<std::size_t>(c)].id == byte(at) &&
                std::find(scan.components.begin(), taken, c) == taken) {
                found = c;
            }
        }
        if (found < 0) corrupt(at, "a scan of a component that the frame does not have, or twice of one");
        scan.components[i] = found;
        scan.dc[i] = byte(at + 1) >> 4;
        scan.ac[i] = byte(at + 1) & 15;
    }
    const std::size_t at = content.at + 1 + 2 * std::size_t{count};
    scan.first = static_cast<int>(byte(at));
    scan.last = static_cast<int>(byte(at + 1));
    scan.high = static_cast<int>(byte(at + 2) >> 4);
    scan.low = static_cast<int>(byte(at + 2) & 15);
    if (!color_checked_) check_color();
    color_checked_ = true;
}

void HeaderReader::check_color() const {
    // libjpeg's rule for three components (default_decompress_parms): JFIF means YCbCr; else Adobe's word counts; else
    // the identifiers 'R', 'G', 'B' mean RGB.
    if (frame.count != 3 || jfif_) return;
    const auto& c = frame.components;
    const bool rgb = adobe_ ? transform_ == 0 : c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B';
    if (rgb) throw Error{ErrorKind::unsupported, frame_offset_, "the components are RGB, not YCbCr"};
}

void HeaderReader::read_quantization() {
    const Segment content = segment();
    std::size_t at = content.at;
    while (at < content.end) {
        const unsigned wide = byte(at) >> 4, index = byte(at) & 15;
        if (index > 3) corrupt(at, "a quantisation table with an index above 3");
        const std::size_t bytes = wide != 0 ? 128 : 64;
        if (content.end - at - 1 < bytes) corrupt(at, "a quantisation table that is too short");
        ++at;
        QuantizationTable& table = quantization[index];
        table.defined = true;
        const std::uint8_t* const in = data_ + at;
        if (wide != 0) {
            for (std::size_t k = 0; k < 64; ++k) {
                table.steps[kNaturalOrder[k]] = static_cast<std::uint16_t>(unsigned{in[2 * k]} << 8 | in[2 * k + 1]);
            }
        } else {
            for (std::size_t k = 0; k < 64; ++k) table.steps[kNaturalOrder[k]] = in[k];
        }
        at += bytes;
    }
}

void HeaderReader::read_huffman() {
    const Segment content = segment();
    std::size_t at = content.at;
    while (at < content.end) {
        if (content.end - at < 17) corrupt(at, "a Huffman table that is too short");
        const unsigned selector = byte(at++);
        if ((selector & 0xEF) > 3) corrupt(at - 1, "a Huffman table with an index above 3");
        HuffmanSpec& spec = (selector & 0x10) != 0 ? ac[selector & 3] : dc[selector & 3];
        std::size_t count = 0;
        for (std::size_t i = 0; i < 16; ++i) count += byte(at + i);
        if (count > 256 || count > content.end - at - 16) corrupt(at, "a Huffman table with more symbols than it has room for");
        spec = {data_ + at, 16 + count};
        at += 16 + count;
    }
}

void HeaderReader::read_restart_interval() {
    const Segment content = segment();
    if (content.end - content.at != 2) corrupt(content.at, "a restart interval segment of wrong length");
    restart_interval = word(content.at);
}

void HeaderReader::read_application(unsigned marker) {
    const Segment content = segment(false);
    const std::size_t length = content.end - content.at;
    const std::uint8_t* const bytes = data_ + content.at;
    if (marker == 0xE0 && length >= 14 && std::memcmp(bytes, "JFIF\0", 5) == 0) {
        jfif_ = true;
    } else if (marker == 0xE1 && length >= 6 && std::memcmp(bytes, "Exif\0\0", 6) == 0) {
        if (!exif_) read_exif({content.at + 6, content.end});
        exif_ = true;
    } else if (marker == 0xEE && length >= 12 && std::memcmp(bytes, "Adobe", 5) == 0) {
        adobe_ = true;
        transform_ = bytes[11];
    }
}

void HeaderReader::read_exif(Segment exif) {
    // TIFF: byte order, 42, offset of the first directory; a directory is a count and entries of 12 bytes.
    const std::size_t length = exif.end - exif.at;
    if (length < 8) return;
    const bool little = byte(exif.at) == 'I' && byte(exif.at + 1) == 'I';
    const bool big = byte(exif.at) == 'M' && byte(exif.at + 1) == 'M';
    if (!little && !big) return;
    const auto two = [&](std::size_t at) { return big ? word(at) : unsigned{data_[at + 1]} << 8 | data_[at]; };
    const auto four = [&](std::size_t at) {
        return big ? std::uint64_t{two(at)} << 16 | two(at + 2) : std::uint64_t{two(at + 2)} << 16 | two(at);
    };
    if (two(exif.at + 2) != 42) return;
    const std::uint64_t directory = four(exif.at + 4);
    if (directory > length - 2) return;
    std::size_t at = exif.at + static_cast<std::size_t>(directory);
    const unsigned entries = two(at);
    at += 2;
    for (unsigned i = 0; i < entries && exif.end - at >= 12; ++i, at += 12) {
        if (two(at) != 0x0112) continue;
        const unsigned type = two(at + 2);
        if ((type != 3 && type != 4) || four(at + 4) != 1) return;
        const std::uint64_t value = type == 3 ? two(at + 8) : four(at + 8);
        if (value >= 1 && value <= 8) orientation = static_cast<int>(value);
        return;
    }
}

}  // namespace dctnet::jpeg
