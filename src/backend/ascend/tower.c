#include "backend/ascend/tower.h"

#include "backend/ascend/api.h"
#include "backend/ascend/om.h"
#include "base/file.h"
#include "base/size.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is loaded on one device: the model, and its memory in the order of its inputs. */
typedef struct tw_acl_loaded {
    bool is_loaded;
    uint32_t model;
    void *desc, *inputs, *outputs;
    void *in_memory[TW_ACL_INPUTS], *in_buffer[TW_ACL_INPUTS], *out_memory, *out_buffer;
    size_t in_bytes[TW_ACL_INPUTS], out_bytes;
} loaded;

static const struct {
    int type;
    const char *name;
    tw_dtype dtype;
} types[] = {{TW_ACL_F32, "f32", TW_F32}, {TW_ACL_F16, "f16", TW_F16}, {TW_ACL_I32, "i32", TW_I32},
             {TW_ACL_I64, "i64", TW_I64}, {2, "i8", (tw_dtype)-1},     {4, "u8", (tw_dtype)-1},
             {27, "bf16", (tw_dtype)-1}};

tw_dtype tw_acl_dtype(int type) {
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (types[i].type == type) return types[i].dtype;
    return (tw_dtype)-1;
}

const char *tw_acl_type_name(int type) {
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (types[i].type == type) return types[i].name;
    return "another type";
}

/* ----------------------------------------------------------------------------------- describe */

static tw_status take_end(const char *path, const tw_acl_dims *d, int type, tw_acl_end *out,
                          tw_error *err) {
    *out = (tw_acl_end){.type = type, .n_dims = (int)TW_MIN(d->n_dims, (size_t)4)};
    memcpy(out->name, d->name, sizeof out->name - 1);
    if (d->n_dims < 1 || d->n_dims > 4)
        return tw_fail(err, TW_ERR_MISMATCH, "%s: '%s' has %zu extents, expected 2 or 4", path,
                       out->name, d->n_dims);
    memcpy(out->dims, d->dims, (size_t)out->n_dims * sizeof out->dims[0]);
    for (int i = 1; i < out->n_dims; i++)
        if (out->dims[i] < 1 || out->dims[i] > INT32_MAX)
            return tw_fail(err, TW_ERR_UNSUPPORTED,
                           "%s: '%s' has an extent of any size; give atc fixed extents, but for "
                           "the batch",
                           path, out->name);
    return TW_OK;
}

static int by_size(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

/* The batch is fixed, or one of the sizes given to atc. */
static tw_status take_batches(const char *path, void *desc, tw_acl_tower *t, tw_error *err) {
    tw_acl_batches b = {0};
    TW_TRY(tw_acl_check(tw_acl.mdlGetDynamicBatch(desc, &b), path, err));
    t->n_batches = b.n ? TW_MIN(b.n, (size_t)TW_ACL_BATCHES) : 1;
    for (size_t i = 0; i < t->n_batches; i++) {
        uint64_t size = b.n ? b.sizes[i] : (uint64_t)TW_MAX(t->in.dims[0], (int64_t)0);
        if (size < 1 || size > 65536)
            return tw_fail(err, TW_ERR_UNSUPPORTED,
                           "%s: a batch of any size; give atc a fixed one, or "
                           "--dynamic_batch_size with the sizes",
                           path);
        t->batches[i] = (size_t)size;
    }
    qsort(t->batches, t->n_batches, sizeof t->batches[0], by_size);
    t->batch_input = SIZE_MAX;
    if (b.n)
        return tw_acl_check(
            tw_acl.mdlGetInputIndexByName(desc, TW_ACL_BATCH_INPUT, &t->batch_input), path, err);
    return TW_OK;
}

/* Which input takes rows: of two, the one that does not take the batch size. */
static size_t row_input(const tw_acl_tower *t) {
    return t->batch_input == 0 ? 1 : 0;
}

static tw_status check_counts(const char *path, void *desc, const tw_acl_tower *t, tw_error *err) {
    size_t n_in = tw_acl.mdlGetNumInputs(desc), n_out = tw_acl.mdlGetNumOutputs(desc);
    size_t n_expected = t->batch_input == SIZE_MAX ? 1 : 2;
    if (n_out == 1 && n_in == n_expected && (n_in == 1 || t->batch_input < 2)) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s: %zu inputs and %zu outputs, expected one tower's: compile it from the "
                   "graph of one tower, with fixed extents",
                   path, n_in, n_out);
}

