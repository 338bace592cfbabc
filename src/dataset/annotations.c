#define _GNU_SOURCE
#include "dataset/annotations.h"

#include "dataset/id_map.h"

#include <stdlib.h>
#include <string.h>

static const char *const query_keys[] = {"image_id", "text_id", "text_id"};
static const char *const answer_keys[] = {"text_ids", "image_ids", "image_ids"};

tw_status tw_left_out_add(tw_left_out *left_out, const tw_error *why, tw_error *err) {
    left_out->n++;
    if (left_out->lines.n >= TW_MAX_LEFT_OUT) return TW_OK;
    return tw_strings_add(&left_out->lines, why->message, strlen(why->message), err);
}

void tw_left_out_free(tw_left_out *left_out) {
    tw_strings_free(&left_out->lines);
    *left_out = (tw_left_out){0};
}

/* --------------------------------------------------------------------------------- growing */

static tw_status grow(void **p, size_t *capacity, size_t size, tw_error *err) {
    size_t grown = *capacity ? *capacity * 2 : 64;
    void *moved = reallocarray(*p, grown, size);
    if (!moved) return tw_fail_no_memory(err, grown * size);
    *p = moved;
    *capacity = grown;
    return TW_OK;
}

static tw_status add_answer(tw_annotations *a, int64_t id, tw_error *err) {
    if (a->n_answers == a->answers_capacity)
        TW_TRY(grow((void **)&a->answers, &a->answers_capacity, sizeof *a->answers, err));
    a->answers[a->n_answers++] = id;
    return TW_OK;
}

/* Closes a query: its answers are those added since the one before. */
static tw_status add_query(tw_annotations *a, int64_t id, tw_error *err) {
    if (a->n == a->capacity) {
        size_t same = a->capacity;
        TW_TRY(grow((void **)&a->ends, &same, sizeof *a->ends, err));
        TW_TRY(grow((void **)&a->queries, &a->capacity, sizeof *a->queries, err));
    }
    a->queries[a->n] = id;
    a->ends[a->n++] = a->n_answers;
    return TW_OK;
}

/* --------------------------------------------------------------------------------- reading */

/* U+0000 goes: the tokenizers drop it, and the strings end at one. */
static tw_status add_text(tw_strings *out, const tw_json *v, tw_error *err) {
    tw_buffer copy = {0};
    for (size_t i = 0; v && i < v->n_string; i++)
        if (v->string[i]) tw_buffer_append(&copy, &v->string[i], 1);
    tw_status status = copy.failed
                           ? tw_fail_no_memory(err, v->n_string)
                           : tw_strings_add(out, copy.data ? copy.data : "", copy.n_bytes, err);
    tw_buffer_free(&copy);
    return status;
}

static tw_status add_words(tw_annotations *a, const tw_record_lines *lines, const tw_json *root,
                           tw_error *err) {
    const tw_json *text = tw_json_get_last(root, "text"), *file = tw_json_get_last(root, "file");
    if (!text) return tw_record_fail(lines, err, "no \"text\" in it");
    if (text->type != TW_JSON_STRING && text->type != TW_JSON_NUMBER)
        return tw_record_fail(lines, err, "\"text\" is not a string");
    if (file && file->type != TW_JSON_STRING) file = NULL;
    TW_TRY(add_text(&a->texts, text, err));
    tw_status status = add_text(&a->files, file, err);
    if (status != TW_OK) tw_strings_cut(&a->texts, a->texts.n - 1);
    return status;
}

static tw_status add_record(tw_annotations *a, const tw_record_lines *lines, const tw_json *root,
                            tw_annotation_kind kind, tw_error *err) {
    int64_t query, id;
    const tw_json *answers;
    TW_TRY(tw_record_id(lines, root, query_keys[kind], &query, err));
    TW_TRY(tw_record_list(lines, root, answer_keys[kind], &answers, err));
    for (const tw_json *v = answers->first; v; v = v->next) {
        if (!tw_record_int(v, &id))
            return tw_record_fail(lines, err, "\"%s\" has what is not an integer of 64 bits",
                                  answer_keys[kind]);
        TW_TRY(add_answer(a, id, err));
    }
    if (kind == TW_TEXTS) TW_TRY(add_words(a, lines, root, err));
    return add_query(a, query, err);
}

