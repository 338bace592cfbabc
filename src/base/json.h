/* A strict JSON reader (RFC 8259) for untrusted input: bounded depth and size, duplicate keys
 * refused, strings decoded to UTF-8. Why our own: the library may link nothing but libc and the
 * picture and Unicode libraries (docs/DEPENDENCIES.md). */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/status.h"

typedef enum tw_json_type {
    TW_JSON_NULL,
    TW_JSON_BOOL,
    TW_JSON_NUMBER,
    TW_JSON_STRING,
    TW_JSON_ARRAY,
    TW_JSON_OBJECT
} tw_json_type;

/* One value; borrowed from its document. */
typedef struct tw_json {
    tw_json_type type;
    bool is_integer;      /* number without fraction or exponent that fits int64 */
    bool boolean;
    int64_t integer;      /* when is_integer */
    double number;        /* any number */
    const char *string;   /* NUL-terminated (may also contain NUL); also the text of a number */
    size_t n_string;      /* bytes */
    const char *key;      /* when member of an object */
    size_t n_key;
    size_t n_items;       /* of an array or object */
    struct tw_json *first, *next;
} tw_json;

typedef struct tw_json_doc tw_json_doc;

/* Parses one value with white space around it. Depth up to 64, at most 4 million values. */
tw_status tw_json_parse(const void *data, size_t n_bytes, tw_json_doc **out, tw_error *err);
/* The same as Python's json reads it: also NaN, Infinity and -Infinity; a number beyond a double is
 * infinite; of a key that occurs twice the last one counts (tw_json_get_last). */
tw_status tw_json_parse_python(const void *data, size_t n_bytes, tw_json_doc **out, tw_error *err);
void tw_json_free(tw_json_doc *doc);
const tw_json *tw_json_root(const tw_json_doc *doc);

/* Member of an object by name; NULL when absent or not an object. */
const tw_json *tw_json_get(const tw_json *object, const char *key);

/* The last of that name. */
const tw_json *tw_json_get_last(const tw_json *object, const char *key);

/* Typed look-ups with a fallback for an absent (or null) member; a member of another type is
 * TW_ERR_FORMAT naming the key. */
tw_status tw_json_get_int(const tw_json *object, const char *key, int64_t min, int64_t max,
                          int64_t fallback, int64_t *out, tw_error *err);
tw_status tw_json_get_string(const tw_json *object, const char *key, const char *fallback,
                             const char **out, tw_error *err);

#endif
