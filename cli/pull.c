/* tuwen pull: a released checkpoint from the network into a model file. */
#include "base/file.h"
#include "fetch/download.h"
#include "fetch/names.h"
#include "output.h"
#include "pull_list.h"
#include "session.h"
#include "sha256.h"
#include "summary.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HUGGINGFACE "https://huggingface.co"
#define MAX_CONFIG_BYTES ((uint64_t)1 << 20)
#define PATH_BYTES 4096

typedef struct pull {
    cli_report report;
    const char *output, *folder, *base_url, *url, *sha256, *arch;
    int hub, precision, retries, timeout;
    uint64_t max_bytes;
    bool list, no_convert, use_modelscope;
    cli_texts operands;
    const tw_release *release; /* NULL: --url */
} pull;

/* A file that is wanted, and what became of it. */
typedef struct wanted {
    char url[TW_URL_BYTES], path[PATH_BYTES];
    const char *expected; /* SHA-256, or what it begins with; NULL = not known */
    const char *judge;    /* what the digest was compared with, in words */
    uint64_t max_bytes, n_bytes, resumed_at;
    bool reused;
    char sha256[CLI_SHA256_HEX];
} wanted;

#define AT(field) offsetof(pull, field)
static const cli_option options[] = {
    {"output", 'o', CLI_TEXT, "M.gguf", "the model file (beside the download)", AT(output), 0, 0},
    {"folder", 0, CLI_TEXT, "DIR", "of downloads ($TUWEN_CACHE, or ~/.cache/tuwen)", AT(folder), 0,
     0},
    {"list", 0, CLI_FLAG, NULL, "the names, and where each is from", AT(list), 0, 0},
    {"hub", 0, CLI_CHOICE, TW_HUB_WORDS, "of Chinese-CLIP's", AT(hub), 0, 0},
    {"base-url", 0, CLI_TEXT, "URL", "a mirror: what stands before the path ($HF_ENDPOINT)",
     AT(base_url), 0, 0},
    {"url", 0, CLI_TEXT, "URL", "this file instead of a name", AT(url), 0, 0},
    {"sha256", 0, CLI_TEXT, "HEX", "what the file must hash to", AT(sha256), 0, 0},
    {"no-convert", 0, CLI_FLAG, NULL, "download alone", AT(no_convert), 0, 0},
    {"precision", 0, CLI_CHOICE, "f32|f16|bf16", "of the weights (as stored)", AT(precision), 0, 0},
    {"arch", 0, CLI_TEXT, "ARCH", "as convert's (the name's)", AT(arch), 0, 0},
    {"retries", 0, CLI_INT, "N", "of what a passing fault stopped (10)", AT(retries), 0, 1000},
    {"timeout", 0, CLI_INT, "S", "to connect, and of a standstill (30)", AT(timeout), 1, 3600},
    {"max-bytes", 0, CLI_SIZE, "N", "of a file (64 GiB)", AT(max_bytes), 1, INT64_MAX},
    {"download-root", 0, CLI_TEXT, "DIR", NULL, AT(folder), 0, 0},
    {"use-modelscope", 0, CLI_FLAG, NULL, NULL, AT(use_modelscope), 0, 0},
    {0}};
#undef AT

/* ----------------------------------------------------------------------------- where, from where
 */

/* The folder that downloads go to: --folder, $TUWEN_CACHE, or the user's cache. */
static tw_status find_folder(const pull *p, char *out, size_t n_bytes, tw_error *err) {
    const char *given = p->folder ? p->folder : getenv("TUWEN_CACHE");
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (given && given[0])
        n = snprintf(out, n_bytes, "%s", given);
    else if (cache && cache[0] == '/')
        n = snprintf(out, n_bytes, "%s/tuwen", cache);
    else if (home && home[0] == '/')
        n = snprintf(out, n_bytes, "%s/.cache/tuwen", home);
    else
        return tw_fail(err, TW_ERR_ARGUMENT, "no HOME to keep downloads in: give --folder DIR");
    if (n > 0 && (size_t)n < n_bytes) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "--folder: longer than %zu bytes", n_bytes - 1);
}

static tw_status join_path(const char *folder, const char *below, const char *file,
                           char out[PATH_BYTES], tw_error *err) {
    int n = snprintf(out, PATH_BYTES, "%s/%s/%s", folder, below, file);
    if (n > 0 && n < PATH_BYTES) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "%.200s: a path that is too long", folder);
}

/* Hugging Face's address as its own tools understand it. */
static const char *hub_endpoint(void) {
    const char *endpoint = getenv("HF_ENDPOINT");
    return endpoint && endpoint[0] ? endpoint : HUGGINGFACE;
}

