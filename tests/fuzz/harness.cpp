#include "harness.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace {

std::size_t allowed = 0, taken = 0;  // bytes of image memory in the present call

}  // namespace

namespace dctnet::jpeg {

// In place of buffers.cpp: exact allocations, whose overrun AddressSanitizer sees, filled with what nobody expects.
Buffer::Buffer(std::size_t bytes) : size_class_(0) {
    taken += bytes;
    if (taken > allowed) fuzz::fail("more memory than the file can fill");
    data_ = ::operator new(bytes, std::align_val_t{64});
    std::memset(data_, 0x5A, bytes);
}

Buffer::~Buffer() {
    if (data_ != nullptr) ::operator delete(data_, std::align_val_t{64});
}

}  // namespace dctnet::jpeg

namespace fuzz {

using dctnet::jpeg::Image;

void fail(const char* what) {
    std::fprintf(stderr, "fuzz: %s\n", what);
    std::abort();
}

std::optional<Image> decode(const std::uint8_t* data, std::size_t size, bool dequantize, std::uint64_t max_pixels,
                            const dctnet::jpeg::Bands* bands, dctnet::jpeg::Error* why) {
    const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
    std::copy_n(data, size, exact.get());
    dctnet::jpeg::Options options;
    options.dequantize = dequantize;
    options.max_pixels = max_pixels;
    options.bands = bands;
    constexpr std::size_t kTables = 1024;
    taken = 0;
    // Of a progressive file whole blocks are needed beside those that are kept.
    allowed = (bands == nullptr ? 2048 : 4096) * (size + 1) + kTables;
    try {
        Image image = dctnet::jpeg::decode(exact.get(), size, options);
        std::size_t need = kTables;
        for (const auto& plane : image.planes) {
            need += blocks(plane) * static_cast<std::size_t>(plane.channels) * sizeof(std::int16_t);
            if (bands != nullptr && image.progressive) need += blocks(plane) * 64 * sizeof(std::int16_t);
        }
        if (taken > need) fail("more memory than the image needs");
        return image;
    } catch (const dctnet::jpeg::Error& error) {
        if (error.offset > size || error.reason.empty()) fail("an error that names no place in the file, or no reason");
        if (why != nullptr) *why = error;
        return std::nullopt;
    }
}

void expect_head(const dctnet::jpeg::Head& head, const Image& image) {
    bool same = head.height == image.height && head.width == image.width && head.components == image.components;
    for (std::size_t c = 0; same && c < static_cast<std::size_t>(head.components); ++c) {
        same = head.vertical[c] == image.planes[c].vertical && head.horizontal[c] == image.planes[c].horizontal;
    }
    if (!same) fail("an image is not what its header says");
}

void expect_same(const Image& a, const Image& b) {
    if (a.height != b.height || a.width != b.width || a.components != b.components) fail("another size");
    for (std::size_t c = 0; c < static_cast<std::size_t>(a.components); ++c) {
        const auto &left = a.planes[c], &right = b.planes[c];
        if (left.vertical != right.vertical || left.horizontal != right.horizontal) fail("other sampling factors");
        if (left.height != right.height || left.width != right.width) fail("planes of another size");
        if (!std::equal(left.blocks, left.blocks + blocks(left) * 64, right.blocks)) fail("other integers");
    }
    if (!std::equal(a.quantization, a.quantization + 64 * a.components, b.quantization)) fail("other steps");
}

}  // namespace fuzz
