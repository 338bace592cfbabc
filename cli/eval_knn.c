/* tuwen eval knn: the nearest pictures of every text, or texts of every picture, from files of
 * features. */
#include "console.h"
#include "dataset/feature_file.h"
#include "eval/knn.h"
#include "eval/recall.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include "base/clock.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* Features in memory at once, of each side: a gallery that is larger comes in blocks, and is read
 * again for the next block of queries. */
#define BLOCK_BYTES ((size_t)128 << 20)

typedef struct block {
    size_t capacity, n;
    int64_t *ids; /* [capacity] */
    float *rows;  /* [capacity, dim] */
} block;

typedef struct knn {
    cli_compute compute;
    cli_report report;
    const char *image_feats, *text_feats, *output;
    int direction, top_k, eval_batch_size;
    cli_texts operands;
    /* at work */
    const tw_direction_words *words;
    tw_pool *pool;
    tw_feature_file queries, gallery;
    block query_block, gallery_block;
    tw_output file;
    size_t n_queries, n_gallery;
    uint64_t begin_ns;
} knn;

#define AT(field) offsetof(knn, field)
static const cli_option options[] = {
    {"image-feats", 0, CLI_TEXT, "FILE", "features of pictures, JSONL", AT(image_feats), 0, 0},
    {"text-feats", 0, CLI_TEXT, "FILE", "features of texts, JSONL", AT(text_feats), 0, 0},
    {"output", 'o', CLI_TEXT, "FILE", "predictions, JSONL; - is standard output", AT(output), 0, 0},
    {"top-k", 'k', CLI_INT, "N", "how many for each (10)", AT(top_k), 1, 100000},
    {"direction", 0, CLI_CHOICE, "text-to-image|image-to-text", "", AT(direction), 0, 0},
    {"eval-batch-size", 0, CLI_INT, "N", NULL, AT(eval_batch_size), 1, INT32_MAX},
    {0}};
#undef AT

static tw_status make_block(block *b, size_t dim, tw_error *err) {
    b->capacity = TW_MAX(BLOCK_BYTES / (TW_MAX(dim, (size_t)1) * sizeof *b->rows), (size_t)64);
    b->ids = malloc(b->capacity * sizeof *b->ids);
    b->rows = malloc(b->capacity * TW_MAX(dim, (size_t)1) * sizeof *b->rows);
    return b->ids && b->rows ? TW_OK : tw_fail_no_memory(err, b->capacity * dim * sizeof *b->rows);
}

static void free_block(block *b) {
    free(b->ids);
    free(b->rows);
}

static tw_status read_block(tw_feature_file *f, block *b, tw_error *err) {
    return tw_feature_file_next(f, b->capacity, b->ids, b->rows, &b->n, err);
}

/* {"text_id": 1, "image_ids": [2, 3]} */
static tw_status write_line(knn *e, int64_t query, const int64_t *ids, size_t n, tw_error *err) {
    tw_buffer b = {0};
    tw_buffer_printf(&b, "{\"%s\": %lld, \"%s\": [", e->words->query, (long long)query,
                     e->words->answers);
    for (size_t i = 0; i < n; i++)
        tw_buffer_printf(&b, i ? ", %lld" : "%lld", (long long)ids[i]);
    tw_buffer_puts(&b, "]}\n");
    tw_status status = b.failed ? tw_fail_no_memory(err, b.n_bytes)
                                : tw_output_write(&e->file, b.data, b.n_bytes, err);
    tw_buffer_free(&b);
    return status;
}

/* The whole gallery for the queries in memory. */
static tw_status search(knn *e, tw_error *err) {
    tw_knn best;
    TW_TRY(tw_knn_create(e->query_block.n, (size_t)e->top_k, &best, err));
    tw_status status;
    tw_feature_file_rewind(&e->gallery);
    for (e->n_gallery = 0;; e->n_gallery += e->gallery_block.n) {
        TW_CHECK(read_block(&e->gallery, &e->gallery_block, err));
        if (!e->gallery_block.n) break;
        TW_CHECK(tw_knn_add(&best, e->pool, e->query_block.rows, e->queries.dim,
                            e->gallery_block.rows, e->gallery_block.ids, e->gallery_block.n, err));
    }
    for (size_t q = 0; q < best.n_queries; q++)
        TW_CHECK(write_line(e, e->query_block.ids[q], best.ids + q * best.k, best.n[q], err));
done:
    tw_knn_free(&best);
    return status;
}

