/* Source: TIFF technical note 2; libtiff's tif_jpeg.c for what it leaves open; Pillow
 * src/libImaging/TiffDecode.c. */
#include "image/tiff_jpeg.h"

#include <stdio.h> /* jpeglib.h needs it and does not include it */

#include <jpeglib.h>
#include <setjmp.h>
#include <string.h>

enum { MAX_SCANS = 100 }; /* libtiff's */

typedef struct piece_decoder {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf on_error;
} piece_decoder;

static void leave(j_common_ptr cinfo) {
    longjmp(((piece_decoder *)cinfo->client_data)->on_error, 1);
}

static void stay_silent(j_common_ptr cinfo) {}

static void count_scans(j_common_ptr cinfo) {
    if (((piece_decoder *)cinfo->client_data)->cinfo.input_scan_number > MAX_SCANS) leave(cinfo);
}

/* Under the caller's setjmp. */
static bool decode_piece(piece_decoder *d, const tw_tiff_jpeg *how, const uint8_t *src,
                         size_t n_src, uint8_t *dst, size_t n_rows) {
    j_decompress_ptr c = &d->cinfo;
    if (how->tables) {
        jpeg_mem_src(c, (unsigned char *)how->tables, how->n_tables);
        if (jpeg_read_header(c, FALSE) != JPEG_HEADER_TABLES_ONLY) return false;
    }
    jpeg_mem_src(c, (unsigned char *)src, n_src);
    if (jpeg_read_header(c, TRUE) != JPEG_HEADER_OK || c->image_width != how->width ||
        c->image_height < n_rows || c->num_components != how->n_samples)
        return false;
    c->jpeg_color_space = how->ycbcr ? JCS_YCbCr : JCS_UNKNOWN;
    c->out_color_space = how->ycbcr ? JCS_RGB : JCS_UNKNOWN;
    jpeg_start_decompress(c);
    size_t row_bytes = (size_t)how->width * (size_t)how->n_samples;
    for (size_t y = 0; y < n_rows; y++) {
        JSAMPROW row = dst + y * row_bytes;
        jpeg_read_scanlines(c, &row, 1);
    }
    return true;
}

bool tw_tiff_unpack_jpeg(const tw_tiff_jpeg *how, const uint8_t *src, size_t n_src, uint8_t *dst,
                         size_t n_dst) {
    piece_decoder d;
    memset(&d, 0, sizeof d);
    if (n_src == 0) return false;
    d.cinfo.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = leave;
    d.errors.output_message = stay_silent;
    d.cinfo.client_data = &d;
    if (setjmp(d.on_error)) {
        jpeg_destroy_decompress(&d.cinfo);
        return false;
    }
    jpeg_create_decompress(&d.cinfo);
    d.progress.progress_monitor = count_scans;
    d.cinfo.progress = &d.progress;
    bool done = decode_piece(&d, how, src, n_src, dst, n_dst / how->width / (size_t)how->n_samples);
    jpeg_destroy_decompress(&d.cinfo);
    return done;
}
