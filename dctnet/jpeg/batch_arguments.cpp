#include "batch_arguments.hpp"

#include <algorithm>
#include <cmath>

namespace nb = nanobind;

namespace dctnet::jpeg {

constexpr double kLargest = 2147483647;

Formats formats_from(nb::sequence given) {
    if (nb::len(given) != 3) throw nb::value_error("formats are three: of Y, Cb and Cr");
    Formats formats;
    for (std::size_t c = 0; c < 3; ++c) formats[c] = nb::cast<PlaneFormat&>(given[c]);
    return formats;
}

GivenOperators::GivenOperators(nb::object pictures) {
    if (nb::ndarray_check(pictures)) {
        take_array(pictures);
        return;
    }
    operators_.reserve(nb::len(pictures));
    for (nb::handle picture : pictures) {
        const auto pair = nb::cast<nb::tuple>(picture);
        if (pair.size() < 2) throw nb::value_error("operators are (vertical, horizontal)");
        Operators operators;
        for (std::size_t direction = 0; direction < 2; ++direction) {
            const auto three = nb::cast<nb::tuple>(pair[direction]);
            if (three.size() != 3) throw nb::value_error("operators are given for three planes: Y, Cb and Cr");
            auto& axes = direction == 0 ? operators.vertical : operators.horizontal;
            for (std::size_t c = 0; c < 3; ++c) axes[c] = axis(three[c]);
        }
        operators_.push_back(operators);
    }
}

void GivenOperators::take_array(nb::handle given) {
    const auto numbers = nb::cast<nb::ndarray<const double, nb::shape<-1, 2, 3, 6>, nb::c_contig, nb::device::cpu>>(given);
    const double* n = numbers.data();
    const auto whole = [](double x) {
        if (!(std::abs(x) <= kLargest)) throw nb::value_error("the lengths of a Resampling are whole numbers below 2^31");
        return static_cast<std::int64_t>(x);
    };
    operators_.resize(numbers.shape(0));
    for (Operators& operators : operators_) {
        for (auto* axes : {&operators.vertical, &operators.horizontal}) {
            for (Axis& axis : *axes) {
                axis = Resampling{whole(n[0]), whole(n[1]), n[2], n[3], whole(n[4]), whole(n[5])};
                n += 6;
            }
        }
    }
}

Axis GivenOperators::axis(nb::handle given) {
    const auto numbers = nb::cast<nb::tuple>(given);
    if (numbers.size() == 6) {
        return Resampling{nb::cast<std::int64_t>(numbers[0]), nb::cast<std::int64_t>(numbers[1]), nb::cast<double>(numbers[2]),
                          nb::cast<double>(numbers[3]),       nb::cast<std::int64_t>(numbers[4]), nb::cast<std::int64_t>(numbers[5])};
    }
    if (numbers.size() != 3) throw nb::value_error("an axis is a Resampling or a Banded");
    const auto start = nb::cast<nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>>(numbers[0]);
    const auto weights = nb::cast<nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>>(numbers[1]);
    if (start.shape(0) != weights.shape(0)) throw nb::value_error("a Banded needs one start a row");
    held_.emplace_back(start);
    held_.emplace_back(weights);
    return Banded{nb::cast<std::int64_t>(numbers[2]), static_cast<std::int64_t>(weights.shape(0)),
                  static_cast<std::int64_t>(weights.shape(1)), start.data(), weights.data()};
}

Outputs::Outputs(nb::sequence given, const Formats& formats) {
    if (nb::len(given) != 3) throw nb::value_error("outputs are three tensors: of Y, Cb and Cr");
    for (std::size_t c = 0; c < 3; ++c) {
        tensors_[c] = nb::cast<Tensor>(given[c]);
        const Tensor& tensor = tensors_[c];
        const auto type = tensor.dtype();
        const bool brain = type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat) && type.bits == 16;
        const bool real = type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && (type.bits == 16 || type.bits == 32);
        if (!(brain || real) || type.lanes != 1 || tensor.shape(3) != formats[c].bands_out.size()) {
            throw nb::value_error(
                "an output is float32, float16 or bfloat16 of shape (n, rows, columns, bands), with the bands of its format");
        }
        first_[c] = {brain             ? Written::bfloat16
                     : type.bits == 16 ? Written::float16
                                       : Written::float32,
                     tensor.data(), tensor.shape(1), tensor.shape(2)};
        bytes_[c] = tensor.shape(1) * tensor.shape(2) * tensor.shape(3) * (type.bits / 8);
        count_ = c == 0 ? tensor.shape(0) : std::min(count_, tensor.shape(0));
    }
}

PlanesOut Outputs::place(std::size_t i) const {
    PlanesOut place = first_;
    for (std::size_t c = 0; c < 3; ++c) place[c].data = static_cast<std::byte*>(first_[c].data) + i * bytes_[c];
    return place;
}

}  // namespace dctnet::jpeg
