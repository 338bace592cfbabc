/* Between the parts of the stand-in for Cambricon's libraries. */
#ifndef TESTS_MAGICMIND_STANDIN_H
#define TESTS_MAGICMIND_STANDIN_H

#include "cnrt.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of libcnrt. */
void standin_check(bool holds, const char *what); /* ends the process */
const char *standin_setting(const char *name, const char *otherwise);
bool standin_has_memory(const void *data, size_t n_bytes);
void standin_launched(cnrtQueue_t queue);

/* Of the CPU engine: a model file's towers, NULL with a line in `why` when it cannot be read. */
typedef struct standin_towers standin_towers;
standin_towers *standin_towers_open(const char *model, char *why, size_t n_why);
void standin_towers_close(standin_towers *towers);
/* pixels f32 or f16 [n, 3, R, R], or ids i32 or i64 [n, length] with zero rows for padding, into
 * features f32 or f16 [n, E]; false when the engine refuses. */
bool standin_run_image(standin_towers *towers, const void *pixels, bool half, size_t n, void *out,
                       bool half_out);
bool standin_run_text(standin_towers *towers, const void *ids, bool wide, size_t n, size_t length,
                      void *out, bool half_out);

#ifdef __cplusplus
}
#endif

#endif
