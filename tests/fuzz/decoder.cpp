// Whatever the bytes: decode() returns or throws its Error, within its bounds, dequantising is the product with the steps, and
// bands are channels of the whole. A second decoding, for which the opening is kept, says the same as the first, and as
// read_head, which keeps nothing.
#include <algorithm>

#include "harness.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    dctnet::jpeg::Error first{}, second{};
    const auto raw = fuzz::decode(data, size, false, fuzz::kMaxPixels, nullptr, &first);
    const auto scaled = fuzz::decode(data, size, true, fuzz::kMaxPixels, nullptr, &second);
    if (raw.has_value() != scaled.has_value()) fuzz::fail("dequantising decides whether a file is read");
    if (!raw) {
        if (first.kind != second.kind || first.offset != second.offset || first.reason != second.reason) {
            fuzz::fail("a second reading has another error");
        }
        return 0;
    }
    fuzz::expect_head(dctnet::jpeg::read_head(data, size, dctnet::jpeg::Options{}), *raw);
    fuzz::expect_head(dctnet::jpeg::read_head(data, size, dctnet::jpeg::Options{}), *scaled);
    if (!std::equal(raw->quantization, raw->quantization + 64 * raw->components, scaled->quantization)) {
        fuzz::fail("a second reading has other steps");
    }
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
