/* The protobuf wire format, read: fields of one message after another, every length checked against
 * the message it is in. Nothing recurses: a message inside is a span that the caller opens. */
#ifndef FORMAT_ONNX_WIRE_H
#define FORMAT_ONNX_WIRE_H

#include "base/status.h"

enum { TW_PB_VARINT = 0, TW_PB_FIXED64 = 1, TW_PB_BYTES = 2, TW_PB_FIXED32 = 5 };

typedef struct tw_pb_reader {
    const uint8_t *p, *end;
    const uint8_t *file; /* for byte offsets in messages */
} tw_pb_reader;

typedef struct tw_pb_field {
    uint64_t number; /* 1 to 2^29 - 1 */
    int wire;
    uint64_t value;      /* of a varint */
    const uint8_t *data; /* the bytes of any other */
    size_t n_bytes;
} tw_pb_field;

/* The fields of `f`, which must be of TW_PB_BYTES. */
tw_pb_reader tw_pb_open(const tw_pb_reader *parent, const tw_pb_field *f);

/* False at the end of the message, with *status TW_OK, and at damage, with an error. */
bool tw_pb_next(tw_pb_reader *r, tw_pb_field *f, tw_status *status, tw_error *err);

/* False when the bytes end inside the number or it has more than 64 bits. */
bool tw_pb_read_varint(const uint8_t **p, const uint8_t *end, uint64_t *out);

/* TW_ERR_FORMAT unless the field is of the wire type. */
tw_status tw_pb_expect(const tw_pb_reader *r, const tw_pb_field *f, int wire, const char *what,
                       tw_error *err);

#endif
