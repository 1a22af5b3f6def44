// Draws for Python: a batch of samples at a time.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "draws.hpp"

namespace nb = nanobind;

namespace dctnet::jpeg {
namespace {

constexpr std::int64_t kLongest = std::int64_t{1} << 27;  // of a side, as in the reader

template <typename T>
nb::object array(std::size_t rows, std::size_t columns, const std::vector<T>& values) {
    auto memory = std::make_unique<T[]>(values.size());
    std::copy(values.begin(), values.end(), memory.get());
    T* const data = memory.get();
    const nb::capsule owner(data, [](void* held) noexcept { delete[] static_cast<T*>(held); });
    (void)memory.release();
    return nb::ndarray<nb::numpy, T, nb::ndim<2>>(data, {rows, columns}, owner).cast();
}

class Streams {
public:
    using Seeds = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
    using Sizes = nb::ndarray<const std::int64_t, nb::shape<-1, 2>, nb::c_contig, nb::device::cpu>;
    using Range = std::pair<double, double>;

    explicit Streams(const Seeds& seeds) {
        streams_.reserve(seeds.shape(0));
        for (std::size_t i = 0; i < seeds.shape(0); ++i) streams_.emplace_back(seeds(i));
    }

    nb::object boxes(const Sizes& sizes, nb::tuple scale, nb::tuple ratio, nb::tuple log_ratio) {
        if (sizes.shape(0) != streams_.size()) throw nb::value_error("boxes are drawn for one size a stream");
        BoxRange range{};
        for (std::size_t end = 0; end < 2; ++end) {
            range.scale[end] = nb::cast<double>(scale[end]);
            range.ratio[end] = nb::cast<double>(ratio[end]);
            range.log_ratio[end] = nb::cast<double>(log_ratio[end]);
        }
        std::vector<std::int64_t> values;
        values.reserve(4 * streams_.size());
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            const std::int64_t height = sizes(i, 0), width = sizes(i, 1);
            if (height < 1 || width < 1 || height > kLongest || width > kLongest) {
                throw nb::value_error("a box is drawn in a picture of 1 to 2^27 pixels a side");
            }
            const Box box = streams_[i].box(height, width, range);
            values.insert(values.end(), {box.top, box.left, box.height, box.width});
        }
        return array(streams_.size(), 4, values);
    }

    nb::object uniform(double low, double high) {
        std::vector<double> values;
        values.reserve(streams_.size());
        for (Stream& stream : streams_) values.push_back(stream.uniform(low, high));
        return array(streams_.size(), 1, values);
    }

private:
    std::vector<Stream> streams_;
};

}  // namespace

void bind_draws(nb::module_& module) {
    nb::class_<Streams>(module, "Streams",
                        "One generator for each seed (uint64), which draws what torch.Generator().manual_seed(seed) draws.")
        .def(nb::init<const Streams::Seeds&>(), nb::arg("seeds"))
        .def("boxes", &Streams::boxes, nb::arg("sizes"), nb::arg("scale"), nb::arg("ratio"), nb::arg("log_ratio"),
             "For each stream (top, left, height, width) of a random box in a picture of its size (height, width): int64 "
             "(n, 4), as RandomResizedCrop.box draws it. ValueError for another number of sizes, or sizes out of range.")
        .def("uniform", &Streams::uniform, nb::arg("low"), nb::arg("high"),
             "For each stream a float32 of [low, high), as a float64 (n, 1).");
}

}  // namespace dctnet::jpeg
