// Encoding for Python: planes in, bytes out, the GIL released between.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "bindings.hpp"
#include "encoder.hpp"

namespace nb = nanobind;

namespace {

using dctnet::jpeg::EncodeOptions;
using dctnet::jpeg::Image;
using dctnet::jpeg::NotWritable;
using dctnet::jpeg::Plane;

using Blocks = nb::ndarray<std::int16_t, nb::shape<-1, -1, 64>, nb::c_contig, nb::device::cpu>;
using Steps = nb::ndarray<std::uint16_t, nb::shape<-1, 64>, nb::c_contig, nb::device::cpu>;

nb::bytes encode_planes(const std::vector<Blocks>& planes, const std::vector<std::pair<int, int>>& sampling, const Steps& steps,
                        std::pair<int, int> size, bool dequantized, std::uint32_t restart_interval, const nb::bytes& segments) {
    if (planes.empty() || planes.size() > 3 || sampling.size() != planes.size() || steps.shape(0) != planes.size()) {
        throw nb::value_error("planes, sampling factors and rows of quantization are of the same number, 1 or 3");
    }
    Image image;
    image.height = size.first;
    image.width = size.second;
    image.components = static_cast<int>(planes.size());
    image.quantization = steps.data();
    for (std::size_t c = 0; c < planes.size(); ++c) {
        image.planes[c] = Plane{static_cast<int>(planes[c].shape(0)), static_cast<int>(planes[c].shape(1)), sampling[c].first,
                                sampling[c].second, 64,
                                planes[c].data()};
    }
    const auto* const bytes = static_cast<const std::uint8_t*>(segments.data());
    const EncodeOptions options{dequantized, restart_interval, {bytes, bytes + segments.size()}};
    std::vector<std::uint8_t> file;
    try {
        const nb::gil_scoped_release release;
        file = dctnet::jpeg::encode(image, options);
    } catch (const NotWritable& error) {
        throw nb::value_error(error.reason.c_str());
    }
    return nb::bytes(file.data(), file.size());
}

}  // namespace

namespace dctnet::jpeg {

void bind_encoder(nb::module_& module) {
    module.def("encode", &encode_planes, nb::arg("planes"), nb::arg("sampling"), nb::arg("quantization"), nb::arg("size"),
               nb::arg("dequantized"), nb::arg("restart_interval"), nb::arg("segments"),
               "A JPEG file of planes (height, width, 64) int16 with their (vertical, horizontal) sampling factors and rows "
               "of (64) uint16 steps; `segments` stand behind SOI. ValueError for what cannot be written.");
}

}  // namespace dctnet::jpeg
