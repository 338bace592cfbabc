/* Command lines of build_targets.h, filled in. */
#ifndef CLI_BUILD_WORDS_H
#define CLI_BUILD_WORDS_H

typedef struct build_value {
    const char *key, *value; /* {key} becomes the value */
} build_value;

/* The words of a command line, ended by NULL; one that is empty once filled in is left out, and
 * {shape*} is a word for each extent of {shape,}. values end in a NULL key. NULL: no memory. */
char **build_words_fill(const char *line, const build_value *values);

/* Accepts NULL. */
void build_words_free(char **words);

/* On standard output as for a shell: in quotes unless every letter is plain. */
void build_word_print(const char *word);
void build_words_print(char **words);

#endif