static tw_status search_all(knn *e, tw_error *err) {
    bool to_text = e->words == &tw_directions[TW_IMAGE_TO_TEXT];
    const char *queries = to_text ? e->image_feats : e->text_feats;
    const char *gallery = to_text ? e->text_feats : e->image_feats;
    TW_TRY(tw_feature_file_open(queries, e->words->query, &e->queries, err));
    TW_TRY(tw_feature_file_open(gallery, e->words->answer, &e->gallery, err));
    if (e->queries.dim && e->gallery.dim && e->queries.dim != e->gallery.dim)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "%s: features of %zu numbers, but those of %s have %zu", gallery,
                       e->gallery.dim, queries, e->queries.dim);
    TW_TRY(make_block(&e->query_block, e->queries.dim, err));
    TW_TRY(make_block(&e->gallery_block, e->gallery.dim, err));
    TW_TRY(tw_output_open(e->output, &e->file, err));
    for (;; e->n_queries += e->query_block.n) {
        TW_TRY(read_block(&e->queries, &e->query_block, err));
        if (!e->query_block.n) return tw_output_commit(&e->file, err);
        TW_TRY(search(e, err));
    }
}

static int print_summary(const knn *e) {
    tw_buffer b = {0};
    tw_buffer_puts(&b, "{");
    cli_json_member(&b, "output", e->output);
    cli_json_member(&b, "direction", e->words->name);
    cli_json_number(&b, "queries", (double)e->n_queries);
    cli_json_number(&b, "gallery", (double)e->n_gallery);
    cli_json_number(&b, "top_k", e->top_k);
    cli_json_number(&b, "threads", tw_pool_threads(e->pool));
    cli_json_number(&b, "seconds", (double)(tw_now_ns() - e->begin_ns) / 1e9);
    tw_buffer_puts(&b, "}\n");
    int status = cli_print(&b);
    tw_buffer_free(&b);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}

static int check_usage(knn *e) {
    if (e->operands.n)
        cli_error("unexpected operand '%s'", e->operands.items[0]);
    else if (!e->image_feats || !e->text_feats)
        cli_error("expected --image-feats FILE and --text-feats FILE");
    else if (!e->output)
        cli_error("no output: give -o FILE.jsonl");
    else if (e->report.json && strcmp(e->output, "-") == 0)
        cli_error("--json and -o - both want standard output");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    knn e = {.top_k = TW_RECALL_K};
    const cli_group groups[] = {
        {options, &e}, {cli_thread_options, &e.compute}, {cli_report_options, &e.report}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &e.operands);
    e.words = &tw_directions[e.direction == 2 ? TW_IMAGE_TO_TEXT : TW_TEXT_TO_IMAGE];
    e.begin_ns = tw_now_ns();
    if (status == CLI_CONTINUE) status = check_usage(&e);
    if (status == CLI_CONTINUE) status = cli_open_pool(&e.compute, &e.pool);
    if (status == CLI_CONTINUE) {
        tw_error err = TW_ERROR_INIT;
        status = search_all(&e, &err) == TW_OK ? CLI_DONE : cli_fail(&err);
    }
    if (status == CLI_DONE && e.report.json && e.words) status = print_summary(&e);
    tw_output_abort(&e.file);
    tw_feature_file_close(&e.queries);
    tw_feature_file_close(&e.gallery);
    free_block(&e.query_block);
    free_block(&e.gallery_block);
    tw_pool_free(e.pool);
    free(e.operands.items);
    return status;
}

const cli_verb cli_eval_knn = {
    .name = "eval knn",
    .summary = "nearest pictures of texts, or texts of pictures, from files of features",
    .usage = "--image-feats FILE --text-feats FILE -o FILE [options]",
    .about =
        "Inner products in f64, rounded to f32; of equal ones the first in the file comes first.",
    .example =
        "tuwen eval knn --image-feats imgs.jsonl --text-feats texts.jsonl -o predictions.jsonl",
    .run = run,
};
