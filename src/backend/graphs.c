#include "backend/graphs.h"

#include "base/size.h"
#include "tuwen/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char graph_name[] = "graph.onnx", side_name[] = "graph.onnx.extra_file";

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), n_end = strlen(end);
    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

static tw_status too_long(const char *path, tw_error *err) {
    return tw_fail(err, TW_ERR_ARGUMENT, "%.64s…: the path is too long", path);
}

/* One file: which tower it is must show, unless only one is asked for. */
static tw_status take_file(const char *path, bool image, const tw_backend_options *o, char *out,
                           size_t n, tw_error *err) {
    const char *mine = image ? ".img." : ".txt.", *others = image ? ".txt." : ".img.";
    bool alone = image ? o->vision_only : o->text_only;
    if (strlen(path) >= n) return too_long(path, err);
    if (strstr(path, others) || (!alone && !strstr(path, mine)))
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "%s: not the graph of the %s tower; give the prefix of both files", path,
                       image ? "image" : "text");
    memcpy(out, path, strlen(path) + 1);
    return TW_OK;
}

static tw_status is_engine(const char *path, tw_error *err) {
    return tw_fail(
        err, TW_ERR_UNSUPPORTED,
        "%s: an engine of TensorRT is not run by itself; give the ONNX graph with --backend "
        "onnxruntime --provider tensorrt, which builds and keeps its own",
        path);
}

/* A runtime that guesses at the format would say something else. */
static tw_status check_onnx(const char *path, tw_error *err) {
    /* The first bytes of the members of an ONNX model. */
    static const char members[] = "\010\022\032\042\050\062\072\102\162\242\312";
    FILE *f = fopen(path, "rb");
    if (!f) return tw_fail_errno(err, errno, "%s", path);
    int first = fgetc(f);
    bool unreadable = ferror(f) != 0;
    fclose(f);
    if (unreadable) return tw_fail(err, TW_ERR_IO, "%s: cannot be read", path);
    if (first == EOF) return tw_fail(err, TW_ERR_FORMAT, "%s: the file is empty", path);
    if (memchr(members, first, sizeof members - 1)) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "%s: not an ONNX file", path);
}

static tw_status find_by_prefix(const char *prefix, bool image, const tw_backend_options *o,
                                tw_graph_file *out, tw_error *err) {
    /* The last is what `tuwen build --target openvino` writes. */
    const char *words[] = {"fp32.onnx", "fp16.onnx", "xml"}, *part = image ? "img" : "txt";
    static const char *const engines[] = {"fp16.trt", "fp32.trt", "trt", "engine"};
    for (size_t i = 0; i < TW_COUNT(words); i++) {
        const char *word = words[o->precision == TW_F16 && i < 2 ? 1 - i : i];
        if ((size_t)snprintf(out->path, sizeof out->path, "%s.%s.%s", prefix, part, word) >=
            sizeof out->path)
            return too_long(prefix, err);
        if (access(out->path, F_OK) == 0) return TW_OK;
    }
    for (size_t i = 0; i < TW_COUNT(engines); i++) {
        snprintf(out->path, sizeof out->path, "%s.%s.%s", prefix, part, engines[i]);
        if (access(out->path, F_OK) == 0) return is_engine(out->path, err);
    }
    return tw_fail(err, TW_ERR_IO, "%s.%s.fp32.onnx, .fp16.onnx, .xml: none is there", prefix,
                   part);
}

/* More than half of what one file may have: the rest is names and small constants. */
static bool needs_side_file(const tw_model *model) {
    return model->file_bytes > (size_t)1 << 29;
}

static tw_status write_graph(const tw_model *model, bool image, const tw_backend_options *o,
                             tw_graph_file *out, tw_error *err) {
    const char *tmp = getenv("TMPDIR");
    char side[sizeof out->folder + sizeof side_name];
    if (!tmp || !tmp[0]) tmp = "/tmp";
    if ((size_t)snprintf(out->folder, sizeof out->folder, "%s/tuwen-XXXXXX", tmp) >=
        sizeof out->folder)
        return too_long(tmp, err);
    if (!mkdtemp(out->folder)) {
        out->folder[0] = 0;
        return tw_fail(err, TW_ERR_IO, "%s: cannot make a folder for the graph: %s", tmp,
                       strerror(errno));
    }
    snprintf(out->path, sizeof out->path, "%s/%s", out->folder, graph_name);
    snprintf(side, sizeof side, "%s/%s", out->folder, side_name);
    tw_export_options e = TW_EXPORT_OPTIONS_INIT;
    e.part = image ? TW_EXPORT_IMAGE : TW_EXPORT_TEXT;
    e.precision = o->precision == TW_F16 ? TW_F16 : TW_F32;
    e.side_file = needs_side_file(model) ? side : NULL;
    e.hooks = o->hooks;
    tw_status status = tw_export_onnx(model, out->path, &e, err);
    if (status != TW_OK) tw_graph_file_close(out);
    return status;
}

tw_status tw_graph_file_open(const tw_model *model, bool image, const tw_backend_options *o,
                             tw_graph_file *out, tw_error *err) {
    *out = (tw_graph_file){0};
    if (!o->graphs) return write_graph(model, image, o, out, err);
    if (ends_with(o->graphs, ".trt") || ends_with(o->graphs, ".engine"))
        return is_engine(o->graphs, err);
    bool named = ends_with(o->graphs, ".onnx");
    TW_TRY(named ? take_file(o->graphs, image, o, out->path, sizeof out->path, err)
                 : find_by_prefix(o->graphs, image, o, out, err));
    return ends_with(out->path, ".onnx") ? check_onnx(out->path, err) : TW_OK;
}

tw_status tw_compiled_file(const tw_backend_options *o, const char *suffix, bool image, char *path,
                           size_t n, tw_error *err) {
    if (ends_with(o->graphs, suffix)) return take_file(o->graphs, image, o, path, n, err);
    const char *part = image ? "img" : "txt";
    if ((size_t)snprintf(path, n, "%s.%s%s", o->graphs, part, suffix) < n) return TW_OK;
    return too_long(o->graphs, err);
}

void tw_graph_file_close(tw_graph_file *file) {
    char side[sizeof file->folder + sizeof side_name];
    if (!file->folder[0]) return;
    snprintf(side, sizeof side, "%s/%s", file->folder, side_name);
    unlink(file->path);
    unlink(side);
    rmdir(file->folder);
    file->folder[0] = 0;
}
