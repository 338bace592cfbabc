#include "dataset/tar.h"

#include "base/size.h"

#include <string.h>

#define BLOCK 512
#define MAX_NAME 4096
#define MAX_EXTENSION (1 << 20)

/* Fields of a header block, as POSIX.1-1988 lays them out. */
enum {
    NAME_AT = 0,
    NAME_LEN = 100,
    SIZE_AT = 124,
    SIZE_LEN = 12,
    SUM_AT = 148,
    SUM_LEN = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_LEN = 155
};

/* What extension blocks said about the member that follows them. */
typedef struct pending {
    char name[MAX_NAME + 1];
    bool has_name, has_size, is_sparse;
    uint64_t size;
} pending;

static bool is_zero_block(const uint8_t *b) {
    for (int i = 0; i < BLOCK; i++)
        if (b[i]) return false;
    return true;
}

/* Octal digits up to a space or NUL; or, with the top bit set, GNU's big-endian binary. */
static bool read_number(const uint8_t *p, size_t n, uint64_t *out) {
    uint64_t v = 0;
    if (p[0] & 0x80) {
        if (p[0] != 0x80) return false; /* negative, or beyond 64 bits */
        for (size_t i = 1; i < n; i++) {
            if (v >> 56) return false;
            v = v << 8 | p[i];
        }
        *out = v;
        return true;
    }
    size_t i = 0;
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v >> 61) return false;
        v = v << 3 | (uint64_t)(p[i] - '0');
    }
    *out = v;
    return i == n || p[i] == ' ' || p[i] == '\0';
}

static bool checksum_ok(const uint8_t *block) {
    uint64_t stored;
    if (!read_number(block + SUM_AT, SUM_LEN, &stored)) return false;
    int64_t sum_unsigned = 0, sum_signed = 0; /* old writers summed signed bytes */
    for (int i = 0; i < BLOCK; i++) {
        uint8_t c = i >= SUM_AT && i < SUM_AT + SUM_LEN ? ' ' : block[i];
        sum_unsigned += c;
        sum_signed += (int8_t)c;
    }
    return stored == (uint64_t)sum_unsigned || (int64_t)stored == sum_signed;
}

static size_t field_length(const uint8_t *p, size_t n) {
    const uint8_t *end = memchr(p, 0, n);
    return end ? (size_t)(end - p) : n;
}

static tw_status set_name(pending *next, const void *name, size_t n, uint64_t at, tw_error *err) {
    if (n > MAX_NAME)
        return tw_fail(err, TW_ERR_LIMIT, "tar: byte %llu: a name of %zu bytes, limit %d",
                       (unsigned long long)at, n, MAX_NAME);
    memcpy(next->name, name, n);
    next->name[n] = '\0';
    next->has_name = true;
    return TW_OK;
}

static bool starts_with(const uint8_t *p, size_t n, const char *key) {
    return n >= strlen(key) && memcmp(p, key, strlen(key)) == 0;
}

