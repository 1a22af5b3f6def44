#include "encoder.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "bit_writer.hpp"
#include "code_lengths.hpp"
#include "entropy.hpp"

namespace dctnet::jpeg {
namespace {

constexpr std::array<const char*, 3> kNames = {"y", "cb", "cr"};

[[noreturn]] void refuse(std::string reason) { throw NotWritable{std::move(reason)}; }

std::string pair(int first, int second) { return std::to_string(first) + "x" + std::to_string(second); }

int divide_up(int value, int by) { return (value + by - 1) / by; }

// The symbols of a scan as they will be written: bits 0-15 the bits of the value, 16-23 the symbol, 24-25 its table.
using Token = std::uint32_t;
constexpr Token kRestart = ~Token{0};
constexpr unsigned kDC = 0, kAC = 1;  // tables; + 2 of the chroma components

class Encoder {
public:
    Encoder(const Image& image, const EncodeOptions& options) : image_(image), options_(options) { check(); }

    std::vector<std::uint8_t> encode() {
        const auto count = static_cast<std::size_t>(image_.components);
        std::vector<std::vector<std::size_t>> scans;
        int mcu_blocks = 0;
        for (std::size_t c = 0; c < count; ++c) mcu_blocks += plane(c).horizontal * plane(c).vertical;
        if (count > 1 && mcu_blocks <= 10) {
            scans = {{0, 1, 2}};
        } else {
            for (std::size_t c = 0; c < count; ++c) scans.push_back({c});
        }
        std::vector<std::vector<Token>> tokens(scans.size());
        for (std::size_t i = 0; i < scans.size(); ++i) collect(scans[i], tokens[i]);

        put({0xFF, 0xD8});
        out_.insert(out_.end(), options_.segments.begin(), options_.segments.end());
        write_quantization();
        write_frame();
        write_tables();
        if (options_.restart_interval != 0) {
            put({0xFF, 0xDD, 0, 4});
            word(options_.restart_interval);
        }
        for (std::size_t i = 0; i < scans.size(); ++i) {
            write_scan(scans[i]);
            write_tokens(tokens[i]);
        }
        put({0xFF, 0xD9});
        return std::move(out_);
    }

private:
    const Plane& plane(std::size_t c) const { return image_.planes[c]; }

    void check() {
        if (image_.height < 1 || image_.height > 65535 || image_.width < 1 || image_.width > 65535) {
            refuse("a JPEG file has 1 to 65535 rows and columns; the size is " + pair(image_.height, image_.width));
        }
        if (image_.components != 1 && image_.components != 3) {
            refuse("a picture has 1 or 3 components, not " + std::to_string(image_.components));
        }
        if (options_.restart_interval > 65535) {
            refuse("a restart interval is 0 to 65535 MCUs, not " + std::to_string(options_.restart_interval));
        }
        for (std::size_t c = 0; c < static_cast<std::size_t>(image_.components); ++c) {
            const int vertical = plane(c).vertical, horizontal = plane(c).horizontal;
            if (vertical < 1 || vertical > 4 || horizontal < 1 || horizontal > 4) {
                refuse("sampling factors are 1 to 4; those of plane " + std::string(kNames[c]) + " are " + pair(vertical, horizontal));
            }
            tallest_ = std::max(tallest_, vertical);
            widest_ = std::max(widest_, horizontal);
        }
        for (std::size_t c = 0; c < static_cast<std::size_t>(image_.components); ++c) {
            const int rows = divide_up(image_.height * plane(c).vertical, 8 * tallest_);
            const int columns = divide_up(image_.width * plane(c).horizontal, 8 * widest_);
            if (plane(c).height != rows || plane(c).width != columns) {
                refuse("plane " + std::string(kNames[c]) + " has " + pair(plane(c).height, plane(c).width) +
                       " blocks; a picture of " + pair(image_.height, image_.width) + " pixels with these sampling factors has " +
                       pair(rows, columns));
            }
            const std::uint16_t* const steps = image_.quantization + c * 64;
            if (options_.dequantized && std::find(steps, steps + 64, 0) != steps + 64) {
                refuse("plane " + std::string(kNames[c]) + " has a step of 0 among its quantization, so what it multiplied is "
                       "lost; read the file with dequantize=False");
            }
        }
    }

