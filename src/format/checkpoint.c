#include "format/checkpoint.h"

#include "base/file.h"
#include "format/gguf/container.h"
#include "format/onnx/container.h"
#include "format/safetensors/safetensors.h"
#include "format/shards.h"
#include "format/tensor_list.h"
#include "format/torch/torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tw_checkpoint {
    tw_mapped_file *files; /* the checkpoint, or its shards; none for bytes of the caller's */
    size_t n_files;
    char format[64];
    tw_tensor_list list;
};

typedef tw_status (*reader)(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                            tw_error *err);

/* ------------------------------------------------------------------------ what a file looks like
 */

typedef struct signature {
    size_t offset, n_bytes;
    const char *bytes;
    const char *format; /* of a reader below, or what to call a kind that is not read */
    reader read;
} signature;

static const signature signatures[] = {
    {0, 4, "PK\3\4", "torch-zip", tw_torch_read_zip},
    {0, 2, "\x80\2", "torch-legacy", tw_torch_read_legacy},
    {0, 2, "\x80\3", "torch-legacy", tw_torch_read_legacy},
    {0, 2, "\x80\4", "torch-legacy", tw_torch_read_legacy},
    {0, 2, "\x80\5", "torch-legacy", tw_torch_read_legacy},
    {0, 4, "GGUF", "gguf", tw_gguf_read},
    {0, 4, "lmgg", "a ggml file from before GGUF", NULL},
    {0, 4, "fmgg", "a ggml file from before GGUF", NULL},
    {0, 4, "tjgg", "a ggml file from before GGUF", NULL},
    {0, 8, "PYTORCH1", "a PYTORCH1 preview archive", NULL},
    {257, 5, "ustar", "a tar archive", NULL},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file", NULL},
    {0, 2, "\x1f\x8b", "a gzip file", NULL},
    {0, 6, "\x93NUMPY", "a NumPy array", NULL},
    {0, 24, "version https://git-lfs.", "a Git LFS pointer, not the file it points to", NULL},
    {0, 9, "<!DOCTYPE", "an HTML page", NULL},
    {0, 5, "<html", "an HTML page", NULL},
};

/* Have no magic number: asked for after the signatures. */
static const signature safetensors = {0, 0, "", "safetensors", tw_safetensors_read};
static const signature onnx = {0, 0, "", "onnx", tw_onnx_read};

static tw_status recognise(const uint8_t *data, size_t n_bytes, const signature **out,
                           tw_error *err) {
    const char *other = NULL;
    if (n_bytes == 0) return tw_fail(err, TW_ERR_FORMAT, "the file is empty");
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures && !other; i++) {
        const signature *s = &signatures[i];
        if (n_bytes < s->offset + s->n_bytes || memcmp(data + s->offset, s->bytes, s->n_bytes) != 0)
            continue;
        if (s->read) {
            *out = s;
            return TW_OK;
        }
        other = s->format;
    }
    if (other) return tw_fail(err, TW_ERR_UNSUPPORTED, "expected a checkpoint, got %s", other);
    *out = tw_is_safetensors(data, n_bytes) ? &safetensors
           : tw_is_onnx(data, n_bytes)      ? &onnx
                                            : NULL;
    if (*out) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT,
                   "not a torch checkpoint: neither a zip archive nor a pickle, and not a "
                   "safetensors file");
}

/* ------------------------------------------------------------------------------------ checkpoint
 */

static tw_status read_container(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                                const char **format, tw_error *err) {
    const signature *s = NULL;
    TW_TRY(recognise(data, n_bytes, &s, err));
    TW_TRY(s->read(data, n_bytes, out, err));
    *format = out->format ? out->format : s->format;
    return TW_OK;
}

static tw_status parse_into(tw_checkpoint *c, const uint8_t *data, size_t n_bytes, tw_error *err) {
    const char *format;
    TW_TRY(read_container(data, n_bytes, &c->list, &format, err));
    snprintf(c->format, sizeof c->format, "%s", format);
    return tw_tensor_list_finish(&c->list, err);
}

