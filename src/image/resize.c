/* Two passes over a stream of rows. Rows of the picture come in strips; each strip is converted to
 * the mode in which it is resized, and filtered horizontally into a buffer that holds just the
 * rows which the vertical windows still need; as soon as a window is complete its output row is
 * made. With the other order of passes the buffer holds source rows and each output row is
 * filtered horizontally last. Neither a picture nor an intermediate is ever whole in memory. */
#include "image/resize.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { STRIP_BYTES = 128 << 10, STRIP_ROWS = 64 };

typedef struct resizer {
    tw_source *source;
    tw_geometry geometry;
    /* Conversions of a strip before filtering, and of the canvas after; NULL = none. */
    tw_convert_row to_working, premultiply, unpremultiply;
    tw_mode mode; /* in which it is filtered */
    size_t pixel_bytes;
    bool vertical_first;
    tw_axis x_axis, y_axis;
    tw_passes x_passes, y_passes;

    uint32_t strip_rows;
    size_t raw_stride, strip_stride;
    uint8_t *raw;   /* rows as the source gives them, where conversion needs a second place */
    uint8_t *strip; /* converted rows */
    size_t row_stride, capacity;
    uint8_t *rows;          /* [capacity] rows waiting for the vertical pass */
    uint32_t base, n_rows;  /* the first of them, as a row of the picture, and how many */
    uint8_t *middle, *line; /* one row after the vertical pass; one row of output */
} resizer;

/* -------------------------------------------------------------------------------- the choices */

/* Which pass Pillow makes first. */
static bool vertical_first(tw_resampler resampler, const tw_source *s, const tw_geometry *g) {
    int64_t shrink_x = (int64_t)s->width - g->resized_width;
    int64_t shrink_y = (int64_t)s->height - g->resized_height;
    if (resampler == TW_RESAMPLER_12_2)
        return (uint64_t)s->height > (uint64_t)s->width * 100 && shrink_y > 0;
    return resampler == TW_RESAMPLER_13 && shrink_y > 0 && shrink_y > 2 * shrink_x;
}

static void choose_modes(resizer *r, const tw_recipe *recipe) {
    const tw_geometry *g = &r->geometry;
    bool resized = g->resized_width != r->source->width || g->resized_height != r->source->height;
    r->mode = r->source->mode;
    if (recipe->rgb_order == TW_RGB_FIRST) {
        r->to_working = tw_convert_to_rgb_first(r->mode, &r->mode);
    } else if (r->mode == TW_MODE_I16 && recipe->resampler == TW_RESAMPLER_CLASSIC) {
        r->to_working = tw_convert_widen;
        r->mode = TW_MODE_I;
    } else if (resized) { /* a picture of the right size already is only copied */
        r->premultiply = tw_convert_premultiply(r->mode);
        r->unpremultiply = tw_convert_unpremultiply(r->mode);
    }
    r->pixel_bytes = tw_mode_bytes(r->mode);
}

static tw_filter filter_for(const tw_recipe *recipe, tw_mode mode, uint32_t n_in, uint32_t n_out) {
    if (n_in == n_out) return TW_FILTER_COPY;
    if (mode == TW_MODE_1 || mode == TW_MODE_P) return TW_FILTER_NEAREST;
    return recipe->interpolation == TW_BILINEAR ? TW_FILTER_BILINEAR : TW_FILTER_BICUBIC;
}

/* One channel of more than 8 bits, filtered in doubles. */
static bool is_wide(tw_mode mode) {
    return mode == TW_MODE_I || mode == TW_MODE_I16 || mode == TW_MODE_F;
}

static tw_passes passes_for(const tw_recipe *recipe, tw_pass_isa isa, const resizer *r,
                            const tw_axis *axis) {
    if (axis->picks) return tw_passes_pick();
    if (is_wide(r->mode)) return tw_passes_wide(r->mode, recipe->resampler);
    return tw_passes_u8(isa, r->pixel_bytes);
}

