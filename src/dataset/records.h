/* Lines as Python's text files have them, and the records in them: what Chinese-CLIP's scripts read
 * with `for line in file` and json.loads(line.strip()). */
#ifndef DATASET_RECORDS_H
#define DATASET_RECORDS_H

#include "base/file.h"
#include "base/json.h"

typedef struct tw_record_lines {
    const char *name; /* for messages */
    const uint8_t *data;
    size_t n_bytes, at;
    size_t number; /* of the line that was read last, from 1 */
} tw_record_lines;

/* A line without its end and the white space (Python's) around it; borrowed. */
typedef struct tw_record_line {
    const char *text;
    size_t n_bytes;
} tw_record_line;

/* Lines end at LF, CR LF or CR. False at the end. */
bool tw_record_lines_next(tw_record_lines *lines, tw_record_line *out);

/* The line as a JSON object. Errors: TW_ERR_FORMAT "NAME: line N: …", TW_ERR_LIMIT (line over
 * 64 MiB). */
tw_status tw_record_parse(const tw_record_lines *lines, tw_record_line line, tw_json_doc **out,
                          tw_error *err);

/* Fails with "NAME: line N: " before the message. */
tw_status tw_record_fail(const tw_record_lines *lines, tw_error *err, const char *fmt, ...)
    TW_PRINTF(3, 4);

/* An integer as Python's isinstance(x, int) takes it (true is 1), that fits in 64 bits. */
bool tw_record_int(const tw_json *v, int64_t *out);

/* The member `key` as such an integer. */
tw_status tw_record_id(const tw_record_lines *lines, const tw_json *object, const char *key,
                       int64_t *out, tw_error *err);

/* The member `key` as a list. */
tw_status tw_record_list(const tw_record_lines *lines, const tw_json *object, const char *key,
                         const tw_json **out, tw_error *err);

/* The two fields of a line with one tab. */
tw_status tw_record_split(const tw_record_lines *lines, tw_record_line line, tw_record_line *first,
                          tw_record_line *second, tw_error *err);

/* A whole number in decimal that fits in 64 bits, as Python's int() takes it but for its odder
 * spellings (1_000, other digits). */
bool tw_record_decimal(const uint8_t *p, size_t n, int64_t *out);

#endif
