/* Files of texts, labels, paths and prompt templates: refused with a message, or every string is
 * whole. The readers belong to the command, not to the library, so their sources are taken in. */
#include "dataset/strings.c" /* first: it asks for the GNU functions */

#include "dataset/lines.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Sums all strings up, so that each is read to its end. */
static unsigned read_all(const tw_strings *s) {
    unsigned sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += (unsigned)strlen(tw_strings_get(s, i));
    return sum;
}

static void check(tw_status status, const tw_strings *s, const tw_error *err) {
    if (status != TW_OK && err->message[0] == '\0') abort();
    if (status == TW_OK && read_all(s) > s->bytes.n_bytes) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    for (int kind = TW_LINES_TEXTS; kind <= TW_LINES_LABELS; kind++) {
        tw_strings s = {0};
        tw_error err = TW_ERROR_INIT;
        check(tw_parse_lines(data, n_bytes, "fuzz", (tw_line_kind)kind, &s, &err), &s, &err);
        tw_strings_free(&s);
    }
    static const char *const sets[] = {NULL, "zh"};
    for (int i = 0; i < 2; i++) {
        tw_strings s = {0};
        tw_error err = TW_ERROR_INIT;
        check(tw_parse_templates(data, n_bytes, "fuzz.json", sets[i], &s, &err), &s, &err);
        tw_strings_free(&s);
    }
    return 0;
}
