#include "recall_data.h"

#include "base/size.h"
#include "dataset/id_map.h"
#include "eval/knn.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- features */

static tw_status keep_images(void *user, size_t first, const float *rows, size_t n, tw_error *err) {
    cli_recall_data *d = user;
    for (size_t i = 0; i < n; i++, rows += d->dim) {
        if (!cli_is_vector(rows, d->dim)) continue; /* in the list of the skipped */
        memcpy(d->images + d->n_images * d->dim, rows, d->dim * sizeof *rows);
        d->image_ids[d->n_images++] = d->set.set.ids[first + i];
    }
    return TW_OK;
}

static tw_status encode(cli_recall_data *d, tw_error *err) {
    tw_image_options limits = cli_image_options(&d->limits);
    size_t n = d->set.set.n;
    d->dim = (size_t)tw_model_arch(d->session.model)->embed_dim;
    d->text.eval_quotes = true;
    d->images = calloc(n, d->dim * sizeof *d->images);
    d->image_ids = calloc(n, sizeof *d->image_ids);
    if (!d->images || !d->image_ids) return tw_fail_no_memory(err, n * d->dim * sizeof(float));
    TW_TRY(cli_text_features(&d->session, &d->set.annotations.texts, &d->text, &d->texts, err));
    TW_TRY(cli_encode_pictures(&d->session, d->set.set.pictures, &limits, true, &d->set.skips,
                               keep_images, d, err));
    if (d->n_images) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "%s: none of the %zu pictures could be used",
                   d->set.image_path, n);
}

/* ----------------------------------------------------------------------------------- recall */

/* One side of the search. */
typedef struct side {
    const float *rows;
    const int64_t *ids;
    size_t n;
} side;

/* The row of each query's id, of several the last, as in the original's dict. */
static tw_status map_rows(const side *queries, tw_id_map *map, tw_error *err) {
    for (size_t i = 0, before; i < queries->n; i++)
        TW_TRY(tw_id_map_put(map, queries->ids[i], i, &before, err));
    return TW_OK;
}

/* Counts every annotated query once; one without a row has no answer. */
static void count(cli_recall_data *d, const tw_annotations *a, const tw_id_map *last,
                  const tw_id_map *rows, const tw_knn *best, tw_recall *out) {
    for (size_t i = 0; i < a->n; i++) {
        if (tw_id_map_get(last, a->queries[i]) != i) continue;
        size_t n_answers, row = tw_id_map_get(rows, a->queries[i]);
        const int64_t *answers = tw_annotations_answers(a, i, &n_answers);
        bool there = row != TW_NO_INDEX;
        d->n_absent += !there;
        tw_recall_add(out, answers, n_answers, there ? best->ids + row * best->k : NULL,
                      there ? best->n[row] : 0);
    }
}

static tw_status search(cli_recall_data *d, const side *queries, const side *gallery,
                        const tw_annotations *a, tw_recall *out, tw_error *err) {
    tw_knn best = {0};
    tw_id_map rows = {0}, last = {0};
    const side annotated = {.ids = a->queries, .n = a->n};
    tw_status status;
    TW_CHECK(tw_knn_create(queries->n, TW_RECALL_K, &best, err));
    TW_CHECK(map_rows(queries, &rows, err));
    TW_CHECK(map_rows(&annotated, &last, err));
    TW_CHECK(tw_knn_add(&best, d->session.pool, queries->rows, d->dim, gallery->rows, gallery->ids,
                        gallery->n, err));
    count(d, a, &last, &rows, &best, out);
done:
    tw_id_map_free(&rows);
    tw_id_map_free(&last);
    tw_knn_free(&best);
    return status;
}

