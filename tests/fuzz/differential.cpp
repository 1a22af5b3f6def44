// Where libjpeg reads a file without a warning and decode() reads it too, both read the same.
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

#include "harness.hpp"

namespace {

struct ErrorManager {
    jpeg_error_mgr base;
    std::jmp_buf jump;
};

void on_error(j_common_ptr info) { std::longjmp(reinterpret_cast<ErrorManager*>(info->err)->jump, 1); }

void on_message(j_common_ptr info, int level) {
    if (level < 0) ++info->err->num_warnings;
}

void compare(const dctnet::jpeg::Image& ours, jpeg_decompress_struct& theirs, jvirt_barray_ptr* arrays) {
    if (ours.height != static_cast<int>(theirs.image_height) || ours.width != static_cast<int>(theirs.image_width)) {
        fuzz::fail("libjpeg reads another size");
    }
    if (ours.components != theirs.num_components) fuzz::fail("libjpeg reads another number of components");
    if (ours.progressive != (theirs.progressive_mode != 0)) fuzz::fail("libjpeg reads another process");
    for (int c = 0; c < ours.components; ++c) {
        const auto index = static_cast<std::size_t>(c);
        const jpeg_component_info& component = theirs.comp_info[c];
        const dctnet::jpeg::Plane& plane = ours.planes[index];
        if (plane.horizontal != component.h_samp_factor || plane.vertical != component.v_samp_factor) {
            fuzz::fail("libjpeg reads other sampling factors");
        }
        if (plane.width != static_cast<int>(component.width_in_blocks) || plane.height != static_cast<int>(component.height_in_blocks)) {
            fuzz::fail("libjpeg reads a plane of another size");
        }
        if (component.quant_table == nullptr) fuzz::fail("libjpeg finds no quantisation table");
        for (std::size_t k = 0; k < 64; ++k) {
            if (ours.quantization[index * 64 + k] != component.quant_table->quantval[k]) fuzz::fail("libjpeg reads other steps");
        }
        const std::int16_t* block = plane.blocks;
        for (int row = 0; row < plane.height; ++row) {
            const JBLOCKARRAY rows = theirs.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&theirs), arrays[c],
                                                                    static_cast<JDIMENSION>(row), 1, FALSE);
            for (int column = 0; column < plane.width; ++column, block += 64) {
                for (std::size_t k = 0; k < 64; ++k) {
                    if (block[k] != rows[0][column][k]) fuzz::fail("libjpeg reads other integers");
                }
            }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto ours = fuzz::decode(data, size, false);
    if (!ours) return 0;  // so libjpeg never meets a picture that is too large
    jpeg_decompress_struct theirs;
    ErrorManager errors;
    theirs.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = on_error;
    errors.base.emit_message = on_message;
    if (setjmp(errors.jump) == 0) {
        jpeg_create_decompress(&theirs);
        jpeg_mem_src(&theirs, data, size);
        jpeg_read_header(&theirs, TRUE);
        jvirt_barray_ptr* const arrays = jpeg_read_coefficients(&theirs);
        if (errors.base.num_warnings == 0) compare(*ours, theirs, arrays);
    }
    jpeg_destroy_decompress(&theirs);
    return 0;
}
