/* The archive around the pickle, and files that are no torch checkpoint. */
#define _GNU_SOURCE
#include "support.h"
#include "torch_builder.h"

#include "format/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const float floats[4] = {1, 2, 3, 4};

/* {"w": tensor of 4 floats in data/0} */
static tw_buffer small_pickle(void) {
    const test_view view = {
        .type = "FloatStorage", .key = "0", .count = 4, .n_dims = 1, .shape = {4}, .stride = {1}};
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\2}(");
    pickle_string(&b, "w");
    pickle_tensor(&b, &view);
    pickle_op(&b, "u.");
    return b;
}

static void add_text(test_zip *zip, const char *name, const char *text) {
    test_zip_add(zip, name, text, strlen(text));
}

static size_t add_pickle(test_zip *zip, const char *name) {
    tw_buffer b = small_pickle();
    size_t at = test_zip_add(zip, name, b.data, b.n_bytes);
    tw_buffer_free(&b);
    return at;
}

/* An archive of data.pkl and data/0 that lacks only its directory. */
static test_zip small(void) {
    test_zip zip = {0};
    add_pickle(&zip, "a/data.pkl");
    test_zip_add(&zip, "a/data/0", floats, sizeof floats);
    return zip;
}

static void refused_bytes(const void *data, size_t n, tw_status expected, const char *part) {
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_fails(tw_checkpoint_parse(data, n, &c, &err), expected, &err);
    assert_null(c);
    if (!strstr(err.message, part)) fail_msg("message \"%s\" lacks \"%s\"", err.message, part);
}

static void refused(test_zip *zip, tw_status expected, const char *part) {
    refused_bytes(zip->bytes.data, zip->bytes.n_bytes, expected, part);
    test_zip_free(zip);
}

static void accepted(test_zip *zip) {
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    float values[4];
    assert_ok(tw_checkpoint_parse(zip->bytes.data, zip->bytes.n_bytes, &c, &err), &err);
    assert_int_equal(tw_checkpoint_n_tensors(c), 1);
    tw_tensor_to_f32(tw_checkpoint_find(c, "w"), values);
    assert_memory_equal(values, floats, sizeof floats);
    tw_checkpoint_free(c);
    test_zip_free(zip);
}

/* Byte `offset` of the directory entry number `index`; entries have no extra fields. */
static uint8_t *central(test_zip *zip, int index, size_t offset) {
    uint8_t *p = (uint8_t *)zip->bytes.data + zip->directory_at;
    for (; index > 0; index--)
        p += 46 + p[28];
    return p + offset;
}

static uint8_t *end_record(test_zip *zip, int offset) {
    return (uint8_t *)zip->bytes.data + zip->bytes.n_bytes - 22 + offset;
}

static void reads_plain_and_64_bit_directories(void **state) {
    (void)state;
    for (int wide = 0; wide <= 1; wide++) {
        test_zip zip = small();
        test_zip_finish(&zip, wide);
        accepted(&zip);
    }
    test_zip zip = small();
    add_text(&zip, "a/version", "3\n");
    add_text(&zip, "a/byteorder", "little");
    test_zip_finish(&zip, true);
    accepted(&zip);
    zip = small(); /* a comment that contains the mark of an end record */
    test_zip_finish(&zip, false);
    *end_record(&zip, 20) = 5;
    tw_buffer_append(&zip.bytes, "PK\5\6!", 5);
    accepted(&zip);
}

static void reads_64_bit_sizes_of_a_member(void **state) {
    (void)state;
    static const uint8_t extra[] = {1, 0, 24, 0, 16, 0, 0, 0, 0, 0, 0, 0, 16, 0,
                                    0, 0, 0,  0, 0,  0, 0, 0, 0, 0, 0, 0, 0,  0};
    for (size_t n = sizeof extra; n >= sizeof extra - 1; n--) {
        test_zip zip = {0};
        add_pickle(&zip, "a/data.pkl");
        size_t at = zip.bytes.n_bytes, entry = zip.directory.n_bytes;
        test_zip_add(&zip, "a/data/0", floats, sizeof floats);
        tw_buffer_append(&zip.directory, extra, n);
        uint8_t *p = (uint8_t *)zip.directory.data + entry;
        memset(p + 20, 0xff, 8); /* both sizes */
        memset(p + 42, 0xff, 4); /* the offset */
        p[30] = (uint8_t)n;
        p[46 + 8 + 20] = (uint8_t)at;
        p[46 + 8 + 21] = (uint8_t)(at >> 8);
        test_zip_finish(&zip, true);
        if (n == sizeof extra)
            accepted(&zip);
        else
            refused(&zip, TW_ERR_FORMAT, "64-bit sizes are missing");
    }
}

