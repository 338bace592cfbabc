/* tuwen tokenize: texts into token ids. */
#include "dataset/lines.h"
#include "inputs.h"
#include "output.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tokenize {
    cli_compute compute;
    cli_text text;
    cli_report report;
    bool pad, no_repair;
    int kind, clean; /* word number + 1 */
    const char *vocab;
    cli_texts single, operands;
    /* at work */
    tw_model *model;
    tw_tokenizer *made;            /* by --tokenizer */
    const tw_tokenizer *tokenizer; /* in use */
    tw_strings strings;
    size_t done;
    tw_buffer out;
} tokenize;

enum { WORDPIECE = 1, BPE, OPEN_CLIP };

#define AT(field) offsetof(tokenize, field)
static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, "FILE", "use its tokenizer (default $TUWEN_MODEL)", AT(compute.model),
     0, 0},
    {"tokenizer", 0, CLI_CHOICE, "wordpiece|bpe|open-clip", "instead of a model's", AT(kind), 0, 0},
    {"vocab", 0, CLI_TEXT, "FILE", "its vocab.txt or merges.txt (the original's, built in)",
     AT(vocab), 0, 0},
    {"clean", 0, CLI_CHOICE, "lower|whitespace|canonicalize", "of bpe and open-clip", AT(clean), 0,
     0},
    {"no-repair", 0, CLI_FLAG, NULL, "bpe, open-clip: without the repairs of ftfy", AT(no_repair),
     0, 0},
    {"text", 0, CLI_TEXTS, "TEXT", "one text; may be repeated", AT(single), 0, 0},
    {"pad", 0, CLI_FLAG, NULL, "print the zeros up to the context length too", AT(pad), 0, 0},
    {0}};
#undef AT

#define MAX_CONTEXT 512

static bool is_bpe(const tokenize *t) {
    return t->kind == BPE || t->kind == OPEN_CLIP;
}

