/* Features in Chinese-CLIP's lines, {"image_id": 1, "feature": [0.1, …]}, read in blocks. */
#ifndef DATASET_FEATURE_FILE_H
#define DATASET_FEATURE_FILE_H

#include "dataset/records.h"

typedef struct tw_feature_file {
    tw_mapped_file file;
    tw_record_lines lines;
    const char *key; /* "image_id" */
    size_t dim;      /* of the first line; 0: the file has none */
} tw_feature_file;

/* Looks at the first line only. `path` and `key` are borrowed. */
tw_status tw_feature_file_open(const char *path, const char *key, tw_feature_file *out,
                               tw_error *err);
/* The same on bytes in memory, which are borrowed. */
tw_status tw_feature_file_parse(const void *data, size_t n_bytes, const char *name, const char *key,
                                tw_feature_file *out, tw_error *err);

/* The next lines, at most max_rows: ids [*n], rows [*n, dim]; *n 0 at the end. Numbers are rounded
 * to f32 as numpy does; NaN and Infinity are numbers. Errors: TW_ERR_FORMAT "FILE: line N: …". */
tw_status tw_feature_file_next(tw_feature_file *f, size_t max_rows, int64_t *ids, float *rows,
                               size_t *n, tw_error *err);

/* Back to the first line. */
void tw_feature_file_rewind(tw_feature_file *f);
void tw_feature_file_close(tw_feature_file *f);

#endif
