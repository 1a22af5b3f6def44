// The loops of dctnet/kernels on random planes in memory of their exact size, for the sanitizers.
//
// kernel_driver ROUNDS SEED: transforms planes of all block sizes there and back, and puts others through maps of every
// strength, wild ones among them, or through means of a few neighbours. Fails where a transform does not come back, or a warp or
// a mean leaves the range of its samples.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "../../dctnet/kernels/banded.hpp"
#include "../../dctnet/kernels/block_transform.hpp"
#include "../../dctnet/kernels/warp.hpp"

namespace {

std::mt19937_64 generator;

std::size_t upto(std::size_t most) { return 1 + generator() % most; }
double number(double low, double high) { return std::uniform_real_distribution(low, high)(generator); }

std::vector<float> plane(std::size_t samples) {
    std::vector<float> made(samples);
    for (float& sample : made) sample = static_cast<float>(number(-128, 127));
    made.shrink_to_fit();
    return made;
}

bool there_and_back() {
    const std::size_t b = std::size_t{2} << (generator() % 5), rows = upto(3), columns = upto(4);
    const std::vector<float> samples = plane(rows * columns * b * b);
    std::vector<float> blocks(samples.size()), back(samples.size());
    for (std::size_t row = 0; row < rows; ++row) dctnet::blocks_of_samples(b, samples.data(), columns, row, {}, blocks.data());
    for (std::size_t row = 0; row < rows; ++row) dctnet::samples_of_blocks(b, blocks.data(), columns, row, back.data());
    for (std::size_t i = 0; i < samples.size(); ++i) {
        if (!(std::abs(samples[i] - back[i]) < 1e-3)) return false;
    }
    return true;
}

bool warped() {
    constexpr double kWild[] = {1e300, -1e300, 1e12, -1e9, 2147483648.0, 9.3e18, std::numeric_limits<double>::infinity(),
                                std::numeric_limits<double>::quiet_NaN()};
    const dctnet::PlaneSize size{static_cast<std::int32_t>(upto(40)), static_cast<std::int32_t>(upto(40))};
    const std::vector<float> from = plane(static_cast<std::size_t>(size.rows) * static_cast<std::size_t>(size.columns));
    const std::size_t rows = upto(30), columns = upto(50);
    double m[6] = {1, 0, 0, 0, 1, 0};
    const double strength = std::pow(10.0, number(-4, 3));
    for (double& value : m) value += strength * number(-1, 1);
    if (generator() % 8 == 0) m[generator() % 6] = kWild[generator() % 8];
    std::vector<float> to(columns);
    for (std::size_t row = 0; row < rows; ++row) {
        dctnet::warp_row(from.data(), size, m, 0, static_cast<std::int32_t>(row), static_cast<std::int32_t>(columns), to.data());
        for (const float sample : to) {
            if (!(std::abs(sample) < 128.1f)) return false;
        }
    }
    return true;
}

dctnet::Banded banded(std::size_t inputs, std::vector<std::int64_t>& start, std::vector<float>& weights) {
    const std::size_t rows = upto(30), taps = upto(std::min<std::size_t>(inputs, 5));
    start.resize(rows);
    for (std::int64_t& first : start) first = static_cast<std::int64_t>(generator() % (inputs - taps + 1));
    weights.assign(rows * taps, 1.0f / static_cast<float>(taps));
    return {start.data(), weights.data(), rows, taps};
}

bool averaged() {
    const std::size_t height = upto(30), width = upto(40);
    const std::vector<float> from = plane(height * width);
    std::vector<std::int64_t> starts[2];
    std::vector<float> weights[2];
    const dctnet::Banded vertical = banded(height, starts[0], weights[0]), horizontal = banded(width, starts[1], weights[1]);
    std::vector<float> along(width), to(horizontal.rows);
    for (std::size_t row = 0; row < vertical.rows; ++row) {
        dctnet::banded_row(from.data(), width, vertical, horizontal, row, along.data(), to.data());
        for (const float sample : to) {
            if (!(std::abs(sample) < 128.1f)) return false;
        }
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const long rounds = argc > 1 ? std::atol(argv[1]) : 1000;
    generator.seed(argc > 2 ? static_cast<std::uint64_t>(std::atoll(argv[2])) : 0);
    for (long round = 0; round < rounds; ++round) {
        if (!there_and_back() || !averaged() || !warped()) {
            std::printf("round %ld is wrong\n", round);
            return 1;
        }
    }
    std::printf("%ld rounds\n", rounds);
}
