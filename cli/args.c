#define _GNU_SOURCE
#include "args.h"

#include "base/size.h"
#include "console.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 96
#define FIRST_VALUE 256 /* what getopt_long returns for option 0; below are letters */
#define HELP_COLUMN 28

/* All options of a verb in one row, as getopt_long wants them. */
typedef struct parser {
    const cli_verb *verb;
    const cli_option *options[MAX_OPTIONS];
    void *targets[MAX_OPTIONS];
    int n, n_longs;
    struct option longs[2 * MAX_OPTIONS + 2];
    char underscored[MAX_OPTIONS][32]; /* --model_arch is --model-arch: tools differ in it */
    char shorts[2 * MAX_OPTIONS + 3];
} parser;

static const cli_option help_option = {"help", 'h', CLI_FLAG, NULL, "this text", 0, 0, 0};

/* ------------------------------------------------------------------------------------- help */

/* "  -t, --threads N             threads", the words of a choice after its help. */
static void print_option(const cli_option *o) {
    char left[128], letter[8] = "    ";
    bool is_choice = o->kind == CLI_CHOICE;
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s %s", letter, o->name,
             o->kind == CLI_FLAG ? ""
             : is_choice         ? "WORD"
                                 : o->value);
    printf("%-*s%s%s%s\n", HELP_COLUMN, left, o->help, is_choice && o->help[0] ? ": " : "",
           is_choice ? o->value : "");
}

static void print_help(const parser *p) {
    printf("Usage: tuwen %s %s\n%s\n\n", p->verb->name, p->verb->usage, p->verb->about);
    for (int i = 0; i < p->n; i++)
        if (p->options[i]->help) print_option(p->options[i]);
    printf("\nExample: %s\n", p->verb->example);
}

/* ----------------------------------------------------------------------------------- values */

static int refuse(const cli_option *o, const char *expected, const char *got) {
    cli_error("--%s: expected %s, got '%s'", o->name, expected, got);
    return CLI_USAGE;
}

static int read_int(const cli_option *o, const char *text, int64_t *out) {
    char *end, expected[96];
    errno = 0;
    long long v = strtoll(text, &end, 10);
    bool is_number = (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) && *end == '\0';
    if (is_number && errno == 0 && v >= o->min && v <= o->max) {
        *out = v;
        return CLI_CONTINUE;
    }
    snprintf(expected, sizeof expected, "a whole number %lld..%lld", (long long)o->min,
             (long long)o->max);
    return refuse(o, expected, text);
}

static bool read_float(const char **text, char end_character, float *out) {
    char *end;
    size_t n = strspn(*text, "0123456789+-.eE");
    float v = strtof(*text, &end);
    if (n == 0 || end != *text + n || *end != end_character || !isfinite(v)) return false;
    *text = end + (end_character ? 1 : 0);
    *out = v;
    return true;
}

static int read_triple(const cli_option *o, const char *text, cli_triple *out) {
    const char *p = text;
    out->given = read_float(&p, ',', &out->v[0]) && read_float(&p, ',', &out->v[1]) &&
                 read_float(&p, '\0', &out->v[2]);
    return out->given ? CLI_CONTINUE : refuse(o, "three numbers a,b,c", text);
}

/* The word itself; "fp16" is "f16". */
static bool is_word(const char *text, const char *word, size_t n) {
    if (strlen(text) == n && memcmp(word, text, n) == 0) return true;
    return text[0] == 'f' && text[1] == 'p' && word[0] == 'f' && strlen(text) == n + 1 &&
           memcmp(word + 1, text + 2, n - 1) == 0;
}

static int read_choice(const cli_option *o, const char *text, int *out) {
    const char *word = o->value;
    for (int number = 1; word; number++) {
        size_t n = strcspn(word, "|");
        if (is_word(text, word, n)) {
            *out = number;
            return CLI_CONTINUE;
        }
        word = word[n] ? word + n + 1 : NULL;
    }
    return refuse(o, o->value, text);
}

const char *cli_choice_word(const char *words, int n) {
    static char word[64];
    for (int i = 1; i < n; i++)
        words += strcspn(words, "|") + 1;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(words, "|"), words);
    return word;
}

static int append(cli_texts *list, const char *text) {
    const char **grown = reallocarray(list->items, list->n + 1, sizeof *grown);
    if (!grown) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    list->items = grown;
    list->items[list->n++] = text;
    return CLI_CONTINUE;
}

static int take_value(const cli_option *o, void *target, const char *text) {
    void *field = (char *)target + o->offset;
    int64_t v = 0;
    int status = CLI_CONTINUE;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)field = true;
        break;
    case CLI_TEXT:
        *(const char **)field = text;
        break;
    case CLI_TEXTS:
        return append(field, text);
    case CLI_INT:
        status = read_int(o, text, &v);
        if (status == CLI_CONTINUE) *(int *)field = (int)v;
        break;
    case CLI_SIZE:
        status = read_int(o, text, &v);
        if (status == CLI_CONTINUE) *(uint64_t *)field = (uint64_t)v;
        break;
    case CLI_CHOICE:
        return read_choice(o, text, field);
    case CLI_TRIPLE:
        return read_triple(o, text, field);
    case CLI_REPLACED:
        cli_error("--%s: %s", o->name, o->value);
        return CLI_USAGE;
    }
    return status;
}

