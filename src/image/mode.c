/* Source: Pillow src/libImaging/Convert.c (rgba2rgbA, rgbA2rgba, cmyk2rgb, i2rgb, f2l, I16_RGB). */
#include "image/mode.h"

#include <string.h>

static const struct {
    const char *name;
    size_t n_bytes;
} modes[] = {
    [TW_MODE_1] = {"1", 1},       [TW_MODE_L] = {"L", 1},      [TW_MODE_LA] = {"LA", 2},
    [TW_MODE_P] = {"P", 1},       [TW_MODE_RGB] = {"RGB", 4},  [TW_MODE_RGBA] = {"RGBA", 4},
    [TW_MODE_CMYK] = {"CMYK", 4}, [TW_MODE_I16] = {"I;16", 2}, [TW_MODE_I] = {"I", 4},
    [TW_MODE_F] = {"F", 4},
};

const char *tw_mode_name(tw_mode mode) {
    return modes[mode].name;
}
size_t tw_mode_bytes(tw_mode mode) {
    return modes[mode].n_bytes;
}

/* a * b / 255, rounded, exact for bytes. */
static inline uint8_t multiply_255(unsigned a, unsigned b) {
    unsigned t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

/* Pillow clips wide grey instead of scaling it: 256 and above turn white. */
static inline uint8_t clip_u16(uint16_t v) {
    return v > 255 ? 255 : (uint8_t)v;
}
static inline uint8_t clip_i32(int32_t v) {
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}
/* Cut off, not rounded; what is not a number turns black. */
static inline uint8_t clip_f32(float v) {
    return !(v > 0) ? 0 : v >= 255 ? 255 : (uint8_t)v;
}

static inline uint16_t load_u16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline int32_t load_i32(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float load_f32(const uint8_t *p) {
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void cmyk_pixel(const uint8_t *src, uint8_t *rgb) {
    unsigned white = 255u - src[3];
    uint8_t r = (uint8_t)(white - multiply_255(src[0], white));
    uint8_t g = (uint8_t)(white - multiply_255(src[1], white));
    uint8_t b = (uint8_t)(white - multiply_255(src[2], white));
    rgb[0] = r;
    rgb[1] = g;
    rgb[2] = b;
}

/* ----------------------------------------------------------------------- before the resize */

static void la_to_l(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        dst[i] = src[2 * i];
}

static void p_to_rgbx(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        memcpy(dst + 4 * i, (*palette)[src[i]], 4);
}

static void cmyk_to_rgbx(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        cmyk_pixel(src + 4 * i, dst + 4 * i);
}

static void i16_to_l(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        dst[i] = clip_u16(load_u16(src + 2 * i));
}

static void i_to_l(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        dst[i] = clip_i32(load_i32(src + 4 * i));
}

static void f_to_l(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        dst[i] = clip_f32(load_f32(src + 4 * i));
}

tw_convert_row tw_convert_to_rgb_first(tw_mode mode, tw_mode *becomes) {
    switch (mode) {
    case TW_MODE_1:
    case TW_MODE_L:
        *becomes = TW_MODE_L;
        return NULL;
    case TW_MODE_LA:
        *becomes = TW_MODE_L;
        return la_to_l;
    case TW_MODE_P:
        *becomes = TW_MODE_RGB;
        return p_to_rgbx;
    case TW_MODE_CMYK:
        *becomes = TW_MODE_RGB;
        return cmyk_to_rgbx;
    case TW_MODE_I16:
        *becomes = TW_MODE_L;
        return i16_to_l;
    case TW_MODE_I:
        *becomes = TW_MODE_L;
        return i_to_l;
    case TW_MODE_F:
        *becomes = TW_MODE_L;
        return f_to_l;
    default:
        *becomes = TW_MODE_RGB;
        return NULL;
    }
}

void tw_convert_widen(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++) {
        int32_t v = load_u16(src + 2 * i);
        memcpy(dst + 4 * i, &v, sizeof v);
    }
}

/* ----------------------------------------------------------------------------------- alpha */

static void premultiply_rgba(const uint8_t *src, uint8_t *dst, size_t n,
                             const tw_palette *palette) {
    for (size_t i = 0; i < 4 * n; i += 4) {
        unsigned alpha = src[i + 3];
        dst[i] = multiply_255(src[i], alpha);
        dst[i + 1] = multiply_255(src[i + 1], alpha);
        dst[i + 2] = multiply_255(src[i + 2], alpha);
        dst[i + 3] = (uint8_t)alpha;
    }
}

static void premultiply_la(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < 2 * n; i += 2) {
        dst[i] = multiply_255(src[i], src[i + 1]);
        dst[i + 1] = src[i + 1];
    }
}

static inline uint8_t divide_alpha(unsigned v, unsigned alpha) {
    unsigned q = 255 * v / alpha;
    return q > 255 ? 255 : (uint8_t)q;
}

static void unpremultiply_rgba(const uint8_t *src, uint8_t *dst, size_t n,
                               const tw_palette *palette) {
    for (size_t i = 0; i < 4 * n; i += 4) {
        unsigned alpha = src[i + 3];
        if (alpha == 0 || alpha == 255) {
            memmove(dst + i, src + i, 4);
            continue;
        }
        for (size_t c = 0; c < 3; c++)
            dst[i + c] = divide_alpha(src[i + c], alpha);
        dst[i + 3] = (uint8_t)alpha;
    }
}

static void unpremultiply_la(const uint8_t *src, uint8_t *dst, size_t n,
                             const tw_palette *palette) {
    for (size_t i = 0; i < 2 * n; i += 2) {
        unsigned alpha = src[i + 1];
        dst[i] = alpha == 0 || alpha == 255 ? src[i] : divide_alpha(src[i], alpha);
        dst[i + 1] = (uint8_t)alpha;
    }
}

tw_convert_row tw_convert_premultiply(tw_mode mode) {
    return mode == TW_MODE_RGBA ? premultiply_rgba : mode == TW_MODE_LA ? premultiply_la : NULL;
}

tw_convert_row tw_convert_unpremultiply(tw_mode mode) {
    return mode == TW_MODE_RGBA ? unpremultiply_rgba : mode == TW_MODE_LA ? unpremultiply_la : NULL;
}

/* ------------------------------------------------------------------------ after the resize */

static inline void put_grey(uint8_t *rgb, uint8_t v) {
    rgb[0] = rgb[1] = rgb[2] = v;
}

static void l_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        put_grey(dst + 3 * i, src[i]);
}

