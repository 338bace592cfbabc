#include "backend/sophon/bmodel.h"

#include "backend/sophon/flat.h"
#include "base/bytes.h"
#include "base/size.h"

#include <math.h>
#include <stdio.h>

enum { HEADER_BYTES = 64 };
static const uint32_t magic = 0xFF55AAEEu;

/* ------------------------------------------------------------------------------------- schema
 * Fields by id. Source: bmodel.fbs of tpu-mlir, "Rules" at its head: ids keep their meaning, new
 * ones are optional; those are not looked at. */

#define TABLE(name, ...)                                                                           \
    static const tw_flat_field name##_fields[] = {__VA_ARGS__};                                    \
    static const tw_flat_table name = {name##_fields, TW_COUNT(name##_fields)}
#define N4                                                                                         \
    { FLAT_4, false, NULL }
#define N8                                                                                         \
    { FLAT_8, false, NULL }
#define RANGE                                                                                      \
    { FLAT_RANGE, false, NULL }
#define TEXT                                                                                       \
    { FLAT_STRING, false, NULL }
#define NAME                                                                                       \
    { FLAT_STRING, true, NULL }
#define BYTES                                                                                      \
    { FLAT_VECTOR_1, false, NULL }
#define INTS                                                                                       \
    { FLAT_VECTOR_4, false, NULL }
#define LONGS                                                                                      \
    { FLAT_VECTOR_8, false, NULL }
#define RANGES                                                                                     \
    { FLAT_VECTOR_RANGE, false, NULL }
#define ONE(table)                                                                                 \
    { FLAT_TABLE, false, &table }
#define MANY(table)                                                                                \
    { FLAT_VECTOR_TABLE, false, &table }
#define SOME(table)                                                                                \
    { FLAT_VECTOR_TABLE, true, &table }
#define SKIP                                                                                       \
    { FLAT_SKIP, false, NULL }

TABLE(shape, LONGS);
TABLE(tensor, NAME, N4, N4, N8, N8, MANY(shape), N4, N4, N4, N4, N4, N4, N4);
TABLE(commands, N4, N4, RANGE, RANGE, N4, N4);
TABLE(core_commands, MANY(commands), RANGES, RANGES, RANGES);
TABLE(stage_ir, N4, N4, N4, N4, N4);
TABLE(location, NAME, N8, N8);
TABLE(weights, N8, BYTES, RANGE, MANY(location), N4, N8);
TABLE(cpu_constant, TEXT, RANGE, BYTES);
TABLE(cpu_parameter, N4, RANGE, MANY(cpu_constant), N4);
TABLE(output_from, INTS);
TABLE(merge, MANY(output_from));
TABLE(branch, INTS, INTS);
TABLE(subnet, N4, MANY(commands), MANY(cpu_parameter), MANY(tensor), MANY(tensor), N4, N4, N4, N4,
      N4, N4, INTS, ONE(merge), ONE(branch), MANY(core_commands));
TABLE(stage, SOME(tensor), SOME(tensor), N8, N8, ONE(weights), N4, N4, N4, MANY(commands), RANGE,
      MANY(stage_ir), RANGE, MANY(subnet), N4, LONGS, RANGE, N4, N8, N8, RANGE);
TABLE(cascade, N4, N4, TEXT);
TABLE(net, NAME, SKIP, SKIP, MANY(stage), ONE(cascade), N4);
TABLE(module, NAME, {FLAT_RANGE, true, NULL});
TABLE(model, NAME, NAME, NAME, NAME, SOME(net), N8, ONE(module), N4, ONE(module));

/* Of the fields above, those that are read. */
enum { MODEL_VERSION = 1, MODEL_CHIP = 3, MODEL_NETS = 4, MODEL_DEVICES = 7 };
enum { NET_NAME = 0, NET_STAGES = 3, NET_CASCADE = 4 };
enum { STAGE_INPUTS = 0, STAGE_OUTPUTS = 1, STAGE_IS_DYNAMIC = 5, STAGE_SUBNETS = 12 };
enum { SUBNET_MODE = 0, SUBNET_MODE_CHIP = 0 };
enum { TENSOR_NAME = 0, TENSOR_TYPE = 1, TENSOR_SHAPES = 5, TENSOR_SCALE = 7, TENSOR_ZERO = 10 };

/* -------------------------------------------------------------------------------------- types */

static const struct {
    int type;
    size_t n_bytes;
    const char *name;
} types[] = {{BM_F32, 4, "f32"}, {BM_F16, 2, "f16"}, {BM_I8, 1, "i8"}, {BM_I32, 4, "i32"}};

size_t tw_bmodel_type_bytes(int type) {
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (types[i].type == type) return types[i].n_bytes;
    return 0;
}

const char *tw_bmodel_type_name(int type) {
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (types[i].type == type) return types[i].name;
    return "?";
}

size_t tw_bmodel_tensor_bytes(int type, const tw_bmodel_shape *s) {
    size_t n = tw_bmodel_type_bytes(type);
    for (int i = 0; i < s->n_dims; i++)
        n *= (size_t)s->dims[i];
    return n;
}

/* ------------------------------------------------------------------------------------ reading */

/* The library counts bytes of a tensor in 32 bits. */
static tw_status read_shape(const tw_flat *f, size_t t, int type, tw_bmodel_shape *out,
                            tw_error *err) {
    size_t shapes = tw_flat_target(f, t, TENSOR_SHAPES);
    if (tw_flat_length(f, shapes) != 1)
        return tw_fail(err, TW_ERR_FORMAT, "a tensor with %zu shapes, expected 1",
                       tw_flat_length(f, shapes));
    size_t dims = tw_flat_target(f, tw_flat_element(f, shapes, 0), 0);
    size_t n_dims = tw_flat_length(f, dims);
    if (n_dims < 1 || n_dims > TW_COUNT(out->dims))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "a tensor of %zu extents, expected 1 to 4", n_dims);
    uint64_t n_bytes = tw_bmodel_type_bytes(type);
    out->n_dims = (int)n_dims;
    for (size_t i = 0; i < n_dims; i++) {
        uint64_t extent = tw_flat_element_u64(f, dims, i);
        if (extent < 1 || !tw_mul_u64(n_bytes, extent, &n_bytes) || n_bytes > INT32_MAX)
            return tw_fail(err, TW_ERR_LIMIT, "a tensor with an extent of %llu",
                           (unsigned long long)extent);
        out->dims[i] = (int)extent;
    }
    return TW_OK;
}

