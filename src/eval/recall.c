#include "eval/recall.h"

#include "base/utf8.h"
#include "dataset/id_map.h"
#include "eval/python_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const tw_direction_words tw_directions[] = {
    {"text_id", "image_id", "image_ids", "Text_id", "images", "text-to-image"},
    {"image_id", "text_id", "text_ids", "Image_id", "texts", "image-to-text"}};

/* --------------------------------------------------------------------------------- counting */

static bool has(const int64_t *ids, size_t n, int64_t id) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

void tw_recall_add(tw_recall *recall, const int64_t *right, size_t n_right, const int64_t *given,
                   size_t n_given) {
    static const size_t ranks[] = {1, 5, TW_RECALL_K};
    size_t hit = 0;
    while (hit < n_given && !has(right, n_right, given[hit]))
        hit++;
    recall->n_queries++;
    for (size_t i = 0; i < 3; i++)
        recall->n_hits[i] += hit < n_given && hit < ranks[i];
}

/* In the order of the original's operations, which decides the last digit. */
tw_recall_scores tw_recall_result(const tw_recall *recall) {
    double r[3];
    for (size_t i = 0; i < 3; i++)
        r[i] = recall->n_queries ? (double)recall->n_hits[i] / (double)recall->n_queries : NAN;
    return (tw_recall_scores){r[0] * 100, r[1] * 100, r[2] * 100, (r[0] + r[1] + r[2]) / 3 * 100};
}

void tw_recall_put_json(tw_buffer *b, const tw_recall *recall) {
    tw_recall_scores s = tw_recall_result(recall);
    const struct {
        const char *before;
        double value;
    } parts[] = {{"{\"success\": true, \"score\": ", s.mean},
                 {", \"scoreJson\": {\"score\": ", s.mean},
                 {", \"mean_recall\": ", s.mean},
                 {", \"r1\": ", s.r1},
                 {", \"r5\": ", s.r5},
                 {", \"r10\": ", s.r10}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        tw_buffer_puts(b, parts[i].before);
        tw_buffer_python_float(b, parts[i].value);
    }
    tw_buffer_puts(b, "}}");
}

void tw_evaluation_put_failure(tw_buffer *b, const char *message, size_t n_bytes) {
    tw_buffer_puts(b, "{\"errorDetail\": ");
    tw_buffer_ascii_json_string(b, message, n_bytes);
    tw_buffer_puts(b, ", \"errorMsg\": ");
    tw_buffer_ascii_json_string(b, message, n_bytes);
    tw_buffer_puts(b, ", \"score\": 0, \"scoreJson\": {}, \"success\": false}");
}

/* ------------------------------------------------------------------------------ predictions */

typedef struct predictions {
    tw_id_map map; /* query -> row */
    int64_t *rows; /* [n][TW_RECALL_K] */
    size_t n, capacity;
    const tw_direction_words *words;
    tw_buffer *message;
} predictions;

/* repr() of a string, but for the characters that Python calls unprintable above ASCII. */
static void put_repr(tw_buffer *b, const char *s, size_t n) {
    char quote = memchr(s, '\'', n) && !memchr(s, '"', n) ? '"' : '\'';
    static const char escaped[] = "\n\r\t\\", letters[] = "nrt\\";
    tw_buffer_append(b, &quote, 1);
    for (size_t i = 0; i < n; i++) {
        const char *found = s[i] ? strchr(escaped, s[i]) : NULL;
        if (found)
            tw_buffer_printf(b, "\\%c", letters[found - escaped]);
        else if (s[i] == quote)
            tw_buffer_printf(b, "\\%c", quote);
        else if ((uint8_t)s[i] < 0x20 || s[i] == 0x7F)
            tw_buffer_printf(b, "\\x%02x", (unsigned)(uint8_t)s[i]);
        else
            tw_buffer_append(b, &s[i], 1);
    }
    tw_buffer_append(b, &quote, 1);
}

/* How str.format shows a value: a string as it is inside quotes when it stands in a list. */
static void put_python(tw_buffer *b, const tw_json *v, bool inside) {
    static const char *const words[] = {"None", "True"};
    if (v->type == TW_JSON_STRING && !inside)
        tw_buffer_append(b, v->string, v->n_string);
    else if (v->type == TW_JSON_STRING)
        put_repr(b, v->string, v->n_string);
    else if (v->type == TW_JSON_NUMBER && !strpbrk(v->string, ".eEN"))
        tw_buffer_puts(b, strcmp(v->string, "Infinity") == 0 ? "inf" : v->string);
    else if (v->type == TW_JSON_NUMBER && isnan(v->number))
        tw_buffer_puts(b, "nan");
    else if (v->type == TW_JSON_NUMBER)
        tw_buffer_python_float(b, v->number);
    else if (v->type == TW_JSON_BOOL && !v->boolean)
        tw_buffer_puts(b, "False");
    else if (v->type <= TW_JSON_BOOL)
        tw_buffer_puts(b, words[v->type]);
    else
        tw_buffer_puts(b, v->type == TW_JSON_ARRAY ? "[" : "{");
    for (const tw_json *m = v->first; m; m = m->next) {
        if (m->key) {
            put_repr(b, m->key, m->n_key);
            tw_buffer_puts(b, ": ");
        }
        put_python(b, m, true);
        if (m->next) tw_buffer_puts(b, ", ");
    }
    if (v->type == TW_JSON_ARRAY || v->type == TW_JSON_OBJECT)
        tw_buffer_puts(b, v->type == TW_JSON_ARRAY ? "]" : "}");
}

