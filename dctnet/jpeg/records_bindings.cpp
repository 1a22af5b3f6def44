// Records of a packed store (dctnet.data.store_format) into a batch for Python, straight from the mapped shards.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <cstdint>
#include <vector>

#include "batch.hpp"
#include "batch_arguments.hpp"
#include "bindings.hpp"
#include "../kernels/parallel.hpp"

namespace nb = nanobind;

namespace dctnet::jpeg {
namespace {

template <typename T, typename Shape>
using Numbers = nb::ndarray<const T, Shape, nb::c_contig, nb::device::cpu>;

constexpr std::int64_t kMostBlocks = 1 << 24;  // of a side

// The planes of the record at `offset` of a shard: the scales of all bands, then the values plane by plane.
PlanesIn planes_of(const Numbers<std::uint8_t, nb::ndim<1>>& shard, std::int64_t offset, const std::int64_t* blocks, Stored type,
                   const Formats& formats) {
    const std::uint64_t size = shard.shape(0), item = type == Stored::int8 ? 1 : 2;
    if (offset < 0 || static_cast<std::uint64_t>(offset) > size) throw nb::value_error("a record begins outside of its shard");
    const std::uint8_t* const begin = shard.data() + offset;
    if (reinterpret_cast<std::uintptr_t>(begin) % alignof(float) != 0) throw nb::value_error("a record begins at a multiple of 4");
    std::uint64_t bands = 0;
    for (const PlaneFormat& format : formats) bands += format.bands_in.size();
    std::uint64_t place = bands * sizeof(float);
    PlanesIn planes;
    const auto* scales = reinterpret_cast<const float*>(begin);
    for (std::size_t c = 0; c < 3; ++c) {
        const std::int64_t rows = blocks[2 * c], columns = blocks[2 * c + 1];
        if (rows < 1 || columns < 1 || rows > kMostBlocks || columns > kMostBlocks) {
            throw nb::value_error("a plane has 1 to 2^24 blocks a side");
        }
        const std::size_t count = formats[c].bands_in.size();
        planes[c] = {type, begin + place, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), scales};
        place += static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(columns) * count * item;
        scales += count;
    }
    if (place > size - static_cast<std::uint64_t>(offset)) throw nb::value_error("a record ends outside of its shard");
    return planes;
}

void lift_records(nb::sequence shards_given, const Numbers<std::int64_t, nb::shape<-1, 2>>& places,
                  const Numbers<std::int64_t, nb::shape<-1, 3, 2>>& blocks, std::size_t item, nb::object operators,
                  nb::sequence formats_given, nb::sequence outputs_given, std::size_t threads) {
    const Formats formats = formats_from(formats_given);
    const Outputs outputs(outputs_given, formats);
    const GivenOperators given(operators);
    const std::size_t count = places.shape(0);
    if (given.size() != count || blocks.shape(0) != count || outputs.count() < count) {
        throw nb::value_error("places, blocks and operators need one entry a record, outputs as many places at least");
    }
    if (item != 1 && item != 2) throw nb::value_error("a value is of 1 or 2 bytes");
    std::vector<Numbers<std::uint8_t, nb::ndim<1>>> shards;
    for (nb::handle shard : shards_given) shards.push_back(nb::cast<Numbers<std::uint8_t, nb::ndim<1>>>(shard));
    std::vector<PlanesIn> planes;
    planes.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t shard = places(i, 0);
        if (shard < 0 || static_cast<std::size_t>(shard) >= shards.size()) throw nb::value_error("there is no such shard");
        planes.push_back(planes_of(shards[static_cast<std::size_t>(shard)], places(i, 1), blocks.data() + 6 * i,
                                   item == 1 ? Stored::int8 : Stored::int16, formats));
    }
    FirstFailure failure;
    {
        const nb::gil_scoped_release release;
        in_parallel(count, threads, [&](std::size_t i) {
            failure.watch([&] { lift_picture(formats, given[i], planes[i], outputs.place(i)); });
        });
    }
    failure.rethrow();
}

}  // namespace

void bind_records(nb::module_& module) {
    module.def("lift_records", &lift_records, nb::arg("shards"), nb::arg("places"), nb::arg("blocks"), nb::arg("item"),
               nb::arg("operators"), nb::arg("formats"), nb::arg("outputs"), nb::arg("threads"),
               "Lifts records of a packed store into the first places of a batch; see lift_planes. `shards`: uint8 arrays. "
               "`places`: int64 (n, 2), for each record the number of its shard in this list and its offset. `blocks`: int64 "
               "(n, 3, 2), (rows, columns) of its planes. `item`: the bytes of a value. ValueError where these do not fit.");
}

}  // namespace dctnet::jpeg
