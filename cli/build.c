/* tuwen build: a model file through the compiler of another runtime. */
#define _GNU_SOURCE
#include "build_targets.h"
#include "build_words.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_TICKS = 20 };

typedef struct build {
    cli_report report;
    cli_compute compute;
    const char *output, *chip;
    int target, precision, batch, context_length;
    bool vision_only, text_only, fp16, print, keep;
    const build_target *to;
    tw_model *model;
    char work[PATH_MAX]; /* folder of what lies between, removed at the end */
    tw_buffer written;   /* JSON of the results */
} build;

#define AT(field) offsetof(build, field)
static const cli_option options[] = {
    {"target", 0, CLI_CHOICE, BUILD_TARGET_WORDS, "whose compiler", AT(target), 0, 0},
    {"output", 'o', CLI_TEXT, "PREFIX", "writes PREFIX.img.EXT and PREFIX.txt.EXT", AT(output), 0,
     0},
    {"precision", 0, CLI_CHOICE, "f32|f16|bf16", "of the result (the target's usual one)",
     AT(precision), 0, 0},
    {"batch", 'b', CLI_INT, "N", "rows a run (1; openvino: any)", AT(batch), 1, 65536},
    {"context-length", 0, CLI_INT, "L", "tokens a row (the model's; openvino: any)",
     AT(context_length), 1, 65536},
    {"chip", 0, CLI_TEXT, "NAME", "bm1684x, 910B4 …", AT(chip), 0, 0},
    {"soc-version", 0, CLI_TEXT, "NAME", NULL, AT(chip), 0, 0},
    {"vision-only", 0, CLI_FLAG, NULL, "the image tower alone", AT(vision_only), 0, 0},
    {"text-only", 0, CLI_FLAG, NULL, "the text tower alone", AT(text_only), 0, 0},
    {"print", 0, CLI_FLAG, NULL, "print the compiler's command lines, run nothing", AT(print), 0,
     0},
    {"keep", 0, CLI_FLAG, NULL, "keep the folder of intermediate files", AT(keep), 0, 0},
    {"model", 'm', CLI_TEXT, "FILE", "the model file ($TUWEN_MODEL)", AT(compute.model), 0, 0},
    /* Words of onnx_to_tensorrt.py. */
    {"convert-vision", 0, CLI_FLAG, NULL, NULL, AT(vision_only), 0, 0},
    {"convert-text", 0, CLI_FLAG, NULL, NULL, AT(text_only), 0, 0},
    {"save-tensorrt-path", 0, CLI_TEXT, "PREFIX", NULL, AT(output), 0, 0},
    {"fp16", 0, CLI_FLAG, NULL, NULL, AT(fp16), 0, 0},
    {0}};
#undef AT

/* What the words of a command line are filled with, for one tower. */
typedef struct tower {
    bool image;
    char graph[PATH_MAX], out[PATH_MAX], stem[PATH_MAX], log[PATH_MAX];
    char shape[64]; /* "1,3,224,224", -1 for any */
} tower;

/* ------------------------------------------------------------------------------ command lines */

static char **make_words(const build *b, const tower *t, const char *line) {
    const build_value values[] = {
        {"graph", t->graph},
        {"out", t->out},
        {"stem", t->stem},
        {"name", t->image ? "image" : "text"},
        {"input", t->image ? "image" : "text"},
        {"format", t->image ? "NCHW" : "ND"},
        {"shape,", t->shape},
        {"chip", b->chip ? b->chip : ""},
        {"precision", b->to->precisions[b->precision]},
        {0},
    };
    return build_words_fill(line, values);
}

/* ------------------------------------------------------------------------------------- running */