/* The batch of both ends is the sizes': -1, or the only or largest one. */
static tw_status check_batch(const char *path, const tw_acl_tower *t, tw_error *err) {
    const tw_acl_end *ends[] = {&t->in, &t->out};
    for (size_t i = 0; i < TW_COUNT(ends); i++) {
        bool any = ends[i]->dims[0] == -1 && t->batch_input != SIZE_MAX;
        if (!any && ends[i]->dims[0] != (int64_t)t->batches[0])
            return tw_fail(err, TW_ERR_MISMATCH, "%s: '%s' has a batch of %lld, expected %zu", path,
                           ends[i]->name, (long long)ends[i]->dims[0], t->batches[0]);
    }
    return TW_OK;
}

/* Bytes of a row, of which the largest batch must fit what the library asks for. */
static tw_status row_bytes(const char *path, const tw_acl_end *end, size_t n_batch, size_t n_there,
                           size_t *out, tw_error *err) {
    tw_dtype dtype = tw_acl_dtype(end->type);
    size_t n = dtype == (tw_dtype)-1 ? 1 : tw_dtype_bytes(dtype), whole = 0;
    bool fits = true;
    for (int i = 1; fits && i < end->n_dims; i++)
        fits = tw_mul_size(n, (size_t)end->dims[i], &n);
    *out = n;
    if (fits && tw_mul_size(n, n_batch, &whole) && whole <= n_there) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "%s: '%s' of a batch of %zu does not fit %zu bytes", path,
                   end->name, n_batch, n_there);
}

static tw_status describe(const char *path, void *desc, tw_acl_tower *t, tw_error *err) {
    tw_acl_dims in = {0}, out = {0};
    size_t n_in = tw_acl.mdlGetNumInputs(desc), at = 0;
    if (n_in < 1 || tw_acl.mdlGetNumOutputs(desc) < 1) return check_counts(path, desc, t, err);
    TW_TRY(tw_acl_check(tw_acl.mdlGetInputDims(desc, 0, &in), path, err));
    if (n_in > 1 && strcmp(in.name, TW_ACL_BATCH_INPUT) == 0) at = 1;
    if (at) TW_TRY(tw_acl_check(tw_acl.mdlGetInputDims(desc, at, &in), path, err));
    TW_TRY(take_end(path, &in, tw_acl.mdlGetInputDataType(desc, at), &t->in, err));
    TW_TRY(tw_acl_check(tw_acl.mdlGetOutputDims(desc, 0, &out), path, err));
    TW_TRY(take_end(path, &out, tw_acl.mdlGetOutputDataType(desc, 0), &t->out, err));
    TW_TRY(take_batches(path, desc, t, err));
    TW_TRY(check_counts(path, desc, t, err));
    TW_TRY(check_batch(path, t, err));
    TW_TRY(row_bytes(path, &t->in, t->batches[0], tw_acl.mdlGetInputSizeByIndex(desc, row_input(t)),
                     &t->in_row, err));
    return row_bytes(path, &t->out, t->batches[0], tw_acl.mdlGetOutputSizeByIndex(desc, 0),
                     &t->out_row, err);
}

/* --------------------------------------------------------------------------------------- load */

/* What does not fit the device's memory is refused before it is loaded. Where the library does not
 * tell, it is left to find out itself. */
