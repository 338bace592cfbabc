/* tuwen/image.h – pictures: probing, decoding as Pillow does, and the preprocessing recipe that
 * turns an encoded picture into the tensor an image tower expects, bit for bit as the original
 * Python (torchvision transforms over Pillow) does. */
#ifndef TUWEN_IMAGE_H
#define TUWEN_IMAGE_H

#include "tuwen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_resize_mode {
    TW_RESIZE_SQUASH = 0,   /* both sides to R, aspect ratio not kept (Chinese-CLIP) */
    TW_RESIZE_SHORTEST = 1, /* shorter side to R, then centre crop R x R (OpenAI, most open_clip) */
    TW_RESIZE_LONGEST = 2   /* longer side to R, centred on black (open_clip "longest") */
} tw_resize_mode;

typedef enum tw_interpolation { TW_BICUBIC = 0, TW_BILINEAR = 1 } tw_interpolation;

/* Whose resampler to agree with: Pillow changed the order of its two passes twice, and how it
 * reads 16-bit grey once. Features published by all model authors were made with "classic". */
typedef enum tw_resampler {
    TW_RESAMPLER_CLASSIC = 0, /* Pillow up to 10.2: horizontal first; 16-bit grey as 32-bit integers */
    TW_RESAMPLER_12_1 = 1,    /* Pillow 10.4 to 12.1: horizontal first; 16-bit grey as 16-bit */
    TW_RESAMPLER_12_2 = 2,    /* Pillow 12.2: vertical first when height > 100 x width shrinks */
    TW_RESAMPLER_13 = 3       /* Pillow 13: vertical first when height shrinks most */
} tw_resampler;

typedef enum tw_rgb_order {
    TW_RGB_AFTER = 0, /* resize in the file's own mode, then convert (torchvision transforms) */
    TW_RGB_FIRST = 1  /* convert to RGB, then resize (ImageFolder loaders, Hugging Face) */
} tw_rgb_order;

typedef enum tw_crop_rounding {
    TW_CROP_HALF_EVEN = 0, /* torchvision CenterCrop: Python's round() */
    TW_CROP_FLOOR = 1      /* Hugging Face image processors */
} tw_crop_rounding;

/* How a picture becomes a tensor. All zero but size, mean, std is Chinese-CLIP's own recipe. */
typedef struct tw_recipe {
    size_t struct_size;
    int32_t size; /* R, 1..4096 */
    tw_resize_mode resize_mode;
    tw_interpolation interpolation;
    tw_resampler resampler;
    tw_rgb_order rgb_order;
    tw_crop_rounding crop_rounding;
    float mean[3]; /* of pixel values in 0..1, RGB */
    float std[3];
    bool fast_decode; /* a JPEG of many pixels is decoded at 1/2, 1/4 or 1/8 of its sides, as long as
                         twice what is wanted is left; not what the originals do. Not stored in
                         model files */
} tw_recipe;

/* Chinese-CLIP at 224: squash, bicubic, classic, RGB after, OpenAI's mean and std.
 * Source: Chinese-CLIP cn_clip/clip/utils.py image_transform. */
#define TW_RECIPE_INIT                                                                             \
    {sizeof(tw_recipe),                                                                            \
     224,                                                                                          \
     TW_RESIZE_SQUASH,                                                                             \
     TW_BICUBIC,                                                                                   \
     TW_RESAMPLER_CLASSIC,                                                                         \
     TW_RGB_AFTER,                                                                                 \
     TW_CROP_HALF_EVEN,                                                                            \
     {0.48145466f, 0.4578275f, 0.40821073f},                                                       \
     {0.26862954f, 0.26130258f, 0.27577711f},                                                      \
     false}

/* Fields of a recipe, as flags: which of them a caller sets. */
typedef enum tw_recipe_field {
    TW_RECIPE_SIZE = 1,
    TW_RECIPE_RESIZE_MODE = 2,
    TW_RECIPE_INTERPOLATION = 4,
    TW_RECIPE_RESAMPLER = 8,
    TW_RECIPE_RGB_ORDER = 16,
    TW_RECIPE_CROP_ROUNDING = 32,
    TW_RECIPE_MEAN = 64,
    TW_RECIPE_STD = 128,
    TW_RECIPE_ALL = 255
} tw_recipe_field;

