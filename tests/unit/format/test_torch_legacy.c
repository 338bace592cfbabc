/* The layout before torch 1.6: pickles in sequence, then the storages. */
#include "support.h"
#include "torch_builder.h"

#include "format/checkpoint.h"

#include <stdlib.h>
#include <string.h>

typedef struct parts {
    const char *header; /* magic, protocol, system: NULL = the right ones */
    size_t n_header;
    const char *views[2]; /* 6th item of each storage's id, as opcodes: NULL = none */
    const char *keys;     /* the list of keys, as opcodes: NULL = ["k0", "k1"] */
    uint64_t counts[2];   /* before the data: 0 = the right ones */
    size_t n_data;        /* bytes of the second storage's data: 0 = the right number */
} parts;

#define MAGIC "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
#define PROTOCOL_1001 "\x80\2M\xe9\3."
#define SYSTEM "\x80\2}(X\15\0\0\0little_endian\x88u."

static void add_tensor(tw_buffer *b, const char *name, const char *type, const char *key,
                       int64_t count, const char *view, int64_t shape) {
    int64_t one = 1;
    pickle_string(b, name);
    pickle_global(b, "torch._utils", "_rebuild_tensor_v2");
    pickle_op(b, "((");
    pickle_string(b, "storage");
    pickle_global(b, "torch", type);
    pickle_string(b, key);
    pickle_string(b, "cpu");
    pickle_int(b, count);
    if (view) pickle_op(b, view);
    pickle_op(b, "tQ");
    pickle_int(b, 0);
    pickle_counts(b, 1, &shape);
    pickle_counts(b, 1, &one);
    pickle_op(b, "\x89)tR");
}

/* Two storages, k0 of 4 f32 (0, 1, 2, 3) and k1 of 3 i64 (10, 11, 12), each with a tensor. */
static tw_buffer build(const parts *p) {
    tw_buffer b = {0};
    if (p->header)
        pickle_raw(&b, p->header, p->n_header);
    else
        pickle_bytes(&b, MAGIC PROTOCOL_1001 SYSTEM);
    pickle_bytes(&b, "\x80\2}(");
    add_tensor(&b, "w", "FloatStorage", "k0", 4, p->views[0], p->views[0] ? 2 : 4);
    add_tensor(&b, "i", "LongStorage", "k1", 3, p->views[1], 3);
    pickle_bytes(&b, "u.\x80\2");
    pickle_op(&b, p->keys ? p->keys : "](U\2k0U\2k1e.");
    uint64_t n = p->counts[0] ? p->counts[0] : 4;
    const float floats[4] = {0, 1, 2, 3};
    const int64_t integers[3] = {10, 11, 12};
    tw_buffer_append(&b, &n, 8);
    tw_buffer_append(&b, floats, sizeof floats);
    n = p->counts[1] ? p->counts[1] : 3;
    tw_buffer_append(&b, &n, 8);
    tw_buffer_append(&b, integers, p->n_data ? p->n_data : sizeof integers);
    return b;
}

static void refused(const parts *p, tw_status expected, const char *part) {
    tw_buffer b = build(p);
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_fails(tw_checkpoint_parse(b.data, b.n_bytes, &c, &err), expected, &err);
    assert_null(c);
    if (!strstr(err.message, part)) fail_msg("message \"%s\" lacks \"%s\"", err.message, part);
    tw_buffer_free(&b);
}

static void finds_storages_in_the_order_of_the_list(void **state) {
    (void)state;
    tw_buffer b = build(&(parts){0});
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    float w[4], i[3];
    assert_ok(tw_checkpoint_parse(b.data, b.n_bytes, &c, &err), &err);
    assert_string_equal(tw_checkpoint_format(c), "torch-legacy");
    tw_tensor_to_f32(tw_checkpoint_find(c, "w"), w);
    tw_tensor_to_f32(tw_checkpoint_find(c, "i"), i);
    assert_true(w[0] == 0 && w[3] == 3 && i[0] == 10 && i[2] == 12);
    tw_checkpoint_free(c);
    tw_buffer_free(&b);
}

