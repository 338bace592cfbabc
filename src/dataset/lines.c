#include "dataset/lines.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)4 << 30)
#define MAX_TEMPLATE_BYTES ((size_t)16 << 20)

typedef struct span {
    const char *p;
    size_t n;
} span;

/* White space at an end of a label: ASCII, no-break space and ideographic space, which is what
 * files of labels have there. */
static size_t blank_at(span s) {
    if (s.n >= 1 && strchr(" \t\r\v\f", s.p[0]) && s.p[0]) return 1;
    if (s.n >= 2 && memcmp(s.p, "\xC2\xA0", 2) == 0) return 2;
    if (s.n >= 3 && memcmp(s.p, "\xE3\x80\x80", 3) == 0) return 3;
    return 0;
}

static span strip(span s) {
    size_t n;
    while ((n = blank_at(s)) > 0)
        s = (span){s.p + n, s.n - n};
    bool again = true;
    while (again) {
        again = false;
        for (size_t k = 1; k <= 3 && k <= s.n && !again; k++)
            if (blank_at((span){s.p + s.n - k, k}) == k) {
                s.n -= k;
                again = true;
            }
    }
    return s;
}

/* U+0000 is dropped: the tokenizers drop it, and the strings after this end at a NUL. */
static tw_status add_text(tw_strings *out, span s, tw_error *err) {
    if (!s.n || !memchr(s.p, 0, s.n)) return tw_strings_add(out, s.p, s.n, err);
    char *copy = malloc(s.n);
    if (!copy) return tw_fail_no_memory(err, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i]) copy[n++] = s.p[i];
    tw_status status = tw_strings_add(out, copy, n, err);
    free(copy);
    return status;
}

static tw_status add_text_line(tw_strings *out, span line, tw_error *err) {
    if (line.n == 0 || line.p[0] != '{') return add_text(out, line, err);
    tw_json_doc *doc = NULL;
    tw_status status = tw_json_parse(line.p, line.n, &doc, NULL);
    if (status == TW_ERR_NO_MEMORY) return tw_fail_no_memory(err, line.n);
    const tw_json *text = status == TW_OK ? tw_json_get(tw_json_root(doc), "text") : NULL;
    if (text && text->type == TW_JSON_STRING) line = (span){text->string, text->n_string};
    status = add_text(out, line, err);
    tw_json_free(doc);
    return status;
}

static tw_status add_line(tw_strings *out, span line, size_t number, const char *name,
                          tw_line_kind kind, tw_error *err) {
    if (kind == TW_LINES_TEXTS) return add_text_line(out, line, err);
    if (line.n && memchr(line.p, 0, line.n))
        return tw_fail(err, TW_ERR_FORMAT, "%s: line %zu: holds a NUL byte", name, number);
    if (kind == TW_LINES_LABELS) line = strip(line);
    return tw_strings_add(out, line.p, line.n, err);
}

tw_status tw_parse_lines(const void *data, size_t n_bytes, const char *name, tw_line_kind kind,
                         tw_strings *out, tw_error *err) {
    span rest = {data, n_bytes};
    if (rest.n >= 3 && memcmp(rest.p, "\xEF\xBB\xBF", 3) == 0)
        rest = (span){rest.p + 3, rest.n - 3};
    size_t before = out->n;
    for (size_t number = 1; rest.n > 0; number++) {
        const char *lf = memchr(rest.p, '\n', rest.n);
        span line = {rest.p, lf ? (size_t)(lf - rest.p) : rest.n};
        size_t used = line.n + (lf ? 1 : 0);
        rest = (span){rest.p + used, rest.n - used};
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        TW_TRY(add_line(out, line, number, name, kind, err));
    }
    if (kind == TW_LINES_TEXTS) return TW_OK;
    while (out->n > before && tw_strings_get(out, out->n - 1)[0] == '\0')
        tw_strings_cut(out, out->n - 1);
    if (kind == TW_LINES_LABELS)
        for (size_t i = before; i < out->n; i++)
            if (tw_strings_get(out, i)[0] == '\0')
                return tw_fail(err, TW_ERR_FORMAT, "%s: line %zu is blank, expected a label", name,
                               i - before + 1);
    return TW_OK;
}

tw_status tw_read_lines(const char *path, tw_line_kind kind, tw_strings *out, tw_error *err) {
    uint8_t *data = NULL;
    size_t n = 0;
    TW_TRY(tw_read_file(path, MAX_FILE_BYTES, &data, &n, err));
    tw_status status =
        tw_parse_lines(data, n, strcmp(path, "-") ? path : "standard input", kind, out, err);
    free(data);
    return status;
}