static tw_status check_memory(const char *path, int id, tw_error *err) {
    size_t n_work = 0, n_weights = 0, n_free = 0, n_total = 0, n_needed = 0;
    if (tw_acl.mdlQuerySize(path, &n_work, &n_weights) != 0) return TW_OK;
    if (tw_acl.rtGetMemInfo(TW_ACL_HBM, &n_free, &n_total) != 0 || n_total == 0) {
        n_total = 0;
        if (tw_acl.rtGetMemInfo(TW_ACL_DDR, &n_free, &n_total) != 0 || n_total == 0) return TW_OK;
    }
    if (tw_add_size(n_work, n_weights, &n_needed) && n_needed <= n_free) return TW_OK;
    return tw_fail(err, TW_ERR_NO_MEMORY, "%s: needs %zu MiB, device %d has %zu of %zu MiB free",
                   path, n_needed >> 20, id, n_free >> 20, n_total >> 20);
}

static tw_status refused(const tw_acl_tower *t, const char *path, int result, tw_error *err) {
    char what[4200];
    snprintf(what, sizeof what, "%s: not loaded, is it compiled with --soc_version=%s?", path,
             t->devices->soc);
    return tw_acl_check(result, what, err);
}

/* Memory of the device, in a dataset. */
static tw_status add_memory(const char *path, void *dataset, size_t n_bytes, void **memory,
                            void **buffer, tw_error *err) {
    TW_TRY(tw_acl_check(tw_acl.rtMalloc(memory, TW_MAX(n_bytes, (size_t)1), TW_ACL_HUGE_FIRST),
                        path, err));
    *buffer = tw_acl.CreateDataBuffer(*memory, n_bytes);
    if (!*buffer) return tw_fail_no_memory(err, n_bytes);
    return tw_acl_check(tw_acl.mdlAddDatasetBuffer(dataset, *buffer), path, err);
}

static tw_status make_memory(const char *path, const tw_acl_tower *t, loaded *on, tw_error *err) {
    size_t n_in = t->batch_input == SIZE_MAX ? 1 : 2;
    on->inputs = tw_acl.mdlCreateDataset();
    on->outputs = tw_acl.mdlCreateDataset();
    if (!on->inputs || !on->outputs) return tw_fail_no_memory(err, 0);
    for (size_t i = 0; i < n_in; i++) {
        on->in_bytes[i] = tw_acl.mdlGetInputSizeByIndex(on->desc, i);
        TW_TRY(add_memory(path, on->inputs, on->in_bytes[i], &on->in_memory[i], &on->in_buffer[i],
                          err));
    }
    on->out_bytes = tw_acl.mdlGetOutputSizeByIndex(on->desc, 0);
    return add_memory(path, on->outputs, on->out_bytes, &on->out_memory, &on->out_buffer, err);
}

static tw_status load_on(tw_acl_tower *t, size_t i, const char *path, tw_error *err) {
    loaded *on = &t->on[i];
    TW_TRY(tw_acl_check(tw_acl.rtSetCurrentContext(t->devices->contexts[i]), path, err));
    TW_TRY(check_memory(path, t->devices->ids[i], err));
    int result = tw_acl.mdlLoadFromFile(path, &on->model);
    if (result != 0) return refused(t, path, result, err);
    on->is_loaded = true;
    on->desc = tw_acl.mdlCreateDesc();
    if (!on->desc) return tw_fail_no_memory(err, 0);
    TW_TRY(tw_acl_check(tw_acl.mdlGetDesc(on->desc, on->model), path, err));
    if (i == 0) TW_TRY(describe(path, on->desc, t, err));
    return make_memory(path, t, on, err);
}