/* ---------------------------------------------------------------------------- wrong options */

size_t cli_word_distance(const char *a, const char *b) {
    enum { LONGEST = 40 };
    size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a > LONGEST || n_b > LONGEST) return SIZE_MAX;
    size_t rows[3][LONGEST + 1]; /* the last three rows of the edit-distance table */
    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = TW_MIN(change, TW_MIN(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = TW_MIN(now[j], before[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

static const char *nearest_option(const parser *p, const char *name) {
    const char *best = NULL;
    size_t best_distance = 3;
    for (int i = 0; i < p->n; i++) {
        size_t d = cli_word_distance(name, p->options[i]->name);
        if (p->options[i]->help && d < best_distance) {
            best_distance = d;
            best = p->options[i]->name;
        }
    }
    return best;
}

static int wrong_option(const parser *p, int code, int value, const char *word) {
    const char *name = NULL;
    for (int i = 0; i < p->n; i++)
        if (value == FIRST_VALUE + i || (value && value == p->options[i]->letter))
            name = p->options[i]->name;
    if (code == ':') {
        cli_error("option '--%s' needs a value (see tuwen %s --help)", name, p->verb->name);
    } else if (name) {
        cli_error("option '--%s' takes no value (see tuwen %s --help)", name, p->verb->name);
    } else if (value) {
        cli_error("unknown option '-%c' (see tuwen %s --help)", value, p->verb->name);
    } else {
        char typed[64];
        snprintf(typed, sizeof typed, "%.*s", (int)strcspn(word, "="), word);
        const char *near = nearest_option(p, typed + strspn(typed, "-"));
        cli_error("unknown option '%s'%s%s%s (see tuwen %s --help)", typed,
                  near ? ", did you mean --" : "", near ? near : "", near ? "?" : "",
                  p->verb->name);
    }
    return CLI_USAGE;
}

/* ---------------------------------------------------------------------------------- parsing */

static void add_option(parser *p, const cli_option *o, void *target) {
    if (p->n == MAX_OPTIONS) abort(); /* a verb's table outgrew MAX_OPTIONS */
    int argument = o->kind == CLI_FLAG       ? no_argument
                   : o->kind == CLI_REPLACED ? optional_argument
                                             : required_argument;
    p->longs[p->n_longs++] = (struct option){o->name, argument, NULL, FIRST_VALUE + p->n};
    if (strchr(o->name, '-')) {
        char *name = p->underscored[p->n];
        if (strlen(o->name) >= sizeof p->underscored[0]) abort();
        for (size_t i = 0; o->name[i]; i++)
            name[i] = o->name[i] == '-' ? '_' : o->name[i];
        p->longs[p->n_longs++] = (struct option){name, argument, NULL, FIRST_VALUE + p->n};
    }
    if (o->letter) {
        size_t n = strlen(p->shorts);
        snprintf(p->shorts + n, sizeof p->shorts - n, "%c%s", o->letter,
                 argument == required_argument ? ":" : "");
    }
    p->options[p->n] = o;
    p->targets[p->n++] = target;
}

static int index_of(const parser *p, int code) {
    if (code >= FIRST_VALUE) return code - FIRST_VALUE;
    for (int i = 0; i < p->n; i++)
        if (p->options[i]->letter == code) return i;
    return -1;
}

int cli_parse(const cli_verb *verb, const cli_group *groups, int argc, char **argv,
              cli_texts *operands) {
    parser *p = calloc(1, sizeof *p);
    if (!p) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    p->verb = verb;
    p->shorts[0] = ':'; /* tells a missing value from an unknown option */
    bool help = false;
    for (; groups->options; groups++)
        for (const cli_option *o = groups->options; o->name; o++)
            add_option(p, o, groups->target);
    add_option(p, &help_option, &help);
    /* mm_run's --h, whatever else begins with that letter */
    p->longs[p->n_longs++] = (struct option){"h", no_argument, NULL, FIRST_VALUE + p->n - 1};

    int status = CLI_CONTINUE, code;
    opterr = 0;
    optind = 0; /* GNU: start afresh */
    while (status == CLI_CONTINUE &&
           (code = getopt_long(argc, argv, p->shorts, p->longs, NULL)) != -1) {
        int i = code == '?' || code == ':' ? -1 : index_of(p, code);
        if (i < 0)
            status = wrong_option(p, code, optopt, argv[optind - 1]);
        else
            status = take_value(p->options[i], p->targets[i], optarg);
        if (help) {
            print_help(p);
            status = CLI_DONE;
        }
    }
    for (int i = optind; status == CLI_CONTINUE && i < argc; i++)
        status = append(operands, argv[i]);
    free(p);
    return status;
}