/* In a process group of its own, so that a stop ends what the compiler has started as well. */
static void exec_child(const build *b, char **words, const char *log) {
    setpgid(0, 0);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || in < 0 || dup2(in, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 ||
        chdir(b->work) != 0)
        _exit(126);
    execvp(words[0], words);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Stopped: the compiler's group is asked to end, and after GRACE_TICKS is made to. */
static tw_status wait_child(pid_t child, size_t step, int *result, tw_error *err) {
    const struct timespec tick = {0, 100000000};
    for (int stopped = 0;; nanosleep(&tick, NULL)) {
        pid_t done = waitpid(child, result, WNOHANG);
        if (done == child) break;
        if (done < 0) return tw_fail(err, TW_ERR_IO, "the compiler: %s", strerror(errno));
        if (tw_progress(cli_hooks(), "compile", step, BUILD_STEPS, err) == TW_OK) continue;
        if (stopped == 0) kill(-child, SIGTERM);
        if (stopped++ == GRACE_TICKS) kill(-child, SIGKILL);
    }
    return cli_interrupted() ? tw_fail(err, TW_ERR_CANCELLED, "stopped") : TW_OK;
}

/* The last line of a log that is not empty, for the message. */
static void last_line(const char *log, char *out, size_t n) {
    uint8_t *data;
    size_t n_bytes;
    tw_error err = TW_ERROR_INIT;
    out[0] = 0;
    if (tw_read_file(log, (size_t)64 << 20, &data, &n_bytes, &err) != TW_OK) return;
    for (char *line = strtok((char *)data, "\n"); line; line = strtok(NULL, "\n"))
        if (line[strspn(line, " \t\r")]) snprintf(out, n, "%s", line);
    free(data);
}

static tw_status run_words(const build *b, char **words, const char *log, size_t step,
                           tw_error *err) {
    char line[256];
    int result = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) exec_child(b, words, log);
    if (child < 0) return tw_fail(err, TW_ERR_IO, "%s: %s", words[0], strerror(errno));
    setpgid(child, child); /* here and in the child: whichever runs first */
    TW_TRY(wait_child(child, step, &result, err));
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return TW_OK;
    if (WIFEXITED(result) && WEXITSTATUS(result) == 127) {
        unlink(log);
        return tw_fail(err, TW_ERR_UNSUPPORTED, "target %s: %s is not installed (%s)", b->to->name,
                       words[0], b->to->package);
    }
    last_line(log, line, sizeof line);
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s failed with status %d, see %s: %s", words[0],
                   WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result), log, line);
}

/* The first line a compiler prints about itself; "" when it does not say. */
static void take_version(const build *b, const tower *t, char *out, size_t n) {
    char log[PATH_MAX + 16];
    tw_error err = TW_ERROR_INIT;
    out[0] = 0;
    if (!b->to->version) return;
    char **words = make_words(b, t, b->to->version);
    snprintf(log, sizeof log, "%.4000s/version.log", b->work);
    if (words && words[0] && run_words(b, words, log, 0, &err) == TW_OK) last_line(log, out, n);
    build_words_free(words);
}

/* -------------------------------------------------------------------------------------- towers */

/* Between lie files of the work folder; those of printed lines are beside the result. */
static tw_status make_paths(const build *b, tower *t, tw_error *err) {
    const char *part = t->image ? "img" : "txt";
    const char *graph = b->print ? "%s.%s.fp32.onnx" : "%s/%s.onnx";
    const char *stem = b->print ? "%s.%s" : "%s/result.%s";
    const char *folder = b->print ? b->output : b->work;
    int n[] = {
        snprintf(t->graph, sizeof t->graph, graph, folder, part),
        snprintf(t->stem, sizeof t->stem, stem, folder, part),
        snprintf(t->out, sizeof t->out, "%.4000s.%s", t->stem, b->to->extension),
        snprintf(t->log, sizeof t->log, "%s.%s.log", b->output, part),
    };
    for (size_t i = 0; i < sizeof n / sizeof *n; i++)
        if (n[i] < 0 || n[i] >= PATH_MAX)
            return tw_fail(err, TW_ERR_ARGUMENT, "-o: the path is too long");
    return TW_OK;
}

static tw_status export_tower(const build *b, tower *t, tw_error *err) {
    const tw_arch *arch = tw_model_arch(b->model);
    const int batch = b->batch, length = b->context_length;
    tw_export_options o = TW_EXPORT_OPTIONS_INIT;
    o.part = t->image ? TW_EXPORT_IMAGE : TW_EXPORT_TEXT;
    o.batch = batch;
    o.context_length = t->image ? 0 : length;
    o.hooks = cli_hooks();
    const int r = arch->vision.image_size;
    if (t->image)
        snprintf(t->shape, sizeof t->shape, "%d,3,%d,%d", batch ? batch : -1, r, r);
    else
        snprintf(t->shape, sizeof t->shape, "%d,%d", batch ? batch : -1, length ? length : -1);
    return b->print ? TW_OK : tw_export_onnx(b->model, t->graph, &o, err);
}

/* Moves WORK/result.PART.EXT to PREFIX.PART.EXT. */
static tw_status put_in_place(const build *b, const tower *t, const char *extension,
                              tw_error *err) {
    char from[PATH_MAX + 16], to[PATH_MAX + 16];
    snprintf(from, sizeof from, "%.4000s.%s", t->stem, extension);
    snprintf(to, sizeof to, "%.4000s.%s.%s", b->output, t->image ? "img" : "txt", extension);
    if (rename(from, to) == 0) return TW_OK;
    return tw_fail(err, TW_ERR_IO, "%s: the compiler did not write it, or it cannot be moved: %s",
                   to, strerror(errno));
}

