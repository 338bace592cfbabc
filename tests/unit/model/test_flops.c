/* Work of the released towers, to a hundredth: GFLOP as profilers count them, two a multiply-add.
 */
#include "support.h"

#include "model/arch.h"

#include <math.h>

static tw_arch arch_of(const char *name) {
    const tw_vision_preset *vision;
    const tw_text_preset *text;
    tw_error err = TW_ERROR_INIT;
    tw_arch arch = {.struct_size = sizeof arch};
    assert_ok(tw_preset_find(name, &vision, &text, &err), &err);
    arch.embed_dim = vision->embed_dim;
    arch.vision = vision->config;
    if (text) arch.text = text->config;
    return arch;
}

static void close_to(double value, double expected) {
    if (fabs(value / expected - 1) > 0.01) fail_msg("%.4g, expected %.4g", value, expected);
}

static void pictures(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double gflop;
    } cases[] = {{"ViT-B-16", 35.1}, {"ViT-L-14", 162},     {"ViT-H-14", 335},
                 {"ViT-B-32", 8.8},  {"ViT-L-14-336", 382}, {"RN50", 11.6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_arch arch = arch_of(cases[i].name);
        close_to(tw_arch_image_flop(&arch) / 1e9, cases[i].gflop);
    }
}

static void texts(void **state) {
    (void)state;
    tw_arch arch = arch_of("ViT-B-16");
    close_to(tw_arch_text_flop(&arch, 52) / 1e9,
             8.93); /* 12 x (24 x 52 x 768^2 + 4 x 52^2 x 768) */
    close_to(tw_arch_text_flop(&arch, 12) / tw_arch_text_flop(&arch, 52), 0.2295);
    arch.text.kind = TW_TEXT_NONE;
    assert_true(tw_arch_text_flop(&arch, 52) <= 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures), cmocka_unit_test(texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
