/* The command line of a verb as data: one table of options drives getopt_long, the checks of the
 * values and the text of --help. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses of the command. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_SKIPPED = 3 };

/* What an option's value becomes, and the C type of the field that gets it. */
typedef enum cli_kind {
    CLI_FLAG,    /* no value; bool */
    CLI_TEXT,    /* const char * */
    CLI_TEXTS,   /* may be repeated; cli_texts */
    CLI_INT,     /* int, in [min, max] */
    CLI_SIZE,    /* uint64_t, in [min, max] */
    CLI_CHOICE,  /* one of the words of `value`, "a|b|c"; int, the word's number + 1 */
    CLI_TRIPLE,  /* "a,b,c"; cli_triple */
    CLI_REPLACED /* a word of the original tools; refused with `value`, which says what to use */
} cli_kind;

typedef struct cli_texts {
    const char **items;
    size_t n;
} cli_texts;

typedef struct cli_triple {
    bool given;
    float v[3];
} cli_triple;

typedef struct cli_option {
    const char *name; /* long, without the dashes */
    char letter;      /* 0: none */
    cli_kind kind;
    const char *value; /* what the value is called in --help */
    const char *help;  /* NULL: understood, but left out of --help */
    size_t offset;     /* of the field in the group's target */
    int64_t min, max;
} cli_option;

/* A table (ended by a NULL name) and the struct its options fill. */
typedef struct cli_group {
    const cli_option *options;
    void *target;
} cli_group;

typedef struct cli_verb {
    const char *name;    /* "embed", "eval zeroshot" */
    const char *summary; /* one line for `tuwen help`; NULL: left out there */
    const char *usage;   /* what follows the name in "Usage: tuwen NAME …" */
    const char *about;   /* lines under it */
    const char *example;
    int (*run)(const struct cli_verb *verb, int argc, char **argv);
} cli_verb;

#define CLI_CONTINUE (-1)
#define CLI_MAX_GROUPS 8

/* Reads argv (argv[0] is the verb) into the groups' targets. Operands end up in *operands, in
 * order. Returns CLI_CONTINUE, or the status to exit with (--help was printed, or an error). */
int cli_parse(const cli_verb *verb, const cli_group *groups, int argc, char **argv,
              cli_texts *operands);

/* The word of a "a|b|c" table that number `n` (from 1) stands for, in a static buffer. */
const char *cli_choice_word(const char *words, int n);

/* How far apart two words are: letters put in, left out, exchanged or swapped. */
size_t cli_word_distance(const char *a, const char *b);

#endif
