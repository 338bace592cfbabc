/* Pixel modes under Pillow's names, how each lies in memory here, and conversions of rows. */
#ifndef IMAGE_MODE_H
#define IMAGE_MODE_H

#include <stddef.h>
#include <stdint.h>

typedef enum tw_mode {
    TW_MODE_1,    /* u8, 0 or 255 */
    TW_MODE_L,    /* u8 */
    TW_MODE_LA,   /* u8 x 2: grey, alpha */
    TW_MODE_P,    /* u8, index into a palette */
    TW_MODE_RGB,  /* u8 x 4: the fourth is unused, as in Pillow: 32-bit pixels suit the resampler */
    TW_MODE_RGBA, /* u8 x 4 */
    TW_MODE_CMYK, /* u8 x 4 */
    TW_MODE_I16,  /* u16, Pillow's "I;16" */
    TW_MODE_I,    /* i32 */
    TW_MODE_F,    /* f32 */
} tw_mode;

typedef uint8_t tw_palette[256][4]; /* R, G, B, unused */

const char *tw_mode_name(tw_mode mode);
size_t tw_mode_bytes(tw_mode mode); /* of one pixel */

/* Converts n pixels. src and dst may be the same when pixels do not grow. `palette` is for P. */
typedef void (*tw_convert_row)(const uint8_t *src, uint8_t *dst, size_t n,
                               const tw_palette *palette);

/* What Pillow's convert("RGB") makes of a mode, in the cheapest mode that resizes to the same
 * bytes: grey stays one channel, an alpha channel is ignored in place. NULL = nothing to do. */
tw_convert_row tw_convert_to_rgb_first(tw_mode mode, tw_mode *becomes);

/* RGBA -> RGBa and LA -> La, and back; NULL for the other modes. */
tw_convert_row tw_convert_premultiply(tw_mode mode);
tw_convert_row tw_convert_unpremultiply(tw_mode mode);

/* I;16 -> I. */
void tw_convert_widen(const uint8_t *src, uint8_t *dst, size_t n, const tw_palette *palette);

/* Any mode -> 3 bytes R, G, B a pixel, as convert("RGB"): alpha dropped, wide grey clipped. */
tw_convert_row tw_convert_to_rgb24(tw_mode mode);

#endif