    // The symbols of the blocks of a scan, in order, and their counts.
    void collect(const std::vector<std::size_t>& components, std::vector<Token>& tokens) {
        const bool interleaved = components.size() > 1;
        const int rows = interleaved ? divide_up(image_.height, 8 * tallest_) : plane(components[0]).height;
        const int columns = interleaved ? divide_up(image_.width, 8 * widest_) : plane(components[0]).width;
        std::array<std::int16_t, 3> predictions{};
        std::uint32_t left = options_.restart_interval;
        for (int row = 0; row < rows; ++row) {
            for (int column = 0; column < columns; ++column) {
                if (options_.restart_interval != 0 && left-- == 0) {
                    tokens.push_back(kRestart);
                    predictions.fill(0);
                    left = options_.restart_interval - 1;
                }
                for (const std::size_t c : components) {
                    const int vertical = interleaved ? plane(c).vertical : 1, horizontal = interleaved ? plane(c).horizontal : 1;
                    for (int y = row * vertical; y < (row + 1) * vertical; ++y) {
                        for (int x = column * horizontal; x < (column + 1) * horizontal; ++x) block(c, y, x, predictions[c], tokens);
                    }
                }
            }
        }
    }

    void block(std::size_t c, int row, int column, std::int16_t& prediction, std::vector<Token>& tokens) {
        const unsigned table = c == 0 ? 0 : 2;
        std::array<Token, 1 + 63 + 3> found;  // DC, 63 coefficients and the runs of 16 zeros that fit between them
        Token* next = found.data();
        if (row >= plane(c).height || column >= plane(c).width) {  // padding: nothing new
            *next++ = count(table + kDC, 0, 0);
            *next++ = count(table + kAC, 0, 0);
            tokens.insert(tokens.end(), found.data(), next);
            return;
        }
        const std::int16_t* const levels =
            plane(c).blocks + (static_cast<std::ptrdiff_t>(row) * plane(c).width + column) * 64;
        const auto level_at = [&](std::size_t at) { return options_.dequantized ? divided(levels[at], c, at, row, column) : levels[at]; };
        // Differences are taken modulo 2^16, as decoders add them up: so all but one of them have at most 15 bits.
        const std::int16_t dc = level_at(0);
        const auto difference = static_cast<std::int16_t>(static_cast<std::uint16_t>(dc - prediction));
        prediction = dc;
        *next++ = value(table + kDC, 0, difference, c, 0, row, column);

        alignas(8) std::array<std::int16_t, 64> zigzag;
        for (std::size_t k = 0; k < 64; ++k) zigzag[k] = levels[kNaturalOrder[k]];
        unsigned run = 0;
        for (std::size_t k = 1; k < 64;) {
            std::uint64_t four;
            std::memcpy(&four, &zigzag[k / 4 * 4], sizeof four);
            if (k % 4 == 0 && four == 0) {
                run += 4;
                k += 4;
                continue;
            }
            if (zigzag[k] == 0) {
                ++run;
            } else {
                for (; run > 15; run -= 16) *next++ = count(table + kAC, 0xF0, 0);
                const std::size_t at = kNaturalOrder[k];
                *next++ = value(table + kAC, run, level_at(at), c, at, row, column);
                run = 0;
            }
            ++k;
        }
        if (run != 0) *next++ = count(table + kAC, 0, 0);
        tokens.insert(tokens.end(), found.data(), next);
    }

    // The integer behind a product with a step.
    std::int16_t divided(std::int16_t product, std::size_t c, std::size_t at, int row, int column) const {
        const int step = image_.quantization[c * 64 + at];
        if (step == 1) return product;
        if (product == 32767 || product == -32768) {
            refuse(place(c, at, row, column) + " is " + std::to_string(product) +
                   ", the end of int16, where products are cut off; read the file with dequantize=False");
        }
        if (product % step != 0) {
            refuse(place(c, at, row, column) + " is " + std::to_string(product) + ", no multiple of its step " +
                   std::to_string(step) + "; quantize the planes first (dctnet.jpeg.quantize), or say dequantized=False if "
                   "they hold raw integers");
        }
        return static_cast<std::int16_t>(product / step);
    }

    static std::string place(std::size_t c, std::size_t at, int row, int column) {
        return "coefficient " + std::to_string(at) + " of block (" + std::to_string(row) + ", " + std::to_string(column) +
               ") of plane " + kNames[c];
    }

    Token value(unsigned table, unsigned run, std::int16_t level, std::size_t c, std::size_t at, int row, int column) {
        const auto size = static_cast<unsigned>(std::bit_width(static_cast<unsigned>(std::abs(int{level}))));
        if (size > 15) {
            refuse(place(c, at, row, column) + (at == 0 ? " differs by 32768 from the one before it" : " is -32768") +
                   ", which no sequential JPEG file can hold");
        }
        if (size > (at == 0 ? 11u : 10u)) extended_ = true;
        const auto bits = static_cast<std::uint32_t>(level < 0 ? level + (1 << size) - 1 : level);
        return count(table, run << 4 | size, bits);
    }

