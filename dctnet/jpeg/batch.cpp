#include "batch.hpp"

#include <utility>

namespace dctnet::jpeg {
namespace {

bool same(const Resampling& a, const Resampling& b) {
    return a.inputs == b.inputs && a.outputs == b.outputs && a.origin == b.origin && a.scale == b.scale && a.low == b.low &&
           a.high == b.high;
}

bool same(const AxisBlocks& a, const AxisBlocks& b) {
    return a.in == b.in && a.block_out == b.block_out && a.out == b.out;
}

// An axis as it was lifted last, and from what; rows in memory that may have changed since are not known again.
struct Kept {
    bool known = false;
    Resampling rows;
    AxisBlocks blocks;
    LiftedAxis axis;

    const LiftedAxis& lifted(const Axis& wanted, const AxisBlocks& wanted_blocks) {
        if (const auto* closed = std::get_if<Resampling>(&wanted)) {
            if (known && same(*closed, rows) && same(wanted_blocks, blocks)) return axis;
            known = false;
            lift(*closed, wanted_blocks, axis);
            rows = *closed;
            blocks = wanted_blocks;
            known = true;
        } else {
            known = false;
            lift(std::get<Banded>(wanted), wanted_blocks, axis);
        }
        return axis;
    }
};

}  // namespace

void lift_picture(const Formats& formats, const Operators& operators, const PlanesIn& in, const PlanesOut& out) {
    thread_local std::array<Kept, 4> kept;  // of luma and of chroma, vertical and horizontal
    for (std::size_t c = 0; c < 3; ++c) {
        Kept* const pair = &kept[c == 0 ? 0 : 2];
        const LiftedAxis& vertical = pair[0].lifted(operators.vertical[c], formats[c].vertical);
        const LiftedAxis& horizontal = pair[1].lifted(operators.horizontal[c], formats[c].horizontal);
        apply(formats[c], vertical, horizontal, in[c], out[c]);
    }
}

}  // namespace dctnet::jpeg
