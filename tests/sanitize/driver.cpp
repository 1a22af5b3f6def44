// Decodes files, every kind of cut of them, and seeded mutations, for the sanitizers to watch.
//
//     driver MUTATIONS FILE...
//
// Inputs lie in allocations of their exact size, and so do images: the buffers here replace buffers.cpp, whose reuse
// would hide an overrun. An image that asks for more than 2^22 pixels is refused; a larger allocation than that needs
// ends the program. Prints the counts of what was decoded and what was refused.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "../../dctnet/jpeg/decoder.hpp"

namespace dctnet::jpeg {

constexpr std::size_t kMaxPixels = std::size_t{1} << 22;

Buffer::Buffer(std::size_t bytes) : data_(::operator new(bytes, std::align_val_t{64})), size_class_(0) {
    if (bytes > kMaxPixels * 3 * sizeof(std::int16_t) + (1 << 20)) {
        std::fprintf(stderr, "an image of %zu bytes\n", bytes);
        std::abort();
    }
    std::memset(data_, 0x5A, bytes);
}

Buffer::~Buffer() {
    if (data_ != nullptr) ::operator delete(data_, std::align_val_t{64});
}

}  // namespace dctnet::jpeg

namespace {

using dctnet::jpeg::decode;
using dctnet::jpeg::Error;
using dctnet::jpeg::Image;
using dctnet::jpeg::Options;

std::size_t decoded = 0, refused = 0;
std::int64_t checksum = 0;

void attempt(const std::vector<std::uint8_t>& bytes, bool dequantize) {
    const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), exact.get());
    try {
        const Image image = decode(exact.get(), bytes.size(), Options{dequantize, dctnet::jpeg::kMaxPixels});
        for (const auto& plane : image.planes) {
            const std::size_t count = std::size_t{64} * static_cast<std::size_t>(plane.height) * static_cast<std::size_t>(plane.width);
            for (std::size_t i = 0; i < count; ++i) checksum += plane.blocks[i];
        }
        ++decoded;
    } catch (const Error& error) {
        if (error.offset > bytes.size() || error.reason.empty()) std::abort();
        ++refused;
    }
}

void mutate(std::vector<std::uint8_t>& bytes, std::mt19937& random) {
    const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
    for (std::size_t i = below(6) + 1; i-- > 0 && !bytes.empty();) {
        const std::size_t at = below(bytes.size());
        const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
        switch (below(6)) {
            case 0: bytes[at] ^= static_cast<std::uint8_t>(1u << below(8)); break;
            case 1: bytes[at] = static_cast<std::uint8_t>(random()); break;
            case 2: bytes[at] = 0xFF; break;
            case 3: bytes.insert(place, 1 + below(4), static_cast<std::uint8_t>(random())); break;
            case 4: bytes.erase(place, place + static_cast<std::ptrdiff_t>(1 + below(std::min<std::size_t>(16, bytes.size() - at)))); break;
            default: {  // a piece of the file over another place
                const std::size_t from = below(bytes.size());
                const std::size_t length = std::min({below(64), bytes.size() - from, bytes.size() - at});
                std::memmove(bytes.data() + at, bytes.data() + from, length);
            }
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 3) return 2;
    const long mutations = std::strtol(arguments[1], nullptr, 10);
    std::mt19937 random(20240607);
    for (int i = 2; i < count; ++i) {
        std::ifstream file(arguments[i], std::ios::binary);
        const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
        attempt(bytes, true);
        attempt(bytes, false);
        const std::size_t step = std::max<std::size_t>(1, bytes.size() / 2000);
        for (std::size_t length = 0; length < bytes.size(); length += step) {
            attempt({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}, true);
        }
        for (long m = 0; m < mutations; ++m) {
            auto mutated = bytes;
            mutate(mutated, random);
            attempt(mutated, m % 2 == 0);
        }
    }
    std::printf("%d files: %zu decoded, %zu refused (checksum %lld)\n", count - 2, decoded, refused,
                static_cast<long long>(checksum));
    return 0;
}
