/* tuwen: CLIP and Chinese-CLIP on the command line. */
#include "args.h"
#include "console.h"
#include "tuwen/tuwen.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static const cli_verb *const verbs[] = {
    &cli_pull,     &cli_convert,     &cli_info,       &cli_tokenize,      &cli_preprocess,
    &cli_embed,    &cli_similarity,  &cli_classify,   &cli_eval_zeroshot, &cli_eval_features,
    &cli_eval_knn, &cli_eval_recall, &cli_eval_table, &cli_verify,        &cli_export,
    &cli_build,    &cli_bench,       &cli_doctor,
};
#define N_VERBS (sizeof verbs / sizeof *verbs)

/* Words of the contract that other versions have. */
static const char *const other_verbs[] = {"index", "search", "merge", "serve"};
static const char *const other_evals[] = {"linear-probe"};

static int print_overview(FILE *to) {
    fprintf(to, "Usage: tuwen VERB [options] [operands]\n"
                "CLIP and Chinese-CLIP: pictures and words in, numbers out.\n\n");
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(to, "  %-14s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(to, "  %-14s %s\n", "help VERB", "the options of a verb, as VERB --help");
    fprintf(to, "\nExit status: 0 done, 1 failed, 2 wrong usage, 3 done but some inputs skipped.\n"
                "Environment: TUWEN_MODEL (default model file), TUWEN_CACHE (downloads of\n"
                "pull), TUWEN_CPU (the best instruction set to use: ref|avx2|avxvnni|avx512|\n"
                "avx512vnni|avx512bf16|amx|neon|neondot|neoni8mm).\n\n"
                "Example: tuwen similarity -m model.gguf --text 猫 --text 狗 cat.jpg\n");
    return to == stdout ? cli_finish(CLI_DONE) : CLI_USAGE;
}

static bool is_one_of(const char *word, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0) return true;
    return false;
}

/* The verb that argv begins with; *n_words is how many arguments its name takes. */
static const cli_verb *find_verb(int argc, char **argv, int *n_words) {
    char pair[64];
    snprintf(pair, sizeof pair, "%s %s", argv[0], argc > 1 ? argv[1] : "");
    for (size_t i = 0; i < N_VERBS; i++) {
        bool two = strchr(verbs[i]->name, ' ') != NULL;
        *n_words = two ? 2 : 1;
        if (strcmp(verbs[i]->name, two ? pair : argv[0]) == 0) return verbs[i];
    }
    return NULL;
}

static int unknown_verb(const char *word) {
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; i < N_VERBS; i++) {
        size_t d = cli_word_distance(word, verbs[i]->name);
        if (d < best_distance) {
            best_distance = d;
            best = verbs[i]->name;
        }
    }
    cli_error("unknown %s '%s'%s%s%s (see tuwen --help)", word[0] == '-' ? "option" : "verb", word,
              best ? ", did you mean " : "", best ? best : "", best ? "?" : "");
    return CLI_USAGE;
}

/* `eval` alone, with --help or with a word that is none of its verbs. */
static int run_eval(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : NULL;
    if (what && (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0)) {
        printf("Usage: tuwen eval VERB [options]\n\n");
        for (size_t i = 0; i < N_VERBS; i++)
            if (strncmp(verbs[i]->name, "eval ", 5) == 0)
                printf("  %-14s %s\n", verbs[i]->name, verbs[i]->summary);
        printf("\nExample: tuwen eval recall --help\n");
        return cli_finish(CLI_DONE);
    }
    if (what && is_one_of(what, other_evals, sizeof other_evals / sizeof *other_evals))
        cli_error("eval %s: not part of this version", what);
    else
        cli_error("eval: %s%s (see tuwen eval --help)", what ? "no verb " : "expected a verb",
                  what ? what : "");
    return CLI_USAGE;
}

static int run(int argc, char **argv) {
    if (argc < 1) return print_overview(stderr);
    if (strcmp(argv[0], "--version") == 0) {
        printf("tuwen %s\n", tw_version());
        return cli_finish(CLI_DONE);
    }
    bool help = strcmp(argv[0], "help") == 0;
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 || (help && argc == 1))
        return print_overview(stdout);
    if (help) {
        argc--;
        argv++;
    }
    int n_words;
    const cli_verb *verb = find_verb(argc, argv, &n_words);
    if (!verb && strcmp(argv[0], "eval") == 0) {
        static char help_word[] = "--help", *as_option[] = {NULL, help_word, NULL};
        return help ? run_eval(2, as_option) : run_eval(argc, argv);
    }
    if (!verb && is_one_of(argv[0], other_verbs, sizeof other_verbs / sizeof *other_verbs)) {
        cli_error("%s: not part of this version", argv[0]);
        return CLI_USAGE;
    }
    if (!verb) return unknown_verb(argv[0]);
    cli_console_init(verb->name);
    if (help) {
        static char help_word[] = "--help", *as_option[] = {NULL, help_word, NULL};
        return cli_finish(verb->run(verb, 2, as_option));
    }
    return cli_finish(verb->run(verb, argc - (n_words - 1), argv + (n_words - 1)));
}

int main(int argc, char **argv) {
    return run(argc - 1, argv + 1);
}
