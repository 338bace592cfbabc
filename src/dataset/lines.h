/* Files of lines: texts (plain or JSONL), paths, labels. Lines end at LF (a CR before it goes); a
 * UTF-8 byte order mark at the start goes too. */
#ifndef DATASET_LINES_H
#define DATASET_LINES_H

#include "dataset/strings.h"

typedef enum tw_line_kind {
    TW_LINES_TEXTS, /* a line that is a JSON object with a string "text" stands for that string;
                       every other line, an empty one too, is itself a text */
    TW_LINES_PATHS, /* one path a line, bytes as they are; blank lines at the end are dropped */
    TW_LINES_LABELS /* stripped of white space; blank lines at the end are dropped, one between
                       labels is an error: it would shift the numbers of all that follow */
} tw_line_kind;

/* Reads `path` ("-" is standard input). Errors: TW_ERR_IO, TW_ERR_LIMIT (over 4 GiB),
 * TW_ERR_FORMAT (blank label, NUL in a path). */
tw_status tw_read_lines(const char *path, tw_line_kind kind, tw_strings *out, tw_error *err);

/* The same on bytes in memory; `name` is for messages. */
tw_status tw_parse_lines(const void *data, size_t n_bytes, const char *name, tw_line_kind kind,
                         tw_strings *out, tw_error *err);

/* Prompt templates: a JSON list of strings, a JSON object of lists (one of them chosen by `set`;
 * the lists may stand under "templates", with a "dataset_map" from data set to list name beside
 * it), or plain lines. `set` NULL is right when there is just one list. */
tw_status tw_read_templates(const char *path, const char *set, tw_strings *out, tw_error *err);
tw_status tw_parse_templates(const void *data, size_t n_bytes, const char *name, const char *set,
                             tw_strings *out, tw_error *err);

#endif
