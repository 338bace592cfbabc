#include "bmodel_builder.h"

#include "base/bytes.h"

#include <stdlib.h>

enum { HEADER = 64, CAPACITY = 1 << 16, SLOT = 8 };

/* FlatBuffers, written forwards: a table's children come after it and are patched in. Every field
 * has a slot of 8 bytes. */
typedef struct flat {
    uint8_t *data;
    size_t n;
} flat;

static size_t reserve(flat *f, size_t n, size_t skew) {
    while ((f->n + skew) % 8)
        f->n++;
    size_t at = f->n;
    f->n += n;
    if (f->n > CAPACITY) abort();
    return at;
}

/* A table of the fields whose bits are set in `present`. */
static size_t table(flat *f, int n_fields, uint32_t present) {
    size_t list_bytes = 4 + 2 * (size_t)n_fields, list = reserve(f, list_bytes, 0);
    size_t bytes = SLOT * ((size_t)n_fields + 1), at = reserve(f, bytes, 0);
    f->data[list] = (uint8_t)list_bytes;
    f->data[list + 2] = (uint8_t)bytes;
    f->data[list + 3] = (uint8_t)(bytes >> 8);
    for (int i = 0; i < n_fields; i++) {
        size_t place = present >> i & 1 ? SLOT * ((size_t)i + 1) : 0;
        f->data[list + 4 + 2 * (size_t)i] = (uint8_t)place;
        f->data[list + 5 + 2 * (size_t)i] = (uint8_t)(place >> 8);
    }
    tw_store_u32le(f->data + at, (uint32_t)(at - list));
    return at;
}

static size_t slot(size_t table_at, int id) {
    return table_at + SLOT * ((size_t)id + 1);
}

static void point(flat *f, size_t at, size_t target) {
    tw_store_u32le(f->data + at, (uint32_t)(target - at));
}

static void put_text(flat *f, size_t at, const char *text) {
    size_t n = strlen(text), to = reserve(f, 4 + n + 1, 0);
    tw_store_u32le(f->data + to, (uint32_t)n);
    memcpy(f->data + to + 4, text, n);
    point(f, at, to);
}

/* A vector of n offsets or, with `wide`, of n numbers of 8 bytes: where its elements begin. */
static size_t put_vector(flat *f, size_t at, size_t n, int wide) {
    size_t to = reserve(f, 4 + n * (wide ? 8 : 4), 4);
    tw_store_u32le(f->data + to, (uint32_t)n);
    point(f, at, to);
    return to + 4;
}

static void put_tensor(flat *f, size_t at, const char *name, int type, float scale, int zero,
                       const standin_shape *s) {
    size_t t = table(f, 11, 1u << 0 | 1u << 1 | 1u << 5 | 1u << 7 | 1u << 10);
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    point(f, at, t);
    tw_store_u32le(f->data + slot(t, 1), (uint32_t)type);
    tw_store_u32le(f->data + slot(t, 7), bits);
    tw_store_u32le(f->data + slot(t, 10), (uint32_t)zero);
    put_text(f, slot(t, 0), name);
    size_t shapes = put_vector(f, slot(t, 5), 1, 0), shape = table(f, 1, 1);
    point(f, shapes, shape);
    size_t dims = put_vector(f, slot(shape, 0), (size_t)s->n_dims, 1);
    for (int i = 0; i < s->n_dims; i++)
        tw_store_u64le(f->data + dims + 8 * (size_t)i, (uint64_t)s->dims[i]);
}