tw_status cli_recall_data_search(cli_recall_data *d, tw_error *err) {
    const tw_annotations *a = &d->set.annotations;
    const side texts = {d->texts, a->queries, a->n};
    const side images = {d->images, d->image_ids, d->n_images};
    if (d->wanted[TW_TEXT_TO_IMAGE])
        TW_TRY(search(d, &texts, &images, a, &d->recalls[TW_TEXT_TO_IMAGE], err));
    if (!d->wanted[TW_IMAGE_TO_TEXT]) return TW_OK;
    tw_annotations turned;
    TW_TRY(tw_annotations_turn(a, &turned, err));
    tw_status status = search(d, &images, &texts, &turned, &d->recalls[TW_IMAGE_TO_TEXT], err);
    tw_annotations_free(&turned);
    return status;
}

/* ----------------------------------------------------------------------------------- result */

static void put_table(const cli_recall_data *d, tw_buffer *b) {
    tw_buffer_puts(b, "               queries    R@1    R@5   R@10   mean\n");
    for (int i = 0; i < 2; i++) {
        if (!d->wanted[i]) continue;
        tw_recall_scores s = tw_recall_result(&d->recalls[i]);
        tw_buffer_printf(b, "%-13s %8zu %6.2f %6.2f %6.2f %6.2f\n", tw_directions[i].name,
                         d->recalls[i].n_queries, s.r1, s.r5, s.r10, s.mean);
    }
}

void cli_recall_put_scores(tw_buffer *b, const char *key, const tw_recall *recall) {
    tw_recall_scores s = tw_recall_result(recall);
    const double values[] = {s.r1, s.r5, s.r10, s.mean};
    static const char *const names[] = {"r1", "r5", "r10", "mean_recall"};
    tw_buffer_printf(b, "\"%s\": {\"queries\": %zu", key, recall->n_queries);
    for (size_t i = 0; i < TW_COUNT(values); i++) {
        tw_buffer_printf(b, ", \"%s\": ", names[i]);
        tw_buffer_python_float(b, values[i]);
    }
    tw_buffer_puts(b, "}");
}

static int print_result(const cli_recall_data *d) {
    static const char *const keys[] = {"text_to_image", "image_to_text"};
    tw_buffer b = {0};
    if (d->report.json) {
        tw_buffer_puts(&b, "{");
        for (int i = 0; i < 2; i++)
            if (d->wanted[i]) {
                cli_recall_put_scores(&b, keys[i], &d->recalls[i]);
                tw_buffer_puts(&b, ", ");
            }
        tw_buffer_printf(&b, "\"texts\": %zu, \"images\": %zu, \"skipped\": %zu, ",
                         d->set.annotations.n, d->n_images, d->set.skips.n);
        cli_json_used(&b, &d->session, true);
        tw_buffer_puts(&b, "}\n");
    } else {
        put_table(d, &b);
    }
    int status = cli_print(&b);
    tw_buffer_free(&b);
    return status;
}

int cli_recall_data_run(cli_recall_data *d) {
    tw_error err = TW_ERROR_INIT;
    int status = cli_retrieval_find(&d->set);
    if (status != CLI_CONTINUE) return status;
    if (!d->set.image_path || !d->set.text_path) {
        cli_error("no data: give --data DIR, or --image-data and --text-data");
        return CLI_USAGE;
    }
    status = cli_retrieval_open(&d->set);
    if (status == CLI_CONTINUE)
        status = cli_session_open(&d->session, &d->compute, &d->recipe, CLI_BOTH);
    if (status == CLI_CONTINUE &&
        (encode(d, &err) != TW_OK || cli_recall_data_search(d, &err) != TW_OK))
        status = cli_fail(&err);
    if (status == CLI_CONTINUE) status = print_result(d);
    if (status == CLI_CONTINUE && d->n_absent)
        cli_error("%zu annotated pictures are not among the data and count as misses", d->n_absent);
    return cli_skips_close(&d->set.skips, status == CLI_CONTINUE ? CLI_DONE : status);
}

void cli_recall_data_free(cli_recall_data *d) {
    cli_session_close(&d->session);
    cli_retrieval_free(&d->set);
    free(d->texts);
    free(d->images);
    free(d->image_ids);
}
