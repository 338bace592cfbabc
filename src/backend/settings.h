/* "key=value" words for a runtime, the user's and what the backend adds to them. */
#ifndef BACKEND_SETTINGS_H
#define BACKEND_SETTINGS_H

#include "base/status.h"

#include <stddef.h>

enum { TW_MAX_SETTINGS = 64 };

typedef struct tw_settings {
    const char *keys[TW_MAX_SETTINGS], *values[TW_MAX_SETTINGS];
    char *text[TW_MAX_SETTINGS]; /* owns what these point to */
    size_t n;
} tw_settings;

/* Errors: TW_ERR_ARGUMENT (no "KEY=VALUE"), TW_ERR_LIMIT. */
tw_status tw_settings_add(tw_settings *s, const char *word, tw_error *err);
tw_status tw_settings_add_all(tw_settings *s, const char *const *words, size_t n, tw_error *err);
/* Adds key=value unless the key is there. */
tw_status tw_settings_default(tw_settings *s, const char *key, const char *value, tw_error *err);
/* The value of a key, or NULL. */
const char *tw_settings_get(const tw_settings *s, const char *key);
void tw_settings_free(tw_settings *s);

#endif