static void la_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        put_grey(dst + 3 * i, src[2 * i]);
}

static void p_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        memcpy(dst + 3 * i, (*palette)[src[i]], 3);
}

static void rgbx_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++) {
        dst[3 * i] = src[4 * i];
        dst[3 * i + 1] = src[4 * i + 1];
        dst[3 * i + 2] = src[4 * i + 2];
    }
}

static void cmyk_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        cmyk_pixel(src + 4 * i, dst + 3 * i);
}

static void i16_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        put_grey(dst + 3 * i, clip_u16(load_u16(src + 2 * i)));
}

static void i_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        put_grey(dst + 3 * i, clip_i32(load_i32(src + 4 * i)));
}

static void f_to_rgb(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette) {
    for (size_t i = 0; i < n; i++)
        put_grey(dst + 3 * i, clip_f32(load_f32(src + 4 * i)));
}

tw_convert_row tw_convert_to_rgb24(tw_mode mode) {
    static const tw_convert_row table[] = {
        [TW_MODE_1] = l_to_rgb,       [TW_MODE_L] = l_to_rgb,      [TW_MODE_LA] = la_to_rgb,
        [TW_MODE_P] = p_to_rgb,       [TW_MODE_RGB] = rgbx_to_rgb, [TW_MODE_RGBA] = rgbx_to_rgb,
        [TW_MODE_CMYK] = cmyk_to_rgb, [TW_MODE_I16] = i16_to_rgb,  [TW_MODE_I] = i_to_rgb,
        [TW_MODE_F] = f_to_rgb,
    };
    return table[mode];
}