/* Fills `recipe` with a named one: "chinese-clip", "openai", "open-clip", "hf" (Hugging Face CLIP:
 * RGB first, shortest, floor), "imagefolder" (Chinese-CLIP's zero-shot script: RGB first, squash).
 * Errors: TW_ERR_ARGUMENT for another name. */
TW_API tw_status tw_recipe_by_name(const char *name, int32_t size, tw_recipe *recipe,
                                   tw_error *err);

/* Names of enum values as the command line and the model file spell them ("squash", "bicubic",
 * "classic", "12.1", "12.2", "13", "after", "first", "half-even", "floor"). */
TW_API const char *tw_resize_mode_name(tw_resize_mode v);
TW_API const char *tw_interpolation_name(tw_interpolation v);
TW_API const char *tw_resampler_name(tw_resampler v);
TW_API const char *tw_rgb_order_name(tw_rgb_order v);
TW_API const char *tw_crop_rounding_name(tw_crop_rounding v);

/* Limits, checked against the header before any pixel is allocated. */
typedef struct tw_image_options {
    size_t struct_size;
    uint64_t max_pixels;   /* 0 = 178 956 970, the number at which Pillow refuses */
    uint64_t max_bytes;    /* encoded size; 0 = 256 MiB */
    bool exif_rotate;      /* apply the EXIF orientation, as viewers do and Pillow does not */
} tw_image_options;

#define TW_IMAGE_OPTIONS_INIT {sizeof(tw_image_options), 0, 0, false}

typedef struct tw_image_info {
    uint32_t width, height; /* as stored, before any EXIF rotation */
    char format[8];         /* "jpeg" "png" "webp" "bmp" "pnm" "gif" "tiff" "heif" "avif" */
    char mode[8];           /* as Pillow names it: "1" "L" "LA" "P" "RGB" "RGBA" "CMYK" "I;16" "I" */
    int exif_orientation;   /* 1..8; 1 when absent */
} tw_image_info;

/* Reads the header of an encoded picture. Any thread. Errors: TW_ERR_UNSUPPORTED (no known
 * format), TW_ERR_FORMAT (damaged), TW_ERR_LIMIT. `options` may be NULL. */
TW_API tw_status tw_image_probe(const void *bytes, size_t n_bytes, const tw_image_options *options,
                                tw_image_info *info, tw_error *err);

/* Decodes, resizes, crops: out is u8 [R, R, 3] RGB. Any thread; allocates what it needs and frees
 * it. Exact: equal to the recipe's Python library byte for byte (see docs/MODEL.md). A truncated
 * picture is TW_ERR_FORMAT, as in Pillow. `options` may be NULL. */
TW_API tw_status tw_preprocess_u8(const tw_recipe *recipe, const void *bytes, size_t n_bytes,
                                  const tw_image_options *options, uint8_t *out, tw_error *err);

/* The same, normalised: out is f32 [3, R, R], ((u8 / 255) - mean) / std, each step rounded to f32. */
TW_API tw_status tw_preprocess_f32(const tw_recipe *recipe, const void *bytes, size_t n_bytes,
                                   const tw_image_options *options, float *out, tw_error *err);

/* Preprocesses pixels the caller already has (a video frame): u8 [height, width, n_channels] with
 * rows `stride` bytes apart; n_channels 1 (grey), 3 (RGB) or 4 (RGBA); out f32 [3, R, R]. */
TW_API tw_status tw_preprocess_pixels(const tw_recipe *recipe, const uint8_t *pixels,
                                      uint32_t width, uint32_t height, size_t stride,
                                      int n_channels, float *out, tw_error *err);

/* Versions of the decoders really loaded, one line, e.g. "libjpeg-turbo 2.1.5, libpng 1.6.39,
 * libwebp 1.2.4". Written to buf (NUL-terminated, cut at n_bytes). */
TW_API void tw_image_versions(char *buf, size_t n_bytes);

/* HEIC and AVIF are read by libheif and libavif, which are opened when such a picture is first met
 * and never linked. For format "heif" or "avif": opens the library and writes its version and
 * decoder to buf, or else why it cannot be used (which every such picture's error says too).
 * TUWEN_LIBHEIF and TUWEN_LIBAVIF in the environment name other files to open. Any thread. */
TW_API bool tw_image_library(const char *format, char *buf, size_t n_bytes);

#ifdef __cplusplus
}
#endif
#endif
