#include "decoder.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "entropy.hpp"
#include "finish.hpp"
#include "header.hpp"
#include "layout.hpp"

namespace dctnet::jpeg {
namespace {

constexpr std::size_t kBlock = 64;

class Decoder {
public:
    Decoder(const std::uint8_t* data, std::size_t size, const Options& options)
        : data_(data), size_(size), options_(options), headers_(data, size, options.max_pixels) {}

    Image decode() {
        ScanHeader header;
        for (bool more = headers_.first_scan(header); more; more = headers_.next_scan(header)) {
            if (image_.components == 0) begin();
            run(header);
        }
        finish();
        return std::move(image_);
    }

private:
    const Frame& frame() const { return headers_.frame; }

    [[noreturn]] static void corrupt(std::size_t offset, std::string reason) {
        throw Error{ErrorKind::corrupt, offset, std::move(reason)};
    }

    std::size_t blocks(std::size_t c) const { return blocks_of(image_.planes[c]); }

    const std::vector<std::uint8_t>* bands(std::size_t c) const {
        return options_.bands != nullptr ? &(*options_.bands)[c] : nullptr;
    }

    // At the first scan.
    void begin() {
        image_ = lay_out(frame(), size_, options_, windows_);
        std::array<std::size_t, 3> place{};
        std::size_t coded = 0;
        for (std::size_t c = 0; c < static_cast<std::size_t>(image_.components); ++c) {
            place[c] = coded;
            coded += blocks(c);
            passes_[c] = image_.planes[c].blocks;
        }
        if (!image_.progressive) return;
        budget_ = 64 * (std::uint64_t{coded} + size_);
        for (auto& bits : missing_bits_) bits.fill(-1);
        if (!picks()) return;
        whole_ = Buffer(coded * kBlock * sizeof(std::int16_t));
        for (std::size_t c = 0; c < 3; ++c) passes_[c] = static_cast<std::int16_t*>(whole_.data()) + place[c] * kBlock;
    }

    // Whether less is kept than whole planes.
    bool picks() const { return options_.bands != nullptr || options_.windows != nullptr; }

    void run(const ScanHeader& header) {
        const bool progressive = image_.progressive;
        if (progressive) check_progression(header);

        Scan scan;
        scan.count = header.count;
        scan.restart_interval = headers_.restart_interval;
        if (progressive) {
            scan.first = header.first;
            scan.last = header.last;
            scan.high = header.high;
            scan.low = header.low;
        }
        if (!progressive && !tables_completed_) complete_tables();
        std::size_t mcu_blocks = 0;
        for (std::size_t i = 0; i < static_cast<std::size_t>(header.count); ++i) {
            const auto c = static_cast<std::size_t>(header.components[i]);
            const Plane& plane = image_.planes[c];
            ScanComponent& component = scan.components[i];
            component.width = component.right = component.pitch = plane.width;
            component.height = component.bottom = plane.height;
            component.blocks = passes_[c];
            if (header.count > 1) {
                component.horizontal = plane.horizontal;
                component.vertical = plane.vertical;
            }
            mcu_blocks += static_cast<std::size_t>(component.horizontal * component.vertical);
            latch_quantization(c, header.offset);
            if (progressive) {
                if (!seen_[c]) std::memset(passes_[c], 0, blocks(c) * kBlock * sizeof(std::int16_t));
                seen_[c] = true;
                for (int k = header.first; k <= header.last; ++k) missing_bits_[c][static_cast<std::size_t>(k)] = header.low;
                if (header.first == 0) has_dc_[c] = true;
            } else {
                if (seen_[c]) corrupt(header.offset, "a second scan of one component in a sequential file");
                seen_[c] = has_dc_[c] = true;
                if (options_.dequantize) component.quantization = image_.quantization + c * kBlock;
                component.bands = bands(c);
                component.channels = plane.channels;
                component.blocks = windows_[c].blocks;
                component.top = static_cast<int>(windows_[c].top);
                component.bottom = static_cast<int>(windows_[c].bottom);
                component.left = static_cast<int>(windows_[c].left);
                component.right = static_cast<int>(windows_[c].right);
                component.pitch = static_cast<int>(windows_[c].pitch);
            }
            if (!progressive || (header.first == 0 && header.high == 0)) {
                component.dc = table(headers_.dc, header.dc[i], HuffmanUse::dc, true, header.offset);
            }
            if (!progressive || header.first != 0) {
                const auto use = !progressive       ? HuffmanUse::ac
                                 : header.high == 0 ? HuffmanUse::first
                                                    : HuffmanUse::symbols;
                component.ac = table(headers_.ac, header.ac[i], use, false, header.offset);
            }
        }
        if (header.count > 1) {
            if (mcu_blocks > 10) corrupt(header.offset, "an interleaved scan of more than 10 blocks an MCU");
            scan.columns = (image_.width + 8 * frame().max_horizontal - 1) / (8 * frame().max_horizontal);
            scan.rows = (image_.height + 8 * frame().max_vertical - 1) / (8 * frame().max_vertical);
        } else {
            scan.columns = scan.components[0].width;
            scan.rows = scan.components[0].height;
        }

        if (progressive) {
            const std::uint64_t visits = std::uint64_t{mcu_blocks} * static_cast<std::uint64_t>(scan.columns) *
                                         static_cast<std::uint64_t>(scan.rows);
            if (visits > budget_) corrupt(header.offset, "more scans than 64 for each block and each byte of the file");
            budget_ -= visits;
        }

        thread_local std::vector<std::uint8_t> unstuffed;
        IntervalReader reader(data_, size_, unstuffed);
        reader.open(headers_.position);
        if (progressive) {
            decode_progressive(scan, reader);
        } else {
            decode_sequential(scan, reader);
        }
        headers_.position = reader.close();
        constexpr std::size_t kKept = std::size_t{16} << 20;
        if (unstuffed.size() > kKept) std::vector<std::uint8_t>().swap(unstuffed);
    }

