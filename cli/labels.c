#include "labels.h"

#include "dataset/lines.h"
#include "eval/rank.h"
#include "inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(cli_labels, field)
const cli_option cli_label_options[] = {
    {"labels", 0, CLI_TEXT, "FILE", "labels, one a line", AT(file), 0, 0},
    {"label", 0, CLI_TEXTS, "LABEL", "one label; may be repeated", AT(single), 0, 0},
    {"templates", 0, CLI_TEXT, "FILE", "prompt templates: lines or JSON; {} is the label",
     AT(templates), 0, 0},
    {"template-set", 0, CLI_TEXT, "NAME", "which list of a JSON object of lists", AT(template_set),
     0, 0},
    {"template", 0, CLI_TEXTS, "TEXT", "one template; may be repeated (default {})",
     AT(single_templates), 0, 0},
    {"scale", 0, CLI_TEXT, "model|NUMBER", "times the cosine before the softmax", AT(scale), 0, 0},
    {"label-file", 0, CLI_TEXT, "FILE", NULL, AT(file), 0, 0},
    {0}};
#undef AT

static tw_status add_all(const cli_texts *from, tw_strings *to, tw_error *err) {
    for (size_t i = 0; i < from->n; i++)
        TW_TRY(tw_strings_add(to, from->items[i], strlen(from->items[i]), err));
    return TW_OK;
}

static tw_status read_all(cli_labels *l, tw_error *err) {
    if (l->file) TW_TRY(tw_read_lines(l->file, TW_LINES_LABELS, &l->labels, err));
    TW_TRY(add_all(&l->single, &l->labels, err));
    if (l->labels.n == 0) return tw_fail(err, TW_ERR_FORMAT, "%s: no label in it", l->file);
    if (l->templates) TW_TRY(tw_read_templates(l->templates, l->template_set, &l->prompts, err));
    TW_TRY(add_all(&l->single_templates, &l->prompts, err));
    if (l->prompts.n == 0) TW_TRY(tw_strings_add(&l->prompts, "{}", 2, err));
    for (size_t i = 0; i < l->prompts.n; i++)
        if (!strstr(tw_strings_get(&l->prompts, i), "{}"))
            return tw_fail(err, TW_ERR_FORMAT, "template '%s' has no {} for the label",
                           tw_strings_get(&l->prompts, i));
    return TW_OK;
}

/* NaN stands for the model's own. */
static int read_scale(cli_labels *l) {
    l->scale_value = NAN;
    if (!l->scale || strcmp(l->scale, "model") == 0) return CLI_CONTINUE;
    char *end;
    l->scale_value = strtof(l->scale, &end);
    if (end != l->scale && *end == '\0' && isfinite(l->scale_value) && l->scale_value > 0)
        return CLI_CONTINUE;
    cli_error("--scale: expected model or a positive number, got '%s'", l->scale);
    return CLI_USAGE;
}

int cli_labels_read(cli_labels *l) {
    if (!l->file && l->single.n == 0) {
        cli_error("no labels: give --labels FILE or --label LABEL");
        return CLI_USAGE;
    }
    if (l->template_set && !l->templates) {
        cli_error("--template-set chooses from --templates FILE, which is missing");
        return CLI_USAGE;
    }
    int status = read_scale(l);
    if (status != CLI_CONTINUE) return status;
    tw_error err = TW_ERROR_INIT;
    return read_all(l, &err) == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

tw_status cli_labels_encode(cli_labels *l, cli_session *s, float default_scale, tw_error *err) {
    size_t dim = (size_t)tw_model_arch(s->model)->embed_dim;
    if (isnan(l->scale_value))
        l->scale_value =
            default_scale > 0 && !l->scale ? default_scale : expf(tw_model_logit_scale(s->model));
    const char **labels = NULL, **prompts = NULL;
    tw_status status;
    TW_CHECK(tw_strings_pointers(&l->labels, &labels, err));
    TW_CHECK(tw_strings_pointers(&l->prompts, &prompts, err));
    l->weights = calloc(l->labels.n * dim, sizeof *l->weights);
    if (!l->weights) TW_CHECK(tw_fail_no_memory(err, l->labels.n * dim * sizeof *l->weights));
    cli_work_begin("labels", 0);
    status = tw_zeroshot_weights(s->encoder, labels, l->labels.n, prompts, l->prompts.n, l->weights,
                                 err);
    cli_work_end();
done:
    free(labels);
    free(prompts);
    return status;
}

int cli_labels_open_folders(const cli_labels *l, const char *path, tw_class_folders *out) {
    tw_error err = TW_ERROR_INIT;
    if (tw_class_folders_open(path, out, &err) == TW_OK &&
        tw_class_folders_match(out, l->labels.n, &err) == TW_OK)
        return CLI_CONTINUE;
    if (!strstr(err.message, path)) tw_error_context(&err, "%s", path);
    return cli_fail(&err);
}

tw_status cli_labels_score(const cli_labels *l, const tw_class_folders *folders,
                           const float *reference, const float *images, const float *classes,
                           size_t dim, tw_zeroshot_result *out, tw_error *err) {
    tw_zeroshot_score score;
    tw_ranker ranker = {0};
    tw_status status;
    TW_TRY(tw_zeroshot_score_init(&score, l->labels.n, err));
    TW_CHECK(tw_ranker_init(&ranker, classes, l->labels.n, dim, l->scale_value, err));
    for (size_t i = 0; i < tw_pictures_count(folders->pictures); i++) {
        if (!cli_is_vector(reference + i * dim, dim)) continue;
        bool is_vector = cli_is_vector(images + i * dim, dim);
        if (is_vector) TW_CHECK(tw_ranker_rank(&ranker, images + i * dim, err));
        tw_zeroshot_score_add(&score, folders->labels[i], ranker.best, is_vector ? ranker.k : 0);
    }
    *out = tw_zeroshot_score_result(&score);
done:
    tw_ranker_free(&ranker);
    tw_zeroshot_score_free(&score);
    return status;
}

void cli_labels_free(cli_labels *l) {
    tw_strings_free(&l->labels);
    tw_strings_free(&l->prompts);
    free(l->weights);
    free(l->single.items);
    free(l->single_templates.items);
}