static const char *base_of(const pull *p) {
    if (p->base_url) return p->base_url;
    bool on_hub = p->release->place == TW_PLACE_HUB && p->hub == TW_HUB_HUGGINGFACE;
    return on_hub ? hub_endpoint() : "";
}

static tw_status want_named(const pull *p, const char *file, wanted *w, tw_error *err) {
    char folder[PATH_BYTES], below[256];
    TW_TRY(find_folder(p, folder, sizeof folder, err));
    tw_release_folder(p->release, (tw_hub)p->hub, below, sizeof below);
    TW_TRY(tw_release_url(p->release, (tw_hub)p->hub, base_of(p), file, w->url, err));
    return join_path(folder, below, file, w->path, err);
}

static tw_status want_url(const pull *p, wanted *w, tw_error *err) {
    char folder[PATH_BYTES], file[256];
    tw_url url;
    TW_TRY(find_folder(p, folder, sizeof folder, err));
    TW_TRY(tw_url_parse(p->url, &url, err));
    TW_TRY(tw_url_file_name(p->url, file, sizeof file, err));
    snprintf(w->url, sizeof w->url, "%s", p->url);
    return join_path(folder, url.host, file, w->path, err);
}

/* HF_TOKEN for files on Hugging Face; NULL for any other address. */
static tw_status find_token(const char *address, const char **out, tw_error *err) {
    const char *token = getenv("HF_TOKEN");
    tw_url url, hub;
    *out = NULL;
    if (!token || !token[0]) return TW_OK;
    TW_TRY(tw_url_parse(address, &url, err));
    TW_TRY(tw_url_parse(hub_endpoint(), &hub, err));
    if (!tw_url_same_origin(&url, &hub)) return TW_OK;
    if (!tw_url_is_private(&url))
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "HF_ENDPOINT is http: HF_TOKEN is sent over https alone");
    for (const char *c = token; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f)
            return tw_fail(err, TW_ERR_ARGUMENT, "HF_TOKEN has a space or a control character");
    *out = token;
    return TW_OK;
}

/* --------------------------------------------------------------------------------- one file */

static tw_status hash(const char *path, char sha256[CLI_SHA256_HEX], tw_error *err) {
    cli_work_begin("hash", 0);
    tw_status status = cli_sha256_file(path, cli_hooks(), sha256, err);
    cli_work_end();
    return status;
}

/* What an earlier download of this address noted, when nobody else says what the file must be. */
static tw_status read_note(const wanted *w, tw_sidecar *note, tw_error *err) {
    bool found;
    char *name = tw_download_note_name(w->path);
    if (!name) return tw_fail_no_memory(err, strlen(w->path));
    tw_status status = tw_sidecar_read(name, note, &found, err);
    free(name);
    if (status == TW_OK && strcmp(note->url, w->url) != 0) *note = (tw_sidecar){0};
    return status;
}

/* Uses the file that is there if it is known to be the right one. */
static tw_status try_existing(wanted *w, tw_error *err) {
    tw_sidecar note;
    struct stat st;
    if (stat(w->path, &st) != 0) return TW_OK;
    TW_TRY(read_note(w, &note, err));
    const char *expected = w->expected ? w->expected : note.sha256[0] ? note.sha256 : NULL;
    if (!expected) {
        cli_error("%s is there, and nothing says whether it is complete; downloading it", w->path);
        return TW_OK;
    }
    TW_TRY(hash(w->path, w->sha256, err));
    w->reused = tw_sha256_agrees(w->sha256, expected);
    w->n_bytes = w->reused ? (uint64_t)st.st_size : 0;
    if (!w->expected) w->judge = "an earlier download";
    if (!w->reused)
        cli_error("%s has SHA-256 %.16s…, expected %.16s…; downloading it again", w->path,
                  w->sha256, expected);
    return TW_OK;
}

static tw_status check_digest(wanted *w, tw_download *d, tw_error *err) {
    const char *hub = tw_download_hub_sha256(d), *expected = w->expected;
    if (!expected) {
        w->judge = hub[0] ? "what the hub states" : "nothing";
        expected = hub;
    }
    TW_TRY(hash(tw_download_part(d), w->sha256, err));
    if (tw_sha256_agrees(w->sha256, expected)) return TW_OK;
    tw_download_discard(d);
    return tw_fail(err, TW_ERR_FORMAT, "%s: SHA-256 expected %s (%s), got %s; nothing is kept",
                   w->path, expected, w->judge, w->sha256);
}

