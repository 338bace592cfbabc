/* Devices, and a compiled tower loaded on each of them. */
#ifndef BACKEND_SOPHON_TOWER_H
#define BACKEND_SOPHON_TOWER_H

#include "backend/sophon/api.h"
#include "backend/sophon/bmodel.h"

enum { TW_BM_DEVICES = 16 };

typedef struct tw_bm_devices {
    size_t n;
    int ids[TW_BM_DEVICES];
    void *handles[TW_BM_DEVICES];
    unsigned chip; /* the same of all */
} tw_bm_devices;

/* `ids`: numbers with commas, each once; NULL: "0". Errors: TW_ERR_ARGUMENT, TW_ERR_UNSUPPORTED (no
 * such device, devices of several kinds). */
tw_status tw_bm_devices_open(const char *ids, tw_bm_devices *out, tw_error *err);
void tw_bm_devices_close(tw_bm_devices *devices);

typedef struct tw_bm_tower {
    const tw_bm_devices *devices; /* NULL: there is no tower */
    tw_bmodel model;
    struct {
        void *runtime;
        tw_bm_tensor in[TW_BMODEL_STAGES], out[TW_BMODEL_STAGES]; /* memory of each stage */
    } * on;                                                       /* each device */
} tw_bm_tower;

/* Loads the .bmodel file at `path`. Errors: TW_ERR_IO, those of tw_bmodel_parse(),
 * TW_ERR_UNSUPPORTED (compiled for another chip; what the library says), TW_ERR_MISMATCH (the
 * library reads it otherwise). */
tw_status tw_bm_tower_open(const char *path, const tw_bm_devices *devices, tw_bm_tower *out,
                           tw_error *err);
void tw_bm_tower_close(tw_bm_tower *tower);

/* One batch: of stage `stage`, whole tensors in and out. */
typedef struct tw_bm_job {
    int stage;
    void *in, *out;
} tw_bm_job;

/* Job i runs on device i, all at the same time; n <= devices->n. Errors: TW_ERR_UNSUPPORTED. */
tw_status tw_bm_tower_run(tw_bm_tower *tower, const tw_bm_job *jobs, size_t n, tw_error *err);

#endif
