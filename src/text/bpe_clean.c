/* Source: OpenAI CLIP clip/simple_tokenizer.py, open_clip tokenizer.py. */
#include "text/bpe_clean.h"

#include "base/utf8.h"
#include "text/entities.h"
#include "text/repair.h"
#include "text/unicode.h"

static void decode(const char *text, size_t n_bytes, tw_codepoints *out) {
    const uint8_t *p = (const uint8_t *)text;
    uint32_t c;
    for (size_t i = 0; i < n_bytes;) {
        size_t n = tw_utf8_decode(p + i, n_bytes - i, &c);
        if (n) tw_codepoints_put(out, c);
        i += n ? n : 1;
    }
}

/* OpenAI collapses by the regex module's \s and then strips; open_clip splits and joins. The two
 * differ in U+001C..U+001F, which only text that skips the repairs can still have here. */
static bool is_collapsed(uint32_t c, tw_bpe_variant variant) {
    return variant == TW_BPE_OPENAI ? tw_is_unicode_space(c) : tw_is_python_space(c);
}

static void strip(const uint32_t **c, size_t *n) {
    while (*n > 0 && tw_is_python_space((*c)[0])) {
        (*c)++;
        (*n)--;
    }
    while (*n > 0 && tw_is_python_space((*c)[*n - 1]))
        (*n)--;
}

static void collapse_spaces(tw_codepoints *t, tw_bpe_variant variant) {
    size_t n_in = t->n, n = 0;
    const uint32_t *c = t->c;
    strip(&c, &n_in);
    for (size_t i = 0; i < n_in; i++) {
        bool space = is_collapsed(c[i], variant);
        if (space && i > 0 && is_collapsed(c[i - 1], variant)) continue;
        t->c[n++] = space ? ' ' : c[i];
    }
    t->n = n;
}

static void remove_punctuation(tw_codepoints *t) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t c = t->c[i] == '_' ? ' ' : t->c[i];
        if (!(c < 0x80 && tw_mark_of(c).punctuation)) t->c[n++] = c;
    }
    t->n = n;
}

static void lower(tw_codepoints *t, tw_codepoints *scratch) {
    tw_codepoints_lower(t, scratch);
    tw_codepoints_swap(t, scratch);
}

static void unescape(tw_codepoints *t, tw_codepoints *scratch) {
    tw_unescape_html(t, scratch);
    tw_codepoints_swap(t, scratch);
}

tw_status tw_bpe_clean(const char *text, size_t n_bytes, tw_bpe_variant variant,
                       tw_text_clean clean, bool skip_repair, tw_codepoints *out, tw_error *err) {
    tw_status status = TW_OK;
    tw_codepoints scratch = {0};
    decode(text, n_bytes, out);
    if (!skip_repair && !out->failed) {
        TW_CHECK(tw_fix_text(out, &scratch, err));
        tw_codepoints_swap(out, &scratch);
    }
    unescape(out, &scratch);
    unescape(out, &scratch);
    if (clean == TW_CLEAN_CANONICALIZE) {
        remove_punctuation(out);
        lower(out, &scratch);
        collapse_spaces(out, TW_BPE_OPEN_CLIP);
    } else {
        collapse_spaces(out, variant);
        if (clean == TW_CLEAN_LOWER) lower(out, &scratch);
    }
    if (out->failed || scratch.failed) status = tw_fail_no_memory(err, n_bytes * sizeof *out->c);
done:
    tw_codepoints_free(&scratch);
    return status;
}