static void reads_a_view_of_a_storage(void **state) {
    (void)state;
    tw_buffer b = build(&(parts){.views = {"(U\1vK\2K\2t", "N"}});
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    float w[2];
    assert_ok(tw_checkpoint_parse(b.data, b.n_bytes, &c, &err), &err);
    tw_tensor_to_f32(tw_checkpoint_find(c, "w"), w);
    assert_true(w[0] == 2 && w[1] == 3);
    tw_checkpoint_free(c);
    tw_buffer_free(&b);
    refused(&(parts){.views = {"(U\1vK\3K\2t"}}, TW_ERR_FORMAT,
            "storage view of 2 elements at 3 in a storage of 4");
    refused(&(parts){.views = {"(U\1vK\2K\1t"}}, TW_ERR_FORMAT,
            "shape [2] has 2 elements, its storage 1");
    refused(&(parts){.views = {"K\1"}}, TW_ERR_FORMAT, "storage view: expected a tuple of 3");
}

static void checks_the_header(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        tw_status status;
        const char *part;
    } cases[] = {
#define HEADER(literal) literal, sizeof(literal) - 1
        {HEADER("\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x18."), TW_ERR_FORMAT,
         "without torch's magic number"},
        {HEADER(MAGIC "\x80\2M\xea\3."), TW_ERR_UNSUPPORTED, "protocol version 1002"},
        {HEADER(MAGIC "\x80\2N."), TW_ERR_FORMAT, "protocol version is not an integer"},
        {HEADER(MAGIC PROTOCOL_1001 "\x80\2}(X\15\0\0\0little_endian\x89u."), TW_ERR_UNSUPPORTED,
         "big-endian"},
        {HEADER(MAGIC PROTOCOL_1001 "\x80\2cos\nsystem\n."), TW_ERR_FORMAT,
         "system information, from byte 21: byte 2: hostile pickle"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(&(parts){.header = cases[i].bytes, .n_header = cases[i].n}, cases[i].status,
                cases[i].part);
}

static void checks_the_storages(void **state) {
    (void)state;
    refused(&(parts){.keys = "](U\2k0e."}, TW_ERR_FORMAT, "storage k1 is missing from the list");
    refused(&(parts){.keys = "](U\2k0U\2k0e."}, TW_ERR_FORMAT, "storage k0 is listed twice");
    refused(&(parts){.keys = "](U\2k0U\2zze."}, TW_ERR_FORMAT, "storage zz is listed but never");
    refused(&(parts){.keys = "](U\2k0K\1e."}, TW_ERR_FORMAT, "keys: expected strings");
    refused(&(parts){.keys = "K\1."}, TW_ERR_FORMAT, "keys: expected a list");
    refused(&(parts){.counts = {5, 3}}, TW_ERR_FORMAT, "storage k0 has 5 elements, expected 4");
    refused(&(parts){.counts = {4, UINT64_MAX}}, TW_ERR_FORMAT, "storage k1 has 1844674407370955");
    refused(&(parts){.n_data = 23}, TW_ERR_FORMAT, "storage k1: 24 bytes at byte");
}

static void refuses_one_storage_of_two_kinds(void **state) {
    (void)state;
    tw_buffer b = {0};
    pickle_bytes(&b, MAGIC PROTOCOL_1001 SYSTEM "\x80\2}(");
    add_tensor(&b, "a", "FloatStorage", "k", 4, NULL, 4);
    add_tensor(&b, "b", "LongStorage", "k", 4, NULL, 4);
    pickle_bytes(&b, "u.\x80\2](U\1ke.");
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_fails(tw_checkpoint_parse(b.data, b.n_bytes, &c, &err), TW_ERR_FORMAT, &err);
    assert_non_null(strstr(err.message, "storage k has two types or sizes"));
    tw_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_storages_in_the_order_of_the_list),
        cmocka_unit_test(reads_a_view_of_a_storage),
        cmocka_unit_test(checks_the_header),
        cmocka_unit_test(checks_the_storages),
        cmocka_unit_test(refuses_one_storage_of_two_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
