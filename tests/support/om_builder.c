#include "om_builder.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEAD = 256 };

standin_om om_tower(const char *model, int is_image, const int64_t *columns, int64_t dim,
                    const uint64_t *batches) {
    standin_om om = {.mark = "STANDIN", .is_image = is_image, .n_weights = 4096};
    snprintf(om.model, sizeof om.model, "%s", model);
    snprintf(om.in.name, sizeof om.in.name, "%s", is_image ? "image" : "text");
    snprintf(om.out.name, sizeof om.out.name, "unnorm_%s_features", is_image ? "image" : "text");
    om.in.type = is_image ? STANDIN_F32 : STANDIN_I64;
    om.in.n_dims = om.out.n_dims = 1;
    for (; *columns; columns++)
        om.in.dims[om.in.n_dims++] = *columns;
    om.out.dims[om.out.n_dims++] = dim;
    while (batches[om.n_batches])
        om.batches[om.n_batches] = batches[om.n_batches], om.n_batches++;
    om.in.dims[0] = om.out.dims[0] = -1;
    if (om.n_batches > 1) return om;
    om.in.dims[0] = om.out.dims[0] = (int64_t)batches[0];
    om.n_batches = 0;
    return om;
}

uint8_t *om_build(const standin_om *om, const om_faults *faults, size_t *n_bytes) {
    static const om_faults none;
    const om_faults *bad = faults ? faults : &none;
    size_t table = bad->is_old ? 4 + 12 : 8 + 24, length = table + sizeof *om;
    uint8_t *file = calloc(1, HEAD + length);
    if (!file) abort();
    tw_store_u32le(file, bad->magic ? 1 : 0x444f4d49);
    tw_store_u32le(file + 4, HEAD + (uint32_t)bad->head_bytes);
    tw_store_u32le(file + 8, bad->is_old ? 0x10000000 : 0x20000000);
    file[80] = (uint8_t)bad->encrypted;
    file[82] = (uint8_t)bad->model_type;
    file[193] = (uint8_t)bad->dynamic;
    if (bad->is_old)
        tw_store_u32le(file + 76, (uint32_t)length + (uint32_t)bad->length);
    else
        tw_store_u64le(file + 184, length + (uint64_t)(int64_t)bad->length);
    tw_store_u32le(file + HEAD, 1 + (uint32_t)bad->n_partitions);
    if (bad->is_old)
        tw_store_u32le(file + HEAD + 12, sizeof *om + (uint32_t)bad->partition_bytes);
    else
        tw_store_u64le(file + HEAD + 24, sizeof *om + (uint64_t)(int64_t)bad->partition_bytes);
    memcpy(file + HEAD + table, om, sizeof *om);
    *n_bytes = HEAD + length;
    return file;
}