/* PREFIX.PART.EXT.json: what made the result. */
static tw_status write_record(build *b, const tower *t, const char *version, tw_error *err) {
    char path[PATH_MAX + 32];
    tw_buffer j = {0};
    tw_output out = {0};
    tw_status status;
    tw_provenance p = TW_PROVENANCE_INIT;
    tw_model_provenance(b->model, &p);
    snprintf(path, sizeof path, "%.4000s.%s.%s.json", b->output, t->image ? "img" : "txt",
             b->to->extension);
    tw_buffer_puts(&j, "{");
    cli_json_member(&j, "target", b->to->name);
    cli_json_member(&j, "compiler_version", version);
    cli_json_member(&j, "shape", t->shape);
    cli_json_member(&j, "chip", b->chip ? b->chip : "");
    cli_json_member(&j, "architecture", tw_model_arch(b->model)->name);
    cli_json_member(&j, "source_sha256", p.source_sha256);
    cli_json_member(&j, "tuwen", tw_version());
    tw_buffer_puts(&j, ", \"commands\": [");
    for (size_t i = 0; i < BUILD_STEPS && b->to->steps[i]; i++) {
        char **words = make_words(b, t, b->to->steps[i]);
        for (size_t k = 0; words && words[k]; k++) {
            tw_buffer_puts(&j, k ? ", " : i ? ", [" : "[");
            tw_buffer_json_string(&j, words[k], strlen(words[k]));
        }
        tw_buffer_puts(&j, "]");
        build_words_free(words);
    }
    tw_buffer_puts(&j, "]}\n");
    if (j.failed) {
        status = tw_fail_no_memory(err, j.n_bytes);
        goto done;
    }
    TW_CHECK(tw_output_open(path, &out, err));
    TW_CHECK(tw_output_write(&out, j.data, j.n_bytes, err));
    TW_CHECK(tw_output_commit(&out, err));
done:
    tw_output_abort(&out);
    tw_buffer_free(&j);
    return status;
}

