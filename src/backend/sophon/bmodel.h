/* What a compiled model (.bmodel) holds, read before the vendor's library sees a byte of it: that
 * library ends the process where it is given what it does not expect. */
#ifndef BACKEND_SOPHON_BMODEL_H
#define BACKEND_SOPHON_BMODEL_H

#include "base/status.h"

enum { TW_BMODEL_STAGES = 64 };

/* Element types, numbered as in the file and in the library. */
enum { BM_F32 = 0, BM_F16 = 1, BM_I8 = 2, BM_I32 = 6 };

typedef struct tw_bmodel_shape {
    int n_dims; /* 1..4 */
    int dims[4];
} tw_bmodel_shape;

/* The only input or output of the net. */
typedef struct tw_bmodel_end {
    char name[64]; /* cut off when longer */
    int type;      /* BM_F32, … */
    float scale;   /* of BM_I8: of an input q = round(x * scale), of an output x = q * scale */
} tw_bmodel_end;

typedef struct tw_bmodel {
    char chip[32];     /* "BM1684X" */
    char compiler[64]; /* "2.2+v1.30.2-20260831" */
    char net[128];     /* name */
    tw_bmodel_end in, out;
    bool has_host_layers; /* layers that the library computes on the host, by libcpuop.so */
    int n_stages;         /* shapes it was compiled for, the largest batch first */
    tw_bmodel_shape in_shape[TW_BMODEL_STAGES], out_shape[TW_BMODEL_STAGES];
} tw_bmodel;

/* Reads a file of `file_bytes` bytes of which `data` holds the first n_bytes, at least the header
 * and the description after it: every offset of the description is followed and every range of
 * binary data compared with the file. Errors: TW_ERR_FORMAT (damaged), TW_ERR_UNSUPPORTED (more
 * than one net, input or output; shapes of any size; another type), TW_ERR_LIMIT. */
tw_status tw_bmodel_parse(const void *data, size_t n_bytes, uint64_t file_bytes, tw_bmodel *out,
                          tw_error *err);

size_t tw_bmodel_type_bytes(int type); /* 0: not one of the above */
const char *tw_bmodel_type_name(int type);
/* Bytes of a tensor; the shapes of a tw_bmodel were checked not to overflow. */
size_t tw_bmodel_tensor_bytes(int type, const tw_bmodel_shape *shape);

#endif