static tw_status check_file(const char *path, tw_error *err) {
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    tw_status status = tw_om_check(file.data, file.n_bytes, file.n_bytes, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    tw_unmap_file(&file);
    return status;
}

static tw_status load(tw_acl_tower *t, const char *path, tw_error *err) {
    TW_TRY(check_file(path, err));
    t->on = calloc(t->devices->n, sizeof *t->on);
    if (!t->on) return tw_fail_no_memory(err, t->devices->n * sizeof *t->on);
    for (size_t i = 0; i < t->devices->n; i++)
        TW_TRY(load_on(t, i, path, err));
    return TW_OK;
}

tw_status tw_acl_tower_open(const char *path, tw_acl_devices *devices, tw_acl_tower *out,
                            tw_error *err) {
    *out = (tw_acl_tower){.devices = devices};
    tw_status status = load(out, path, err);
    if (status != TW_OK) tw_acl_tower_close(out);
    return status;
}

static void unload(loaded *on) {
    void *const buffers[] = {on->in_buffer[0], on->in_buffer[1], on->out_buffer};
    void *const memory[] = {on->in_memory[0], on->in_memory[1], on->out_memory};
    if (on->inputs) tw_acl.mdlDestroyDataset(on->inputs);
    if (on->outputs) tw_acl.mdlDestroyDataset(on->outputs);
    for (size_t i = 0; i < TW_COUNT(buffers); i++) {
        if (buffers[i]) tw_acl.DestroyDataBuffer(buffers[i]);
        if (memory[i]) tw_acl.rtFree(memory[i]);
    }
    if (on->desc) tw_acl.mdlDestroyDesc(on->desc);
    if (on->is_loaded) tw_acl.mdlUnload(on->model);
}

void tw_acl_tower_close(tw_acl_tower *t) {
    for (size_t i = 0; t->on && i < t->devices->n; i++) {
        tw_acl.rtSetCurrentContext(t->devices->contexts[i]);
        unload(&t->on[i]);
    }
    free(t->on);
    *t = (tw_acl_tower){0};
}

/* ---------------------------------------------------------------------------------------- run */

static int launch(const tw_acl_tower *t, size_t i, const tw_acl_job *job) {
    const loaded *on = &t->on[i];
    size_t row = row_input(t);
    int result = tw_acl.rtSetCurrentContext(t->devices->contexts[i]);
    if (result == 0)
        result = tw_acl.rtMemcpy(on->in_memory[row], on->in_bytes[row], job->in,
                                 job->batch * t->in_row, TW_ACL_TO_DEVICE);
    if (result == 0 && t->batch_input != SIZE_MAX)
        result = tw_acl.mdlSetDynamicBatchSize(on->model, on->inputs, t->batch_input, job->batch);
    if (result == 0)
        result = tw_acl.mdlExecuteAsync(on->model, on->inputs, on->outputs, t->devices->streams[i]);
    return result;
}

static int wait_for(const tw_acl_tower *t, size_t i) {
    int result = tw_acl.rtSetCurrentContext(t->devices->contexts[i]);
    return result ? result : tw_acl.rtSynchronizeStream(t->devices->streams[i]);
}

static int collect(const tw_acl_tower *t, size_t i, const tw_acl_job *job) {
    size_t n = job->batch * t->out_row;
    int result = tw_acl.rtSetCurrentContext(t->devices->contexts[i]);
    return result ? result : tw_acl.rtMemcpy(job->out, n, t->on[i].out_memory, n, TW_ACL_TO_HOST);
}

tw_status tw_acl_tower_run(tw_acl_tower *t, const tw_acl_job *jobs, size_t n, tw_error *err) {
    tw_status status = TW_OK;
    size_t n_launched = 0;
    pthread_mutex_lock(&t->devices->lock);
    while (status == TW_OK && n_launched < n) {
        status = tw_acl_check(launch(t, n_launched, &jobs[n_launched]), t->in.name, err);
        n_launched++;
    }
    /* What was launched uses its memory until it is waited for, whatever went wrong. */
    for (size_t i = 0; i < n_launched; i++) {
        int result = wait_for(t, i);
        if (status == TW_OK) status = tw_acl_check(result, t->in.name, err);
    }
    for (size_t i = 0; status == TW_OK && i < n; i++)
        status = tw_acl_check(collect(t, i, &jobs[i]), t->in.name, err);
    pthread_mutex_unlock(&t->devices->lock);
    return status;
}