static tw_status run_steps(build *b, tower *t, tw_error *err) {
    for (size_t i = 0; i < BUILD_STEPS && b->to->steps[i]; i++) {
        char **words = make_words(b, t, b->to->steps[i]);
        if (!words) return tw_fail_no_memory(err, strlen(b->to->steps[i]));
        if (b->print) build_words_print(words);
        tw_status status = b->print ? TW_OK : run_words(b, words, t->log, i, err);
        build_words_free(words);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static tw_status build_tower(build *b, bool image, tw_error *err) {
    tower t = {.image = image};
    char version[128] = "", path[PATH_MAX];
    TW_TRY(make_paths(b, &t, err));
    TW_TRY(export_tower(b, &t, err));
    if (!b->print) {
        unlink(t.log);
        take_version(b, &t, version, sizeof version);
    }
    TW_TRY(run_steps(b, &t, err));
    if (b->print) return TW_OK;
    TW_TRY(put_in_place(b, &t, b->to->extension, err));
    /* OpenVINO's weights lie beside. */
    if (strcmp(b->to->extension, "xml") == 0) TW_TRY(put_in_place(b, &t, "bin", err));
    TW_TRY(write_record(b, &t, version, err));
    snprintf(path, sizeof path, "%.4000s.%s.%s", b->output, image ? "img" : "txt",
             b->to->extension);
    tw_buffer_puts(&b->written, b->written.n_bytes ? ", " : "");
    tw_buffer_json_string(&b->written, path, strlen(path));
    if (!b->report.json) {
        tw_buffer line = {0};
        cli_put_field(&line, "wrote", "%s%s%s", path, version[0] ? ", by " : "", version);
        cli_print(&line);
        tw_buffer_free(&line);
    }
    return TW_OK;
}

/* --------------------------------------------------------------------------------------- whole */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place) {
    (void)st, (void)kind, (void)place;
    return remove(path);
}

static tw_status open_work(build *b, tw_error *err) {
    char real[PATH_MAX];
    if (snprintf(b->work, sizeof b->work, "%s.build-XXXXXX", b->output) >= (int)sizeof b->work - 64)
        return tw_fail(err, TW_ERR_ARGUMENT, "-o: the path is too long");
    if (b->print) return TW_OK;
    if (!mkdtemp(b->work)) {
        tw_status status =
            tw_fail(err, TW_ERR_IO, "%s: cannot make this folder: %s", b->work, strerror(errno));
        b->work[0] = 0;
        return status;
    }
    if (realpath(b->work, real)) memcpy(b->work, real, strlen(real) + 1);
    return TW_OK;
}

static void close_work(build *b) {
    if (!b->work[0] || b->print) return;
    if (b->keep)
        cli_error("kept %s", b->work);
    else
        nftw(b->work, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The extents of the graphs; 0 is any. */
static void choose_extents(build *b) {
    if (!b->to->fixed) return;
    if (!b->batch) b->batch = 1;
    if (!b->context_length) b->context_length = tw_model_arch(b->model)->text.context_length;
}

/* The graphs that printed lines begin with. */
static void print_export(const build *b) {
    fputs("tuwen export ", stdout);
    build_word_print(b->compute.model ? b->compute.model : getenv("TUWEN_MODEL"));
    fputs(" -o ", stdout);
    build_word_print(b->output);
    if (b->batch) printf(" --batch %d", b->batch);
    if (b->context_length && !b->vision_only) printf(" --context-length %d", b->context_length);
    if (b->to->opset) printf(" --opset %d", b->to->opset);
    puts(b->vision_only ? " --vision-only" : b->text_only ? " --text-only" : "");
}

static tw_status build_all(build *b, tw_error *err) {
    const tw_arch *arch = tw_model_arch(b->model);
    if (b->to->by_hand && !b->print)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "target %s: %s", b->to->name, b->to->by_hand);
    choose_extents(b);
    if (b->print) print_export(b);
    TW_TRY(open_work(b, err));
    if (arch->vision.kind != TW_VISION_NONE && !b->text_only) TW_TRY(build_tower(b, true, err));
    if (arch->text.kind != TW_TEXT_NONE && !b->vision_only) TW_TRY(build_tower(b, false, err));
    return TW_OK;
}

static int check_usage(build *b, const cli_texts *operands) {
    if (!b->target) {
        cli_error("no target: give --target " BUILD_TARGET_WORDS);
        return CLI_USAGE;
    }
    b->to = &build_targets[b->target - 1];
    if (b->fp16 && b->precision && b->precision != BUILD_F16 + 1) {
        cli_error("--fp16 and --precision exclude each other");
        return CLI_USAGE;
    }
    b->precision = b->fp16 ? BUILD_F16 : b->precision ? b->precision - 1 : b->to->precision;
    /* The original's two words together mean both towers. */
    if (b->vision_only && b->text_only) b->vision_only = b->text_only = false;
    if (operands->n > 1 || (operands->n == 1 && b->compute.model))
        cli_error("expected one model file");
    else if (!b->output)
        cli_error("no output: give -o PREFIX");
    else if (!b->to->precisions[b->precision])
        cli_error("--precision: target %s has no such one", b->to->name);
    else if (b->chip && !b->to->chip)
        cli_error("--chip: target %s has none", b->to->name);
    else if (!b->chip && b->to->chip && !b->to->chip[0])
        cli_error("--chip: target %s needs one, for example 910B4 (npu-smi info shows it)",
                  b->to->name);
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

/* Without the prefix that the command line has already: "Ascend910B4" is 910B4. */
static const char *chip_name(const build *b) {
    size_t n = b->chip && b->to->chip_prefix ? strlen(b->to->chip_prefix) : 0;
    if (!b->chip) return b->to->chip;
    return strncmp(b->chip, b->to->chip_prefix ? b->to->chip_prefix : "", n) == 0 ? b->chip + n
                                                                                  : b->chip;
}

static int finish(build *b) {
    tw_buffer out = {0};
    if (b->report.json && !b->print)
        tw_buffer_printf(&out, "{\"outputs\": [%s], \"target\": \"%s\"}\n",
                         b->written.data ? b->written.data : "", b->to->name);
    else if (b->to->note && !b->print)
        cli_put_field(&out, "note", "%s", b->to->note);
    int status = cli_print(&out);
    tw_buffer_free(&out);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    build b = {0};
    cli_texts operands = {0};
    const cli_group groups[] = {
        {options, &b}, {build_replaced_options, &b}, {cli_report_options, &b.report}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &operands);
    cli_console_set_progress(b.report.progress);
    if (status == CLI_CONTINUE) status = check_usage(&b, &operands);
    if (status == CLI_CONTINUE) {
        b.chip = chip_name(&b);
        if (operands.n) b.compute.model = operands.items[0];
        status = cli_open_model(&b.compute, &b.model);
    }
    if (status == CLI_CONTINUE) {
        tw_error err = TW_ERROR_INIT;
        cli_work_begin("compile", 0);
        tw_status result = build_all(&b, &err);
        cli_work_end();
        status = result == TW_OK ? finish(&b) : cli_fail(&err);
        close_work(&b);
    }
    tw_buffer_free(&b.written);
    tw_model_free(b.model);
    free(operands.items);
    return status;
}

const cli_verb cli_build = {
    .name = "build",
    .summary = "a model file through another runtime's compiler",
    .usage = "MODEL.gguf --target TARGET -o PREFIX [options]",
    .about = "Writes ONNX, runs the vendor's own compiler on it, records versions and commands in\n"
             "PREFIX.*.json and what it printed in PREFIX.*.log.",
    .example = "tuwen build vit-b-16.gguf --target sophon --batch 4 -o vit-b-16",
    .run = run,
};
