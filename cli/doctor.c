/* tuwen doctor: what this machine offers, what would be used, and whether it computes rightly. */
#define _GNU_SOURCE
#include "base/size.h"
#include "build_targets.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct doctor {
    cli_compute compute;
    bool json;
    cli_texts operands;
    tw_buffer out;
    size_t n_lines;
} doctor;

#define AT(field) offsetof(doctor, field)
static const cli_option options[] = {
    {"json", 0, CLI_FLAG, NULL, "JSON on standard output", AT(json), 0, 0}, {0}};
#undef AT

/* Of libraries that are opened at run time. */
static const char *const run_time_formats[] = {"heif", "avif"};

static int affinity_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

/* The processors a cgroup of version 2 or 1 grants; 0 when there is no quota to be seen. */
static double cgroup_quota(void) {
    double quota = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (f) {
        if (fscanf(f, "%lf %lf", &quota, &period) != 2) quota = 0; /* "max 100000" */
        fclose(f);
        return period > 0 ? quota / period : 0;
    }
    FILE *q = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
    FILE *p = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
    bool both = q && p && fscanf(q, "%lf", &quota) == 1 && fscanf(p, "%lf", &period) == 1;
    if (q) fclose(q);
    if (p) fclose(p);
    return both && quota > 0 && period > 0 ? quota / period : 0;
}

static void report_text(void *user, const char *line) {
    doctor *d = user;
    cli_put_field(&d->out, d->n_lines++ ? "" : "self-check", "%s", line);
}

static void report_json(void *user, const char *line) {
    doctor *d = user;
    tw_buffer_puts(&d->out, d->n_lines++ ? ", {" : "{");
    tw_buffer_printf(&d->out, "\"ok\": %s", strncmp(line, "ok", 2) == 0 ? "true" : "false");
    cli_json_member(&d->out, "line", line);
    tw_buffer_puts(&d->out, "}");
}

static void put_libraries(doctor *d) {
    char library[256];
    for (size_t i = 0; i < TW_COUNT(run_time_formats); i++) {
        bool usable = tw_image_library(run_time_formats[i], library, sizeof library);
        if (!d->json) {
            cli_put_field(&d->out, run_time_formats[i], "%s", library);
            continue;
        }
        tw_buffer_printf(&d->out, ", \"%s\": {\"usable\": %s", run_time_formats[i],
                         usable ? "true" : "false");
        cli_json_member(&d->out, usable ? "library" : "reason", library);
        tw_buffer_puts(&d->out, "}");
    }
}

/* Each other runtime: what of it is here, or how to get it. */
static void put_backends(doctor *d) {
    char found[256];
    for (const char *const *name = tw_backend_names(); *name; name++) {
        tw_error err = TW_ERROR_INIT;
        bool usable = tw_backend_probe(*name, NULL, found, sizeof found, &err) == TW_OK;
        if (usable && !found[0]) continue; /* part of this build */
        char said[64];                     /* by the label */
        size_t n_said = (size_t)snprintf(said, sizeof said, "backend %s: ", *name);
        const char *reason = err.message + (strncmp(err.message, said, n_said) == 0 ? n_said : 0);
        if (!d->json) {
            cli_put_field(&d->out, *name, "%s", usable ? found : reason);
            continue;
        }
        tw_buffer_printf(&d->out, ", \"%s\": {\"usable\": %s", *name, usable ? "true" : "false");
        cli_json_member(&d->out, usable ? "runtime" : "reason", usable ? found : reason);
        tw_buffer_puts(&d->out, "}");
    }
}

/* Where PATH has a program; false: nowhere. */
static bool find_program(const char *name, size_t n_name, char *out, size_t n) {
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n_folder = strcspn(path, ":");
        int length = snprintf(out, n, "%.*s/%.*s", (int)n_folder, path, (int)n_name, name);
        if (length > 0 && (size_t)length < n && n_folder && access(out, X_OK) == 0) return true;
        path += n_folder + (path[n_folder] == ':');
    }
    return false;
}

/* Whether `tuwen build` has all it runs for a target: its first program, or the first it lacks. */
static bool find_compiler(const build_target *t, char *found, size_t n) {
    char path[4096];
    found[0] = 0;
    for (size_t i = 0; i < BUILD_STEPS && t->steps[i]; i++) {
        size_t n_name = strcspn(t->steps[i], " ");
        if (!find_program(t->steps[i], n_name, path, sizeof path)) {
            snprintf(found, n, "%.*s is not in PATH (%s)", (int)n_name, t->steps[i], t->package);
            return false;
        }
        if (i == 0) snprintf(found, n, "%s", path);
    }
    return true;
}

/* The compilers of `tuwen build`. */
static void put_compilers(doctor *d) {
    char found[4096];
    if (d->json) tw_buffer_puts(&d->out, ", \"compilers\": {");
    for (const build_target *t = build_targets; t->name; t++) {
        if (t->by_hand) continue;
        bool usable = find_compiler(t, found, sizeof found);
        if (!d->json) {
            char label[64];
            snprintf(label, sizeof label, "build %s", t->name);
            cli_put_field(&d->out, label, "%s", found);
            continue;
        }
        tw_buffer_printf(&d->out, "%s\"%s\": {\"usable\": %s", t == build_targets ? "" : ", ",
                         t->name, usable ? "true" : "false");
        cli_json_member(&d->out, usable ? "program" : "reason", found);
        tw_buffer_puts(&d->out, "}");
    }
    if (d->json) tw_buffer_puts(&d->out, "}");
}

