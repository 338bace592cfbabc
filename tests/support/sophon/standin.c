/* A stand-in for SOPHON's libbmlib and libbmrt, for tests where neither a card nor the emulator is:
 * the same interface on trivial arithmetic. As the emulator it talks on standard
 * output, also when the process ends, and ends the process at mistakes. $STANDIN_DEVICES (2) and
 * $STANDIN_CHIP (0x1686) describe the machine; $STANDIN_FAIL is "launch" or "assert". */
#include "standin.h"

#include "backend/sophon/api.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

typedef tw_bm_shape shape;
typedef tw_bm_memory memory;
typedef tw_bm_tensor tensor;
typedef tw_bm_stage stage;
typedef tw_bm_net net;

typedef struct device {
    int n_allocated;
    bool unsynchronised;
} device;
typedef struct runtime {
    device *device;
    standin_model model;
    bool loaded;
    net net;
    stage stages[STANDIN_STAGES];
    shape in[STANDIN_STAGES], out[STANDIN_STAGES];
} runtime;

/* Every function is in both libraries, of which each is used in part. */
EXPORT int bm_dev_getcount(int *count);
EXPORT int bm_dev_request(void **out, int id);
EXPORT void bm_dev_free(void *handle);
EXPORT int bm_get_chipid(void *handle, unsigned *id);
EXPORT int bm_memcpy_s2d_partial(void *handle, memory to, void *from, unsigned n_bytes);
EXPORT int bm_memcpy_d2s_partial(void *handle, void *to, memory from, unsigned n_bytes);
EXPORT int bm_thread_sync(void *handle);
EXPORT void bm_free_device(void *handle, memory m);
EXPORT void *bmrt_create(void *handle);
EXPORT void bmrt_destroy(void *handle);
EXPORT bool bmrt_load_bmodel_data(void *handle, const void *data, size_t n_bytes);
EXPORT const net *bmrt_get_network_info(void *handle, const char *name);
EXPORT bool bmrt_tensor(tensor *out, void *handle, int type, shape s);
EXPORT bool bmrt_launch_tensor_ex(void *handle, const char *name, const tensor *in, int n_in,
                                  tensor *out, int n_out, bool user_memory, bool user_storage);

static void check(bool holds, const char *what) {
    if (holds) return;
    printf("ASSERT stand-in: %s\n", what);
    exit(255);
}

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && value[0] ? value : otherwise;
}

/* ------------------------------------------------------------------------------------- bmlib */

static void take_leave(void) {
    puts("stand-in: the process ends");
    fflush(stdout);
}

int bm_dev_getcount(int *count) {
    *count = atoi(setting("STANDIN_DEVICES", "2"));
    return 0;
}

int bm_dev_request(void **out, int id) {
    static bool registered;
    if (!registered) atexit(take_leave);
    registered = true;
    puts("stand-in: a device is opened");
    check(id >= 0 && id < atoi(setting("STANDIN_DEVICES", "2")), "no such device");
    *out = calloc(1, sizeof(device));
    return *out ? 0 : 5;
}

void bm_dev_free(void *handle) {
    check(((device *)handle)->n_allocated == 0, "memory is left at the end");
    puts("stand-in: a device is closed");
    free(handle);
}

int bm_get_chipid(void *handle, unsigned *id) {
    *id = (unsigned)strtoul(setting("STANDIN_CHIP", "0x1686"), NULL, 0);
    return 0;
}

int bm_memcpy_s2d_partial(void *handle, memory to, void *from, unsigned n_bytes) {
    check(n_bytes <= to.n_bytes, "a copy larger than the device's memory");
    memcpy((void *)to.address, from, n_bytes);
    return 0;
}

int bm_memcpy_d2s_partial(void *handle, void *to, memory from, unsigned n_bytes) {
    check(!((device *)handle)->unsynchronised, "a copy before the end of the launch");
    check(n_bytes <= from.n_bytes, "a copy larger than the device's memory");
    memcpy(to, (const void *)from.address, n_bytes);
    return 0;
}

int bm_thread_sync(void *handle) {
    ((device *)handle)->unsynchronised = false;
    return 0;
}

void bm_free_device(void *handle, memory m) {
    ((device *)handle)->n_allocated--;
    free((void *)m.address);
}

/* -------------------------------------------------------------------------------------- bmrt */

static size_t type_bytes(int type) {
    return type == STANDIN_I8 ? 1 : type == STANDIN_F16 ? 2 : 4;
}

static size_t count(const int *dims, int from, int n_dims) {
    size_t n = 1;
    for (int i = from; i < n_dims; i++)
        n *= (size_t)dims[i];
    return n;
}

void *bmrt_create(void *handle) {
    runtime *r = calloc(1, sizeof *r);
    if (r) r->device = handle;
    return r;
}

void bmrt_destroy(void *handle) {
    free(handle);
}

static shape full_shape(const standin_shape *s) {
    shape out = {s->n_dims, {0}};
    memcpy(out.dims, s->dims, sizeof s->dims);
    return out;
}

