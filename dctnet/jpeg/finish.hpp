// What is done to a block once its raw coefficients are known: multiplied, written to its place, its buffer cleared.
#pragma once

#include <cstdint>
#include <vector>

namespace dctnet::jpeg {

struct Finish {
    // Writes `block` to `out` as `how` says, products saturated to int16; then clears `block`.
    void (*run)(std::int16_t* block, std::int16_t* out, const Finish& how) = nullptr;
    const std::uint16_t* steps = nullptr;  // 64, row-major; null where nothing is multiplied
    // Where only some coefficients are wanted: which, row-major, and what is done before they are picked.
    const std::vector<std::uint8_t>* bands = nullptr;
    void (*whole)(std::int16_t* block, std::int16_t* out, const Finish& how) = nullptr;
};

// The way to finish blocks with `steps` (64, row-major, which stay with the caller), the fastest that this processor has;
// null: leave them raw. `bands` names the coefficients that are written, one behind the other; null: all.
Finish finish_with(const std::uint16_t* steps, const std::vector<std::uint8_t>* bands);

}  // namespace dctnet::jpeg