/* -------------------------------------------------------------------------------------- shards */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Every tensor of a shard is one of the checkpoint's, whether the index names it or not, as in
 * transformers; where the index puts it elsewhere, transformers would take the later of two. */
static tw_status take_tensors(tw_checkpoint *c, const tw_tensor_list *shard, const char *name,
                              tw_shard_index *index, tw_error *err) {
    for (size_t i = 0; i < shard->n; i++) {
        const tw_tensor *t = &shard->tensors[i];
        tw_shard_entry *entry = tw_shard_index_find(index, t->name);
        if (entry && strcmp(entry->shard, name) != 0)
            return tw_fail(err, TW_ERR_FORMAT, "tensor '%s' is in it, the index puts it into %s",
                           t->name, entry->shard);
        if (entry) entry->seen = true;
        TW_TRY(tw_tensor_list_add(&c->list, t->name, strlen(t->name), t, err));
    }
    for (size_t i = 0; i < shard->n_ints; i++)
        TW_TRY(tw_tensor_list_add_int(&c->list, shard->ints[i].key, strlen(shard->ints[i].key),
                                      shard->ints[i].value, err));
    return TW_OK;
}

static tw_status read_shard(tw_checkpoint *c, const char *path, tw_shard_index *index,
                            tw_error *err) {
    tw_mapped_file *file = &c->files[c->n_files];
    const char *format;
    tw_tensor_list list = {0};
    tw_status status;
    TW_TRY(tw_map_file(path, file, err));
    c->n_files++;
    TW_CHECK(read_container(file->data, file->n_bytes, &list, &format, err));
    if (list.gguf || list.onnx) {
        status =
            tw_fail(err, TW_ERR_UNSUPPORTED, "a %s file as a shard", list.gguf ? "GGUF" : "ONNX");
        goto done;
    }
    snprintf(c->format, sizeof c->format, "%s, %zu shards", format, index->n_shards);
    status = take_tensors(c, &list, base_name(path), index, err);
done:
    if (status != TW_OK) tw_error_context(err, "%s", path);
    tw_tensor_list_free(&list);
    return status;
}