static tw_status read_end(const tw_flat *f, size_t t, tw_bmodel_end *out, tw_error *err) {
    *out = (tw_bmodel_end){0};
    tw_flat_string(f, tw_flat_target(f, t, TENSOR_NAME), out->name, sizeof out->name);
    uint32_t type = tw_flat_u32(f, t, TENSOR_TYPE, BM_F32), scale, zero;
    if (type > 255 || !tw_bmodel_type_bytes((int)type))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "'%s' has type %u, expected f32, f16, i8 or i32",
                       out->name, type);
    out->type = (int)type;
    out->scale = 1;
    if (tw_flat_value(f, t, TENSOR_SCALE)) {
        scale = tw_flat_u32(f, t, TENSOR_SCALE, 0);
        memcpy(&out->scale, &scale, sizeof scale);
    }
    zero = tw_flat_u32(f, t, TENSOR_ZERO, 0);
    if (zero != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "'%s' has the zero point %d, expected 0", out->name,
                       (int)zero);
    if (!(out->scale > 0) || !isfinite(out->scale))
        return tw_fail(err, TW_ERR_FORMAT, "'%s' has the scale %g", out->name, (double)out->scale);
    return TW_OK;
}

/* The only tensor of a stage's inputs or outputs. */
static tw_status only_tensor(const tw_flat *f, size_t stage_at, int id, size_t *out,
                             tw_error *err) {
    size_t tensors = tw_flat_target(f, stage_at, id), n = tw_flat_length(f, tensors);
    if (n != 1)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the net has %zu %s, expected one tower: 1", n,
                       id == STAGE_INPUTS ? "inputs" : "outputs");
    *out = tw_flat_element(f, tensors, 0);
    return TW_OK;
}

static bool same_end(const tw_bmodel_end *a, const tw_bmodel_end *b) {
    return a->type == b->type && !(a->scale < b->scale) && !(a->scale > b->scale);
}

/* Stages differ in the batch alone. With a smaller one first the library computes nonsense. */
static tw_status check_stage(const tw_bmodel *m, int s, tw_error *err) {
    for (int k = 0; s > 0 && k < 2; k++) {
        const tw_bmodel_shape *a = k ? m->out_shape : m->in_shape;
        bool same = a[s].n_dims == a[0].n_dims;
        for (int d = 1; same && d < a[0].n_dims; d++)
            same = a[s].dims[d] == a[0].dims[d];
        if (!same)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "stage %d has another shape than stage 0", s);
    }
    if (m->in_shape[s].dims[0] != m->out_shape[s].dims[0])
        return tw_fail(err, TW_ERR_MISMATCH, "stage %d makes %d rows of %d", s,
                       m->out_shape[s].dims[0], m->in_shape[s].dims[0]);
    if (s > 0 && m->in_shape[s].dims[0] >= m->in_shape[s - 1].dims[0])
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "batch %d comes after batch %d: the library gives wrong numbers unless the "
                       "largest is combined first",
                       m->in_shape[s].dims[0], m->in_shape[s - 1].dims[0]);
    return TW_OK;
}

