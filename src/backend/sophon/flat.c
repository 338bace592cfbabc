#include "backend/sophon/flat.h"

#include "base/bytes.h"
#include "base/size.h"

/* Tables may be pointed to many times over: a small file must not become a long walk. */
enum { MAX_TABLES = 1 << 20 };

typedef struct walk {
    const tw_flat *flat;
    size_t n_tables;
} walk;

static tw_status damaged(size_t at, const char *what, tw_error *err) {
    return tw_fail(err, TW_ERR_FORMAT, "byte %zu of the description: %s", at, what);
}

/* Whether n bytes lie at `at`, where a value of `align` bytes may stand. */
static bool inside(const tw_flat *f, size_t at, size_t n, size_t align) {
    return at % align == 0 && tw_range_ok(at, n, f->n_bytes);
}

/* Follows the offset stored at `at`. */
static tw_status follow(const tw_flat *f, size_t at, size_t *target, tw_error *err) {
    if (!inside(f, at, 4, 4)) return damaged(at, "an offset outside of it", err);
    uint32_t distance = tw_load_u32le(f->data + at);
    if (distance == 0 || !tw_range_ok(at, distance, f->n_bytes))
        return damaged(at, "an offset that leads outside of it", err);
    *target = at + distance;
    return TW_OK;
}

static tw_status check_range(const tw_flat *f, size_t at, tw_error *err) {
    if (!inside(f, at, 16, 8)) return damaged(at, "a range outside of it", err);
    if (tw_range_ok(tw_load_u64le(f->data + at), tw_load_u64le(f->data + at + 8), f->binary_bytes))
        return TW_OK;
    return damaged(at, "a range of binary data that the file does not have", err);
}

static tw_status check_vector(const tw_flat *f, size_t at, size_t element, tw_error *err) {
    size_t n_bytes = 0;
    if (!inside(f, at, 4, 4) || !tw_mul_size(tw_load_u32le(f->data + at), element, &n_bytes) ||
        !inside(f, at + 4, n_bytes, TW_MIN(element, 8)))
        return damaged(at, "a vector outside of it", err);
    return TW_OK;
}

static tw_status check_string(const tw_flat *f, size_t at, tw_error *err) {
    TW_TRY(check_vector(f, at, 1, err));
    size_t end = at + 4 + tw_load_u32le(f->data + at);
    if (end >= f->n_bytes || f->data[end] != 0) return damaged(at, "a string without an end", err);
    return TW_OK;
}

static tw_status check_table(walk *w, const tw_flat_table *t, size_t at, tw_error *err);

static tw_status check_tables(walk *w, const tw_flat_table *t, size_t at, tw_error *err) {
    TW_TRY(check_vector(w->flat, at, 4, err));
    for (size_t i = 0; i < tw_flat_length(w->flat, at); i++) {
        size_t target = 0;
        TW_TRY(follow(w->flat, at + 4 + 4 * i, &target, err));
        TW_TRY(check_table(w, t, target, err));
    }
    return TW_OK;
}

static tw_status check_ranges(const tw_flat *f, size_t at, tw_error *err) {
    TW_TRY(check_vector(f, at, 16, err));
    for (size_t i = 0; i < tw_flat_length(f, at); i++)
        TW_TRY(check_range(f, at + 4 + 16 * i, err));
    return TW_OK;
}

static size_t field_bytes(tw_flat_kind kind) {
    return kind == FLAT_RANGE ? 16 : kind == FLAT_8 ? 8 : 4;
}

/* A field whose value stands at `at`. */
static tw_status check_field(walk *w, const tw_flat_field *field, size_t at, tw_error *err) {
    const tw_flat *f = w->flat;
    size_t target = 0;
    if (field->kind == FLAT_4 || field->kind == FLAT_8) {
        size_t n = field->kind == FLAT_4 ? 4 : 8;
        return inside(f, at, n, n) ? TW_OK : damaged(at, "a number outside of it", err);
    }
    if (field->kind == FLAT_RANGE) return check_range(f, at, err);
    TW_TRY(follow(f, at, &target, err));
    switch (field->kind) {
    case FLAT_STRING:
        return check_string(f, target, err);
    case FLAT_TABLE:
        return check_table(w, field->table, target, err);
    case FLAT_VECTOR_1:
        return check_vector(f, target, 1, err);
    case FLAT_VECTOR_4:
        return check_vector(f, target, 4, err);
    case FLAT_VECTOR_8:
        return check_vector(f, target, 8, err);
    case FLAT_VECTOR_RANGE:
        return check_ranges(f, target, err);
    default:
        return check_tables(w, field->table, target, err);
    }
}