/* Calls `each` with the path of every shard. */
static tw_status each_shard(const char *index_path, const tw_shard_index *index, tw_file_task each,
                            void *user, tw_error *err) {
    size_t n_folder = (size_t)(base_name(index_path) - index_path);
    for (size_t i = 0; i < index->n_shards; i++) {
        size_t n = n_folder + strlen(index->shards[i]) + 1;
        char *path = malloc(n);
        if (!path) return tw_fail_no_memory(err, n);
        snprintf(path, n, "%.*s%s", (int)n_folder, index_path, index->shards[i]);
        tw_status status = each(user, path, err);
        free(path);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

typedef struct shard_reader {
    tw_checkpoint *checkpoint;
    tw_shard_index index;
} shard_reader;

static tw_status read_next_shard(void *user, const char *path, tw_error *err) {
    shard_reader *r = user;
    return read_shard(r->checkpoint, path, &r->index, err);
}

static tw_status read_shards(tw_checkpoint *c, const char *path, const tw_mapped_file *file,
                             tw_error *err) {
    shard_reader r = {.checkpoint = c};
    tw_status status;
    TW_TRY(tw_shard_index_parse(file->data, file->n_bytes, base_name(path), &r.index, err));
    c->files = calloc(r.index.n_shards, sizeof *c->files);
    if (!c->files) {
        status = tw_fail_no_memory(err, r.index.n_shards * sizeof *c->files);
        goto done;
    }
    TW_CHECK(each_shard(path, &r.index, read_next_shard, &r, err));
    for (size_t i = 0; i < r.index.n_entries && status == TW_OK; i++)
        if (!r.index.entries[i].seen)
            status = tw_fail(err, TW_ERR_FORMAT, "tensor '%s' is not in its shard %s",
                             r.index.entries[i].tensor, r.index.entries[i].shard);
    if (status == TW_OK) status = tw_tensor_list_finish(&c->list, err);
done:
    tw_shard_index_free(&r.index);
    return status;
}

/* -------------------------------------------------------------------------------------- opening
 */

static bool is_index(const tw_mapped_file *file) {
    return !tw_is_safetensors(file->data, file->n_bytes) &&
           tw_is_shard_index(file->data, file->n_bytes);
}

static tw_status read_file(tw_checkpoint *c, const char *path, tw_mapped_file *file,
                           tw_error *err) {
    c->files = calloc(1, sizeof *c->files);
    if (!c->files) return tw_fail_no_memory(err, sizeof *c->files);
    c->files[c->n_files++] = *file;
    *file = (tw_mapped_file){0};
    c->list.path = path;
    tw_status status = parse_into(c, c->files[0].data, c->files[0].n_bytes, err);
    c->list.path = NULL;
    return status;
}

tw_status tw_checkpoint_open(const char *path, tw_checkpoint **out, tw_error *err) {
    *out = NULL;
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    tw_status status;
    tw_checkpoint *c = calloc(1, sizeof *c);
    if (!c) {
        status = tw_fail_no_memory(err, sizeof *c);
        goto done;
    }
    status = is_index(&file) ? read_shards(c, path, &file, err) : read_file(c, path, &file, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
done:
    tw_unmap_file(&file);
    if (status == TW_OK)
        *out = c;
    else
        tw_checkpoint_free(c);
    return status;
}

tw_status tw_checkpoint_each_file(const char *path, tw_file_task each, void *user, tw_error *err) {
    tw_mapped_file file;
    tw_shard_index index = {0};
    tw_status status;
    TW_TRY(tw_map_file(path, &file, err));
    if (is_index(&file)) {
        status = tw_shard_index_parse(file.data, file.n_bytes, base_name(path), &index, err);
        if (status == TW_OK)
            status = each_shard(path, &index, each, user, err);
        else
            tw_error_context(err, "%s", path);
    } else {
        status = each(user, path, err);
    }
    tw_shard_index_free(&index);
    tw_unmap_file(&file);
    return status;
}

tw_status tw_checkpoint_parse(const void *data, size_t n_bytes, tw_checkpoint **out,
                              tw_error *err) {
    *out = NULL;
    tw_checkpoint *c = calloc(1, sizeof *c);
    if (!c) return tw_fail_no_memory(err, sizeof *c);
    tw_status status = parse_into(c, data, n_bytes, err);
    if (status != TW_OK) {
        tw_checkpoint_free(c);
        return status;
    }
    *out = c;
    return TW_OK;
}

void tw_checkpoint_free(tw_checkpoint *c) {
    if (!c) return;
    tw_tensor_list_free(&c->list);
    for (size_t i = 0; i < c->n_files; i++)
        tw_unmap_file(&c->files[i]);
    free(c->files);
    free(c);
}

const char *tw_checkpoint_format(const tw_checkpoint *c) {
    return c->format;
}

size_t tw_checkpoint_n_tensors(const tw_checkpoint *c) {
    return c->list.n;
}

const tw_tensor *tw_checkpoint_tensor(const tw_checkpoint *c, size_t index) {
    return index < c->list.n ? &c->list.tensors[index] : NULL;
}

const tw_tensor *tw_checkpoint_find(const tw_checkpoint *c, const char *name) {
    return tw_tensor_list_find(&c->list, name);
}

bool tw_checkpoint_int(const tw_checkpoint *c, const char *key, int64_t *value) {
    for (size_t i = 0; i < c->list.n_ints; i++)
        if (strcmp(c->list.ints[i].key, key) == 0) {
            *value = c->list.ints[i].value;
            return true;
        }
    return false;
}

const struct tw_gguf *tw_checkpoint_gguf(const tw_checkpoint *c) {
    return c->list.gguf;
}

const struct tw_onnx_facts *tw_checkpoint_onnx(const tw_checkpoint *c) {
    return c->list.onnx;
}
