#include "dataset/lmdb.h"

#include "base/bytes.h"
#include "base/size.h"

#define MAGIC 0xBEEFC0DEu
#define PAGE_HEADER 16
#define NODE_HEADER 8
#define META_BYTES 152 /* page header, meta */
#define MAX_DEPTH 32
#define NO_PAGE UINT64_MAX

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_KINDS = 0x6F };
enum { NODE_BIG = 1 };

typedef struct reader {
    const uint8_t *data;
    size_t n_bytes, page_size, n_pages, n_visited;
    tw_status (*each)(void *user, const tw_lmdb_record *record, tw_error *err);
    void *user;
    tw_error *err;
} reader;

/* A page with nodes on the way from the root. */
typedef struct level {
    uint64_t page;
    size_t n, at; /* nodes */
    bool is_leaf;
} level;

static tw_status damaged(const reader *r, uint64_t page, const char *what) {
    return tw_fail(r->err, TW_ERR_FORMAT, "lmdb: page %llu: %s", (unsigned long long)page, what);
}

/* ------------------------------------------------------------------------------------- meta */

/* The root of the main database by the meta page at `offset`, if it is one. */
static bool read_meta(const reader *r, uint64_t offset, uint64_t *txn, uint64_t *root,
                      unsigned *flags) {
    if (!tw_range_ok(offset, META_BYTES, r->n_bytes)) return false;
    const uint8_t *p = r->data + offset;
    if (tw_load_u32le(p + 16) != MAGIC || tw_load_u32le(p + 20) != 1) return false;
    *flags = tw_load_u16le(p + 92);
    *root = tw_load_u64le(p + 128);
    *txn = tw_load_u64le(p + 144);
    return true;
}

static tw_status find_root(reader *r, uint64_t *root) {
    uint64_t txn = 0, other_txn, other_root;
    unsigned flags = 0, other_flags;
    if (r->n_bytes < META_BYTES || tw_load_u32le(r->data + 16) != MAGIC)
        return tw_fail(r->err, TW_ERR_FORMAT, "lmdb: no meta page where the file begins");
    if (tw_load_u32le(r->data + 20) != 1)
        return tw_fail(r->err, TW_ERR_UNSUPPORTED, "lmdb: version %u of the format, expected 1",
                       (unsigned)tw_load_u32le(r->data + 20));
    r->page_size = tw_load_u32le(r->data + 40);
    if (r->page_size < 256 || r->page_size > 65536 || (r->page_size & (r->page_size - 1)))
        return tw_fail(r->err, TW_ERR_FORMAT, "lmdb: pages of %zu bytes", r->page_size);
    r->n_pages = r->n_bytes / r->page_size;
    read_meta(r, 0, &txn, root, &flags);
    if (read_meta(r, r->page_size, &other_txn, &other_root, &other_flags) && other_txn > txn) {
        *root = other_root;
        flags = other_flags;
    }
    if (flags)
        return tw_fail(r->err, TW_ERR_UNSUPPORTED, "lmdb: database flags 0x%x, expected none",
                       flags);
    return TW_OK;
}

/* ------------------------------------------------------------------------------------ pages */

static tw_status open_page(reader *r, uint64_t page, level *out) {
    if (page >= r->n_pages) return damaged(r, page, "lies outside the file");
    /* Each page belongs to one place of the tree: more visits than pages are a loop. */
    if (r->n_visited++ >= r->n_pages) return damaged(r, page, "is in the tree twice");
    const uint8_t *p = r->data + page * r->page_size;
    unsigned kind = tw_load_u16le(p + 10) & PAGE_KINDS;
    if (kind != PAGE_BRANCH && kind != PAGE_LEAF) return damaged(r, page, "is no tree page");
    size_t lower = tw_load_u16le(p + 12);
    if (lower < PAGE_HEADER || lower > r->page_size || lower % 2)
        return damaged(r, page, "has no valid list of nodes");
    *out = (level){page, (lower - PAGE_HEADER) / 2, 0, kind == PAGE_LEAF};
    return TW_OK;
}