/* One pax record, "key=value" without its length and newline. */
static tw_status apply_record(pending *next, const uint8_t *p, size_t n, uint64_t at,
                              tw_error *err) {
    if (starts_with(p, n, "path=")) return set_name(next, p + 5, n - 5, at, err);
    if (starts_with(p, n, "GNU.sparse.")) next->is_sparse = true;
    if (!starts_with(p, n, "size=")) return TW_OK;
    uint64_t v = 0;
    for (size_t i = 5; i < n; i++) {
        if (p[i] < '0' || p[i] > '9' || v > UINT64_MAX / 10 - 1)
            return tw_fail(err, TW_ERR_FORMAT, "tar: byte %llu: bad size in a pax record",
                           (unsigned long long)at);
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    next->size = v;
    next->has_size = n > 5;
    return TW_OK;
}

/* Records are "LENGTH key=value\n", LENGTH counting itself. */
static tw_status read_pax(pending *next, const uint8_t *p, size_t n, uint64_t at, tw_error *err) {
    size_t i = 0;
    while (i < n && p[i]) {
        size_t length = 0, digits = 0;
        while (i + digits < n && digits < 8 && p[i + digits] >= '0' && p[i + digits] <= '9')
            length = length * 10 + (size_t)(p[i + digits++] - '0');
        if (digits == 0 || length < digits + 3 || length > n - i || p[i + digits] != ' ' ||
            p[i + length - 1] != '\n')
            return tw_fail(err, TW_ERR_FORMAT, "tar: byte %llu: damaged pax record",
                           (unsigned long long)(at + i));
        TW_TRY(apply_record(next, p + i + digits + 1, length - digits - 2, at + i, err));
        i += length;
    }
    return TW_OK;
}

/* Name of the member from its header, unless an extension block gave one. */
static void read_name(pending *next, const uint8_t *block) {
    if (next->has_name) return;
    size_t n = field_length(block + NAME_AT, NAME_LEN), at = 0;
    bool ustar = memcmp(block + MAGIC_AT, "ustar\0", 6) == 0; /* GNU's "ustar  " has no prefix */
    size_t prefix = ustar ? field_length(block + PREFIX_AT, PREFIX_LEN) : 0;
    if (prefix) {
        memcpy(next->name, block + PREFIX_AT, prefix);
        next->name[prefix] = '/';
        at = prefix + 1;
    }
    memcpy(next->name + at, block + NAME_AT, n);
    next->name[at + n] = '\0';
}

static tw_status not_a_tar(const uint8_t *p, size_t n, uint64_t at, tw_error *err) {
    if (at == 0 && n >= 2 && p[0] == 0x1f && p[1] == 0x8b)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tar: compressed with gzip; unpack it first");
    if (at == 0 && n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tar: compressed with zstd; unpack it first");
    return tw_fail(err, TW_ERR_FORMAT, "tar: byte %llu: not a tar header (checksum differs)",
                   (unsigned long long)at);
}

typedef struct walk {
    tw_status (*each)(void *user, const tw_tar_member *member, tw_error *err);
    void *user;
    pending next;
} walk;

static tw_status deliver(walk *w, const uint8_t *block, uint64_t offset, uint64_t size,
                         tw_error *err) {
    char type = (char)block[TYPE_AT];
    read_name(&w->next, block);
    const char *name = w->next.name;
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    size_t n = strlen(name);
    bool is_file = type == '0' || type == '\0' || type == '7';
    bool is_directory = type == '5' || (is_file && n && name[n - 1] == '/');
    if (type == 'S' || (is_file && w->next.is_sparse))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tar: %s: sparse members are not read", name);
    if (n == 0 || !(is_file || is_directory)) return TW_OK;
    return w->each(w->user, &(tw_tar_member){name, is_directory, offset, size}, err);
}

/* One header with its data; *size is the data's length. */
static tw_status read_member(walk *w, const uint8_t *data, uint64_t n_bytes, uint64_t at,
                             uint64_t *size, tw_error *err) {
    const uint8_t *block = data + at;
    if (!checksum_ok(block)) return not_a_tar(block, (size_t)(n_bytes - at), at, err);
    if (!read_number(block + SIZE_AT, SIZE_LEN, size))
        return tw_fail(err, TW_ERR_FORMAT, "tar: byte %llu: bad size field",
                       (unsigned long long)at);
    char type = (char)block[TYPE_AT];
    if (type >= '1' && type <= '6') *size = 0; /* links, devices and directories hold no data */
    bool is_extension = type && strchr("xgLK", type);
    if (!is_extension && w->next.has_size) *size = w->next.size;
    if (!tw_range_ok(at + BLOCK, *size, n_bytes))
        return tw_fail(err, TW_ERR_FORMAT,
                       "tar: byte %llu: truncated, a member needs %llu bytes, %llu left",
                       (unsigned long long)at, (unsigned long long)*size,
                       (unsigned long long)(n_bytes - at - BLOCK));
    const uint8_t *body = block + BLOCK;
    if (is_extension && *size > MAX_EXTENSION)
        return tw_fail(err, TW_ERR_LIMIT, "tar: byte %llu: an extension block of %llu bytes",
                       (unsigned long long)at, (unsigned long long)*size);
    if (type == 'x') return read_pax(&w->next, body, (size_t)*size, at + BLOCK, err);
    if (type == 'L')
        return set_name(&w->next, body, field_length(body, (size_t)*size), at + BLOCK, err);
    if (is_extension) return TW_OK; /* global records and long link targets say nothing we use */
    TW_TRY(deliver(w, block, at + BLOCK, *size, err));
    w->next.has_name = w->next.has_size = w->next.is_sparse = false;
    return TW_OK;
}

tw_status tw_tar_each(const void *data, size_t n_bytes,
                      tw_status (*each)(void *user, const tw_tar_member *member, tw_error *err),
                      void *user, tw_error *err) {
    walk w = {.each = each, .user = user};
    uint64_t at = 0;
    while (at < n_bytes) {
        if (n_bytes - at < BLOCK)
            return at == 0 ? not_a_tar(data, n_bytes, 0, err)
                           : tw_fail(err, TW_ERR_FORMAT, "tar: byte %llu: truncated header",
                                     (unsigned long long)at);
        if (is_zero_block((const uint8_t *)data + at)) return TW_OK; /* end of the archive */
        uint64_t size = 0;
        TW_TRY(read_member(&w, data, n_bytes, at, &size, err));
        uint64_t left = n_bytes - at - BLOCK, padded;
        if (!tw_add_u64(size, BLOCK - 1, &padded)) padded = left;
        padded = padded / BLOCK * BLOCK;
        at += BLOCK + TW_MIN(padded, left);
    }
    if (n_bytes == 0) return tw_fail(err, TW_ERR_FORMAT, "tar: the file is empty");
    return TW_OK;
}
