/* What was found, as a table for people or as JSON. */
#include "verify.h"

#include "base/size.h"
#include "output.h"

#include <math.h>
#include <stdio.h>

/* What differs after the last stage is the last norm or the projection into the shared space. */
static const char after_stages[] = "none; the final norm or projection";

/* -------------------------------------------------------------------------------------- text */

static void put_row(tw_buffer *b, const char *const cells[6]) {
    static const struct {
        size_t width;
        bool right;
    } columns[] = {{10, false}, {6, true}, {11, true}, {11, true}, {13, true}};
    for (size_t i = 0; i < 5; i++) {
        cli_put_cell(b, cells[i], columns[i].width, columns[i].right, false);
        tw_buffer_puts(b, "  ");
    }
    tw_buffer_printf(b, "%s\n", cells[5]);
}

static void put_part(tw_buffer *b, const verify_part *p) {
    const tw_agreement *g = &p->agreement;
    char n[32], least[32], mean[32], largest[32];
    snprintf(n, sizeof n, "%zu", g->n);
    snprintf(least, sizeof least, "%.8f", g->n_no_cosine ? NAN : g->cosine_min);
    snprintf(mean, sizeof mean, "%.8f", tw_agreement_mean(g));
    snprintf(largest, sizeof largest, "%.2e", g->largest);
    tw_buffer worst = {0};
    if (g->n && g->cosine_min == 1 && g->largest == 0 && !g->n_no_cosine)
        tw_buffer_puts(&worst, "–"); /* all equal */
    else
        cli_put_cell(&worst, p->worst, TW_MIN(cli_text_width(p->worst), (size_t)60), false, true);
    put_row(b,
            (const char *const[]){p->what, n, least, mean, largest, worst.data ? worst.data : ""});
    tw_buffer_free(&worst);
}

static void put_stage(tw_buffer *b, const verify_part *p, bool agrees) {
    if (p->agreement.n_no_cosine)
        tw_buffer_printf(b, "%s: %zu of %zu have no cosine: NaN, infinite or all zero\n", p->what,
                         p->agreement.n_no_cosine, p->agreement.n);
    if (!p->has_stages) {
        if (p->stages_a.n || p->stages_b.n)
            tw_buffer_printf(b, "%s: the models' stages differ in name or shape\n", p->what);
        return;
    }
    if (p->first == p->stages_a.n) {
        if (!agrees)
            tw_buffer_printf(b, "%s: first stage that differs: %s\n", p->what, after_stages);
        return;
    }
    tw_stage_difference d = tw_stages_compare(&p->stages_a, &p->stages_b, p->first);
    tw_buffer_printf(b,
                     "%s: first stage that differs: %s, by up to %.3g (%.2g of its root mean "
                     "square)\n",
                     p->what, d.name, d.largest, d.relative);
}

static void put_text(tw_buffer *b, const verify *v) {
    static const char *const titles[] = {"features",    "inputs",       "cosine min",
                                         "cosine mean", "largest diff", "worst input"};
    put_row(b, titles);
    for (size_t i = 0; i < v->n_parts; i++)
        put_part(b, &v->parts[i]);
    for (size_t i = 0; i < v->n_parts; i++)
        put_stage(b, &v->parts[i], tw_agreement_holds(&v->parts[i].agreement, v->min_cosine));
    bool agree = verify_agrees(v);
    tw_buffer_printf(b, "%s: %s cosine is at least %g\n", agree ? "agree" : "disagree",
                     agree ? "every" : "not every", v->min_cosine);
}

/* -------------------------------------------------------------------------------------- JSON */

static void put_stages_json(tw_buffer *b, const verify_part *p) {
    tw_buffer_puts(b, ", \"stages\": [");
    for (size_t i = 0; p->has_stages && i < p->stages_a.n; i++) {
        tw_stage_difference d = tw_stages_compare(&p->stages_a, &p->stages_b, i);
        tw_buffer_puts(b, i ? ", {" : "{");
        cli_json_member(b, "stage", d.name);
        cli_json_number(b, "largest_difference", d.largest);
        cli_json_number(b, "relative", d.relative);
        tw_buffer_puts(b, "}");
    }
    tw_buffer_puts(b, "], \"first_stage\": ");
    if (p->has_stages && p->first < p->stages_a.n)
        tw_buffer_printf(b, "\"%s\"", p->stages_a.items[p->first].name);
    else
        tw_buffer_puts(b, "null");
}

static void put_part_json(tw_buffer *b, const verify *v, const verify_part *p) {
    const tw_agreement *g = &p->agreement;
    tw_buffer_puts(b, "{");
    cli_json_member(b, "features", p->what);
    cli_json_number(b, "inputs", (double)g->n);
    cli_json_number(b, "skipped", (double)p->n_skipped);
    cli_json_number(b, "no_cosine", (double)g->n_no_cosine);
    cli_json_number(b, "cosine_min", g->n_no_cosine ? NAN : g->cosine_min);
    cli_json_number(b, "cosine_mean", tw_agreement_mean(g));
    cli_json_number(b, "largest_difference", g->largest);
    tw_buffer_puts(b, ", \"worst\": ");
    if (g->n) {
        tw_buffer_puts(b, "{");
        cli_json_number(b, "index", (double)g->worst);
        cli_json_member(b, "name", p->worst);
        tw_buffer_puts(b, "}");
    } else {
        tw_buffer_puts(b, "null");
    }
    put_stages_json(b, p);
    tw_buffer_printf(b, ", \"agree\": %s}",
                     tw_agreement_holds(g, v->min_cosine) ? "true" : "false");
}

static void put_side_json(tw_buffer *b, const char *key, const verify_side *side) {
    static const char *const kinds[] = {"model", "folder", "array"};
    tw_buffer_printf(b, "\"%s\": {", key);
    cli_json_member(b, "path", side->path);
    cli_json_member(b, "kind",
                    side->is_checkpoint && side->kind == SIDE_MODEL ? "checkpoint"
                                                                    : kinds[side->kind]);
    cli_json_number(b, "dim", (double)side->dim);
    if (side->session.model) cli_json_member(b, "arch", tw_model_arch(side->session.model)->name);
    tw_buffer_puts(b, "}, ");
}

static void put_json(tw_buffer *b, const verify *v) {
    tw_buffer_puts(b, "{");
    put_side_json(b, "a", &v->a);
    put_side_json(b, "b", &v->b);
    tw_buffer_printf(b, "\"min_cosine\": %.12g, \"stage_tolerance\": %.12g, \"parts\": [",
                     v->min_cosine, v->tolerance);
    for (size_t i = 0; i < v->n_parts; i++) {
        if (i) tw_buffer_puts(b, ", ");
        put_part_json(b, v, &v->parts[i]);
    }
    tw_buffer_printf(b, "], \"agree\": %s, ", verify_agrees(v) ? "true" : "false");
    cli_json_used(b, v->a.session.model ? &v->a.session : &v->b.session, false);
    tw_buffer_puts(b, "}\n");
}

int verify_print(const verify *v) {
    tw_buffer b = {0};
    if (v->report.json)
        put_json(&b, v);
    else
        put_text(&b, v);
    int status = cli_print(&b);
    tw_buffer_free(&b);
    return status;
}