static void ignores_compressed_members_it_does_not_need(void **state) {
    (void)state;
    test_zip zip = small();
    size_t at = test_zip_add(&zip, "a/code/x.py", "zzz", 3);
    test_zip_finish(&zip, false);
    zip.bytes.data[at + 8] = 8;
    *central(&zip, 2, 10) = 8;
    *central(&zip, 2, 24) = 200;
    accepted(&zip);
    zip = small();
    test_zip_finish(&zip, false);
    *central(&zip, 0, 10) = 8;
    refused(&zip, TW_ERR_UNSUPPORTED, "member a/data.pkl is compressed (method 8)");
    zip = small();
    test_zip_finish(&zip, false);
    *central(&zip, 1, 8) |= 1;
    refused(&zip, TW_ERR_UNSUPPORTED, "member a/data/0 is encrypted");
}

static void refuses_members_that_overlap_or_reach_out(void **state) {
    (void)state;
    test_zip zip = small();
    test_zip_finish(&zip, false);
    *central(&zip, 1, 42) = *central(&zip, 0, 42); /* both at the same place */
    *central(&zip, 1, 43) = *central(&zip, 0, 43);
    refused(&zip, TW_ERR_FORMAT, "reach beyond byte");
    zip = small();
    test_zip_finish(&zip, false);
    *central(&zip, 1, 20) = *central(&zip, 1, 24) = 24; /* into the directory */
    refused(&zip, TW_ERR_FORMAT, "zip: member a/data/0: 24 bytes at byte");
    zip = small();
    test_zip_finish(&zip, false);
    *central(&zip, 1, 20) = *central(&zip, 1, 24) = 17; /* 7 bytes of extra field more */
    refused(&zip, TW_ERR_FORMAT, "zip: member a/data/0: 17 bytes at byte");
    zip = small();
    test_zip_finish(&zip, false);
    *central(&zip, 1, 24) = 15; /* stored, yet of two sizes */
    refused(&zip, TW_ERR_FORMAT, "zip: member a/data/0");
    zip = small();
    test_zip_finish(&zip, false);
    memset(central(&zip, 1, 42), 0xee, 4);
    refused(&zip, TW_ERR_FORMAT, "zip: member a/data/0");
    zip = small();
    size_t at = test_zip_add(&zip, "a/data/0", floats, sizeof floats);
    test_zip_finish(&zip, false);
    assert_true(at > 0);
    refused(&zip, TW_ERR_FORMAT, "zip: member a/data/0 occurs twice");
}

static void checks_local_headers_against_the_directory(void **state) {
    (void)state;
    test_zip zip = small();
    test_zip_finish(&zip, false);
    zip.bytes.data[30] = 'b';
    refused(&zip, TW_ERR_FORMAT, "member a/data.pkl: the local header at byte 0 has another name");
    zip = (test_zip){0};
    size_t at = add_pickle(&zip, "a/data.pkl");
    at = test_zip_add(&zip, "a/data/0", floats, sizeof floats);
    test_zip_finish(&zip, false);
    zip.bytes.data[at] = 'Q';
    refused(&zip, TW_ERR_FORMAT, "member a/data/0: no local header at byte");
}

