#include "image/picture.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

tw_status tw_picture_create(tw_mode mode, uint32_t width, uint32_t height, tw_picture *out,
                            tw_error *err) {
    size_t n;
    *out = (tw_picture){.mode = mode, .width = width, .height = height};
    bool fits = tw_mul_size(width, tw_mode_bytes(mode), &out->stride) &&
                tw_mul_size(out->stride, height, &n);
    out->data = fits ? calloc(n, 1) : NULL;
    return out->data ? TW_OK : tw_fail_no_memory(err, fits ? n : SIZE_MAX);
}

void tw_picture_free(tw_picture *picture) {
    free(picture->data);
    *picture = (tw_picture){0};
}

void tw_picture_rows(const tw_picture *picture, uint32_t first, uint8_t *rows, size_t stride,
                     uint32_t n_rows) {
    for (size_t y = 0; y < n_rows; y++)
        memcpy(rows + y * stride, picture->data + (first + y) * picture->stride, picture->stride);
}

/* --------------------------------------------------------------------- rows in any direction */

/* Pixel (x, y) of the view is at origin + x * step_x + y * step_y. */
typedef struct view {
    const uint8_t *origin;
    ptrdiff_t step_x, step_y;
    size_t n_bytes; /* of a stored pixel: 3 becomes 4 in the rows handed out */
    uint32_t row;
    tw_picture picture; /* empty when the pixels are the caller's */
    tw_source inner;    /* owner of the palette */
} view;

static void copy_pixels(const view *v, const uint8_t *from, uint8_t *to, uint32_t width) {
    size_t out_bytes = v->n_bytes == 3 ? 4 : v->n_bytes;
    for (uint32_t x = 0; x < width; x++, from += v->step_x, to += out_bytes) {
        switch (v->n_bytes) {
        case 1:
            *to = *from;
            break;
        case 2:
            memcpy(to, from, 2);
            break;
        case 3:
            memcpy(to, from, 3);
            to[3] = 0xFF;
            break;
        default:
            memcpy(to, from, 4);
        }
    }
}

static tw_status view_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                           tw_error *err) {
    view *v = source->state;
    for (uint32_t i = 0; i < n_rows; i++, v->row++) {
        const uint8_t *from = v->origin + (ptrdiff_t)v->row * v->step_y;
        uint8_t *to = rows + i * stride;
        if (v->n_bytes != 3 && v->step_x == (ptrdiff_t)v->n_bytes)
            memcpy(to, from, source->width * v->n_bytes);
        else
            copy_pixels(v, from, to, source->width);
    }
    return TW_OK;
}

static void view_close(tw_source *source) {
    view *v = source->state;
    tw_picture_free(&v->picture);
    tw_source_close(&v->inner);
    free(v);
}

tw_status tw_source_of_pixels(const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride,
                              int n_channels, tw_source *out, tw_error *err) {
    view *v = calloc(1, sizeof *v);
    if (!v) return tw_fail_no_memory(err, sizeof *v);
    v->origin = pixels;
    v->n_bytes = (size_t)n_channels;
    v->step_x = n_channels;
    v->step_y = (ptrdiff_t)stride;
    *out = (tw_source){
        .mode = n_channels == 1   ? TW_MODE_L
                : n_channels == 3 ? TW_MODE_RGB
                                  : TW_MODE_RGBA,
        .width = width,
        .height = height,
        .read = view_read,
        .close = view_close,
        .state = v,
    };
    return TW_OK;
}

/* ------------------------------------------------------------------------------- orientation */

static void set_steps(view *v, int orientation) {
    /* Where the stored picture is seen from: mirrored horizontally, vertically, sides swapped. */
    static const struct {
        bool right, bottom, swapped;
    } views[9] = {
        [1] = {0, 0, 0}, [2] = {1, 0, 0}, [3] = {1, 1, 0}, [4] = {0, 1, 0},
        [5] = {0, 0, 1}, [6] = {0, 1, 1}, [7] = {1, 1, 1}, [8] = {1, 0, 1},
    };
    const tw_picture *p = &v->picture;
    ptrdiff_t dx = (ptrdiff_t)v->n_bytes, dy = (ptrdiff_t)p->stride;
    v->origin = p->data;
    if (views[orientation].right) {
        v->origin += (size_t)(p->width - 1) * v->n_bytes;
        dx = -dx;
    }
    if (views[orientation].bottom) {
        v->origin += (size_t)(p->height - 1) * p->stride;
        dy = -dy;
    }
    v->step_x = views[orientation].swapped ? dy : dx;
    v->step_y = views[orientation].swapped ? dx : dy;
}

tw_status tw_source_orient(tw_source *source, int orientation, tw_error *err) {
    if (orientation < 2 || orientation > 8) return TW_OK;
    view *v = calloc(1, sizeof *v);
    if (!v) return tw_fail_no_memory(err, sizeof *v);
    tw_status status =
        tw_picture_create(source->mode, source->width, source->height, &v->picture, err);
    if (status == TW_OK)
        status = source->read(source, v->picture.data, v->picture.stride, source->height, err);
    if (status != TW_OK) {
        tw_picture_free(&v->picture);
        free(v);
        return status;
    }
    v->n_bytes = tw_mode_bytes(source->mode);
    set_steps(v, orientation);
    bool swapped = orientation >= 5;
    v->inner = *source;
    *source = (tw_source){
        .mode = v->inner.mode,
        .width = swapped ? v->inner.height : v->inner.width,
        .height = swapped ? v->inner.width : v->inner.height,
        .palette = v->inner.palette,
        .read = view_read,
        .close = view_close,
        .state = v,
    };
    return TW_OK;
}
