// Lifts random pictures under random operators into random formats, for the sanitizers to watch.
//
//     lift_driver ROUNDS
//
// Planes in and out lie in allocations of their exact size, and so does the memory between: the buffers here replace
// buffers.cpp. Operators and bands are drawn valid or not; the latter are refused. Prints how many were lifted and refused.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <vector>

#include "../../dctnet/jpeg/batch.hpp"

namespace dctnet::jpeg {

Buffer::Buffer(std::size_t bytes) : data_(::operator new(bytes, std::align_val_t{64})), size_class_(0) {
    std::memset(data_, 0x5A, bytes);
}

Buffer::~Buffer() {
    if (data_ != nullptr) ::operator delete(data_, std::align_val_t{64});
}

}  // namespace dctnet::jpeg

namespace {

using namespace dctnet::jpeg;

std::mt19937 random_engine(0);

std::size_t draw(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random_engine);
}

std::vector<std::size_t> bands(std::size_t block) {
    std::vector<std::size_t> kept;
    const std::size_t side = draw(1, block), all = draw(0, 2);
    for (std::size_t channel = 0; channel < block * block; ++channel) {
        const bool inside = channel / block < side && channel % block < side;
        if (inside && (all != 0 || draw(0, 3) == 0)) kept.push_back(channel);
    }
    if (kept.empty() && draw(0, 29) != 0) kept.push_back(0);
    return kept;
}

Resampling axis(std::size_t inputs, std::size_t outputs) {
    const double scale = std::uniform_real_distribution<double>(-9, 9)(random_engine);
    const double origin = std::uniform_real_distribution<double>(-20, 220)(random_engine);
    const std::size_t low = draw(0, inputs - 1), high = draw(low + 1, inputs) + (draw(0, 29) == 0 ? inputs : 0);
    return {static_cast<std::int64_t>(inputs), static_cast<std::int64_t>(outputs), origin, scale,
            static_cast<std::int64_t>(low), static_cast<std::int64_t>(high)};
}

bool lift_one() {
    Formats formats;
    Operators operators;
    PlanesIn in;
    PlanesOut out;
    std::vector<std::unique_ptr<std::byte[]>> memory;
    const auto type = static_cast<Written>(draw(0, 2));
    for (std::size_t c = 0; c < 3; ++c) {
        PlaneFormat& format = formats[c];
        format.block_out = std::size_t{1} << draw(0, 5);
        format.bands_in = bands(8);
        format.bands_out = bands(format.block_out);
        if (draw(0, 1) != 0) format.scale_in.assign(format.bands_in.size(), 1.5F);
        if (draw(0, 1) != 0) {
            format.gain.assign(format.bands_out.size(), 0.5F);
            format.shift.assign(format.bands_out.size(), 2.0F);
        }
        format.complete();
        const std::size_t rows = draw(1, 200), columns = draw(1, 200), rows_out = draw(1, 90), columns_out = draw(1, 90);
        operators.vertical[c] = axis(rows, rows_out);
        operators.horizontal[c] = axis(columns, columns_out);
        const auto blocks = [](std::size_t n, std::size_t b) { return (n + b - 1) / b; };
        const bool wide = draw(0, 1) != 0;
        const std::size_t size_in = blocks(rows, 8) * blocks(columns, 8) * format.bands_in.size() * (wide ? 2 : 1);
        memory.push_back(std::make_unique<std::byte[]>(size_in));
        std::memset(memory.back().get(), 0x33, size_in);
        in[c] = {wide ? Stored::int16 : Stored::int8, draw(0, 9) == 0 ? nullptr : memory.back().get(), blocks(rows, 8),
                 blocks(columns, 8)};
        const std::size_t places = blocks(rows_out, format.block_out) * blocks(columns_out, format.block_out);
        memory.push_back(std::make_unique<std::byte[]>(places * format.bands_out.size() * (type == Written::float32 ? 4 : 2)));
        out[c] = {type, memory.back().get(), blocks(rows_out, format.block_out), blocks(columns_out, format.block_out)};
    }
    lift_picture(formats, operators, in, out);
    return true;
}

}  // namespace

int main(int count, char** arguments) {
    const long rounds = count > 1 ? std::atol(arguments[1]) : 100;
    long lifted = 0, refused = 0;
    for (long i = 0; i < rounds; ++i) {
        try {
            lift_one();
            ++lifted;
        } catch (const std::invalid_argument&) {
            ++refused;
        }
    }
    std::printf("%ld lifted, %ld refused\n", lifted, refused);
}
