// X -> A_v X A_h' on a plane of blocks, from integers as they are stored to floats as a network reads them.
//
// The plane is read a few columns of blocks at a time into float32, multiplied by A_v, and kept transposed; of that a few
// rows of output blocks at a time are multiplied by A_h, scaled band by band and written. So the integers are converted
// in the first-level cache, nothing of the size of the plane is kept, and only the blocks that the operators read are
// touched. Always rows first: the other order saves 5 % of the multiplications at 4:3, and nothing at 1:1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "buffers.hpp"
#include "lifted_axis.hpp"

namespace dctnet::jpeg {

enum class Stored { int8, int16 };
enum class Written { float32, float16, bfloat16 };

// How the planes of one kind (luma, say) are read and written, for all pictures.
struct PlaneFormat {
    // Bands as stored, channel 8v + u of each, ascending, and what multiplies them; no scale: 1.
    std::vector<std::size_t> bands_in;
    std::vector<float> scale_in;
    // Block size written, its bands (channel c*v + u), and gain and shift of each; none: 1 and 0.
    std::size_t block_out = 8;
    std::vector<std::size_t> bands_out;
    std::vector<float> gain, shift;

    AxisBlocks vertical, horizontal;     // the least part of the blocks that holds these bands
    bool whole_in = true, whole_out = true;  // the bands are that whole part, in order

    // Fills in the last four. Throws std::invalid_argument for bands out of order or range, or lists of other lengths.
    void complete();
};

struct PlaneIn {
    Stored type = Stored::int16;
    const void* data = nullptr;  // (rows, columns, bands); null: zeros
    std::size_t rows = 0, columns = 0;
    const float* scale = nullptr;  // of each band of this plane; null: those of the format
};

struct PlaneOut {
    Written type = Written::float32;
    void* data = nullptr;  // (rows, columns, bands)
    std::size_t rows = 0, columns = 0;
};

// Throws std::invalid_argument where an operator was made for another plane, std::bad_alloc.
void apply(const PlaneFormat& format, const LiftedAxis& vertical, const LiftedAxis& horizontal, const PlaneIn& in,
           const PlaneOut& out);

}  // namespace dctnet::jpeg
