/* The first directory of a TIFF file, classic or big, in either byte order: tags and their values.
 */
#ifndef IMAGE_TIFF_TAGS_H
#define IMAGE_TIFF_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct tw_tiff_file {
    const uint8_t *bytes;
    size_t n_bytes;
    bool big;       /* byte order */
    bool wide;      /* BigTIFF: counts and offsets of 8 bytes */
    size_t entries; /* offset of the directory's first entry */
    uint64_t n_entries;
} tw_tiff_file;

/* A tag's values where they lie in the file; n = 0: the file does not have it. */
typedef struct tw_tiff_tag {
    const uint8_t *values;
    uint32_t type;
    uint64_t n;
} tw_tiff_tag;

uint32_t tw_tiff_u16(const tw_tiff_file *f, const uint8_t *p);
uint32_t tw_tiff_u32(const tw_tiff_file *f, const uint8_t *p);

/* Finds the first directory and checks that its entries are in the file; other directories are
 * never looked at, so a chain of them cannot be endless. */
tw_status tw_tiff_read_directory(const uint8_t *bytes, size_t n_bytes, tw_tiff_file *out,
                                 tw_error *err);

/* n = 0 when there is none. The values found are in the file; value i is asked for with i < n. */
tw_status tw_tiff_find(const tw_tiff_file *f, uint32_t id, tw_tiff_tag *out, tw_error *err);
uint64_t tw_tiff_value(const tw_tiff_file *f, const tw_tiff_tag *t, uint64_t i);

/* The first value, or what is assumed when the file has none. */
tw_status tw_tiff_number(const tw_tiff_file *f, uint32_t id, uint32_t otherwise, uint32_t *out,
                         tw_error *err);

/* A value that must be the same for each of n samples. */
tw_status tw_tiff_same_number(const tw_tiff_file *f, uint32_t id, uint32_t n, uint32_t otherwise,
                              uint32_t *out, tw_error *err);

#endif
