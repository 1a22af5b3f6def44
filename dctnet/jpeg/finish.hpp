// What is done to a block once its raw coefficients are known: multiplied, written to its place, its buffer cleared.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace dctnet::jpeg {

struct Finish {
    // Writes `block` to `out` as `how` says, products saturated to int16; then clears `block`.
    void (*run)(std::int16_t* block, std::int16_t* out, const Finish& how) = nullptr;
    alignas(32) std::array<std::uint16_t, 64> steps{};  // row-major; not read where nothing is multiplied
};

// The way to finish blocks with `steps` (64, row-major), the fastest that this processor has; null: leave them raw.
Finish finish_with(const std::uint16_t* steps);

}  // namespace dctnet::jpeg
