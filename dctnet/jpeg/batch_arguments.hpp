// What Python hands over to make a batch: formats, operators, and the tensors to fill.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <cstddef>
#include <vector>

#include "batch.hpp"

namespace dctnet::jpeg {

// Three PlaneFormat. Throws nb::value_error for another number.
Formats formats_from(nanobind::sequence given);

// The operators of several pictures, from (vertical, horizontal, ...) of three axes each, an axis being the tuple
// (inputs, outputs, origin, scale, low, high) or (start, weights, inputs). Holds the memory of the latter. Or all at once
// from a float64 array (n, 2, 3, 6) of the former.
class GivenOperators {
public:
    explicit GivenOperators(nanobind::object pictures);  // throws nb::value_error
    std::size_t size() const { return operators_.size(); }
    const Operators& operator[](std::size_t i) const { return operators_[i]; }

private:
    void take_array(nanobind::handle given);
    Axis axis(nanobind::handle given);

    std::vector<Operators> operators_;
    std::vector<nanobind::ndarray<>> held_;
};

// Three tensors (n, rows, columns, bands), of which a batch fills the places.
class Outputs {
public:
    Outputs(nanobind::sequence given, const Formats& formats);  // throws nb::value_error
    std::size_t count() const { return count_; }
    PlanesOut place(std::size_t i) const;

private:
    using Tensor = nanobind::ndarray<nanobind::ndim<4>, nanobind::c_contig, nanobind::device::cpu>;

    std::array<Tensor, 3> tensors_;
    PlanesOut first_;
    std::array<std::size_t, 3> bytes_{};
    std::size_t count_ = 0;
};

}  // namespace dctnet::jpeg