static void put_stage(flat *f, size_t at, const standin_model *m, int s, const bmodel_faults *bad) {
    size_t stage = table(f, 13, 1u << 0 | 1u << 1 | 1u << 5 | 1u << 9 | 1u << 12), n = 1;
    standin_shape in = m->in[s];
    point(f, at, stage);
    tw_store_u32le(f->data + slot(stage, 5), (uint32_t)bad->is_dynamic);
    if (bad->n_inputs) n = (size_t)bad->n_inputs;
    if (bad->other_shape) in.dims[1]++;
    size_t inputs = put_vector(f, slot(stage, 0), n, 0);
    for (size_t i = 0; i < n; i++)
        put_tensor(f, inputs + 4 * i, "in", m->in_type, m->in_scale, bad->zero_point, &in);
    size_t outputs = put_vector(f, slot(stage, 1), 1, 0);
    put_tensor(f, outputs, "out", m->out_type, m->out_scale, 0, &m->out[s]);
    size_t subnets = put_vector(f, slot(stage, 12), 1, 0), subnet = table(f, 1, 1);
    point(f, subnets, subnet);
    tw_store_u32le(f->data + slot(subnet, 0), (uint32_t)bad->host_layer);
    /* All of the binary data; the range takes the next field's slot, too. */
    tw_store_u64le(f->data + slot(stage, 9), 0);
    tw_store_u64le(f->data + slot(stage, 9) + 8, sizeof *m);
}

static void put_net(flat *f, size_t at, const standin_model *m, const bmodel_faults *bad) {
    size_t net = table(f, 5, 1u << 0 | 1u << 3 | (bad->cascade ? 1u << 4 : 0));
    point(f, at, net);
    put_text(f, slot(net, 0), m->net);
    if (bad->cascade) point(f, slot(net, 4), table(f, 1, 0));
    size_t stages = put_vector(f, slot(net, 3), (size_t)m->n_stages, 0);
    for (int s = 0; s < m->n_stages; s++)
        put_stage(f, stages + 4 * (size_t)s, m, s, bad);
}

uint8_t *bmodel_build(const standin_model *model, const bmodel_faults *faults, size_t *n_bytes) {
    static const bmodel_faults none;
    const bmodel_faults *bad = faults ? faults : &none;
    uint8_t *file = calloc(1, HEADER + CAPACITY + sizeof *model);
    if (!file) abort();
    flat f = {file + HEADER, 8};
    size_t root = table(&f, 5, 31), n_nets = bad->n_nets ? (size_t)bad->n_nets : 1;
    point(&f, 0, root);
    put_text(&f, slot(root, 0), "bmodel");
    put_text(&f, slot(root, 1), "2.2+stand-in");
    put_text(&f, slot(root, 2), "now");
    put_text(&f, slot(root, 3), bad->chip ? bad->chip : "BM1684X");
    size_t nets = put_vector(&f, slot(root, 4), n_nets, 0);
    for (size_t i = 0; i < n_nets; i++)
        put_net(&f, nets + 4 * i, model, bad);
    tw_store_u32le(file, 0xFF55AAEEu);
    tw_store_u32le(file + 4, HEADER);
    tw_store_u32le(file + 8, (uint32_t)f.n);
    tw_store_u32le(file + 12, (uint32_t)sizeof *model);
    memcpy(file + HEADER + f.n, model, sizeof *model);
    *n_bytes = HEADER + f.n + sizeof *model;
    return file;
}

static standin_shape shape_of(int batch, const int *dims) {
    standin_shape s = {1, {batch}};
    while (s.n_dims < 4 && dims[s.n_dims - 1]) {
        s.dims[s.n_dims] = dims[s.n_dims - 1];
        s.n_dims++;
    }
    return s;
}

standin_model bmodel_tower(const char *net, int in_type, const int *in, int out_type,
                           const int *out, const int *batches) {
    standin_model m = {.in_type = in_type, .out_type = out_type, .in_scale = 1, .out_scale = 1};
    strncpy(m.net, net, sizeof m.net - 1);
    for (; m.n_stages < STANDIN_STAGES && batches[m.n_stages]; m.n_stages++) {
        m.in[m.n_stages] = shape_of(batches[m.n_stages], in);
        m.out[m.n_stages] = shape_of(batches[m.n_stages], out);
    }
    return m;
}
