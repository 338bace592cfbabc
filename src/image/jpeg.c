/* JPEG through libjpeg(-turbo), configured as Pillow configures it: slow integer DCT, fancy
 * upsampling (both libjpeg's defaults), a source that runs dry instead of inventing an end marker,
 * corrupt data tolerated wherever libjpeg only warns.
 *
 * Source: Pillow src/PIL/JpegImagePlugin.py, src/libImaging/JpegDecode.c. */
#include <stdio.h> /* jpeglib.h needs it and does not include it */

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/exif.h"
#include "image/source.h"

/* Every scan of a progressive picture walks all of its coefficients, and a scan can be a few bytes
 * long: without a cap a small file costs hours. Real encoders write about ten. */
enum { MAX_SCANS = 500 };

typedef struct jpeg_state {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr input;
    struct jpeg_progress_mgr progress;
    jmp_buf on_error;
    char message[JMSG_LENGTH_MAX];
    tw_status status; /* of the error that jumped */
    bool started;
} jpeg_state;

/* --------------------------------------------------------------------------- libjpeg's hooks */

static tw_status status_of(int code) {
    switch (code) {
    case JERR_OUT_OF_MEMORY:
        return TW_ERR_NO_MEMORY;
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
        return TW_ERR_LIMIT;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        return TW_ERR_UNSUPPORTED;
    default:
        return TW_ERR_FORMAT;
    }
}

static void on_error_exit(j_common_ptr cinfo) {
    jpeg_state *s = cinfo->client_data;
    s->status = status_of(cinfo->err->msg_code);
    cinfo->err->format_message(cinfo, s->message);
    longjmp(s->on_error, 1);
}

static void on_message(j_common_ptr cinfo) {}

static void on_progress(j_common_ptr cinfo) {
    jpeg_state *s = cinfo->client_data;
    if (s->cinfo.input_scan_number <= MAX_SCANS) return;
    s->status = TW_ERR_LIMIT;
    snprintf(s->message, sizeof s->message, "more than %d scans", (int)MAX_SCANS);
    longjmp(s->on_error, 1);
}

static void init_input(j_decompress_ptr cinfo) {}
static void term_input(j_decompress_ptr cinfo) {}
static boolean fill_input(j_decompress_ptr cinfo) {
    return FALSE;
} /* suspend: truncated */

static void skip_input(j_decompress_ptr cinfo, long n) {
    if (n <= 0) return;
    size_t step = TW_MIN((size_t)n, cinfo->src->bytes_in_buffer);
    cinfo->src->next_input_byte += step;
    cinfo->src->bytes_in_buffer -= step;
}

/* ----------------------------------------------------------------------------------- decoder */

static tw_status fail_from(const jpeg_state *s, tw_error *err) {
    return tw_fail(err, s->status, "jpeg: %s", s->message);
}

static void jpeg_close(tw_source *source) {
    jpeg_state *s = source->state;
    if (!s) return;
    jpeg_destroy_decompress(&s->cinfo);
    free(s);
}

/* Pillow's choice of output by the number of components; what they mean in the file (YCbCr, RGB,
 * YCCK, CMYK) is libjpeg's guess from the JFIF and Adobe markers. */
static tw_status choose_output(jpeg_state *s, tw_mode *mode, tw_error *err) {
    switch (s->cinfo.num_components) {
    case 1:
        *mode = TW_MODE_L;
        s->cinfo.out_color_space = JCS_GRAYSCALE;
        return TW_OK;
    case 3:
        *mode = TW_MODE_RGB;
        s->cinfo.out_color_space = JCS_EXT_RGBX;
        return TW_OK;
    case 4:
        *mode = TW_MODE_CMYK;
        s->cinfo.out_color_space = JCS_CMYK;
        return TW_OK;
    default:
        return tw_fail(err, TW_ERR_UNSUPPORTED, "jpeg: %d components, expected 1, 3 or 4",
                       s->cinfo.num_components);
    }
}

static tw_status truncated(const jpeg_state *s, tw_error *err) {
    return tw_fail(err, TW_ERR_FORMAT, "jpeg: truncated: the data ends at row %u of %u",
                   s->started ? s->cinfo.output_scanline : 0u, s->cinfo.image_height);
}

