/* Configuration files of any bytes, read as all kinds. */
#include "convert/clip_config.h"
#include "convert/config.h"
#include "convert/hf_recipe.h"
#include "convert/hf_tokenizer.h"
#include "convert/hf_tokenizer_json.h"
#include "model/arch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void read_clip(const uint8_t *data, size_t n_bytes) {
    tw_clip_config c;
    tw_error err = TW_ERROR_INIT;
    bool found;
    tw_status status = tw_clip_config_parse(data, n_bytes, &c, &found, &err);
    if (status != err.status) abort();
    if (status != TW_OK || !found) return;
    if (c.vision.n_heads < 1 || c.text.n_heads < 1) abort();
    tw_arch arch = {sizeof arch, "", c.embed_dim, c.vision, c.text};
    tw_arch_check(&arch, &err);
    tw_arch_set_name(&arch);
}

static void read_recipe(const uint8_t *data, size_t n_bytes) {
    tw_recipe r;
    tw_error err = TW_ERROR_INIT;
    bool found;
    tw_status status = tw_hf_recipe_parse(data, n_bytes, &r, &found, &err);
    if (status != err.status) abort();
    if (status != TW_OK || !found) return;
    if (r.size < 1 || r.size > 4096 || !(r.std[0] > 0)) abort();
}

static void read_tokenizer(const uint8_t *data, size_t n_bytes) {
    static tw_tokenizer *bytes; /* no merges: bytes and the two specials */
    tw_error err = TW_ERROR_INIT;
    if (!bytes && tw_tokenizer_bpe("#\n", 2, TW_BPE_OPENAI, &bytes, &err) != TW_OK) abort();
    if (tw_hf_tokenizer_check(data, n_bytes, &err) != err.status) abort();
    err = (tw_error)TW_ERROR_INIT;
    if (tw_hf_vocabulary_agrees(data, n_bytes, bytes, &err) != err.status) abort();
}

/* What comes out must be fit for the tokenizers to read or refuse. */
static void read_tokenizer_json(const uint8_t *data, size_t n_bytes) {
    for (int byte_pairs = 0; byte_pairs < 2; byte_pairs++) {
        tw_buffer lines = {0};
        tw_tokenizer *t = NULL;
        tw_error err = TW_ERROR_INIT;
        if (tw_hf_tokenizer_json(data, n_bytes, byte_pairs, &lines, &err) != err.status) abort();
        if (err.status == TW_OK && byte_pairs)
            tw_tokenizer_bpe(lines.data, lines.n_bytes, TW_BPE_OPENAI, &t, &err);
        else if (err.status == TW_OK)
            tw_tokenizer_wordpiece(lines.data, lines.n_bytes, &t, &err);
        tw_tokenizer_free(t);
        tw_buffer_free(&lines);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    read_clip(data, n_bytes);
    read_recipe(data, n_bytes);
    read_tokenizer(data, n_bytes);
    read_tokenizer_json(data, n_bytes);
    tw_arch arch = {.struct_size = sizeof arch};
    tw_error err = TW_ERROR_INIT;
    tw_status vision = tw_vision_config_parse(data, n_bytes, &arch.vision, &arch.embed_dim, &err);
    if (vision != err.status) abort();
    if (vision == TW_OK && arch.vision.n_heads < 1) abort();
    err = (tw_error)TW_ERROR_INIT;
    tw_status text = tw_text_config_parse(data, n_bytes, &arch.text, &err);
    if (text != err.status) abort();
    if (text == TW_OK && arch.text.n_heads < 1) abort();
    if (vision != TW_OK) arch.vision.kind = TW_VISION_NONE;
    if (text != TW_OK) arch.text.kind = TW_TEXT_NONE;
    tw_arch_check(&arch, &err);
    tw_arch_set_name(&arch);
    return 0;
}
