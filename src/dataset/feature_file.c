#include "dataset/feature_file.h"

#include <math.h>
#include <stdlib.h>

/* A row of the features, and its id. `row` NULL: only its length is asked for. */
static tw_status read_line(tw_feature_file *f, tw_record_line line, int64_t *id, float *row,
                           size_t *dim, tw_error *err) {
    tw_json_doc *doc;
    const tw_json *list;
    TW_TRY(tw_record_parse(&f->lines, line, &doc, err));
    tw_status status;
    TW_CHECK(tw_record_id(&f->lines, tw_json_root(doc), f->key, id, err));
    TW_CHECK(tw_record_list(&f->lines, tw_json_root(doc), "feature", &list, err));
    *dim = list->n_items;
    if (row && *dim != f->dim)
        TW_CHECK(tw_record_fail(&f->lines, err, "%zu numbers, expected %zu as in the first line",
                                *dim, f->dim));
    size_t i = 0;
    for (const tw_json *v = list->first; v; v = v->next, i++) {
        if (v->type != TW_JSON_NUMBER)
            TW_CHECK(tw_record_fail(&f->lines, err, "\"feature\" has what is not a number"));
        if (row) row[i] = (float)v->number;
    }
done:
    tw_json_free(doc);
    return status;
}

tw_status tw_feature_file_parse(const void *data, size_t n_bytes, const char *name, const char *key,
                                tw_feature_file *out, tw_error *err) {
    *out = (tw_feature_file){.lines = {.name = name, .data = data, .n_bytes = n_bytes}, .key = key};
    tw_record_line line;
    int64_t id;
    if (!tw_record_lines_next(&out->lines, &line)) return TW_OK;
    TW_TRY(read_line(out, line, &id, NULL, &out->dim, err));
    if (!out->dim) return tw_record_fail(&out->lines, err, "\"feature\" is empty");
    tw_feature_file_rewind(out);
    return TW_OK;
}

tw_status tw_feature_file_open(const char *path, const char *key, tw_feature_file *out,
                               tw_error *err) {
    tw_mapped_file file;
    *out = (tw_feature_file){0};
    TW_TRY(tw_map_file(path, &file, err));
    tw_status status = tw_feature_file_parse(file.data, file.n_bytes, path, key, out, err);
    out->file = file;
    if (status != TW_OK) tw_feature_file_close(out);
    return status;
}

tw_status tw_feature_file_next(tw_feature_file *f, size_t max_rows, int64_t *ids, float *rows,
                               size_t *n, tw_error *err) {
    tw_record_line line;
    size_t dim;
    for (*n = 0; *n < max_rows && tw_record_lines_next(&f->lines, &line); (*n)++)
        TW_TRY(read_line(f, line, &ids[*n], rows + *n * f->dim, &dim, err));
    return TW_OK;
}

void tw_feature_file_rewind(tw_feature_file *f) {
    f->lines.at = 0;
    f->lines.number = 0;
}

void tw_feature_file_close(tw_feature_file *f) {
    tw_unmap_file(&f->file);
    *f = (tw_feature_file){0};
}
