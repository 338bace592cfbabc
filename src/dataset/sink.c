#include "dataset/sink.h"

#include "base/buffer.h"
#include "base/file.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

struct tw_sink {
    tw_output output;
    bool is_npy;
    const char *key;
    size_t n_rows, dim, done;
    tw_buffer line;
};

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), n_end = strlen(end);
    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

bool tw_sink_takes(const char *path) {
    return ends_with(path, ".npy") || ends_with(path, ".jsonl") || strcmp(path, "-") == 0;
}

tw_status tw_sink_open(const char *path, size_t n_rows, size_t dim, const char *key, tw_sink **out,
                       tw_error *err) {
    *out = NULL;
    bool is_npy = ends_with(path, ".npy");
    if (!tw_sink_takes(path))
        return tw_fail(err, TW_ERR_ARGUMENT, "%s: expected an output ending in .npy or .jsonl",
                       path);
    tw_sink *sink = calloc(1, sizeof *sink);
    if (!sink) return tw_fail_no_memory(err, sizeof *sink);
    *sink = (tw_sink){.is_npy = is_npy, .key = key, .n_rows = n_rows, .dim = dim};
    tw_status status = tw_output_open(path, &sink->output, err);
    if (status == TW_OK && is_npy) {
        int64_t shape[2] = {(int64_t)n_rows, (int64_t)dim};
        status = tw_npy_write_header(&sink->output, TW_F32, 2, shape, err);
    }
    if (status != TW_OK) {
        tw_sink_abort(sink);
        return status;
    }
    *out = sink;
    return TW_OK;
}

static tw_status write_line(tw_sink *sink, const float *row, const char *name, tw_error *err) {
    tw_buffer *b = &sink->line;
    tw_buffer_clear(b);
    if (name) {
        tw_buffer_printf(b, "{\"%s\": ", sink->key);
        tw_buffer_json_string(b, name, strlen(name));
    } else {
        tw_buffer_printf(b, "{\"index\": %zu", sink->done);
    }
    tw_buffer_puts(b, ", \"feature\": [");
    for (size_t i = 0; i < sink->dim; i++) {
        if (i) tw_buffer_puts(b, ", ");
        tw_buffer_json_float(b, row[i]);
    }
    tw_buffer_puts(b, "]}\n");
    if (b->failed) return tw_fail_no_memory(err, b->n_bytes);
    return tw_output_write(&sink->output, b->data, b->n_bytes, err);
}

tw_status tw_sink_write(tw_sink *sink, const float *rows, size_t n, const char *const *names,
                        tw_error *err) {
    if (n > sink->n_rows - sink->done)
        return tw_fail(err, TW_ERR_ARGUMENT, "%s: more rows than the %zu announced",
                       sink->output.path, sink->n_rows);
    if (sink->is_npy) {
        sink->done += n;
        return tw_output_write(&sink->output, rows, n * sink->dim * sizeof *rows, err);
    }
    for (size_t i = 0; i < n; i++, sink->done++)
        TW_TRY(write_line(sink, rows + i * sink->dim, names ? names[i] : NULL, err));
    return TW_OK;
}

tw_status tw_sink_commit(tw_sink *sink, tw_error *err) {
    tw_status status;
    if (sink->done == sink->n_rows)
        status = tw_output_commit(&sink->output, err);
    else
        status = tw_fail(err, TW_ERR_ARGUMENT, "%s: %zu rows written, %zu announced",
                         sink->output.path, sink->done, sink->n_rows);
    tw_sink_abort(sink);
    return status;
}

void tw_sink_abort(tw_sink *sink) {
    if (!sink) return;
    tw_output_abort(&sink->output);
    tw_buffer_free(&sink->line);
    free(sink);
}
