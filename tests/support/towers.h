/* What the tests of backends with compiled towers share: a tiny model, the prefix of its towers'
 * files and an encoder on the backend under test. */
#ifndef TESTS_TOWERS_H
#define TESTS_TOWERS_H

#include "support.h"

enum { R = 8, PICTURE = 3 * R * R, E = 4, L = 8 }; /* the tiny model's sizes */

typedef struct towers {
    char model_path[480], prefix[480]; /* towers are PREFIX.img.… and PREFIX.txt.… */
    tw_model *model;
    tw_pool *pool;       /* of one thread */
    tw_encoder *encoder; /* NULL until towers_open() */
    tw_encoder *cpu;     /* the same model on the native backend */
    tw_error err;
} towers;

/* Writes the model into a new folder and opens it; no tower is written yet. */
void towers_set_up(towers *t, tw_text_kind text);
void towers_tear_down(towers *t);

/* Writes a tower's file, PREFIX.word; takes data over. */
void towers_write(const towers *t, const char *word, void *data, size_t n_bytes);

/* An encoder on `backend`, whose library is in a folder; `graphs` NULL: the prefix; batch 0: the
 * backend's own. */
tw_status towers_open(towers *t, const char *backend, const char *library, const char *device,
                      const char *graphs, int batch);

/* Three texts of 4, 3 and 8 tokens, their ends padded with 0. */
extern const int32_t towers_ids[3 * L];

/* n pictures of noise, the same at every call; the caller frees. */
float *towers_pixels(size_t n);

#endif
