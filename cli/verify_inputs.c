#include "verify_inputs.h"

#include "base/size.h"

#include <string.h>

/* A colour at (x, y) of a picture w x h; `seed` is the picture's own and changes as it is used. */
typedef void (*painter)(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t *seed,
                        uint8_t rgb[3]);

static void paint_gradient(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t *seed,
                           uint8_t rgb[3]) {
    rgb[0] = (uint8_t)(255 * x / (w - 1));
    rgb[1] = (uint8_t)(255 * y / (h - 1));
    rgb[2] = (uint8_t)(255 - rgb[0]);
}

static void paint_checks(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t *seed,
                         uint8_t rgb[3]) {
    memset(rgb, (x / 16 + y / 16) % 2 ? 235 : 20, 3);
}

/* A red disc on light blue. */
static void paint_disc(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t *seed,
                       uint8_t rgb[3]) {
    int64_t dx = 2 * (int64_t)x - w, dy = 2 * (int64_t)y - h, r = TW_MIN(w, h) * 2 / 3;
    bool inside = dx * dx + dy * dy < r * r;
    rgb[0] = inside ? 220 : 150;
    rgb[1] = inside ? 30 : 200;
    rgb[2] = inside ? 40 : 240;
}

/* Stripes that become finer towards the bottom. */
static void paint_stripes(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t *seed,
                          uint8_t rgb[3]) {
    bool on = (x + y) % (40 - 36 * y / h) < (40 - 36 * y / h) / 2;
    rgb[0] = on ? 250 : 10;
    rgb[1] = on ? 210 : 60;
    rgb[2] = on ? 40 : 90;
}

static void paint_noise(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t *seed,
                        uint8_t rgb[3]) {
    for (int c = 0; c < 3; c++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        rgb[c] = (uint8_t)(*seed >> 56);
    }
}

static void paint_grey(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t *seed,
                       uint8_t rgb[3]) {
    memset(rgb, 128, 3);
}

/* Wide, tall, small, large: every picture is resized, by another factor. */
static const struct {
    const char *name;
    painter paint;
    uint32_t width, height;
} pictures[VERIFY_PICTURES] = {
    {"built-in gradient", paint_gradient, 320, 240}, {"built-in checks", paint_checks, 512, 512},
    {"built-in disc", paint_disc, 400, 300},         {"built-in stripes", paint_stripes, 240, 640},
    {"built-in noise", paint_noise, 256, 256},       {"built-in small noise", paint_noise, 31, 17},
    {"built-in tall disc", paint_disc, 150, 500},    {"built-in grey", paint_grey, 64, 64},
};

static const char *const texts[] = {
    "猫",
    "一张苹果的照片",
    "杰尼龟",
    "2023年5月，北京：第3届“国际”展览会！",
    "在一个阳光明媚的早晨，孩子们在公园的草地上放风筝，老人们坐在长椅上聊天，远处的湖面波光粼粼。",
    "a photo of a cat",
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "iPhone 13 Pro Max 手机壳 (256 GB)",
};

tw_status verify_draw_pictures(tw_buffer memory[VERIFY_PICTURES], tw_bytes out[VERIFY_PICTURES],
                               tw_error *err) {
    for (size_t i = 0; i < VERIFY_PICTURES; i++) {
        uint32_t w = pictures[i].width, h = pictures[i].height;
        uint64_t seed = i + 1;
        tw_buffer *b = &memory[i];
        tw_buffer_printf(b, "P6 %u %u 255\n", w, h);
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t x = 0; x < w; x++) {
                uint8_t rgb[3];
                pictures[i].paint(x, y, w, h, &seed, rgb);
                tw_buffer_append(b, rgb, sizeof rgb);
            }
        if (b->failed) return tw_fail_no_memory(err, (size_t)w * h * 3);
        out[i] = (tw_bytes){b->data, b->n_bytes};
    }
    return TW_OK;
}

const char *verify_picture_name(size_t index) {
    return pictures[index].name;
}

tw_status verify_add_texts(tw_strings *out, tw_error *err) {
    for (size_t i = 0; i < TW_COUNT(texts); i++)
        TW_TRY(tw_strings_add(out, texts[i], strlen(texts[i]), err));
    return TW_OK;
}
