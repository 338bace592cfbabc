#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Walks all that was read as a user of the document would. */
static size_t walk(const tw_json *v, int depth) {
    if (depth > 64) abort();
    size_t n = 1;
    if (v->type == TW_JSON_STRING || v->type == TW_JSON_NUMBER) {
        if (v->string[v->n_string] != '\0') abort();
    }
    if (v->key && v->key[v->n_key] != '\0') abort();
    size_t n_items = 0;
    for (const tw_json *m = v->first; m; m = m->next, n_items++)
        n += walk(m, depth + 1);
    if (n_items != v->n_items) abort();
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_json_doc *doc;
    tw_error err = TW_ERROR_INIT;
    if (tw_json_parse(data, n_bytes, &doc, &err) != TW_OK) {
        if (doc || !err.message[0]) abort();
        return 0;
    }
    const tw_json *root = tw_json_root(doc);
    walk(root, 1);
    int64_t i;
    const char *s;
    (void)tw_json_get_int(root, "embed_dim", 1, 4096, 512, &i, &err);
    (void)tw_json_get_string(root, "text_model", NULL, &s, &err);
    tw_json_free(doc);
    return 0;
}
