// Whatever the bytes: decode() returns or throws its Error, within its bounds, dequantising is the product with the steps, and
// bands are channels of the whole.
#include <algorithm>

#include "harness.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto raw = fuzz::decode(data, size, false), scaled = fuzz::decode(data, size, true);
    if (raw.has_value() != scaled.has_value()) fuzz::fail("dequantising decides whether a file is read");
    if (!raw) return 0;
    if (raw->orientation < 1 || raw->orientation > 8) fuzz::fail("an orientation outside 1..8");
    for (std::size_t c = 0; c < 3; ++c) {
        const std::int16_t *level = raw->planes[c].blocks, *product = scaled->planes[c].blocks;
        const bool coded = c < static_cast<std::size_t>(raw->components);
        for (std::size_t i = 0; i < fuzz::blocks(raw->planes[c]) * 64; ++i) {
            const int step = coded ? raw->quantization[c * 64 + i % 64] : 0;
            if (!coded && level[i] != 0) fuzz::fail("chroma in a gray file");
            if (product[i] != std::clamp(level[i] * step, -32768, 32767)) fuzz::fail("no product of integer and step");
        }
    }
    if (size % 4 == 0) {
        const dctnet::jpeg::Bands bands{{{0, 7, 63}, {5}, {1, 8}}};
        const auto some = fuzz::decode(data, size, true, fuzz::kMaxPixels, &bands);
        if (!some) fuzz::fail("bands decide whether a file is read");
        for (std::size_t c = 0; c < 3; ++c) {
            const std::int16_t *kept = some->planes[c].blocks, *whole = scaled->planes[c].blocks;
            for (std::size_t i = 0; i < fuzz::blocks(some->planes[c]); ++i, whole += 64) {
                for (const std::uint8_t band : bands[c]) {
                    if (*kept++ != whole[band]) fuzz::fail("a band is no channel of the whole");
                }
            }
        }
    }
    return 0;
}
