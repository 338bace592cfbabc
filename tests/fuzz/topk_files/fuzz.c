/* The text files of labels and predictions that are counted line by line. The input is all three,
 * apart at its first two zero bytes. The reader belongs to the command, so its source is taken in.
 */
#include "eval/topk_files.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void must(bool ok) {
    if (!ok) abort();
}

/* The same count without sorting. */
static size_t count_slowly(const tw_topk_text *a, const tw_topk_text *b) {
    line x, y;
    size_t pairs = 0;
    for (size_t i = 0; i < a->n_bytes;) {
        i = take_line(a, i, &x);
        for (size_t j = 0; j < b->n_bytes;) {
            j = take_line(b, j, &y);
            pairs += compare_lines(&x, &y) == 0;
        }
    }
    return pairs;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_topk_text texts[3];
    tw_topk_counts counts;
    tw_error err = TW_ERROR_INIT;
    if (n_bytes > 4096) return 0;
    for (int i = 0; i < 3; i++) {
        const uint8_t *end = i < 2 && n_bytes ? memchr(data, 0, n_bytes) : NULL;
        size_t n = end ? (size_t)(end - data) : n_bytes;
        texts[i] = (tw_topk_text){"fuzz", data, n};
        data += n + !!end;
        n_bytes -= n + !!end;
    }
    if (tw_topk_count(&texts[0], &texts[1], &texts[2], &counts, &err) != TW_OK) {
        must(err.message[0]);
        return 0;
    }
    must(counts.n_top1 == count_slowly(&texts[0], &texts[1]));
    must(counts.n_top5 == count_slowly(&texts[0], &texts[2]));
    return 0;
}