static tw_status parse_line(tw_annotations *a, const tw_record_lines *lines, tw_record_line line,
                            tw_annotation_kind kind, tw_error *err) {
    tw_json_doc *doc;
    TW_TRY(tw_record_parse(lines, line, &doc, err));
    size_t before = a->n_answers;
    tw_status status = add_record(a, lines, tw_json_root(doc), kind, err);
    if (status != TW_OK) a->n_answers = before;
    tw_json_free(doc);
    return status;
}

tw_status tw_annotations_parse(tw_record_lines *lines, tw_annotation_kind kind, tw_annotations *out,
                               tw_left_out *left_out, tw_error *err) {
    *out = (tw_annotations){0};
    tw_record_line line;
    tw_status status = TW_OK;
    while (status == TW_OK && tw_record_lines_next(lines, &line)) {
        tw_error why = TW_ERROR_INIT;
        status = parse_line(out, lines, line, kind, &why);
        if (status == TW_OK) continue;
        if (left_out && status != TW_ERR_NO_MEMORY) {
            status = tw_left_out_add(left_out, &why, err);
            continue;
        }
        tw_fail(err, status, "%s", why.message);
    }
    if (status != TW_OK) tw_annotations_free(out);
    return status;
}

tw_status tw_annotations_read(const char *path, tw_annotation_kind kind, tw_annotations *out,
                              tw_left_out *left_out, tw_error *err) {
    *out = (tw_annotations){0};
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    tw_record_lines lines = {.name = path, .data = file.data, .n_bytes = file.n_bytes};
    tw_status status = tw_annotations_parse(&lines, kind, out, left_out, err);
    tw_unmap_file(&file);
    return status;
}

tw_status tw_annotations_sniff(const char *path, const char *key, bool *has, tw_error *err) {
    *has = false;
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    tw_record_lines lines = {.name = path, .data = file.data, .n_bytes = file.n_bytes};
    tw_record_line line;
    tw_json_doc *doc = NULL;
    tw_status status = TW_OK;
    if (tw_record_lines_next(&lines, &line)) status = tw_record_parse(&lines, line, &doc, err);
    if (doc) *has = tw_json_get(tw_json_root(doc), key) != NULL;
    tw_json_free(doc);
    tw_unmap_file(&file);
    return status;
}

/* --------------------------------------------------------------------------------- turning */

/* Numbers the different answers by first appearance and counts how often each occurs: counts in
 * out->ends, ids in out->queries. */
static tw_status number_answers(const tw_annotations *a, tw_id_map *map, tw_annotations *out,
                                tw_error *err) {
    for (size_t i = 0; i < a->n_answers; i++) {
        size_t at = tw_id_map_get(map, a->answers[i]);
        if (at == TW_NO_INDEX) {
            size_t before;
            at = out->n;
            TW_TRY(tw_id_map_put(map, a->answers[i], at, &before, err));
            TW_TRY(add_query(out, a->answers[i], err));
        }
        out->ends[at]++;
    }
    return TW_OK;
}

tw_status tw_annotations_turn(const tw_annotations *a, tw_annotations *out, tw_error *err) {
    *out = (tw_annotations){0};
    tw_id_map map = {0};
    tw_status status;
    TW_CHECK(number_answers(a, &map, out, err));
    out->answers = calloc(a->n_answers ? a->n_answers : 1, sizeof *out->answers);
    if (!out->answers) TW_CHECK(tw_fail_no_memory(err, a->n_answers * sizeof *out->answers));
    out->n_answers = out->answers_capacity = a->n_answers;
    size_t begin = 0;
    for (size_t i = 0; i < out->n; i++) { /* from counts to where each one's part begins */
        size_t count = out->ends[i];
        out->ends[i] = begin;
        begin += count;
    }
    for (size_t i = 0; i < a->n; i++) /* which then moves to where it ends */
        for (size_t j = tw_annotations_begin(a, i); j < a->ends[i]; j++)
            out->answers[out->ends[tw_id_map_get(&map, a->answers[j])]++] = a->queries[i];
done:
    tw_id_map_free(&map);
    if (status != TW_OK) tw_annotations_free(out);
    return status;
}

void tw_annotations_free(tw_annotations *a) {
    free(a->queries);
    free(a->ends);
    free(a->answers);
    tw_strings_free(&a->texts);
    tw_strings_free(&a->files);
    *a = (tw_annotations){0};
}
