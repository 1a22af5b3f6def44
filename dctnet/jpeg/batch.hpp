// Pictures into the places of a batch: lifted, normalised and written without anything of a picture's size between.
#pragma once

#include <array>
#include <cstddef>
#include <variant>

#include "lifted.hpp"

namespace dctnet::jpeg {

// An operator on samples; for the rows of a Banded one somebody else keeps the memory.
using Axis = std::variant<Resampling, Banded>;

// For Y, Cb and Cr the operators down the rows and along the columns.
struct Operators {
    std::array<Axis, 3> vertical, horizontal;
};

using Formats = std::array<PlaneFormat, 3>;
using PlanesIn = std::array<PlaneIn, 3>;
using PlanesOut = std::array<PlaneOut, 3>;

// Applies the operators to three planes; formats are complete. Axes that this thread lifted last are not lifted again:
// Cb and Cr share theirs, and so do pictures of one size under a fixed crop. Throws what lift() and apply() throw.
void lift_picture(const Formats& formats, const Operators& operators, const PlanesIn& in, const PlanesOut& out);

}  // namespace dctnet::jpeg
