#include "backend/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tw_status tw_settings_add(tw_settings *s, const char *word, tw_error *err) {
    const char *equals = strchr(word, '=');
    if (!equals || equals == word)
        return tw_fail(err, TW_ERR_ARGUMENT, "provider option '%s', expected KEY=VALUE", word);
    if (s->n == TW_MAX_SETTINGS)
        return tw_fail(err, TW_ERR_LIMIT, "more than %d provider options", TW_MAX_SETTINGS);
    char *copy = strdup(word);
    if (!copy) return tw_fail_no_memory(err, strlen(word));
    copy[equals - word] = 0;
    s->text[s->n] = copy;
    s->keys[s->n] = copy;
    s->values[s->n++] = copy + (equals - word) + 1;
    return TW_OK;
}

tw_status tw_settings_add_all(tw_settings *s, const char *const *words, size_t n, tw_error *err) {
    for (size_t i = 0; i < n; i++)
        TW_TRY(tw_settings_add(s, words[i], err));
    return TW_OK;
}

tw_status tw_settings_default(tw_settings *s, const char *key, const char *value, tw_error *err) {
    char word[1200];
    if (tw_settings_get(s, key)) return TW_OK;
    if ((size_t)snprintf(word, sizeof word, "%s=%s", key, value) >= sizeof word)
        return tw_fail(err, TW_ERR_LIMIT, "provider option %s: its value is too long", key);
    return tw_settings_add(s, word, err);
}

const char *tw_settings_get(const tw_settings *s, const char *key) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->keys[i], key) == 0) return s->values[i];
    return NULL;
}

void tw_settings_free(tw_settings *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->text[i]);
    s->n = 0;
}