    Token count(unsigned table, unsigned symbol, std::uint32_t bits) {
        ++counts_[table][symbol];
        return table << 24 | symbol << 16 | bits;
    }

    void put(std::initializer_list<unsigned> bytes) {
        for (const unsigned byte : bytes) out_.push_back(static_cast<std::uint8_t>(byte));
    }
    void word(std::size_t value) { put({static_cast<unsigned>(value >> 8), static_cast<unsigned>(value & 0xFF)}); }

    // Components with the same steps share a table.
    void write_quantization() {
        unsigned tables = 0;
        for (std::size_t c = 0; c < static_cast<std::size_t>(image_.components); ++c) {
            const std::uint16_t* const steps = image_.quantization + c * 64;
            quantization_[c] = tables;
            for (std::size_t other = 0; other < c; ++other) {
                if (std::equal(steps, steps + 64, image_.quantization + other * 64)) quantization_[c] = quantization_[other];
            }
            if (quantization_[c] != tables) continue;
            const bool wide = *std::max_element(steps, steps + 64) > 255;
            extended_ = extended_ || wide;
            put({0xFF, 0xDB});
            word(wide ? 131 : 67);
            put({(wide ? 0x10 : 0u) | tables});
            for (const std::uint8_t at : kNaturalOrder) wide ? word(steps[at]) : put({steps[at]});
            ++tables;
        }
    }

    void write_frame() {
        const auto count = static_cast<unsigned>(image_.components);
        put({0xFF, extended_ ? 0xC1u : 0xC0u});
        word(8 + 3 * count);
        put({8});
        word(static_cast<std::size_t>(image_.height));
        word(static_cast<std::size_t>(image_.width));
        put({count});
        for (std::size_t c = 0; c < count; ++c) {
            const auto factors = static_cast<unsigned>(plane(c).horizontal << 4 | plane(c).vertical);
            put({static_cast<unsigned>(c) + 1, factors, quantization_[c]});
        }
    }

    void write_tables() {
        for (unsigned table = 0; table < (image_.components == 1 ? 2u : 4u); ++table) {
            const HuffmanCode spec = shortest_codes(counts_[table]);
            const auto size = static_cast<std::size_t>(spec.size);
            put({0xFF, 0xC4});
            word(3 + size);
            put({(table & kAC) << 4 | table >> 1});
            out_.insert(out_.end(), spec.bytes.begin(), spec.bytes.begin() + static_cast<std::ptrdiff_t>(spec.size));
            std::uint32_t code = 0;
            std::size_t index = 16;
            for (unsigned length = 1; length <= 16; ++length, code <<= 1) {
                for (unsigned i = 0; i < spec.bytes[length - 1]; ++i) codes_[table][spec.bytes[index++]] = {code++, length};
            }
        }
    }

    void write_scan(const std::vector<std::size_t>& components) {
        put({0xFF, 0xDA});
        word(6 + 2 * components.size());
        put({static_cast<unsigned>(components.size())});
        for (const std::size_t c : components) put({static_cast<unsigned>(c) + 1, c == 0 ? 0x00u : 0x11u});
        put({0, 63, 0});
    }

    void write_tokens(const std::vector<Token>& tokens) {
        BitWriter bits(out_);
        unsigned restarts = 0;
        for (const Token token : tokens) {
            if (token == kRestart) {
                bits.finish();
                put({0xFF, 0xD0 + restarts});
                restarts = (restarts + 1) & 7;
                continue;
            }
            const unsigned symbol = token >> 16 & 0xFF, size = symbol & 15;
            const Code code = codes_[token >> 24][symbol];
            bits.put(code.bits << size | (token & 0xFFFF), code.length + size);
        }
        bits.finish();
    }

    struct Code {
        std::uint32_t bits = 0;
        unsigned length = 0;
    };

    const Image& image_;
    const EncodeOptions& options_;
    int tallest_ = 1, widest_ = 1;
    bool extended_ = false;
    std::array<std::array<std::uint64_t, 256>, 4> counts_{};
    std::array<std::array<Code, 256>, 4> codes_{};
    std::array<unsigned, 3> quantization_{};
    std::vector<std::uint8_t> out_;
};

}  // namespace

std::vector<std::uint8_t> encode(const Image& image, const EncodeOptions& options) {
    return Encoder(image, options).encode();
}

}  // namespace dctnet::jpeg
