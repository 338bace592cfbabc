#include "format/gguf/types.h"

#include "base/size.h"

static const tw_ggml_type types[] = {
    {0, "f32", 1, 4, TW_F32, NULL},
    {1, "f16", 1, 2, TW_F16, NULL},
    {2, "q4_0", 32, 18, TW_U8, tw_unpack_q4_0},
    {3, "q4_1", 32, 20, TW_U8, tw_unpack_q4_1},
    {6, "q5_0", 32, 22, TW_U8, tw_unpack_q5_0},
    {7, "q5_1", 32, 24, TW_U8, tw_unpack_q5_1},
    {8, "q8_0", 32, 34, TW_U8, tw_unpack_q8_0},
    {9, "q8_1", 32, 36, TW_U8, NULL},
    {10, "q2_k", 256, 84, TW_U8, NULL},
    {11, "q3_k", 256, 110, TW_U8, NULL},
    {12, "q4_k", 256, 144, TW_U8, NULL},
    {13, "q5_k", 256, 176, TW_U8, NULL},
    {14, "q6_k", 256, 210, TW_U8, NULL},
    {15, "q8_k", 256, 292, TW_U8, NULL},
    {24, "i8", 1, 1, TW_I8, NULL},
    {25, "i16", 1, 2, TW_I16, NULL},
    {26, "i32", 1, 4, TW_I32, NULL},
    {27, "i64", 1, 8, TW_I64, NULL},
    {28, "f64", 1, 8, TW_F64, NULL},
    {30, "bf16", 1, 2, TW_BF16, NULL},
};

const tw_ggml_type *tw_ggml_type_find(uint32_t id) {
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (types[i].id == id) return &types[i];
    return NULL;
}

const tw_ggml_type *tw_ggml_type_of_dtype(tw_dtype dtype) {
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (types[i].block == 1 && types[i].dtype == dtype) return &types[i];
    return NULL;
}

uint32_t tw_gguf_scalar_bytes(uint32_t type) {
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < TW_COUNT(bytes) ? bytes[type] : 0;
}

const char *tw_gguf_type_name(uint32_t type) {
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return type < TW_COUNT(names) ? names[type] : "unknown";
}