/* "… {line}": the message for a line that lacks something. */
static bool complain(predictions *p, const char *what, tw_record_line line) {
    tw_buffer_printf(p->message, "%s: ", what);
    tw_buffer_append(p->message, line.text, line.n_bytes);
    return false;
}

static bool complain_of_rank(predictions *p, int64_t query, const tw_json *v, int rank) {
    const tw_direction_words *w = p->words;
    tw_buffer_printf(p->message, "%s %lld has an invalid predicted %s ", w->title, (long long)query,
                     w->answer);
    put_python(p->message, v, false);
    tw_buffer_printf(p->message,
                     " at rank %d, it should be an integer (not string), please check your schema",
                     rank);
    return false;
}

/* The ten ids of one line; false with a message when they are not as they must be. */
static bool read_ids(predictions *p, int64_t query, const tw_json *list, int64_t *ids) {
    const tw_direction_words *w = p->words;
    if (list->type != TW_JSON_ARRAY) {
        tw_buffer_printf(p->message,
                         "The %s field of %s %lld is not a list, please check your schema",
                         w->answers, w->query, (long long)query);
        return false;
    }
    if (list->n_items != TW_RECALL_K) {
        tw_buffer_printf(p->message,
                         "%s %lld has wrong number of predicted %s! Require %d, but %zu founded.",
                         w->title, (long long)query, w->answers, TW_RECALL_K, list->n_items);
        return false;
    }
    int n = 0;
    bool different = true;
    for (const tw_json *v = list->first; v; v = v->next, n++) {
        if (!tw_record_int(v, &ids[n])) return complain_of_rank(p, query, v, n + 1);
        different = different && !has(ids, (size_t)n, ids[n]);
    }
    if (different) return true;
    tw_buffer_printf(p->message,
                     "%s %lld has duplicate topk %s in your prediction. Pleace check again!",
                     w->title, (long long)query, w->things);
    return false;
}

/* What one line says; false with a message. */
static bool read_line(predictions *p, const tw_json *root, tw_record_line line, int64_t *query,
                      int64_t *ids) {
    const tw_direction_words *w = p->words;
    const tw_json *id = tw_json_get_last(root, w->query),
                  *list = tw_json_get_last(root, w->answers);
    char what[80];
    if (!id) {
        snprintf(what, sizeof what, "There exists one line not containing %s", w->query);
        return complain(p, what, line);
    }
    if (!tw_record_int(id, query)) {
        tw_buffer_printf(p->message, "Found an invalid %s ", w->query);
        put_python(p->message, id, false);
        tw_buffer_puts(p->message,
                       ", it should be an integer (not string), please check your schema");
        return false;
    }
    if (!list) {
        snprintf(what, sizeof what, "There exists one line not containing the predicted %s",
                 w->answers);
        return complain(p, what, line);
    }
    return read_ids(p, *query, list, ids);
}

static tw_status keep(predictions *p, int64_t query, const int64_t *ids, tw_error *err) {
    if (p->n == p->capacity) {
        size_t grown = p->capacity ? p->capacity * 2 : 64;
        int64_t *rows = realloc(p->rows, grown * TW_RECALL_K * sizeof *rows);
        if (!rows) return tw_fail_no_memory(err, grown * TW_RECALL_K * sizeof *rows);
        p->rows = rows;
        p->capacity = grown;
    }
    size_t row = tw_id_map_get(&p->map, query), before;
    if (row == TW_NO_INDEX) {
        row = p->n++;
        TW_TRY(tw_id_map_put(&p->map, query, row, &before, err));
    }
    memcpy(p->rows + row * TW_RECALL_K, ids, TW_RECALL_K * sizeof *ids);
    return TW_OK;
}

