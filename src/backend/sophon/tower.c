#include "backend/sophon/tower.h"

#include "backend/devices.h"
#include "base/file.h"
#include "base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chips by what the library calls them. Source: chipid in bmlib_runtime.h, bmrt's table. */
static const struct {
    const char *name;
    unsigned id;
} chips[] = {{"BM1684X", 0x1686},
             {"BM1684", 0x1684},
             {"BM1688", 0x1686a200},
             {"BM1686", 0x1686a200},
             {"BM1690", 0x2260}};

/* An error of a call that has just been left. */
static tw_status refused(const char *what, tw_error *err) {
    char line[200];
    tw_bm_said(line, sizeof line);
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: the library refuses%s%s", what,
                   line[0] ? ": " : "", line);
}

/* ------------------------------------------------------------------------------------ devices */

/* The library ends the process at a number it does not have. The emulator has device 0 and says of
 * the count that it succeeded, without setting it. */
static tw_status check_ids(const tw_bm_devices *d, tw_error *err) {
    int n_there = 0;
    tw_bm_enter();
    int failed = tw_bm.dev_getcount(&n_there);
    tw_bm_leave();
    if (failed || n_there < 1) n_there = 1;
    for (size_t i = 0; i < d->n; i++)
        if (d->ids[i] >= n_there)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "device %d: SOPHON's library tells of %d here",
                           d->ids[i], n_there);
    return TW_OK;
}

static tw_status open_device(tw_bm_devices *d, size_t i, tw_error *err) {
    char what[32];
    unsigned chip = 0;
    tw_bm_enter();
    int failed = tw_bm.dev_request(&d->handles[i], d->ids[i]);
    if (failed) d->handles[i] = NULL;
    int no_chip = failed ? 0 : tw_bm.get_chipid(d->handles[i], &chip);
    tw_bm_leave();
    snprintf(what, sizeof what, "device %d", d->ids[i]);
    if (failed || no_chip || !d->handles[i]) return refused(what, err);
    if (i > 0 && chip != d->chip)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "device %d has chip 0x%x, device %d 0x%x",
                       d->ids[i], chip, d->ids[0], d->chip);
    d->chip = chip;
    return TW_OK;
}

tw_status tw_bm_devices_open(const char *ids, tw_bm_devices *out, tw_error *err) {
    *out = (tw_bm_devices){0};
    TW_TRY(tw_device_numbers(ids, out->ids, TW_BM_DEVICES, &out->n, err));
    TW_TRY(check_ids(out, err));
    for (size_t i = 0; i < out->n; i++) {
        tw_status status = open_device(out, i, err);
        if (status == TW_OK) continue;
        tw_bm_devices_close(out);
        return status;
    }
    return TW_OK;
}

void tw_bm_devices_close(tw_bm_devices *d) {
    for (size_t i = 0; i < d->n; i++) {
        if (!d->handles[i]) continue;
        tw_bm_enter();
        tw_bm.dev_free(d->handles[i]);
        tw_bm_leave();
        tw_bm_done();
    }
    *d = (tw_bm_devices){0};
}

/* --------------------------------------------------------------------------------------- load */

static tw_status check_chip(const char *path, const tw_bmodel *m, unsigned chip, tw_error *err) {
    unsigned wanted = 0;
    for (size_t i = 0; i < TW_COUNT(chips); i++)
        if (strcmp(chips[i].name, m->chip) == 0) wanted = chips[i].id;
    if (wanted == chip) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: compiled for %s, the device's chip is 0x%x", path,
                   m->chip, chip);
}

/* CLIP's text tower picks its row by ArgMax, which the chip does not have. */
static tw_status check_host_layers(const char *path, const tw_bmodel *m, tw_error *err) {
    if (!m->has_host_layers || tw_bm_has_host_layers()) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "%s: has layers that run on the host, and no libcpuop.so lies beside %s (a text "
                   "tower that ends in rows of tokens needs none)",
                   path, tw_bm_library());
}

static bool same_shape(const tw_bm_shape *a, const tw_bmodel_shape *b) {
    return a->n_dims == b->n_dims &&
           memcmp(a->dims, b->dims, (size_t)b->n_dims * sizeof b->dims[0]) == 0;
}

/* Whether the library understands the file as we did. */
static bool agrees(const tw_bm_net *net, const tw_bmodel *m) {
    bool same = net && !net->is_dynamic && net->n_in == 1 && net->n_out == 1 &&
                net->n_stages == m->n_stages && net->in_types[0] == m->in.type &&
                net->out_types[0] == m->out.type;
    for (int s = 0; same && s < m->n_stages; s++)
        same = same_shape(&net->stages[s].in[0], &m->in_shape[s]) &&
               same_shape(&net->stages[s].out[0], &m->out_shape[s]);
    return same;
}

/* Memory of the device for a tensor, as large as we shall copy. */
static bool make_tensor(void *runtime, int type, const tw_bmodel_shape *shape, tw_bm_tensor *out) {
    tw_bm_shape s = {shape->n_dims, {0}};
    memcpy(s.dims, shape->dims, (size_t)shape->n_dims * sizeof s.dims[0]);
    if (!tw_bm.tensor(out, runtime, type, s)) {
        *out = (tw_bm_tensor){0};
        return false;
    }
    return out->memory.n_bytes >= tw_bmodel_tensor_bytes(type, shape);
}

