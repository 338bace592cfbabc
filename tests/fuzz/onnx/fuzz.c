/* An ONNX model of any bytes beside a side file: refused with a message, or described and
 * recognised with every weight readable to its ends. */
#include "convert/onnx_config.h"
#include "format/onnx/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static char folder[] = "/tmp/tuwen-fuzz-onnx-XXXXXX", side[64], model[64];

static void remove_folder(void) {
    unlink(side);
    rmdir(folder);
}

/* 4096 bytes aside, which an input may point into. */
static void make_side_file(void) {
    if (!mkdtemp(folder)) abort();
    snprintf(side, sizeof side, "%s/side", folder);
    snprintf(model, sizeof model, "%s/model.onnx", folder);
    FILE *f = fopen(side, "wb");
    if (!f) abort();
    for (int i = 0; i < 4096; i++)
        putc(i & 0x3F, f);
    if (fclose(f) != 0) abort();
    atexit(remove_folder);
}

/* Reads the ends of a tensor through the conversion everybody uses. */
static void touch(const tw_tensor *t) {
    float v;
    size_t n = tw_tensor_elements(t);
    if (n == 0) return;
    tw_tensor_to_f32_range(t, 0, 1, &v);
    tw_tensor_to_f32_range(t, n - 1, 1, &v);
}

/* What the converter asks before it writes anything. */
static void describe(const tw_tensor_list *list) {
    tw_error err = TW_ERROR_INIT;
    tw_origin *origin = NULL;
    const tw_tensor **tensors = calloc(list->n + 1, sizeof *tensors);
    if (!tensors) abort();
    for (size_t i = 0; i < list->n; i++)
        touch(tensors[i] = &list->tensors[i]);
    if (tw_origin_create(tensors, list->n, &origin, &err) == TW_OK) {
        const tw_onnx_facts *f = list->onnx;
        tw_expectation e = {.vision_only = !f->text.present, .text_only = !f->image.present};
        tw_clip_config clip = {0};
        tw_arch arch;
        (void)tw_onnx_bpe_variant(f);
        if (tw_onnx_expect(f, tw_origin_family(origin)->text_kind, &e, &clip, NULL, &err) == TW_OK)
            (void)tw_recognize(origin, &e, &arch, &err);
    }
    tw_origin_free(origin);
    free(tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    if (!side[0]) make_side_file();
    tw_tensor_list list = {.path = model};
    tw_error err = TW_ERROR_INIT;
    tw_status status = tw_onnx_read(data, n_bytes, &list, &err);
    if (status != err.status || (status != TW_OK && !err.message[0])) abort();
    if (status == TW_OK) describe(&list);
    tw_tensor_list_free(&list);
    return 0;
}
