/* Source: the encoding document of Protocol Buffers; groups are no part of ONNX. */
#include "format/onnx/wire.h"

#include "base/size.h"

#define MAX_FIELD_NUMBER (((uint64_t)1 << 29) - 1)

bool tw_pb_read_varint(const uint8_t **p, const uint8_t *end, uint64_t *out) {
    uint64_t v = 0;
    for (int shift = 0; shift < 70 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        if (shift == 63 && byte > 1) return false;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *out = v;
            return true;
        }
    }
    return false;
}

tw_pb_reader tw_pb_open(const tw_pb_reader *parent, const tw_pb_field *f) {
    return (tw_pb_reader){f->data, f->data + f->n_bytes, parent->file};
}

static tw_status damaged(const tw_pb_reader *r, const char *what, tw_error *err) {
    return tw_fail(err, TW_ERR_FORMAT, "byte %zu: %s; is the file truncated or no protobuf?",
                   (size_t)(r->p - r->file), what);
}

static tw_status read_field(tw_pb_reader *r, tw_pb_field *f, tw_error *err) {
    uint64_t key, n = 0;
    *f = (tw_pb_field){0};
    if (!tw_pb_read_varint(&r->p, r->end, &key)) return damaged(r, "a damaged field number", err);
    f->number = key >> 3;
    f->wire = (int)(key & 7);
    if (f->number == 0 || f->number > MAX_FIELD_NUMBER)
        return damaged(r, "an impossible field number", err);
    switch (f->wire) {
    case TW_PB_VARINT:
        if (!tw_pb_read_varint(&r->p, r->end, &f->value))
            return damaged(r, "a damaged number", err);
        return TW_OK;
    case TW_PB_FIXED64:
        n = 8;
        break;
    case TW_PB_FIXED32:
        n = 4;
        break;
    case TW_PB_BYTES:
        if (!tw_pb_read_varint(&r->p, r->end, &n)) return damaged(r, "a damaged length", err);
        break;
    default:
        return damaged(r, "a field of an unknown kind", err);
    }
    if (n > (uint64_t)(r->end - r->p)) return damaged(r, "a field beyond its message", err);
    f->data = r->p;
    f->n_bytes = (size_t)n;
    r->p += n;
    return TW_OK;
}

bool tw_pb_next(tw_pb_reader *r, tw_pb_field *f, tw_status *status, tw_error *err) {
    *status = TW_OK;
    if (r->p == r->end) return false;
    *status = read_field(r, f, err);
    return *status == TW_OK;
}

tw_status tw_pb_expect(const tw_pb_reader *r, const tw_pb_field *f, int wire, const char *what,
                       tw_error *err) {
    if (f->wire == wire) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "byte %zu: %s is of wire type %d, expected %d",
                   (size_t)(r->p - r->file), what, f->wire, wire);
}