/* A table begins with the distance back to its list of fields: {u16 bytes of the list, u16 bytes of
 * the table, u16 place of each field in the table, 0 when absent}. */
static tw_status check_table(walk *w, const tw_flat_table *t, size_t at, tw_error *err) {
    const tw_flat *f = w->flat;
    if (++w->n_tables > MAX_TABLES)
        return tw_fail(err, TW_ERR_LIMIT, "the description has more than %d tables", MAX_TABLES);
    if (!inside(f, at, 4, 4)) return damaged(at, "a table outside of it", err);
    int64_t list = (int64_t)at - (int32_t)tw_load_u32le(f->data + at);
    if (list < 0 || !inside(f, (size_t)list, 4, 2))
        return damaged(at, "a table whose list of fields is outside of it", err);
    size_t list_bytes = tw_load_u16le(f->data + list), bytes = tw_load_u16le(f->data + list + 2);
    if (list_bytes < 4 || list_bytes % 2 || !inside(f, (size_t)list, list_bytes, 2) || bytes < 4 ||
        !inside(f, at, bytes, 4))
        return damaged(at, "a table outside of it", err);
    for (size_t i = 0; i < t->n_fields; i++) {
        const tw_flat_field *field = &t->fields[i];
        if (field->kind == FLAT_SKIP) continue;
        size_t value = tw_flat_value(f, at, (int)i);
        if (value && value - at + field_bytes(field->kind) > bytes)
            return damaged(at, "a field outside of its table", err);
        if (value) TW_TRY(check_field(w, field, value, err));
        if (!value && field->required) return damaged(at, "a table without a field it needs", err);
    }
    return TW_OK;
}

tw_status tw_flat_verify(const tw_flat *f, const tw_flat_table *table, size_t *root,
                         tw_error *err) {
    walk w = {f, 0};
    TW_TRY(follow(f, 0, root, err));
    return check_table(&w, table, *root, err);
}

/* ------------------------------------------------------------------------------------ getters */

size_t tw_flat_value(const tw_flat *f, size_t table, int id) {
    const uint8_t *list = f->data + table - (int32_t)tw_load_u32le(f->data + table);
    size_t at = 4 + 2 * (size_t)id;
    if (at + 2 > tw_load_u16le(list)) return 0;
    size_t place = tw_load_u16le(list + at);
    return place ? table + place : 0;
}

size_t tw_flat_target(const tw_flat *f, size_t table, int id) {
    size_t at = tw_flat_value(f, table, id);
    return at ? at + tw_load_u32le(f->data + at) : 0;
}

uint32_t tw_flat_u32(const tw_flat *f, size_t table, int id, uint32_t absent) {
    size_t at = tw_flat_value(f, table, id);
    return at ? tw_load_u32le(f->data + at) : absent;
}

size_t tw_flat_length(const tw_flat *f, size_t at) {
    return at ? tw_load_u32le(f->data + at) : 0;
}

size_t tw_flat_element(const tw_flat *f, size_t vector, size_t i) {
    size_t at = vector + 4 + 4 * i;
    return at + tw_load_u32le(f->data + at);
}

uint64_t tw_flat_element_u64(const tw_flat *f, size_t vector, size_t i) {
    return tw_load_u64le(f->data + vector + 4 + 8 * i);
}

void tw_flat_string(const tw_flat *f, size_t at, char *out, size_t n) {
    size_t length = TW_MIN(tw_flat_length(f, at), n - 1);
    if (length) memcpy(out, f->data + at + 4, length);
    out[length] = 0;
}
