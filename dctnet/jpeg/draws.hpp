// The random numbers of many samples, each from a generator of its own, as torch's CPU generator draws them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace dctnet::jpeg {

struct Box {
    std::int64_t top = 0, left = 0, height = 0, width = 0;
};

// What a random box may be: of scale[0] to scale[1] of the picture's area, of aspect exp(log_ratio[0]) = ratio[0] to
// exp(log_ratio[1]) = ratio[1].
struct BoxRange {
    double scale[2], ratio[2], log_ratio[2];
};

// torch.Generator().manual_seed(seed): the Mersenne Twister, seeded by the low 32 bits.
class Stream {
public:
    explicit Stream(std::uint64_t seed) : twister_(static_cast<std::uint32_t>(seed)) {}

    // torch.empty(1).uniform_(low, high): a float32.
    double uniform(double low, double high);
    // torch.empty(1, dtype=torch.int64).random_(0, count), count below 2^28.
    std::int64_t below(std::int64_t count);
    // dctnet.transforms.geometric.RandomResizedCrop.box.
    Box box(std::int64_t height, std::int64_t width, const BoxRange& range);

private:
    std::mt19937 twister_;
};

}  // namespace dctnet::jpeg