static void put_text(doctor *d, const tw_pool *pool, const char *decoders) {
    tw_buffer *b = &d->out;
    const char *cap = getenv("TUWEN_CPU");
    double quota = cgroup_quota();
    cli_put_field(b, "version", "%s", tw_version());
    cli_put_field(b, "backend", "cpu, f32, bf16 or int8");
    cli_put_field(b, "instruction set", "%s (best here: %s)%s%s", tw_isa_name(), tw_isa_best(),
                  tw_isa_note() ? "; " : "", tw_isa_note() ? tw_isa_note() : "");
    cli_put_field(b, "TUWEN_CPU", "%s%s", cap && cap[0] ? cap : "not set",
                  tw_isa_cap_valid() ? "" : ": none of " CLI_CPU_CAPS "; caps nothing");
    cli_put_field(b, "processors", "%ld online, %d in the affinity mask",
                  sysconf(_SC_NPROCESSORS_ONLN), affinity_count());
    if (quota > 0)
        cli_put_field(b, "cgroup quota", "%.2f processors", quota);
    else
        cli_put_field(b, "cgroup quota", "none");
    cli_put_field(b, "threads", "%d", tw_pool_threads(pool));
    cli_put_field(b, "decoders", "%s", decoders);
    put_libraries(d);
    put_backends(d);
    put_compilers(d);
    cli_put_field(b, "resamplers", "%s, %s, %s, %s (of Pillow)",
                  tw_resampler_name(TW_RESAMPLER_CLASSIC), tw_resampler_name(TW_RESAMPLER_12_1),
                  tw_resampler_name(TW_RESAMPLER_12_2), tw_resampler_name(TW_RESAMPLER_13));
}

static void put_json(doctor *d, const tw_pool *pool, const char *decoders) {
    tw_buffer *b = &d->out;
    const char *cap = getenv("TUWEN_CPU");
    double quota = cgroup_quota();
    tw_buffer_puts(b, "{");
    cli_json_member(b, "version", tw_version());
    cli_json_member(b, "backend", "cpu");
    cli_json_member(b, "precision", "f32");
    tw_buffer_puts(b, ", \"precisions\": [\"f32\", \"bf16\", \"int8\"]");
    cli_json_member(b, "isa", tw_isa_name());
    cli_json_member(b, "isa_best", tw_isa_best());
    cli_json_member(b, "isa_note", tw_isa_note() ? tw_isa_note() : "");
    cli_json_member(b, "TUWEN_CPU", cap ? cap : "");
    tw_buffer_printf(b, ", \"TUWEN_CPU_valid\": %s", tw_isa_cap_valid() ? "true" : "false");
    cli_json_number(b, "processors_online", (double)sysconf(_SC_NPROCESSORS_ONLN));
    cli_json_number(b, "processors_affinity", affinity_count());
    tw_buffer_puts(b, ", \"cgroup_quota\": ");
    if (quota > 0)
        tw_buffer_printf(b, "%.2f", quota);
    else
        tw_buffer_puts(b, "null");
    cli_json_number(b, "threads", tw_pool_threads(pool));
    cli_json_member(b, "decoders", decoders);
    put_libraries(d);
    put_backends(d);
    put_compilers(d);
    tw_buffer_printf(b, ", \"resamplers\": [\"%s\", \"%s\", \"%s\", \"%s\"], \"checks\": [",
                     tw_resampler_name(TW_RESAMPLER_CLASSIC), tw_resampler_name(TW_RESAMPLER_12_1),
                     tw_resampler_name(TW_RESAMPLER_12_2), tw_resampler_name(TW_RESAMPLER_13));
}

static int examine(doctor *d) {
    tw_pool *pool = NULL;
    int status = cli_open_pool(&d->compute, &pool);
    if (status != CLI_CONTINUE) return status;
    char decoders[128];
    tw_image_versions(decoders, sizeof decoders);
    tw_error err = TW_ERROR_INIT;
    if (d->json)
        put_json(d, pool, decoders);
    else
        put_text(d, pool, decoders);
    tw_status checked = tw_self_check(pool, d->json ? report_json : report_text, d, &err);
    if (d->json) tw_buffer_printf(&d->out, "], \"ok\": %s}\n", checked == TW_OK ? "true" : "false");
    status = cli_print(&d->out);
    if (status == CLI_CONTINUE) status = checked == TW_OK ? CLI_DONE : cli_fail(&err);
    tw_pool_free(pool);
    return status;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    doctor d = {0};
    const cli_group groups[] = {{options, &d}, {cli_thread_options, &d.compute}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &d.operands);
    if (status == CLI_CONTINUE && d.operands.n) {
        cli_error("no operand expected, got '%s'", d.operands.items[0]);
        status = CLI_USAGE;
    }
    if (status == CLI_CONTINUE) status = examine(&d);
    tw_buffer_free(&d.out);
    free(d.operands.items);
    return status;
}

const cli_verb cli_doctor = {
    .name = "doctor",
    .summary = "what this machine offers, with a numeric self-check",
    .usage = "[options]",
    .about = "Status 1 when a check of decoding, resizing or computing fails.",
    .example = "tuwen doctor --json",
    .run = run,
};