/* All lines, up to the first that is wrong: then there is a message. */
static tw_status read_predictions(predictions *p, tw_record_lines *lines, tw_error *err) {
    tw_record_line line;
    while (tw_record_lines_next(lines, &line)) {
        if (!tw_utf8_valid(line.text, line.n_bytes))
            return tw_record_fail(lines, err, "is not UTF-8");
        tw_json_doc *doc;
        tw_status status = tw_json_parse_python(line.text, line.n_bytes, &doc, err);
        if (status == TW_ERR_NO_MEMORY) return status;
        if (status != TW_OK) {
            complain(p, "Cannot parse this line into json object", line);
            return TW_OK;
        }
        int64_t query, ids[TW_RECALL_K];
        bool good = read_line(p, tw_json_root(doc), line, &query, ids);
        tw_json_free(doc);
        if (!good) return TW_OK;
        TW_TRY(keep(p, query, ids, err));
    }
    return TW_OK;
}

/* -------------------------------------------------------------------------------- evaluation */

/* The reference as the original's dict has it: queries in the order of their first lines, each with
 * the answers of its last. */
typedef struct reference {
    tw_id_map map;
    int64_t *queries;
    size_t *lines; /* of the annotations */
    size_t n;
} reference;

static tw_status make_reference(const tw_annotations *a, reference *r, tw_error *err) {
    *r = (reference){.queries = calloc(a->n ? a->n : 1, sizeof *r->queries),
                     .lines = calloc(a->n ? a->n : 1, sizeof *r->lines)};
    if (!r->queries || !r->lines) return tw_fail_no_memory(err, a->n * sizeof *r->lines);
    for (size_t i = 0; i < a->n; i++) {
        size_t at = tw_id_map_get(&r->map, a->queries[i]), before;
        if (at == TW_NO_INDEX) {
            at = r->n++;
            TW_TRY(tw_id_map_put(&r->map, a->queries[i], at, &before, err));
        }
        r->queries[at] = a->queries[i];
        r->lines[at] = i;
    }
    return TW_OK;
}

static void free_reference(reference *r) {
    tw_id_map_free(&r->map);
    free(r->queries);
    free(r->lines);
}

static bool lacks(const void *user, int64_t id) {
    const predictions *p = user;
    return tw_id_map_get(&p->map, id) == TW_NO_INDEX;
}

/* A message when an annotated query has no prediction. */
static tw_status check_complete(const reference *r, predictions *p, tw_error *err) {
    int64_t *missing;
    size_t n;
    TW_TRY(tw_python_set_difference(r->queries, r->n, p->n, lacks, p, &missing, &n, err));
    if (n)
        tw_buffer_printf(p->message,
                         "The following %ss have no prediction in your submission, please check "
                         "again: ",
                         p->words->query);
    for (size_t i = 0; i < n; i++)
        tw_buffer_printf(p->message, i ? ", %lld" : "%lld", (long long)missing[i]);
    free(missing);
    return TW_OK;
}

static void count(const tw_annotations *a, const reference *r, const predictions *p,
                  tw_recall *out) {
    for (size_t i = 0; i < r->n; i++) {
        size_t n, row = tw_id_map_get(&p->map, r->queries[i]);
        const int64_t *answers = tw_annotations_answers(a, r->lines[i], &n);
        tw_recall_add(out, answers, n, p->rows + row * TW_RECALL_K, TW_RECALL_K);
    }
}

tw_status tw_evaluate_lines(const tw_annotations *annotations, tw_record_lines *lines,
                            tw_direction direction, tw_evaluation *out, tw_error *err) {
    *out = (tw_evaluation){0};
    if (!annotations->n) return tw_fail(err, TW_ERR_FORMAT, "no annotated query in it");
    predictions p = {.words = &tw_directions[direction], .message = &out->message};
    reference r = {0};
    tw_status status;
    TW_CHECK(make_reference(annotations, &r, err));
    TW_CHECK(read_predictions(&p, lines, err));
    if (!out->message.n_bytes) TW_CHECK(check_complete(&r, &p, err));
    out->success = !out->message.n_bytes;
    if (out->message.failed) TW_CHECK(tw_fail_no_memory(err, out->message.n_bytes));
    if (out->success) count(annotations, &r, &p, &out->recall);
done:
    free_reference(&r);
    tw_id_map_free(&p.map);
    free(p.rows);
    if (status != TW_OK) tw_evaluation_free(out);
    return status;
}

tw_status tw_evaluate(const tw_annotations *annotations, const char *path, tw_direction direction,
                      tw_evaluation *out, tw_error *err) {
    *out = (tw_evaluation){0};
    if (access(path, F_OK) != 0) {
        tw_buffer_puts(&out->message, "The submission file is not found!");
        return out->message.failed ? tw_fail_no_memory(err, 64) : TW_OK;
    }
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    tw_record_lines lines = {.name = path, .data = file.data, .n_bytes = file.n_bytes};
    tw_status status = tw_evaluate_lines(annotations, &lines, direction, out, err);
    tw_unmap_file(&file);
    return status;
}

void tw_evaluation_free(tw_evaluation *e) {
    tw_buffer_free(&e->message);
    *e = (tw_evaluation){0};
}
