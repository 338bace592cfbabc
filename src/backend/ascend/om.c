#include "backend/ascend/om.h"

#include "base/bytes.h"
#include "base/size.h"

/* Offsets in the head. Before version 2 there is no number of models, nor a length of 64 bits. */
enum {
    MAGIC = 0,
    HEAD_BYTES = 4,
    VERSION = 8,
    LENGTH = 76,
    IS_ENCRYPTED = 80,
    MODEL_TYPE = 82,
    MODEL_LENGTH = 184,
    IS_DYNAMIC = 193
};
static const uint32_t magic = 0x444f4d49, version_2 = 0x20000000;

/* An entry is a kind, an offset and a size: three numbers of `width` bytes, after their count. */
static tw_status check_partitions(const uint8_t *head, size_t n_bytes, uint64_t length,
                                  size_t width, tw_error *err) {
    uint32_t n = tw_load_u32le(head + TW_OM_HEAD_BYTES);
    uint64_t left = length, table = width + (uint64_t)n * 3 * width;
    if (n < 1 || n > TW_OM_PARTITIONS)
        return tw_fail(err, TW_ERR_FORMAT, "%u partitions, expected 1 to %d", n, TW_OM_PARTITIONS);
    if (table > length || TW_OM_HEAD_BYTES + table > n_bytes)
        return tw_fail(err, TW_ERR_FORMAT, "cut off in its table of %u partitions", n);
    left -= table;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *size = head + TW_OM_HEAD_BYTES + width + (3 * (size_t)i + 2) * width;
        uint64_t n_part = width == 4 ? tw_load_u32le(size) : tw_load_u64le(size);
        if (n_part > left)
            return tw_fail(err, TW_ERR_FORMAT, "partition %u of %llu bytes, %llu are left", i,
                           (unsigned long long)n_part, (unsigned long long)left);
        left -= n_part;
    }
    return TW_OK;
}

static tw_status check_kind(const uint8_t *head, tw_error *err) {
    bool is_dynamic = tw_load_u32le(head + VERSION) >= version_2 && head[IS_DYNAMIC] == 1;
    if (head[IS_ENCRYPTED])
        return tw_fail(err, TW_ERR_UNSUPPORTED, "encrypted; compile it without encryption");
    if (head[MODEL_TYPE] > 1)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "a model of type %u, expected one offline model",
                       head[MODEL_TYPE]);
    if (is_dynamic)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "compiled for shapes of any size; give atc a fixed batch, or "
                       "--dynamic_batch_size with the sizes");
    return TW_OK;
}

tw_status tw_om_check(const uint8_t *head, size_t n_bytes, uint64_t file_bytes, tw_error *err) {
    if (file_bytes < 4 || n_bytes < 4 || tw_load_u32le(head + MAGIC) != magic)
        return tw_fail(err, TW_ERR_FORMAT, "not an .om file of atc");
    if (file_bytes < TW_OM_HEAD_BYTES + 4 || n_bytes < TW_OM_HEAD_BYTES + 4)
        return tw_fail(err, TW_ERR_FORMAT, "cut off in its head");
    if (tw_load_u32le(head + HEAD_BYTES) != TW_OM_HEAD_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "a head of %u bytes, expected %d",
                       tw_load_u32le(head + HEAD_BYTES), TW_OM_HEAD_BYTES);
    TW_TRY(check_kind(head, err));
    bool has_long = tw_load_u32le(head + VERSION) >= version_2;
    uint64_t wide = has_long ? tw_load_u64le(head + MODEL_LENGTH) : 0;
    uint64_t length = wide ? wide : tw_load_u32le(head + LENGTH);
    if (length != file_bytes - TW_OM_HEAD_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "%llu bytes after its head, it states %llu%s",
                       (unsigned long long)(file_bytes - TW_OM_HEAD_BYTES),
                       (unsigned long long)length,
                       length > file_bytes - TW_OM_HEAD_BYTES ? ": cut off" : "");
    return check_partitions(head, n_bytes, length, wide ? 8 : 4, err);
}