static tw_status build_axes(resizer *r, const tw_recipe *recipe, tw_pass_isa isa, tw_error *err) {
    const tw_geometry *g = &r->geometry;
    const tw_source *s = r->source;
    bool wide = is_wide(r->mode);
    TW_TRY(tw_axis_build(filter_for(recipe, r->mode, s->width, g->resized_width), s->width,
                         g->resized_width, g->window_x, g->window_width, wide, &r->x_axis, err));
    TW_TRY(tw_axis_build(filter_for(recipe, r->mode, s->height, g->resized_height), s->height,
                         g->resized_height, g->window_y, g->window_height, wide, &r->y_axis, err));
    r->x_passes = passes_for(recipe, isa, r, &r->x_axis);
    r->y_passes = passes_for(recipe, isa, r, &r->y_axis);
    r->vertical_first = vertical_first(recipe->resampler, s, g);
    return TW_OK;
}

/* -------------------------------------------------------------------------------- the buffers */

/* Rows that start 32-byte aligned relative to each other, with slack for vector code. */
static size_t stride_of(size_t n_pixels, size_t pixel_bytes) {
    return (n_pixels * pixel_bytes + 31) & ~(size_t)31;
}

static tw_status allocate(uint8_t **out, size_t n_rows, size_t stride, tw_error *err) {
    size_t n;
    if (!tw_mul_size(n_rows, stride, &n) || !tw_add_size(n, TW_PASS_SLACK, &n))
        return tw_fail_no_memory(err, SIZE_MAX);
    *out = calloc(n, 1);
    return *out ? TW_OK : tw_fail_no_memory(err, n);
}

static tw_status allocate_buffers(resizer *r, tw_error *err) {
    const tw_source *s = r->source;
    size_t source_bytes = tw_mode_bytes(s->mode);
    r->raw_stride = stride_of(s->width, source_bytes);
    r->strip_stride = stride_of(s->width, r->pixel_bytes);
    size_t n = STRIP_BYTES / TW_MAX(r->strip_stride, r->raw_stride);
    r->strip_rows = (uint32_t)TW_MIN(TW_MAX(n, 1), TW_MIN(STRIP_ROWS, s->height));
    if (r->to_working) TW_TRY(allocate(&r->raw, r->strip_rows, r->raw_stride, err));
    TW_TRY(allocate(&r->strip, r->strip_rows, r->strip_stride, err));
    size_t row_pixels = r->vertical_first ? s->width : r->x_axis.count;
    r->row_stride = stride_of(row_pixels, r->pixel_bytes);
    /* Twice the window, so that rows move rarely; never more than the picture has. */
    r->capacity = TW_MIN(2 * (size_t)r->y_axis.max_taps + r->strip_rows, s->height);
    TW_TRY(allocate(&r->rows, r->capacity, r->row_stride, err));
    TW_TRY(allocate(&r->middle, 1, r->row_stride, err));
    return allocate(&r->line, 1, stride_of(r->x_axis.count, r->pixel_bytes), err);
}

static void release(resizer *r) {
    free(r->raw);
    free(r->strip);
    free(r->rows);
    free(r->middle);
    free(r->line);
    tw_axis_free(&r->x_axis);
    tw_axis_free(&r->y_axis);
}

/* ---------------------------------------------------------------------------------- the stream */

/* Reads n rows into the strip in the working mode. */
static tw_status read_strip(resizer *r, uint32_t n, tw_error *err) {
    tw_source *s = r->source;
    uint8_t *to = r->to_working ? r->raw : r->strip;
    size_t stride = r->to_working ? r->raw_stride : r->strip_stride;
    TW_TRY(s->read(s, to, stride, n, err));
    for (uint32_t y = 0; y < n; y++) {
        uint8_t *row = r->strip + y * r->strip_stride;
        if (r->to_working) r->to_working(r->raw + y * r->raw_stride, row, s->width, s->palette);
        if (r->premultiply) r->premultiply(row, row, s->width, NULL);
    }
    return TW_OK;
}