static tw_status download(const pull *p, wanted *w, tw_download *d, tw_error *err) {
    tw_download_request q = {.url = w->url,
                             .has_sha256 = w->expected != NULL,
                             .max_bytes = w->max_bytes,
                             .retries = p->retries,
                             .timeout_s = p->timeout,
                             .hooks = cli_hooks()};
    TW_TRY(find_token(w->url, &q.token, err));
    cli_error("%s to %s", w->url, w->path);
    cli_work_begin("download", 0);
    tw_status status = tw_download_run(d, &q, err);
    cli_work_end();
    if (status != TW_OK) return status;
    w->n_bytes = tw_download_n_bytes(d);
    w->resumed_at = tw_download_resumed_at(d);
    TW_TRY(check_digest(w, d, err));
    return tw_download_commit(d, w->sha256, err);
}

/* The file in its place, verified. Returns CLI_CONTINUE or a status, the error printed. */
static int fetch(const pull *p, wanted *w) {
    tw_error err = TW_ERROR_INIT;
    tw_download *d = NULL;
    tw_status status = tw_download_open(w->path, &d, &err);
    if (status == TW_OK) status = try_existing(w, &err);
    if (status == TW_OK && !w->reused) status = download(p, w, d, &err);
    int code = status == TW_OK ? CLI_CONTINUE : cli_fail(&err);
    if (status != TW_OK && d && tw_download_can_continue(d))
        cli_error("%llu bytes are kept in %s; the same command continues there",
                  (unsigned long long)tw_download_n_bytes(d), tw_download_part(d));
    tw_download_close(d);
    return code;
}

/* ------------------------------------------------------------------------------- conversion */

/* Beside the download, with another ending. */
static tw_status name_output(const pull *p, const wanted *w, char out[PATH_BYTES], tw_error *err) {
    const char *slash = strrchr(w->path, '/'), *dot = strrchr(w->path, '.');
    size_t n = dot && dot > slash + 1 ? (size_t)(dot - w->path) : strlen(w->path);
    int got = p->output ? snprintf(out, PATH_BYTES, "%s", p->output)
                        : snprintf(out, PATH_BYTES, "%.*s.gguf", (int)n, w->path);
    if (got > 0 && got < PATH_BYTES) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "-o: a path that is too long");
}

/* Where a release differs from what its file lets expect. Returns tw_recipe_field flags. */
static uint32_t set_recipe(const tw_release *r, tw_recipe *recipe) {
    if (!r || r->recipe == TW_RELEASE_USUAL) return 0;
    if (r->recipe == TW_RELEASE_SQUASHED) {
        recipe->resize_mode = TW_RESIZE_SQUASH;
        return TW_RECIPE_RESIZE_MODE;
    }
    for (int c = 0; c < 3; c++)
        recipe->mean[c] = recipe->std[c] = 0.5f;
    return TW_RECIPE_MEAN | TW_RECIPE_STD;
}

static tw_status convert(const pull *p, const wanted *w, const char *output, tw_error *err) {
    static const int precisions[] = {-1, TW_F32, TW_F16, TW_BF16};
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    tw_recipe recipe = TW_RECIPE_INIT;
    o.arch = p->arch ? p->arch : p->release ? p->release->convert_as : NULL;
    o.precision = precisions[p->precision];
    o.source_sha256 = w->sha256;
    o.hooks = cli_hooks();
    o.recipe_fields = set_recipe(p->release, &recipe);
    o.recipe = o.recipe_fields ? &recipe : NULL;
    cli_work_begin("convert", 0);
    tw_status status = tw_convert(w->path, output, &o, err);
    cli_work_end();
    return status;
}

static void put_file(tw_buffer *b, const wanted *w, bool json) {
    if (json) {
        cli_json_member(b, "url", w->url);
        cli_json_member(b, "checkpoint", w->path);
        cli_json_member(b, "sha256", w->sha256);
        cli_json_member(b, "compared_with", w->judge);
        cli_json_number(b, "bytes", (double)w->n_bytes);
        cli_json_number(b, "resumed_at", (double)w->resumed_at);
        tw_buffer_printf(b, ", \"reused\": %s", w->reused ? "true" : "false");
        return;
    }
    cli_put_field(b, "checkpoint", "%s%s", w->path, w->reused ? " (was there)" : "");
    cli_put_field(b, "SHA-256", "%s", w->sha256);
    cli_put_field(b, "compared with", "%s", w->judge);
}