static void refuses_directories_that_lie(void **state) {
    (void)state;
    static const struct {
        int offset;
        uint8_t value;
        const char *part;
    } cases[] = {
        {10, 1, "after the last entry of the directory"},
        {10, 3, "3 members in a directory of"},
        {10, 0, "no members"},
        {11, 0x40, "members in a directory of"},
        {15, 1, "beyond its end record"},
        {19, 1, "beyond its end record"},
        {16, 0, "expected a directory entry"},
        {20, 1, "no end record"},
        {0, 'Q', "no end record"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_zip zip = small();
        test_zip_finish(&zip, false);
        *end_record(&zip, cases[i].offset) = cases[i].value;
        refused(&zip, TW_ERR_FORMAT, cases[i].part);
    }
    test_zip zip = small();
    test_zip_finish(&zip, false);
    *end_record(&zip, 4) = 1;
    refused(&zip, TW_ERR_UNSUPPORTED, "several parts");
    zip = small();
    test_zip_finish(&zip, true);
    *end_record(&zip, 10) = 7;
    *end_record(&zip, 11) = 0;
    refused(&zip, TW_ERR_FORMAT, "the two end records disagree");
    zip = small();
    test_zip_finish(&zip, true);
    *end_record(&zip, -12) ^= 1;
    refused(&zip, TW_ERR_FORMAT, "locator of a 64-bit end record");
    zip = small();
    test_zip_finish(&zip, true);
    memset(end_record(&zip, -20 - 56 + 32), 0x7f, 8); /* 2^63 members */
    refused(&zip, TW_ERR_LIMIT, "members, more than the limit");
    zip = small();
    test_zip_finish(&zip, false);
    *central(&zip, 1, 32) = 200; /* a comment beyond the directory */
    refused(&zip, TW_ERR_FORMAT, "directory entry beyond the directory");
}

static void says_what_an_archive_is_that_is_no_checkpoint(void **state) {
    (void)state;
    test_zip zip = small();
    add_text(&zip, "a/byteorder", "big");
    test_zip_finish(&zip, false);
    refused(&zip, TW_ERR_UNSUPPORTED, "big-endian checkpoint");
    zip = small();
    add_text(&zip, "a/byteorder", "middle");
    test_zip_finish(&zip, false);
    refused(&zip, TW_ERR_FORMAT, "member byteorder");
    zip = small();
    add_text(&zip, "a/version", "11\n");
    test_zip_finish(&zip, false);
    refused(&zip, TW_ERR_UNSUPPORTED, "archive version 11");
    zip = (test_zip){0};
    add_text(&zip, "arr_0.npy", "x");
    test_zip_finish(&zip, false);
    refused(&zip, TW_ERR_FORMAT, "not a torch checkpoint");
    zip = (test_zip){0};
    add_text(&zip, "word/document.xml", "x");
    test_zip_finish(&zip, false);
    refused(&zip, TW_ERR_FORMAT, "not a torch checkpoint");
}

static void says_what_other_files_are(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        tw_status status;
        const char *part;
    } cases[] = {
        {"", 0, TW_ERR_FORMAT, "the file is empty"},
        {"P", 1, TW_ERR_FORMAT, "not a torch checkpoint"},
        {"hello world, hello", 18, TW_ERR_FORMAT, "not a torch checkpoint"},
        {"GGUF\3\0\0\0", 8, TW_ERR_FORMAT, "gguf: number of tensors at byte 8"},
        {"PYTORCH1xxxx", 12, TW_ERR_UNSUPPORTED, "PYTORCH1"},
        {"\2\0\0\0\0\0\0\0{}", 10, TW_ERR_FORMAT, "no tensors"}, /* safetensors */
        {"\x89HDF\r\n\x1a\n", 8, TW_ERR_UNSUPPORTED, "an HDF5 file"},
        {"\x93NUMPY\1\0", 8, TW_ERR_UNSUPPORTED, "a NumPy array"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, TW_ERR_UNSUPPORTED, "Git LFS"},
        {"<!DOCTYPE html>", 15, TW_ERR_UNSUPPORTED, "an HTML page"},
        {"PK\3\4", 4, TW_ERR_FORMAT, "is the file truncated?"},
        {"\x80\2}.", 4, TW_ERR_FORMAT, "a pickle without torch's magic number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused_bytes(cases[i].bytes, cases[i].n, cases[i].status, cases[i].part);
    char tar[512] = "storages";
    memcpy(tar + 257, "ustar", 5);
    refused_bytes(tar, sizeof tar, TW_ERR_UNSUPPORTED, "a tar archive");
}

/* Pages of a storage that no load may reach until a tensor is read. */
static void touches_no_tensor_before_it_is_read(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n_weights = 8 * page;
    const test_view view = {.type = "ByteStorage",
                            .key = "0",
                            .count = (int64_t)n_weights,
                            .n_dims = 1,
                            .shape = {(int64_t)n_weights},
                            .stride = {1}};
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\2}(");
    pickle_string(&b, "w");
    pickle_tensor(&b, &view);
    pickle_op(&b, "u.");
    test_zip zip = {0};
    uint8_t *weights = calloc(1, n_weights);
    test_zip_add(&zip, "a/data.pkl", b.data, b.n_bytes);
    size_t at = test_zip_add(&zip, "a/data/0", weights, n_weights);
    test_zip_finish(&zip, true);
    uint8_t *map =
        mmap(NULL, zip.bytes.n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    memcpy(map, zip.bytes.data, zip.bytes.n_bytes);
    uint8_t *inside = map + (at / page + 1) * page;
    assert_int_equal(mprotect(inside, 7 * page, PROT_NONE), 0);
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_ok(tw_checkpoint_parse(map, zip.bytes.n_bytes, &c, &err), &err);
    assert_int_equal(tw_checkpoint_tensor(c, 0)->shape[0], n_weights);
    tw_checkpoint_free(c);
    munmap(map, zip.bytes.n_bytes);
    free(weights);
    tw_buffer_free(&b);
    test_zip_free(&zip);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_plain_and_64_bit_directories),
        cmocka_unit_test(reads_64_bit_sizes_of_a_member),
        cmocka_unit_test(ignores_compressed_members_it_does_not_need),
        cmocka_unit_test(refuses_members_that_overlap_or_reach_out),
        cmocka_unit_test(checks_local_headers_against_the_directory),
        cmocka_unit_test(refuses_directories_that_lie),
        cmocka_unit_test(says_what_an_archive_is_that_is_no_checkpoint),
        cmocka_unit_test(says_what_other_files_are),
        cmocka_unit_test(touches_no_tensor_before_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
