#define _GNU_SOURCE
#include "retrieval.h"

#include "dataset/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(field) offsetof(cli_retrieval, field)
const cli_option cli_retrieval_options[] = {
    {"data", 0, CLI_TEXT, "DIR|TAR",
     "the set: SPLIT_texts.jsonl and lmdb/ or SPLIT_imgs.tsv in DIR,", AT(data), 0, 0},
    {"split", 0, CLI_TEXT, "NAME", "or pictures beside NAME.captions.jsonl; train, valid or test",
     AT(split), 0, 0},
    {"image-data", 0, CLI_TEXT, "PATH", "pictures: LMDB folder, .tsv, .tar, folder", AT(image_data),
     0, 0},
    {"text-data", 0, CLI_TEXT, "FILE", "captions: {\"text_id\", \"text\", \"image_ids\"} lines",
     AT(text_data), 0, 0},
    {"errors", 0, CLI_TEXT, "FILE", "skipped inputs and reasons, JSONL", AT(errors), 0, 0},
    {0}};
#undef AT

/* ---------------------------------------------------------------------------------- finding */

static char *format(const char *fmt, ...) TW_PRINTF(1, 2);
static char *format(const char *fmt, ...) {
    char *text;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return n < 0 ? NULL : text;
}

static bool exists(const char *path) {
    return path && access(path, F_OK) == 0;
}

/* The one split that DIR has texts of, when --split does not say. */
static const char *find_split(const cli_retrieval *r) {
    static const char *const names[] = {"test", "valid", "train"};
    const char *found = NULL;
    if (r->split) return r->split;
    for (size_t i = 0; i < 3; i++) {
        char *path = format("%s/%s_texts.jsonl", r->data, names[i]);
        if (exists(path)) {
            if (found) {
                free(path);
                cli_error("%s: has %s and %s, choose with --split", r->data, found, names[i]);
                return NULL;
            }
            found = names[i];
        }
        free(path);
    }
    return found ? found : "";
}

/* Chinese-CLIP's layout. The LMDB goes before the .tsv it was made of. */
static void find_in_folder(cli_retrieval *r, const char *split) {
    if (!r->text_path) r->text_path = format("%s/%s_texts.jsonl", r->data, split);
    if (r->image_path) return;
    r->image_path = format("%s/lmdb/%s/imgs", r->data, split);
    if (exists(r->image_path)) return;
    free(r->image_path);
    r->image_path = format("%s/%s_imgs.tsv", r->data, split);
}

/* Pictures beside their captions: NAME.tar or NAME/ and NAME.captions.jsonl. */
static void find_beside(cli_retrieval *r) {
    int n = (int)strlen(r->data);
    while (n > 1 && r->data[n - 1] == '/')
        n--;
    if (n > 4 && strncmp(r->data + n - 4, ".tar", 4) == 0) n -= 4;
    if (!r->text_path) r->text_path = format("%.*s.captions.jsonl", n, r->data);
    if (!r->image_path) r->image_path = strdup(r->data);
}

int cli_retrieval_find(cli_retrieval *r) {
    if (r->image_data) r->image_path = strdup(r->image_data);
    if (r->text_data) r->text_path = strdup(r->text_data);
    if (!r->data && r->split) {
        cli_error("--split goes with --data DIR");
        return CLI_USAGE;
    }
    if (!r->data) return CLI_CONTINUE;
    const char *split = find_split(r);
    if (!split) return CLI_USAGE;
    if (split[0])
        find_in_folder(r, split);
    else
        find_beside(r);
    if (r->image_path && r->text_path) return CLI_CONTINUE;
    cli_error("out of memory");
    return CLI_FAILED;
}

/* ---------------------------------------------------------------------------------- opening */

/* Messages of what was left out begin with the path of the file. */
static tw_status tell_left_out(cli_retrieval *r, tw_error *err) {
    for (size_t i = 0; i < r->left_out.lines.n; i++) {
        const char *line = tw_strings_get(&r->left_out.lines, i), *reason = strstr(line, ": ");
        tw_error why = TW_ERROR_INIT;
        tw_fail(&why, TW_ERR_FORMAT, "%s", reason ? reason + 2 : line);
        char *name = format("%.*s", reason ? (int)(reason - line) : 0, line);
        if (!name) return tw_fail_no_memory(err, strlen(line));
        tw_status status = cli_skips_add(&r->skips, i, name, &why, err);
        free(name);
        TW_TRY(status);
    }
    size_t more = r->left_out.n - r->left_out.lines.n;
    if (more) cli_error("skipped %zu more like these", more);
    r->skips.n += more;
    return TW_OK;
}

static tw_status open_all(cli_retrieval *r, tw_error *err) {
    const tw_annotations *captions = r->text_path ? &r->annotations : NULL;
    if (r->text_path)
        TW_TRY(tw_annotations_read(r->text_path, TW_TEXTS, &r->annotations, &r->left_out, err));
    if (r->image_path)
        TW_TRY(tw_picture_set_open(r->image_path, captions, &r->set, &r->left_out, err));
    if (captions && !captions->n)
        return tw_fail(err, TW_ERR_FORMAT, "%s: no caption in it", r->text_path);
    if (r->image_path && !r->set.n)
        return tw_fail(err, TW_ERR_FORMAT, "%s: no picture in it", r->image_path);
    return TW_OK;
}

int cli_retrieval_open(cli_retrieval *r) {
    tw_error err = TW_ERROR_INIT;
    tw_status status = open_all(r, &err);
    int opened = cli_skips_open(&r->skips, r->errors, r->annotations.n + r->set.n + r->left_out.n);
    if (opened != CLI_CONTINUE) return opened;
    r->skips.what = "inputs";
    if (r->left_out.n) {
        tw_error ignored = TW_ERROR_INIT;
        tw_status told = tell_left_out(r, &ignored);
        if (status == TW_OK && told != TW_OK) {
            status = told;
            err = ignored;
        }
    }
    return status == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

void cli_retrieval_free(cli_retrieval *r) {
    free(r->image_path);
    free(r->text_path);
    tw_annotations_free(&r->annotations);
    tw_picture_set_free(&r->set);
    tw_left_out_free(&r->left_out);
}