static int finish(const pull *p, const wanted *w) {
    char output[PATH_BYTES];
    tw_error err = TW_ERROR_INIT;
    tw_buffer b = {0};
    int status = CLI_CONTINUE;
    if (p->report.json) tw_buffer_puts(&b, "{");
    put_file(&b, w, p->report.json);
    if (!p->no_convert) {
        if (name_output(p, w, output, &err) != TW_OK || convert(p, w, output, &err) != TW_OK)
            status = cli_fail(&err);
        else
            status = cli_put_model(&b, output, "", p->report.json);
    }
    if (p->report.json) tw_buffer_puts(&b, "}\n");
    if (status == CLI_CONTINUE) status = cli_print(&b);
    tw_buffer_free(&b);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}

/* ------------------------------------------------------------------------------------- verb */

static tw_status check_sha256(const pull *p, char digest[TW_SHA256_BYTES], tw_error *err) {
    if (!p->sha256) return TW_OK;
    if (!tw_sha256_parse(p->sha256, strlen(p->sha256), digest))
        return tw_fail(err, TW_ERR_ARGUMENT, "--sha256: expected 64 hexadecimal digits, got '%s'",
                       p->sha256);
    const char *published = p->release ? p->release->sha256 : NULL;
    if (!published || tw_sha256_agrees(digest, published)) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "--sha256: %s is published with %s", p->release->name,
                   published);
}

static tw_status want(pull *p, wanted *w, char digest[TW_SHA256_BYTES], tw_error *err) {
    if (!p->url) TW_TRY(tw_release_find(p->operands.items[0], &p->release, err));
    TW_TRY(check_sha256(p, digest, err));
    w->expected = p->sha256 ? digest : p->release ? p->release->sha256 : NULL;
    w->judge = p->sha256                   ? "--sha256"
               : !w->expected              ? "nothing"
               : strlen(w->expected) == 64 ? "the published one"
                                           : "the published first 8 digits";
    w->max_bytes = p->max_bytes;
    return p->release ? want_named(p, p->release->file, w, err) : want_url(p, w, err);
}

/* Better said before a long download than after it. */
static tw_status check_output(const pull *p, tw_error *err) {
    tw_output out;
    if (!p->output) return TW_OK;
    TW_TRY(tw_output_open(p->output, &out, err));
    tw_output_abort(&out);
    return TW_OK;
}

static int pull_all(pull *p) {
    wanted w = {0}, config = {.max_bytes = MAX_CONFIG_BYTES};
    char digest[TW_SHA256_BYTES];
    tw_error err = TW_ERROR_INIT;
    if (want(p, &w, digest, &err) != TW_OK || check_output(p, &err) != TW_OK) return cli_fail(&err);
    int status = CLI_CONTINUE;
    if (p->release && p->release->config) {
        if (want_named(p, p->release->config, &config, &err) != TW_OK) return cli_fail(&err);
        status = fetch(p, &config);
    }
    if (status == CLI_CONTINUE) status = fetch(p, &w);
    return status == CLI_CONTINUE ? finish(p, &w) : status;
}

static int check_usage(pull *p) {
    if (p->use_modelscope) p->hub = TW_HUB_MODELSCOPE;
    if (!p->hub) p->hub = TW_HUB_HUGGINGFACE;
    if (p->list && p->operands.n == 0) return CLI_CONTINUE;
    if (p->list)
        cli_error("--list: no name expected, got '%s'", p->operands.items[0]);
    else if (p->operands.n + (p->url != NULL) != 1)
        cli_error("expected one name (see tuwen pull --list) or --url, got %zu",
                  p->operands.n + (p->url != NULL));
    else if (p->url && p->base_url)
        cli_error("--url and --base-url exclude each other");
    else if (p->output && p->no_convert)
        cli_error("-o and --no-convert exclude each other");
    else if (p->output && strcmp(p->output, "-") == 0)
        cli_error("-o -: a model file is mapped when it is used, so it needs a name");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    pull p = {.retries = 10, .timeout = 30, .max_bytes = (uint64_t)64 << 30};
    const cli_group groups[] = {{options, &p}, {cli_report_options, &p.report}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &p.operands);
    cli_console_set_progress(p.report.progress);
    if (status == CLI_CONTINUE) status = check_usage(&p);
    if (status == CLI_CONTINUE) status = p.list ? cli_list_releases(p.report.json) : pull_all(&p);
    free(p.operands.items);
    return status;
}

const cli_verb cli_pull = {
    .name = "pull",
    .summary = "a released checkpoint by name: download, check, convert",
    .usage = "NAME [-o MODEL.gguf] [options]",
    .about = "Continues where it was stopped, compares SHA-256, converts. Proxies come from\n"
             "https_proxy, a token for gated repositories from HF_TOKEN.",
    .example = "tuwen pull chinese-clip/ViT-B-16 -o vit-b-16.gguf",
    .run = run,
};
