/* What `tuwen verify` shows to models when no inputs are given: the same on every machine. */
#ifndef CLI_VERIFY_INPUTS_H
#define CLI_VERIFY_INPUTS_H

#include "dataset/strings.h"
#include "tuwen/encode.h"

enum { VERIFY_PICTURES = 8 };

/* Draws the pictures (encoded, as PNM) into `memory`, which lives as long as `out`. */
tw_status verify_draw_pictures(tw_buffer memory[VERIFY_PICTURES], tw_bytes out[VERIFY_PICTURES],
                               tw_error *err);
const char *verify_picture_name(size_t index);

/* Adds texts in Chinese and English: words, a sentence, digits and punctuation, a long one. */
tw_status verify_add_texts(tw_strings *out, tw_error *err);

#endif