static bool make_tensors(tw_bm_tower *t, size_t i) {
    const tw_bmodel *m = &t->model;
    bool made = true;
    for (int s = 0; made && s < m->n_stages; s++)
        made = make_tensor(t->on[i].runtime, m->in.type, &m->in_shape[s], &t->on[i].in[s]) &&
               make_tensor(t->on[i].runtime, m->out.type, &m->out_shape[s], &t->on[i].out[s]);
    return made;
}

static tw_status load_on(tw_bm_tower *t, size_t i, const char *path, const tw_mapped_file *file,
                         tw_error *err) {
    bool loaded = false, agreed = false, made = false;
    tw_bm_enter();
    t->on[i].runtime = tw_bm.create(t->devices->handles[i]);
    if (t->on[i].runtime)
        loaded = tw_bm.load_bmodel_data(t->on[i].runtime, file->data, file->n_bytes);
    if (loaded) agreed = agrees(tw_bm.get_network_info(t->on[i].runtime, t->model.net), &t->model);
    if (agreed) made = make_tensors(t, i);
    tw_bm_leave();
    if (!loaded) return refused(path, err);
    if (!agreed)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "%s: the library reads other shapes or types than the file states", path);
    return made ? TW_OK : refused(path, err);
}

static tw_status read_and_load(const char *path, tw_bm_tower *t, tw_error *err) {
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    tw_status status = tw_bmodel_parse(file.data, file.n_bytes, file.n_bytes, &t->model, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    if (status == TW_OK) status = check_chip(path, &t->model, t->devices->chip, err);
    if (status == TW_OK) status = check_host_layers(path, &t->model, err);
    for (size_t i = 0; status == TW_OK && i < t->devices->n; i++)
        status = load_on(t, i, path, &file, err);
    tw_unmap_file(&file);
    return status;
}

tw_status tw_bm_tower_open(const char *path, const tw_bm_devices *devices, tw_bm_tower *out,
                           tw_error *err) {
    *out = (tw_bm_tower){.devices = devices};
    out->on = calloc(devices->n, sizeof *out->on);
    if (!out->on) return tw_fail_no_memory(err, devices->n * sizeof *out->on);
    tw_status status = read_and_load(path, out, err);
    if (status != TW_OK) tw_bm_tower_close(out);
    return status;
}

void tw_bm_tower_close(tw_bm_tower *t) {
    if (!t->on) return;
    tw_bm_enter();
    for (size_t i = 0; i < t->devices->n; i++) {
        for (int s = 0; s < t->model.n_stages; s++) {
            void *device = t->devices->handles[i];
            if (t->on[i].in[s].memory.n_bytes) tw_bm.free_device(device, t->on[i].in[s].memory);
            if (t->on[i].out[s].memory.n_bytes) tw_bm.free_device(device, t->on[i].out[s].memory);
        }
        if (t->on[i].runtime) tw_bm.destroy(t->on[i].runtime);
    }
    tw_bm_leave();
    free(t->on);
    *t = (tw_bm_tower){0};
}

/* ---------------------------------------------------------------------------------------- run */

static bool launch(tw_bm_tower *t, size_t i, const tw_bm_job *job) {
    const tw_bmodel *m = &t->model;
    tw_bm_tensor *in = &t->on[i].in[job->stage], *out = &t->on[i].out[job->stage];
    size_t n = tw_bmodel_tensor_bytes(m->in.type, &m->in_shape[job->stage]);
    return tw_bm.memcpy_s2d_partial(t->devices->handles[i], in->memory, job->in, (unsigned)n) ==
               0 &&
           tw_bm.launch_tensor_ex(t->on[i].runtime, m->net, in, 1, out, 1, true, false);
}

static bool collect(tw_bm_tower *t, size_t i, const tw_bm_job *job) {
    const tw_bmodel *m = &t->model;
    const tw_bm_tensor *out = &t->on[i].out[job->stage];
    const tw_bmodel_shape *shape = &m->out_shape[job->stage];
    size_t n = tw_bmodel_tensor_bytes(m->out.type, shape);
    return out->type == m->out.type && same_shape(&out->shape, shape) && out->memory.n_bytes >= n &&
           tw_bm.memcpy_d2s_partial(t->devices->handles[i], job->out, out->memory, (unsigned)n) ==
               0;
}

tw_status tw_bm_tower_run(tw_bm_tower *t, const tw_bm_job *jobs, size_t n, tw_error *err) {
    size_t n_launched = 0;
    bool good = true;
    tw_bm_enter();
    while (good && n_launched < n) {
        good = launch(t, n_launched, &jobs[n_launched]);
        n_launched++;
    }
    /* What was launched uses its memory until it is waited for, whatever went wrong. */
    for (size_t i = 0; i < n_launched; i++)
        good = tw_bm.thread_sync(t->devices->handles[i]) == 0 && good;
    for (size_t i = 0; good && i < n; i++)
        good = collect(t, i, &jobs[i]);
    tw_bm_leave();
    return good ? TW_OK : refused(t->model.net, err);
}