static bool has_host_layers(const tw_flat *f, size_t stage_at) {
    size_t subnets = tw_flat_target(f, stage_at, STAGE_SUBNETS);
    for (size_t i = 0; i < tw_flat_length(f, subnets); i++)
        if (tw_flat_u32(f, tw_flat_element(f, subnets, i), SUBNET_MODE, 0) != SUBNET_MODE_CHIP)
            return true;
    return false;
}

static tw_status read_stage(const tw_flat *f, size_t at, tw_bmodel *m, int s, tw_error *err) {
    size_t in, out;
    tw_bmodel_end ends[2];
    if (tw_flat_u32(f, at, STAGE_IS_DYNAMIC, 0))
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "the net was compiled for shapes of any size (dynamic), expected static");
    m->has_host_layers = m->has_host_layers || has_host_layers(f, at);
    TW_TRY(only_tensor(f, at, STAGE_INPUTS, &in, err));
    TW_TRY(only_tensor(f, at, STAGE_OUTPUTS, &out, err));
    TW_TRY(read_end(f, in, &ends[0], err));
    TW_TRY(read_end(f, out, &ends[1], err));
    if (s == 0) {
        m->in = ends[0];
        m->out = ends[1];
    } else if (!same_end(&ends[0], &m->in) || !same_end(&ends[1], &m->out)) {
        return tw_fail(err, TW_ERR_UNSUPPORTED, "stage %d has other types than stage 0", s);
    }
    TW_TRY(read_shape(f, in, m->in.type, &m->in_shape[s], err));
    TW_TRY(read_shape(f, out, m->out.type, &m->out_shape[s], err));
    return check_stage(m, s, err);
}

static tw_status read_model(const tw_flat *f, size_t root, tw_bmodel *m, tw_error *err) {
    size_t nets = tw_flat_target(f, root, MODEL_NETS), n = tw_flat_length(f, nets);
    tw_flat_string(f, tw_flat_target(f, root, MODEL_CHIP), m->chip, sizeof m->chip);
    tw_flat_string(f, tw_flat_target(f, root, MODEL_VERSION), m->compiler, sizeof m->compiler);
    if (n != 1) return tw_fail(err, TW_ERR_UNSUPPORTED, "%zu nets, expected one tower: 1", n);
    size_t only = tw_flat_element(f, nets, 0), stages = tw_flat_target(f, only, NET_STAGES);
    size_t name = tw_flat_target(f, only, NET_NAME);
    if (tw_flat_value(f, only, NET_CASCADE) || tw_flat_u32(f, root, MODEL_DEVICES, 0) > 1)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "a net that is spread over devices");
    if (tw_flat_length(f, name) >= sizeof m->net)
        return tw_fail(err, TW_ERR_LIMIT, "a net's name of %zu bytes, at most %zu",
                       tw_flat_length(f, name), sizeof m->net - 1);
    tw_flat_string(f, name, m->net, sizeof m->net);
    n = tw_flat_length(f, stages);
    if (n < 1 || n > TW_BMODEL_STAGES)
        return tw_fail(err, TW_ERR_LIMIT, "%zu stages, expected 1 to %d", n, TW_BMODEL_STAGES);
    m->n_stages = (int)n;
    for (int s = 0; s < m->n_stages; s++)
        TW_TRY(read_stage(f, tw_flat_element(f, stages, (size_t)s), m, s, err));
    return TW_OK;
}

tw_status tw_bmodel_parse(const void *data, size_t n_bytes, uint64_t file_bytes, tw_bmodel *out,
                          tw_error *err) {
    const uint8_t *p = data;
    *out = (tw_bmodel){0};
    if (n_bytes < HEADER_BYTES || tw_load_u32le(p) != magic || tw_load_u32le(p + 4) != HEADER_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "not a .bmodel file, or an encrypted one");
    uint64_t flat_bytes = tw_load_u32le(p + 8), binary_bytes = tw_load_u32le(p + 12);
    if (flat_bytes > n_bytes - HEADER_BYTES ||
        file_bytes < HEADER_BYTES + flat_bytes + binary_bytes)
        return tw_fail(err, TW_ERR_FORMAT, "cut off: %llu bytes, expected %llu",
                       (unsigned long long)file_bytes,
                       (unsigned long long)(HEADER_BYTES + flat_bytes + binary_bytes));
    const tw_flat f = {p + HEADER_BYTES, (size_t)flat_bytes, binary_bytes};
    size_t root = 0;
    TW_TRY(tw_flat_verify(&f, &model, &root, err));
    return read_model(&f, root, out, err);
}