static tw_status add_list(const tw_json *list, const char *name, tw_strings *out, tw_error *err) {
    for (const tw_json *item = list->first; item; item = item->next) {
        if (item->type != TW_JSON_STRING)
            return tw_fail(err, TW_ERR_FORMAT, "%s: a template is not a string", name);
        TW_TRY(add_text(out, (span){item->string, item->n_string}, err));
    }
    return TW_OK;
}

/* The names of the lists in `sets`, for a message. */
static void list_names(const tw_json *sets, tw_buffer *names) {
    for (const tw_json *set = sets->first; set; set = set->next)
        if (set->type == TW_JSON_ARRAY)
            tw_buffer_printf(names, "%s%.*s", names->n_bytes ? ", " : "", (int)set->n_key,
                             set->key);
    if (!names->n_bytes) tw_buffer_puts(names, "none");
}

static tw_status choose_list(const tw_json *root, const char *name, const char *set,
                             const tw_json **out, tw_error *err) {
    const tw_json *sets = root, *nested = tw_json_get(root, "templates");
    if (nested && nested->type == TW_JSON_OBJECT) sets = nested;
    if (set) {
        const tw_json *map = tw_json_get(root, "dataset_map");
        const tw_json *to = map ? tw_json_get(map, set) : NULL;
        *out = tw_json_get(sets, to && to->type == TW_JSON_STRING ? to->string : set);
    } else if (nested && nested->type == TW_JSON_ARRAY) {
        *out = nested;
    } else {
        size_t n_lists = 0;
        for (const tw_json *s = sets->first; s; s = s->next)
            if (s->type == TW_JSON_ARRAY && n_lists++ == 0) *out = s;
        if (n_lists != 1) *out = NULL;
    }
    if (*out && (*out)->type == TW_JSON_ARRAY) return TW_OK;
    tw_buffer names = {0};
    list_names(sets, &names);
    tw_status status =
        set ? tw_fail(err, TW_ERR_ARGUMENT, "%s: no template set '%s'; there is %s", name, set,
                      names.data ? names.data : "?")
            : tw_fail(err, TW_ERR_AMBIGUOUS, "%s: choose a set with --template-set: %s", name,
                      names.data ? names.data : "?");
    tw_buffer_free(&names);
    return status;
}

tw_status tw_parse_templates(const void *data, size_t n_bytes, const char *name, const char *set,
                             tw_strings *out, tw_error *err) {
    const char *p = data;
    size_t start = 0;
    while (start < n_bytes && p[start] && strchr(" \t\r\n", p[start]))
        start++;
    /* "{}" begins a plain template as well as an object: what parses as JSON is JSON. */
    tw_json_doc *doc = NULL;
    tw_error json_err = TW_ERROR_INIT;
    bool is_list = start < n_bytes && p[start] == '[';
    bool is_object = start < n_bytes && p[start] == '{';
    size_t n_name = strlen(name);
    bool must_be_json = is_list || set || (n_name > 5 && strcmp(name + n_name - 5, ".json") == 0);
    tw_status status = TW_OK;
    if ((is_list || is_object) && tw_json_parse(data, n_bytes, &doc, &json_err) == TW_OK) {
        const tw_json *list = tw_json_root(doc);
        if (list->type == TW_JSON_OBJECT && list->n_items)
            status = choose_list(list, name, set, &list, err);
        if (status == TW_OK && list->type == TW_JSON_ARRAY) {
            status = add_list(list, name, out, err);
            tw_json_free(doc);
            goto checked;
        }
        tw_json_free(doc);
        if (status != TW_OK) return status;
    } else if ((is_list || is_object) && must_be_json) {
        return tw_fail(err, TW_ERR_FORMAT, "%s: %s", name, json_err.message);
    }
    status = tw_parse_lines(data, n_bytes, name, TW_LINES_LABELS, out, err);
checked:
    if (status == TW_OK && out->n == 0)
        status = tw_fail(err, TW_ERR_FORMAT, "%s: no template in it", name);
    return status;
}

tw_status tw_read_templates(const char *path, const char *set, tw_strings *out, tw_error *err) {
    uint8_t *data = NULL;
    size_t n = 0;
    TW_TRY(tw_read_file(path, MAX_TEMPLATE_BYTES, &data, &n, err));
    tw_status status = tw_parse_templates(data, n, path, set, out, err);
    free(data);
    return status;
}
