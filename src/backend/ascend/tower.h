/* A compiled tower, loaded on each device. */
#ifndef BACKEND_ASCEND_TOWER_H
#define BACKEND_ASCEND_TOWER_H

#include "backend/ascend/devices.h"
#include "tuwen/base.h"

#include <stdint.h>

enum { TW_ACL_BATCHES = 128, TW_ACL_INPUTS = 2 };

/* The input or output of a tower. */
typedef struct tw_acl_end {
    char name[128];
    int type;   /* aclDataType */
    int n_dims; /* up to 4, the first the batch */
    int64_t dims[4];
} tw_acl_end;

typedef struct tw_acl_tower {
    tw_acl_devices *devices; /* NULL: there is no tower */
    tw_acl_end in, out;
    size_t n_batches, batches[TW_ACL_BATCHES]; /* the largest first */
    size_t batch_input; /* index of the input that takes the size; SIZE_MAX: the batch is fixed */
    size_t in_row, out_row;   /* bytes of a row */
    struct tw_acl_loaded *on; /* each device */
} tw_acl_tower;

/* Loads the .om file at `path`, whose ends are as tw_acl_end can hold them; whether they fit the
 * model is the caller's to check. Errors: TW_ERR_IO, those of tw_om_check(), TW_ERR_NO_MEMORY,
 * TW_ERR_UNSUPPORTED, TW_ERR_MISMATCH. */
tw_status tw_acl_tower_open(const char *path, tw_acl_devices *devices, tw_acl_tower *out,
                            tw_error *err);
void tw_acl_tower_close(tw_acl_tower *tower);

tw_dtype tw_acl_dtype(int type);        /* (tw_dtype)-1: another */
const char *tw_acl_type_name(int type); /* "f32", "u8"; "type 99" is "another type" */

/* One batch: `batch` rows in and out, one of the tower's sizes. */
typedef struct tw_acl_job {
    size_t batch;
    void *in, *out;
} tw_acl_job;

/* Job i runs on device i, all at the same time; n <= devices->n. Errors: TW_ERR_UNSUPPORTED. */
tw_status tw_acl_tower_run(tw_acl_tower *tower, const tw_acl_job *jobs, size_t n, tw_error *err);

#endif
