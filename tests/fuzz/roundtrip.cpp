// What was decoded can be encoded, and decoding that gives the same integers.
#include <algorithm>

#include "../../dctnet/jpeg/encoder.hpp"
#include "harness.hpp"

namespace {

using dctnet::jpeg::Image;

template <class Test>
bool any_level(const Image& image, Test test) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(image.components); ++c) {
        const std::int16_t* const levels = image.planes[c].blocks;
        if (std::any_of(levels, levels + 64 * fuzz::blocks(image.planes[c]), test)) return true;
    }
    return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::uint64_t kMaxPixels = 1 << 12;  // encoding takes time for each block, not for each byte
    const auto raw = fuzz::decode(data, size, false, kMaxPixels);
    if (!raw) return 0;
    const auto scaled = fuzz::decode(data, size, true, kMaxPixels);
    const bool small = !any_level(*raw, [](int level) { return level > 16383 || level < -16383; });
    for (const bool dequantized : {false, true}) {
        dctnet::jpeg::EncodeOptions options;
        options.dequantized = dequantized;
        options.restart_interval = static_cast<std::uint32_t>(size % 7 % 4);
        std::vector<std::uint8_t> file;
        try {
            file = dctnet::jpeg::encode(dequantized ? *scaled : *raw, options);
        } catch (const dctnet::jpeg::NotWritable&) {
            // Integers of 16 bits need not be writable, nor products that were cut off or lost by a step of 0.
            bool excused = !small;
            if (dequantized) {
                const std::uint16_t* const steps = raw->quantization;
                excused = excused || std::find(steps, steps + 64 * raw->components, 0) != steps + 64 * raw->components ||
                          any_level(*scaled, [](int level) { return level == 32767 || level == -32768; });
            }
            if (!excused) fuzz::fail("a picture that was read cannot be written");
            continue;
        }
        const auto again = fuzz::decode(file.data(), file.size(), false);
        if (!again) fuzz::fail("a written file cannot be read");
        fuzz::expect_same(*raw, *again);
    }
    return 0;
}
