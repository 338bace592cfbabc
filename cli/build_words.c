#include "build_words.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 32, MAX_WORD = 8192 };

static const char *value_of(const build_value *values, const char *key, size_t n) {
    for (; values->key; values++)
        if (strlen(values->key) == n && memcmp(values->key, key, n) == 0) return values->value;
    return "";
}

/* One word of a template, filled in. */
static void fill_word(const build_value *values, const char *word, size_t n, char *out) {
    size_t at = 0;
    for (size_t i = 0; i < n && at + 1 < MAX_WORD; i++) {
        const char *close = word[i] == '{' ? memchr(word + i, '}', n - i) : NULL;
        if (!close) {
            out[at++] = word[i];
            continue;
        }
        const char *value = value_of(values, word + i + 1, (size_t)(close - word) - i - 1);
        at += (size_t)snprintf(out + at, MAX_WORD - at, "%s", value);
        i = (size_t)(close - word);
    }
    out[at < MAX_WORD ? at : MAX_WORD - 1] = 0;
}

char **build_words_fill(const char *line, const build_value *values) {
    char **words = calloc(MAX_WORDS + 1, sizeof *words);
    char filled[MAX_WORD];
    size_t n = 0;
    for (const char *p = line; words && *p && n < MAX_WORDS;) {
        size_t length = strcspn(p, " ");
        bool extents = length == 8 && memcmp(p, "{shape*}", 8) == 0;
        fill_word(values, extents ? "{shape,}" : p, length, filled);
        char *rest = NULL, *word = extents ? strtok_r(filled, ",", &rest) : filled;
        for (; word && word[0] && n < MAX_WORDS; word = extents ? strtok_r(NULL, ",", &rest) : NULL)
            words[n++] = strdup(word);
        p += length + strspn(p + length, " ");
    }
    return words;
}

void build_words_free(char **words) {
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

void build_word_print(const char *word) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_+-./:=,@%";
    if (word[0] && !word[strspn(word, plain)]) {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, 0}, stdout);
    putchar('\'');
}

void build_words_print(char **words) {
    for (size_t i = 0; words[i]; i++) {
        if (i) putchar(' ');
        build_word_print(words[i]);
    }
    putchar('\n');
}
