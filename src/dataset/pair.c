#include "dataset/pair.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define SUFFIX "_0"
#define SUFFIX_BYTES (sizeof SUFFIX - 1)

tw_status tw_add_stem(tw_strings *stems, const char *path, tw_error *err) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return tw_strings_add(stems, name, dot && dot > name ? (size_t)(dot - name) : strlen(name),
                          err);
}

typedef struct key {
    const char *text;
    size_t n_bytes, index;
} key;

static int compare_text(const key *x, const key *y) {
    int order = memcmp(x->text, y->text, TW_MIN(x->n_bytes, y->n_bytes));
    return order ? order : (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

static int compare_keys(const void *a, const void *b) {
    return compare_text(a, b);
}

/* Whether every stem ends in the suffix and is more than that. */
static bool all_numbered(const tw_strings *s) {
    for (size_t i = 0; i < s->n; i++) {
        const char *text = tw_strings_get(s, i);
        size_t n = strlen(text);
        if (n <= SUFFIX_BYTES || strcmp(text + n - SUFFIX_BYTES, SUFFIX) != 0) return false;
    }
    return s->n > 0;
}

/* The stems sorted, `cut` bytes left out at their ends. */
static void make_keys(const tw_strings *s, size_t cut, key *keys) {
    for (size_t i = 0; i < s->n; i++) {
        const char *text = tw_strings_get(s, i);
        keys[i] = (key){text, strlen(text) - cut, i};
    }
    qsort(keys, s->n, sizeof *keys, compare_keys);
}

static tw_status check_unique(const key *keys, size_t n, tw_error *err) {
    for (size_t i = 1; i < n; i++)
        if (compare_text(&keys[i - 1], &keys[i]) == 0)
            return tw_fail(err, TW_ERR_AMBIGUOUS, "two files of the name '%s': no telling which",
                           keys[i].text);
    return TW_OK;
}

/* Joins two sorted lists; returns how many partners there are and, if asked, who they are. */
static size_t join(const key *a, size_t n_a, const key *b, size_t n_b, tw_pairs *out) {
    size_t n = 0;
    for (size_t i = 0, j = 0; i < n_a && j < n_b;) {
        int order = compare_text(&a[i], &b[j]);
        if (order == 0) {
            n++;
            if (out) {
                out->of_a[a[i].index] = b[j].index;
                out->of_b[b[j].index] = a[i].index;
            }
        }
        i += order <= 0;
        j += order >= 0;
    }
    return n;
}

tw_status tw_pair_stems(const tw_strings *a, const tw_strings *b, tw_pairs *out, tw_error *err) {
    *out = (tw_pairs){calloc(a->n + 1, sizeof *out->of_a), calloc(b->n + 1, sizeof *out->of_b), 0};
    key *keys_a = calloc(a->n + 1, sizeof *keys_a), *keys_b = calloc(b->n + 1, sizeof *keys_b);
    tw_status status = TW_OK;
    if (!out->of_a || !out->of_b || !keys_a || !keys_b)
        TW_CHECK(tw_fail_no_memory(err, (a->n + b->n) * sizeof *keys_a));
    for (size_t i = 0; i < a->n; i++)
        out->of_a[i] = TW_NO_PARTNER;
    for (size_t i = 0; i < b->n; i++)
        out->of_b[i] = TW_NO_PARTNER;
    size_t cuts_a = all_numbered(a) ? 2 : 1, cuts_b = all_numbered(b) ? 2 : 1;
    size_t best = 0, best_n = 0;
    for (size_t way = 0; way < 4; way++) { /* bit 0: cut a's, bit 1: cut b's */
        if (way % 2 >= cuts_a || way / 2 >= cuts_b) continue;
        make_keys(a, way % 2 * SUFFIX_BYTES, keys_a);
        make_keys(b, way / 2 * SUFFIX_BYTES, keys_b);
        size_t n = join(keys_a, a->n, keys_b, b->n, NULL);
        if (n > best_n) best = way, best_n = n;
    }
    make_keys(a, best % 2 * SUFFIX_BYTES, keys_a);
    make_keys(b, best / 2 * SUFFIX_BYTES, keys_b);
    TW_CHECK(check_unique(keys_a, a->n, err));
    TW_CHECK(check_unique(keys_b, b->n, err));
    out->n = join(keys_a, a->n, keys_b, b->n, out);
done:
    free(keys_a);
    free(keys_b);
    if (status != TW_OK) tw_pairs_free(out);
    return status;
}

void tw_pairs_free(tw_pairs *pairs) {
    free(pairs->of_a);
    free(pairs->of_b);
    *pairs = (tw_pairs){0};
}
