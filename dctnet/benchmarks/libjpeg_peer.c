/* The peer of `dctnet bench read`: libjpeg's own coefficient reader on a file in memory, and nothing else.
 *
 * Compiled on demand by read.py where a C compiler and libjpeg's headers are installed. */
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

struct failure {
    struct jpeg_error_mgr base;
    jmp_buf escape;
};

static void on_error(j_common_ptr info) { longjmp(((struct failure *)info->err)->escape, 1); }
static void on_message(j_common_ptr info, int level) {
    if (level < 0) info->err->num_warnings++;
}

/* Calls jpeg_read_coefficients. With `out`, copies the blocks of all components there, row-major int16. Gives the
 * number of blocks of the file, or -1 where libjpeg fails or warns. */
long read_coefficients(const unsigned char *data, unsigned long size, short *out) {
    struct jpeg_decompress_struct info;
    struct failure failure;
    long blocks = 0;
    info.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = on_error;
    failure.base.emit_message = on_message;
    if (setjmp(failure.escape)) {
        jpeg_destroy_decompress(&info);
        return -1;
    }
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, (unsigned char *)data, size);
    jpeg_read_header(&info, TRUE);
    jvirt_barray_ptr *arrays = jpeg_read_coefficients(&info);
    for (int c = 0; c < info.num_components; c++) {
        const jpeg_component_info *component = &info.comp_info[c];
        blocks += (long)component->height_in_blocks * component->width_in_blocks;
        for (JDIMENSION row = 0; out != NULL && row < component->height_in_blocks; row++) {
            JBLOCKARRAY line = info.mem->access_virt_barray((j_common_ptr)&info, arrays[c], row, 1, FALSE);
            memcpy(out, line[0], sizeof(JBLOCK) * component->width_in_blocks);
            out += (size_t)DCTSIZE2 * component->width_in_blocks;
        }
    }
    if (failure.base.num_warnings != 0) blocks = -1;
    jpeg_destroy_decompress(&info);
    return blocks;
}

/* Calls jpeg_read_coefficients on each of `count` files. */
void read_all(const unsigned char *const *data, const unsigned long *sizes, long count) {
    for (long i = 0; i < count; i++) read_coefficients(data[i], sizes[i], NULL);
}