bool bmrt_load_bmodel_data(void *handle, const void *data, size_t n_bytes) {
    runtime *r = handle;
    uint32_t head[4];
    memcpy(head, data, sizeof head);
    puts("[BMRT][load:1] INFO:stand-in: a model is loaded");
    check(n_bytes >= (size_t)64 + head[2] + head[3], "a file that is cut off");
    if (head[3] < sizeof r->model) {
        puts("[BMRT][load:2] FATAL:no model of the stand-in");
        return false;
    }
    memcpy(&r->model, (const char *)data + 64 + head[2], sizeof r->model);
    for (int s = 0; s < r->model.n_stages; s++) {
        r->in[s] = full_shape(&r->model.in[s]);
        r->out[s] = full_shape(&r->model.out[s]);
        r->stages[s] = (stage){&r->in[s], &r->out[s], NULL, NULL};
    }
    r->net = (net){.name = r->model.net,
                   .n_in = 1,
                   .in_types = &r->model.in_type,
                   .in_scales = &r->model.in_scale,
                   .n_out = 1,
                   .out_types = &r->model.out_type,
                   .out_scales = &r->model.out_scale,
                   .n_stages = r->model.n_stages,
                   .stages = r->stages};
    return true;
}

const net *bmrt_get_network_info(void *handle, const char *name) {
    runtime *r = handle;
    return strcmp(name, r->model.net) == 0 ? &r->net : NULL;
}

bool bmrt_tensor(tensor *out, void *handle, int type, shape s) {
    runtime *r = handle;
    size_t n_bytes = count(s.dims, 0, s.n_dims) * type_bytes(type);
    *out = (tensor){.type = type, .shape = s};
    out->memory.address = (unsigned long)malloc(n_bytes);
    out->memory.n_bytes = (unsigned)n_bytes;
    memset((void *)out->memory.address, 0xee, n_bytes);
    r->device->n_allocated++;
    return true;
}

static float get_value(const void *from, int type, float scale, size_t i) {
    if (type == STANDIN_F32) return ((const float *)from)[i];
    if (type == STANDIN_I32) return (float)((const int32_t *)from)[i];
    if (type == STANDIN_I8) return (float)((const int8_t *)from)[i] / scale;
    uint16_t h = ((const uint16_t *)from)[i]; /* normal numbers alone */
    float v = h & 0x7fff ? ldexpf((float)((h & 0x3ff) | 0x400), (h >> 10 & 31) - 25) : 0;
    return h & 0x8000 ? -v : v;
}

static void put_value(void *to, int type, float scale, size_t i, float v) {
    if (type == STANDIN_F32) {
        ((float *)to)[i] = v;
    } else if (type == STANDIN_I8) {
        ((int8_t *)to)[i] = (int8_t)fmaxf(-128, fminf(127, rintf(v / scale)));
    } else {
        int e = 0;
        int q = (int)rintf(frexpf(fabsf(v), &e) * 2048);
        if (q == 2048) q = 1024, e++;
        unsigned bits = q ? (unsigned)(e + 14) << 10 | ((unsigned)q & 0x3ff) : 0;
        ((uint16_t *)to)[i] = (uint16_t)(bits | (v < 0 ? 0x8000u : 0));
    }
}

static void compute(const standin_model *m, int s, const tensor *in, tensor *out) {
    size_t n_in = count(m->in[s].dims, 1, m->in[s].n_dims);
    size_t n_out = count(m->out[s].dims, 1, m->out[s].n_dims);
    float *row = calloc(n_in, sizeof *row);
    for (size_t b = 0; row && b < (size_t)m->in[s].dims[0]; b++) {
        for (size_t i = 0; i < n_in; i++)
            row[i] =
                get_value((const void *)in->memory.address, m->in_type, m->in_scale, b * n_in + i);
        for (size_t j = 0; j < n_out; j++) {
            size_t width = (size_t)m->out[s].dims[2];
            float v = m->out[s].n_dims == 2 ? standin_value(row, n_in, j)
                                            : standin_token_value(row, j / width, j % width);
            if (m->computes_nothing) v = 0;
            put_value((void *)out->memory.address, m->out_type, m->out_scale, b * n_out + j, v);
        }
    }
    free(row);
}

bool bmrt_launch_tensor_ex(void *handle, const char *name, const tensor *in, int n_in, tensor *out,
                           int n_out, bool user_memory, bool user_storage) {
    runtime *r = handle;
    const char *fail = setting("STANDIN_FAIL", "");
    check(strcmp(fail, "assert") != 0, "it was asked to fail");
    if (strcmp(fail, "launch") == 0) {
        puts("[BMRT][launch:3] FATAL:it was asked to refuse");
        return false;
    }
    if (strcmp(name, r->model.net) != 0 || n_in != 1 || n_out != 1 || !user_memory ||
        in->type != r->model.in_type)
        return false;
    for (int s = 0; s < r->model.n_stages; s++) {
        if (memcmp(&in->shape, &r->in[s], sizeof in->shape) != 0) continue;
        printf("stand-in: launch of %d\n", in->shape.dims[0]);
        compute(&r->model, s, in, out);
        r->device->unsynchronised = true;
        return true;
    }
    puts("[BMRT][launch:4] FATAL:no such shape");
    return false;
}