static int check_usage(const tokenize *t) {
    if (t->operands.n == 0 && t->single.n == 0)
        cli_error("no texts: give a file, - or --text TEXT");
    else if (t->kind && t->compute.model)
        cli_error("-m and --tokenizer exclude each other");
    else if (t->vocab && t->compute.model)
        cli_error("--vocab goes with --tokenizer; a model has its own");
    else if ((t->clean || t->no_repair) && !is_bpe(t))
        cli_error("--clean and --no-repair go with --tokenizer bpe or open-clip");
    else if (t->text.eval_quotes && is_bpe(t))
        cli_error("--eval-quotes goes with --tokenizer wordpiece");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

static int open_tokenizer(tokenize *t) {
    tw_error err = TW_ERROR_INIT;
    if (!t->kind && !t->vocab) {
        const char *model = getenv("TUWEN_MODEL");
        if (!t->compute.model && !(model && model[0])) {
            cli_error("no model: give -m FILE, set TUWEN_MODEL, or give --tokenizer wordpiece|bpe");
            return CLI_USAGE;
        }
        int status = cli_open_model(&t->compute, &t->model);
        if (status != CLI_CONTINUE) return status;
        t->tokenizer = tw_model_tokenizer(t->model);
        if (t->tokenizer) return CLI_CONTINUE;
        cli_error("%s: the model has no tokenizer", tw_model_path(t->model));
        return CLI_FAILED;
    }
    uint8_t *vocab = NULL;
    size_t n = 0;
    tw_status status =
        t->vocab ? tw_read_file(t->vocab, (size_t)64 << 20, &vocab, &n, &err) : TW_OK;
    if (status == TW_OK) {
        if (is_bpe(t))
            status = tw_tokenizer_bpe(vocab, n, t->kind == BPE ? TW_BPE_OPENAI : TW_BPE_OPEN_CLIP,
                                      &t->made, &err);
        else
            status = tw_tokenizer_wordpiece(vocab, n, &t->made, &err);
        if (status != TW_OK && t->vocab) tw_error_context(&err, "%s", t->vocab);
    }
    free(vocab);
    t->tokenizer = t->made;
    return status == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

static int gather(tokenize *t) {
    int status = CLI_CONTINUE;
    for (size_t i = 0; i < t->operands.n && status == CLI_CONTINUE; i++)
        status = cli_gather_texts(t->operands.items[i], NULL, &t->strings);
    return status == CLI_CONTINUE ? cli_gather_texts(NULL, &t->single, &t->strings) : status;
}

static void put_json(tokenize *t, const int32_t *ids, int32_t n, bool truncated) {
    tw_buffer *b = &t->out;
    tw_buffer_puts(b, "{\"ids\": [");
    for (int32_t i = 0; i < n; i++)
        tw_buffer_printf(b, "%s%d", i ? ", " : "", (int)ids[i]);
    tw_buffer_puts(b, "]");
    if (truncated && t->text.truncation == CLI_TRUNCATE_FLAG)
        tw_buffer_puts(b, ", \"truncated\": true");
    tw_buffer_puts(b, "}\n");
}

/* The text, then ids over tokens in columns. */
static void put_table(tokenize *t, const char *text, const int32_t *ids, int32_t n,
                      bool truncated) {
    tw_buffer *b = &t->out;
    size_t width = cli_text_width(text);
    cli_put_cell(b, text, width, false, false);
    if (truncated && t->text.truncation == CLI_TRUNCATE_FLAG) tw_buffer_puts(b, "  [cut]");
    tw_buffer_puts(b, "\n");
    for (int row = 0; row < 2; row++) {
        tw_buffer_puts(b, " ");
        for (int32_t i = 0; i < n; i++) {
            const char *token = tw_tokenizer_token(t->tokenizer, ids[i]);
            char id[16];
            snprintf(id, sizeof id, "%d", (int)ids[i]);
            if (!token) token = "?";
            size_t w = cli_text_width(token);
            if (w < strlen(id)) w = strlen(id);
            tw_buffer_puts(b, " ");
            cli_put_cell(b, row ? token : id, w, true, false);
        }
        tw_buffer_puts(b, "\n");
    }
}

static int32_t context_length(const tokenize *t) {
    if (t->text.context_length) return t->text.context_length;
    if (is_bpe(t)) return 77;
    return t->model ? tw_model_arch(t->model)->text.context_length : 52;
}

static tw_text_options text_options(const tokenize *t) {
    tw_text_options how = cli_tokenize_options(&t->text);
    how.context_length = context_length(t);
    if (how.context_length < 2 || how.context_length > MAX_CONTEXT)
        how.context_length = MAX_CONTEXT;
    /* OpenAI's tokenize() refuses what is too long unless told to truncate. */
    if (t->kind == BPE && !t->text.truncation && !t->text.truncate)
        how.truncation = TW_TRUNCATE_ERROR;
    if (t->clean) how.clean = (tw_text_clean)(t->clean - 1);
    how.skip_repair = t->no_repair;
    return how;
}

static tw_status tokenize_all(tokenize *t, tw_error *err) {
    tw_text_options how = text_options(t);
    int32_t ids[MAX_CONTEXT], n = 0;
    bool truncated = false;
    for (size_t i = 0; i < t->strings.n; i++) {
        const char *text = tw_strings_get(&t->strings, i);
        tw_status status =
            tw_tokenize(t->tokenizer, text, strlen(text), &how, ids, &n, &truncated, err);
        if (status != TW_OK) {
            tw_error_context(err, "text %zu", i + 1);
            return status;
        }
        int32_t shown = t->pad ? how.context_length : n;
        if (t->report.json)
            put_json(t, ids, shown, truncated);
        else
            put_table(t, text, ids, shown, truncated);
        if (t->out.failed) return tw_fail_no_memory(err, t->out.n_bytes);
        if (t->out.n_bytes < 65536 && i + 1 < t->strings.n) continue;
        if (cli_print(&t->out) != CLI_CONTINUE)
            return tw_fail(err, TW_ERR_IO, "standard output cannot be written");
        cli_work_at(i + 1);
        TW_TRY(tw_progress(cli_hooks(), "texts", 0, t->strings.n, err));
    }
    return TW_OK;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    tokenize t = {0};
    const cli_group groups[] = {
        {options, &t}, {cli_text_options, &t.text}, {cli_report_options, &t.report}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &t.operands);
    cli_console_set_progress(t.report.progress);
    if (status == CLI_CONTINUE) status = check_usage(&t);
    if (status == CLI_CONTINUE) status = open_tokenizer(&t);
    if (status == CLI_CONTINUE) status = gather(&t);
    if (status == CLI_CONTINUE) {
        tw_error err = TW_ERROR_INIT;
        cli_work_begin("texts", t.strings.n);
        tw_status result = tokenize_all(&t, &err);
        cli_work_end();
        status = result == TW_OK ? CLI_DONE : cli_fail(&err);
    }
    tw_tokenizer_free(t.made);
    tw_model_free(t.model);
    tw_strings_free(&t.strings);
    tw_buffer_free(&t.out);
    free(t.single.items);
    free(t.operands.items);
    return status;
}

const cli_verb cli_tokenize = {
    .name = "tokenize",
    .summary = "texts into token ids",
    .usage = "[-m MODEL|--tokenizer NAME] [options] FILE.jsonl|-",
    .about = "One text a line, plain or {\"text\": …}. Ids from [CLS] to [SEP]; --json: {\"ids\": "
             "[…]} a line.",
    .example = "tuwen tokenize --tokenizer wordpiece --text 杰尼龟",
    .run = run,
};
