/* The page of bench --html: tables and charts, nothing fetched from elsewhere. */
#include "bench.h"

#include "base/file.h"
#include "base/size.h"
#include "output.h"

#include <string.h>

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>tuwen bench</title>\n<style>\n"
    ":root{color-scheme:light dark;--bar:#2a6fb0;--other:#8a8f98}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #8884}\n"
    "th:first-child,td:first-child{text-align:left}\n"
    "svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}\n"
    "rect{fill:var(--bar)}.wide{overflow-x:auto}.note{color:var(--other)}\n"
    "</style></head><body>\n<h1>tuwen bench</h1>\n";

static void put_escaped(tw_buffer *b, const char *text) {
    for (; *text; text++) {
        const char *entity = *text == '<'   ? "&lt;"
                             : *text == '>' ? "&gt;"
                             : *text == '&' ? "&amp;"
                             : *text == '"' ? "&quot;"
                                            : NULL;
        if (entity)
            tw_buffer_puts(b, entity);
        else
            tw_buffer_append(b, text, 1);
    }
}

enum { LEFT = 250, WIDTH = 520, ROW = 22 };

static void put_bar(tw_buffer *b, size_t row, const char *label, double value, double most,
                    const char *unit) {
    double width = most > 0 ? WIDTH * value / most : 0;
    int y = (int)row * ROW;
    tw_buffer_printf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", LEFT - 8, y + 15);
    put_escaped(b, label);
    tw_buffer_printf(b,
                     "</text><rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>"
                     "<text x=\"%.1f\" y=\"%d\">%.*f%s</text>\n",
                     LEFT, y + 3, width, ROW - 6, LEFT + width + 6, y + 15,
                     value < 1     ? 3
                     : value < 100 ? 2
                                   : 0,
                     value, unit);
}

static void open_chart(tw_buffer *b, size_t n_rows, const char *title) {
    tw_buffer_printf(b, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
                     LEFT + WIDTH + 90, (int)n_rows * ROW, title);
}

static void put_rates(bench *v, tw_buffer *b, bool image) {
    double most = 0;
    size_t n = 0, row = 0;
    for (size_t i = 0; i < v->n_results; i++)
        if (v->results[i].image == image) {
            most = TW_MAX(most, bench_per_second(&v->results[i]));
            n++;
        }
    if (!n) return;
    tw_buffer_printf(b, "<h2>%s</h2>\n", image ? "Pictures a second" : "Texts a second");
    open_chart(b, n, image ? "pictures a second" : "texts a second");
    for (size_t i = 0; i < v->n_results; i++) {
        const bench_result *r = &v->results[i];
        tw_buffer label = {0};
        if (r->image != image) continue;
        tw_buffer_printf(&label, "%d thread%s, batch %d", r->threads, r->threads == 1 ? "" : "s",
                         r->batch);
        put_bar(b, row++, label.failed ? "" : label.data, bench_per_second(r), most, "");
        tw_buffer_free(&label);
    }
    tw_buffer_puts(b, "</svg>\n");
}

static void put_stages(bench *v, tw_buffer *b, bool image) {
    double most = 0;
    size_t n = 0, row = 0;
    for (size_t i = 0; i < v->n_stages; i++)
        if (v->stages[i].image == image) {
            most = TW_MAX(most, v->stages[i].ms);
            n++;
        }
    if (!n) return;
    tw_buffer_printf(b, "<h2>Stages of the %s tower, batch %d</h2>\n", image ? "image" : "text",
                     v->batches[0]);
    open_chart(b, n, "milliseconds of each stage");
    for (size_t i = 0; i < v->n_stages; i++)
        if (v->stages[i].image == image)
            put_bar(b, row++, v->stages[i].name, v->stages[i].ms, most, " ms");
    tw_buffer_puts(b, "</svg>\n");
}

static void put_table(bench *v, tw_buffer *b) {
    tw_buffer_puts(b, "<h2>All figures</h2>\n<div "
                      "class=\"wide\"><table><tr><th>tower<th>threads<th>batch<th>mean ms"
                      "<th>sd<th>min<th>median<th>95p<th>99p<th>a second<th>GFLOP/s<th>of peak"
                      "<th>busy</tr>\n");
    for (size_t i = 0; i < v->n_results; i++) {
        const bench_result *r = &v->results[i];
        const bench_statistics *s = &r->ms;
        tw_buffer_printf(b,
                         "<tr><td>%s<td>%d<td>%d<td>%.3f<td>%.3f<td>%.3f<td>%.3f<td>%.3f<td>%.3f"
                         "<td>%.1f<td>%.1f<td>",
                         r->image ? "image" : "text", r->threads, r->batch, s->mean, s->sd, s->min,
                         s->median, s->p95, s->p99, bench_per_second(r), bench_gflops(r));
        if (r->peak > 0) tw_buffer_printf(b, "%.0f %%", 100 * bench_gflops(r) / r->peak);
        tw_buffer_printf(b, "<td>%.2f</tr>\n", s->processors);
    }
    tw_buffer_puts(b, "</table></div>\n");
}

tw_status bench_write_html(bench *v, tw_error *err) {
    tw_buffer page = {0};
    tw_output out;
    tw_buffer *b = &page;
    tw_buffer_puts(b, head);
    tw_buffer_puts(b, "<p>");
    put_escaped(b, tw_model_path(v->session.model));
    tw_buffer_puts(b, ", ");
    put_escaped(b, tw_model_arch(v->session.model)->name);
    tw_buffer_puts(b, "<br>");
    put_escaped(b, tw_encoder_description(v->session.encoder));
    tw_buffer_printf(b, "<br>start-up %.1f ms, peak memory %.1f MB; %d runs each after %d</p>\n",
                     v->startup_ms, bench_peak_bytes() / 1e6, v->n, v->warmup);
    put_rates(v, b, true);
    put_rates(v, b, false);
    put_stages(v, b, true);
    put_stages(v, b, false);
    put_table(v, b);
    tw_buffer_puts(b,
                   "<p class=\"note\">GFLOP: two for each multiply-add of the published network. "
                   "Peak: multiply-adds that stay in registers, on the same threads.</p>\n"
                   "</body></html>\n");
    tw_status status = page.failed ? tw_fail(err, TW_ERR_NO_MEMORY, "out of memory") : TW_OK;
    if (status == TW_OK) status = tw_output_open(v->html, &out, err);
    if (status == TW_OK) {
        status = tw_output_write(&out, page.data, page.n_bytes, err);
        if (status == TW_OK) status = tw_output_commit(&out, err);
        tw_output_abort(&out);
    }
    tw_buffer_free(&page);
    return status;
}