/* Forgets rows above `first`. */
static void drop_rows(resizer *r, uint32_t first) {
    uint32_t n = first > r->base ? TW_MIN(first - r->base, r->n_rows) : 0;
    if (n == 0) return;
    memmove(r->rows, r->rows + n * r->row_stride, (r->n_rows - n) * r->row_stride);
    r->base += n;
    r->n_rows -= n;
}

/* Appends rows [from, from + n) of the strip, which are rows `at`... of the picture, to those that
 * wait; only rows at or below `needed` count. */
static void append_rows(resizer *r, uint32_t at, uint32_t n, uint32_t needed) {
    const uint8_t *strip = r->strip;
    uint32_t skip = needed > at ? TW_MIN(needed - at, n) : 0;
    strip += skip * r->strip_stride;
    at += skip;
    n -= skip;
    if (n == 0) return;
    if (r->base + r->n_rows != at) r->n_rows = 0; /* a gap: what waits lies above `needed` too */
    if (r->n_rows + n > r->capacity) drop_rows(r, needed);
    if (r->n_rows == 0) r->base = at;
    uint8_t *to = r->rows + r->n_rows * r->row_stride;
    if (r->vertical_first)
        for (uint32_t y = 0; y < n; y++)
            memcpy(to + y * r->row_stride, strip + y * r->strip_stride,
                   r->source->width * r->pixel_bytes);
    else
        r->x_passes.horizontal(&r->x_axis, r->pixel_bytes, strip, r->strip_stride, n, to,
                               r->row_stride);
    r->n_rows += n;
}

/* Makes output row i, whose window of rows is complete. */
static const uint8_t *output_row(resizer *r, uint32_t i) {
    const uint8_t *window = r->rows + (r->y_axis.begin[i] - r->base) * r->row_stride;
    size_t n_pixels = r->vertical_first ? r->source->width : r->x_axis.count;
    r->y_passes.vertical(&r->y_axis, i, r->pixel_bytes, window, r->row_stride, n_pixels, r->middle);
    if (!r->vertical_first) return r->middle;
    r->x_passes.horizontal(&r->x_axis, r->pixel_bytes, r->middle, r->row_stride, 1, r->line, 0);
    return r->line;
}

static tw_status stream(resizer *r, tw_picture *canvas, tw_error *err) {
    const tw_geometry *g = &r->geometry;
    const tw_axis *y = &r->y_axis;
    size_t line_bytes = r->x_axis.count * r->pixel_bytes;
    uint8_t *out = canvas->data + g->pad_y * canvas->stride + g->pad_x * r->pixel_bytes;
    uint32_t next = 0; /* output row */
    /* After the last output row the rest is still read: a truncated picture is an error. */
    for (uint32_t at = 0; at < r->source->height;) {
        uint32_t n = TW_MIN(r->strip_rows, r->source->height - at);
        TW_TRY(read_strip(r, n, err));
        if (next < y->count) append_rows(r, at, n, y->begin[next]);
        at += n;
        for (; next < y->count && y->begin[next] + y->taps[next] <= at;
             next++, out += canvas->stride) {
            const uint8_t *line = output_row(r, next);
            if (r->unpremultiply)
                r->unpremultiply(line, out, r->x_axis.count, NULL);
            else
                memcpy(out, line, line_bytes);
        }
    }
    return TW_OK;
}

tw_status tw_resize(const tw_recipe *recipe, tw_pass_isa isa, tw_source *source, tw_picture *canvas,
                    tw_error *err) {
    tw_status status;
    uint32_t size = (uint32_t)recipe->size;
    resizer r = {.source = source};
    *canvas = (tw_picture){0};
    TW_CHECK(tw_geometry_plan(recipe, source->width, source->height, &r.geometry, err));
    choose_modes(&r, recipe);
    TW_CHECK(build_axes(&r, recipe, isa, err));
    TW_CHECK(allocate_buffers(&r, err));
    TW_CHECK(tw_picture_create(r.mode, size, size, canvas, err));
    TW_CHECK(stream(&r, canvas, err));
done:
    release(&r);
    if (status != TW_OK) tw_picture_free(canvas);
    return status;
}
