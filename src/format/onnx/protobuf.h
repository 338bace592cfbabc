/* The protobuf wire format, as far as ONNX needs it: fields appended to a buffer, and the sizes
 * that must be known before a message that is too large for one. */
#ifndef FORMAT_ONNX_PROTOBUF_H
#define FORMAT_ONNX_PROTOBUF_H

#include "base/buffer.h"

#include <string.h>

static inline size_t tw_pb_varint_bytes(uint64_t v) {
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

static inline void tw_pb_varint(tw_buffer *b, uint64_t v) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    tw_buffer_append(b, bytes, n);
}

static inline void tw_pb_uint(tw_buffer *b, int field, uint64_t v) {
    tw_pb_varint(b, (uint64_t)field << 3);
    tw_pb_varint(b, v);
}

/* The head of a field of n bytes: string, bytes, message or packed numbers. */
static inline void tw_pb_head(tw_buffer *b, int field, uint64_t n_bytes) {
    tw_pb_varint(b, (uint64_t)field << 3 | 2);
    tw_pb_varint(b, n_bytes);
}

static inline void tw_pb_bytes(tw_buffer *b, int field, const void *data, size_t n_bytes) {
    tw_pb_head(b, field, n_bytes);
    tw_buffer_append(b, data, n_bytes);
}

static inline void tw_pb_string(tw_buffer *b, int field, const char *s) {
    tw_pb_bytes(b, field, s, strlen(s));
}

static inline void tw_pb_float(tw_buffer *b, int field, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    tw_pb_varint(b, (uint64_t)field << 3 | 5);
    uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                        (uint8_t)(bits >> 24)};
    tw_buffer_append(b, bytes, sizeof bytes);
}

/* `message` as a field of `b`; a failure of either is kept. */
static inline void tw_pb_message(tw_buffer *b, int field, const tw_buffer *message) {
    if (message->failed) b->failed = true;
    tw_pb_bytes(b, field, message->data, message->n_bytes);
}

#endif