/* A node's header and key lie inside the page; *room is what the page has after the key. */
static tw_status find_node(const reader *r, const level *l, size_t i, const uint8_t **out,
                           size_t *n_key, size_t *room) {
    const uint8_t *p = r->data + l->page * r->page_size;
    size_t offset = tw_load_u16le(p + PAGE_HEADER + 2 * i);
    if (offset < PAGE_HEADER || !tw_range_ok(offset, NODE_HEADER, r->page_size))
        return damaged(r, l->page, "a node lies outside it");
    *out = p + offset;
    *n_key = tw_load_u16le(*out + 6);
    if (!tw_range_ok(offset + NODE_HEADER, *n_key, r->page_size))
        return damaged(r, l->page, "a key lies outside it");
    *room = r->page_size - offset - NODE_HEADER - *n_key;
    return TW_OK;
}

/* Where the value of a leaf's node is: behind its key, or on pages of its own. */
static tw_status find_value(const reader *r, const level *l, const uint8_t *node, size_t n_key,
                            size_t room, tw_lmdb_record *record) {
    const uint8_t *value = node + NODE_HEADER + n_key;
    unsigned flags = tw_load_u16le(node + 4);
    record->n_bytes = tw_load_u16le(node) | (uint64_t)tw_load_u16le(node + 2) << 16;
    record->offset = (uint64_t)(value - r->data);
    if (flags & ~(unsigned)NODE_BIG)
        return tw_fail(r->err, TW_ERR_UNSUPPORTED,
                       "lmdb: page %llu: node flags 0x%x (a named database, or duplicates)",
                       (unsigned long long)l->page, flags);
    if (!(flags & NODE_BIG))
        return record->n_bytes <= room ? TW_OK : damaged(r, l->page, "a value lies outside it");
    if (room < 8) return damaged(r, l->page, "a value lies outside it");
    uint64_t page = tw_load_u64le(value);
    if (page >= r->n_pages ||
        !tw_range_ok(page * r->page_size + PAGE_HEADER, record->n_bytes, r->n_bytes))
        return damaged(r, l->page, "a value lies outside the file");
    record->offset = page * r->page_size + PAGE_HEADER;
    if (!(tw_load_u16le(r->data + page * r->page_size + 10) & PAGE_OVERFLOW))
        return damaged(r, page, "expected the pages of a value");
    return TW_OK;
}

static tw_status visit(reader *r, level *levels, int *depth) {
    level *l = &levels[*depth - 1];
    const uint8_t *node = NULL;
    size_t n_key = 0, room = 0;
    if (l->at == l->n) {
        (*depth)--;
        return TW_OK;
    }
    TW_TRY(find_node(r, l, l->at++, &node, &n_key, &room));
    if (l->is_leaf) {
        tw_lmdb_record record = {.key = node + NODE_HEADER, .n_key = n_key};
        TW_TRY(find_value(r, l, node, n_key, room, &record));
        return r->each(r->user, &record, r->err);
    }
    uint64_t child = tw_load_u16le(node) | (uint64_t)tw_load_u16le(node + 2) << 16 |
                     (uint64_t)tw_load_u16le(node + 4) << 32;
    if (*depth == MAX_DEPTH) return damaged(r, child, "lies deeper than 32 pages");
    return open_page(r, child, &levels[(*depth)++]);
}

tw_status tw_lmdb_each(const void *data, size_t n_bytes,
                       tw_status (*each)(void *user, const tw_lmdb_record *record, tw_error *err),
                       void *user, tw_error *err) {
    reader r = {.data = data, .n_bytes = n_bytes, .each = each, .user = user, .err = err};
    level levels[MAX_DEPTH];
    uint64_t root = NO_PAGE;
    int depth = 0;
    TW_TRY(find_root(&r, &root));
    if (root != NO_PAGE) TW_TRY(open_page(&r, root, &levels[depth++]));
    while (depth)
        TW_TRY(visit(&r, levels, &depth));
    return TW_OK;
}