/* Runs under the caller's setjmp. */
static tw_status decode_rows(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                             tw_error *err) {
    jpeg_state *s = source->state;
    if (!s->started && !jpeg_start_decompress(&s->cinfo)) return truncated(s, err);
    s->started = true;
    size_t row_bytes = source->width * tw_mode_bytes(source->mode);
    for (uint32_t done = 0; done < n_rows;) {
        JSAMPROW pointers[16];
        JDIMENSION n = TW_MIN(n_rows - done, (uint32_t)TW_COUNT(pointers));
        for (JDIMENSION i = 0; i < n; i++)
            pointers[i] = rows + (size_t)(done + i) * stride;
        JDIMENSION got = jpeg_read_scanlines(&s->cinfo, pointers, n);
        if (got == 0) return truncated(s, err);
        if (source->mode == TW_MODE_CMYK) /* Adobe's inverted convention, assumed always */
            for (JDIMENSION i = 0; i < got; i++)
                for (size_t x = 0; x < row_bytes; x++)
                    pointers[i][x] ^= 0xFF;
        done += got;
    }
    /* A missing end marker is fine, an impossible marker before it is not. */
    if (s->cinfo.output_scanline == source->height) jpeg_finish_decompress(&s->cinfo);
    return TW_OK;
}

static tw_status jpeg_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                           tw_error *err) {
    jpeg_state *s = source->state;
    if (setjmp(s->on_error)) return fail_from(s, err);
    return decode_rows(source, rows, stride, n_rows, err);
}

/* libjpeg leaves out what the smaller picture does not show: fewer coefficients are transformed. */
static tw_status jpeg_shrink(tw_source *source, uint32_t least, tw_error *err) {
    jpeg_state *s = source->state;
    uint32_t side = TW_MIN(source->width, source->height);
    if (setjmp(s->on_error)) return fail_from(s, err);
    s->cinfo.scale_num = s->cinfo.scale_denom = 1;
    while (s->cinfo.scale_denom < 8 && side / (2 * s->cinfo.scale_denom) >= least)
        s->cinfo.scale_denom *= 2;
    jpeg_calc_output_dimensions(&s->cinfo);
    source->width = s->cinfo.output_width;
    source->height = s->cinfo.output_height;
    return TW_OK;
}

static tw_status read_header(jpeg_state *s, const uint8_t *bytes, size_t n_bytes, tw_source *out,
                             tw_error *err) {
    if (setjmp(s->on_error)) return fail_from(s, err);
    jpeg_create_decompress(&s->cinfo);
    s->input.next_input_byte = bytes;
    s->input.bytes_in_buffer = n_bytes;
    s->input.init_source = init_input;
    s->input.fill_input_buffer = fill_input;
    s->input.skip_input_data = skip_input;
    s->input.resync_to_restart = jpeg_resync_to_restart;
    s->input.term_source = term_input;
    s->cinfo.src = &s->input;
    s->progress.progress_monitor = on_progress;
    s->cinfo.progress = &s->progress;
    if (jpeg_read_header(&s->cinfo, TRUE) != JPEG_HEADER_OK)
        return tw_fail(err, TW_ERR_FORMAT, "jpeg: truncated: no scan within %zu bytes", n_bytes);
    out->width = s->cinfo.image_width;
    out->height = s->cinfo.image_height;
    return choose_output(s, &out->mode, err);
}

static tw_status jpeg_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                           tw_source *out, tw_error *err) {
    jpeg_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = jpeg_read, .close = jpeg_close, .shrink = jpeg_shrink, .state = s};
    s->cinfo.err = jpeg_std_error(&s->errors);
    s->cinfo.client_data = s;
    s->errors.error_exit = on_error_exit;
    s->errors.output_message = on_message;
    tw_status status = read_header(s, bytes, n_bytes, out, err);
    if (status == TW_OK) status = tw_image_check_size(out->width, out->height, limits, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

/* ------------------------------------------------------------------------------------ header */

static bool jpeg_sniff(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= 3 && memcmp(bytes, "\xFF\xD8\xFF", 3) == 0;
}

static int jpeg_orientation(const uint8_t *bytes, size_t n_bytes) {
    enum { TEM = 0x01, RST0 = 0xD0, SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, APP1 = 0xE1 };
    static const char exif[6] = "Exif\0";
    size_t at = 2;
    while (tw_range_ok(at, 4, n_bytes)) {
        uint8_t marker = bytes[at + 1];
        if (bytes[at] != 0xFF || marker == 0xFF) { /* junk or a fill byte */
            at++;
            continue;
        }
        if (marker == SOS || marker == EOI) break;
        if (marker == 0 || marker == TEM || (marker >= RST0 && marker <= SOI)) {
            at += 2;
            continue;
        }
        size_t length = tw_load_u16be(bytes + at + 2);
        if (length < 2 || !tw_range_ok(at + 2, length, n_bytes)) break;
        const uint8_t *data = bytes + at + 4;
        size_t n = length - 2;
        if (marker == APP1 && n > sizeof exif && memcmp(data, exif, sizeof exif) == 0)
            return tw_exif_orientation(data + sizeof exif, n - sizeof exif);
        at += 2 + length;
    }
    return 1;
}

const tw_image_format tw_format_jpeg = {"jpeg", jpeg_sniff, jpeg_open, jpeg_orientation};
