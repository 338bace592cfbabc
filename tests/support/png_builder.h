/* PNG files made by hand, so that every field can be wrong. Nothing is compressed. */
#ifndef TESTS_PNG_BUILDER_H
#define TESTS_PNG_BUILDER_H

#include "base/buffer.h"

/* A chunk with its length and checksum. */
void test_png_chunk(tw_buffer *b, const char *name, const void *data, size_t n_bytes);

/* Signature and IHDR. */
void test_png_start(tw_buffer *b, uint32_t width, uint32_t height, int depth, int colour,
                    int interlaced);

/* `rows`, n_rows of row_bytes, as one IDAT of stored blocks, each row with filter 0; all of it must
 * fit 65535 bytes. Then IEND. */
void test_png_finish(tw_buffer *b, const uint8_t *rows, size_t row_bytes, size_t n_rows);

/* A whole file. */
void test_png(tw_buffer *b, uint32_t width, uint32_t height, int depth, int colour,
              const uint8_t *rows);

#endif
