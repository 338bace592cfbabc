#include "format/checkpoint.h"

#include "base/file.h"
#include "format/gguf/container.h"
#include "format/safetensors/safetensors.h"
#include "format/tensor_list.h"
#include "format/torch/torch.h"

#include <stdlib.h>
#include <string.h>

struct tw_checkpoint {
    tw_mapped_file file; /* empty for bytes of the caller's */
    const char *format;
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

/* Has no magic number: asked for after the signatures. */
static const signature safetensors = {0, 0, "", "safetensors", tw_safetensors_read};

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
    if (tw_is_safetensors(data, n_bytes)) {
        *out = &safetensors;
        return TW_OK;
    }
    return tw_fail(err, TW_ERR_FORMAT,
                   "not a torch checkpoint: neither a zip archive nor a pickle, and not a "
                   "safetensors file");
}

/* ------------------------------------------------------------------------------------ checkpoint
 */

static tw_status parse_into(tw_checkpoint *c, const uint8_t *data, size_t n_bytes, tw_error *err) {
    const signature *s = NULL;
    TW_TRY(recognise(data, n_bytes, &s, err));
    c->format = s->format;
    TW_TRY(s->read(data, n_bytes, &c->list, err));
    if (c->list.format) c->format = c->list.format;
    return tw_tensor_list_finish(&c->list, err);
}

tw_status tw_checkpoint_open(const char *path, tw_checkpoint **out, tw_error *err) {
    *out = NULL;
    tw_checkpoint *c = calloc(1, sizeof *c);
    if (!c) return tw_fail_no_memory(err, sizeof *c);
    tw_status status = tw_map_file(path, &c->file, err);
    if (status == TW_OK) {
        status = parse_into(c, c->file.data, c->file.n_bytes, err);
        if (status != TW_OK) tw_error_context(err, "%s", path);
    }
    if (status != TW_OK) {
        tw_checkpoint_free(c);
        return status;
    }
    *out = c;
    return TW_OK;
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
    tw_unmap_file(&c->file);
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