    // The parameters that T.81 allows and libjpeg decodes; the order of the passes is not checked, as in libjpeg.
    static void check_progression(const ScanHeader& header) {
        const bool band = header.first == 0 ? header.last == 0
                                            : header.last >= header.first && header.last <= 63 && header.count == 1;
        const bool bits = header.low <= 13 && (header.high == 0 || header.low == header.high - 1);
        if (!band || !bits) corrupt(header.offset, "a scan header with an impossible band or bit position");
    }

    // libjpeg-turbo gives Motion JPEG frames, which leave the Huffman tables out, the standard ones.
    void complete_tables() {
        tables_completed_ = true;
        for (std::size_t i = 0; i < 2; ++i) {
            if (headers_.dc[i].size == 0) headers_.dc[i] = standard_huffman(false, i == 1);
            if (headers_.ac[i].size == 0) headers_.ac[i] = standard_huffman(true, i == 1);
        }
    }

    static const HuffmanTable* table(const std::array<HuffmanSpec, 4>& specs, unsigned index,
                                     HuffmanUse use, bool dc, std::size_t offset) {
        if (index > 3 || specs[index].size == 0) corrupt(offset, "a scan uses a Huffman table that is not defined");
        const HuffmanTable& result = huffman_table(specs[index], use);
        if (!result.valid || (dc && !result.fits_dc)) corrupt(offset, "a scan uses an impossible Huffman table");
        return &result;
    }

    // A component keeps the table that is in force at its first scan.
    void latch_quantization(std::size_t c, std::size_t offset) {
        if (seen_[c]) return;
        const unsigned index = frame().components[c].table;
        if (index > 3 || !headers_.quantization[index].defined) {
            corrupt(offset, "a component uses a quantisation table that is not defined");
        }
        const auto& steps = headers_.quantization[index].steps;
        std::copy(steps.begin(), steps.end(), image_.quantization + c * kBlock);
    }

    void finish() {
        if (image_.components == 0) corrupt(headers_.position, "the image ends before its first scan");
        for (std::size_t c = 0; c < static_cast<std::size_t>(image_.components); ++c) {
            if (!has_dc_[c]) corrupt(headers_.position, "the image ends before the scan of component " + std::to_string(c + 1));
            // Without EOI, a progressive file cut between two passes looks whole but for the bits that never came.
            if (image_.progressive && !headers_.ended &&
                std::any_of(missing_bits_[c].begin(), missing_bits_[c].end(), [](int bits) { return bits != 0; })) {
                corrupt(size_, "the file ends before the last passes of component " + std::to_string(c + 1));
            }
            if (image_.progressive && (options_.dequantize || picks())) finish_blocks(c);
        }
        image_.orientation = headers_.orientation;
    }

    // What sequential files have done block by block.
    void finish_blocks(std::size_t c) {
        const Finish finish = finish_with(options_.dequantize ? image_.quantization + c * kBlock : nullptr, bands(c));
        alignas(64) std::int16_t block[kBlock];
        const PlaneWindow& window = windows_[c];
        for (std::size_t row = window.top; row < window.bottom; ++row) {
            std::int16_t* out = row_of(window, image_.planes[c].channels, row);
            const std::int16_t* in = passes_[c] + (row * static_cast<std::size_t>(image_.planes[c].width) + window.left) * kBlock;
            for (std::size_t i = window.left; i < window.right; ++i, in += kBlock, out += image_.planes[c].channels) {
                std::memcpy(block, in, sizeof block);
                finish.run(block, out, finish);
            }
        }
    }

    const std::uint8_t* data_;
    std::size_t size_;
    Options options_;
    HeaderReader headers_;
    Image image_;
    std::uint64_t budget_ = 0;  // visits of blocks that the scans of a progressive file may still make
    bool tables_completed_ = false;
    std::array<std::int16_t*, 3> passes_{};  // whole blocks, which the scans of progressive files go over again
    Buffer whole_;                           // of these, where less is kept
    std::array<PlaneWindow, 3> windows_{};   // what is kept
    std::array<bool, 3> seen_{}, has_dc_{};
    // Of each coefficient of a progressive file in zigzag order, the bits that no pass has brought yet; -1: no pass at all.
    std::array<std::array<int, 64>, 3> missing_bits_;
};

}  // namespace

Image decode(const std::uint8_t* data, std::size_t size, const Options& options) {
    return Decoder(data, size, options).decode();
}

Head read_head(const std::uint8_t* data, std::size_t size, const Options& options) {
    HeaderReader headers(data, size, options.max_pixels);
    ScanHeader scan;
    if (!headers.next_scan(scan)) throw Error{ErrorKind::corrupt, headers.position, "the image ends before its first scan"};
    const Frame& frame = headers.frame;
    Head head{frame.height, frame.width, frame.count, {}, {}};
    for (std::size_t c = 0; c < static_cast<std::size_t>(frame.count); ++c) {
        head.vertical[c] = frame.components[c].vertical;
        head.horizontal[c] = frame.components[c].horizontal;
    }
    return head;
}

}  // namespace dctnet::jpeg
