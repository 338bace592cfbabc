#include "support.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static tw_error err;

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void an_output_appears_only_when_committed(void **state) {
    const char *path = test_temporary(".out");
    tw_output out;
    assert_ok(tw_output_open(path, &out, &err), &err);
    assert_ok(tw_output_write(&out, "hello", 5, &err), &err);
    assert_int_equal(access(path, F_OK), -1);
    assert_ok(tw_output_commit(&out, &err), &err);
    size_t n;
    uint8_t *data = test_read(path, &n);
    assert_int_equal(n, 5);
    assert_memory_equal(data, "hello", 6); /* a NUL follows */
    free(data);
}

static void an_aborted_output_leaves_the_old_file(void **state) {
    const char *path = test_temporary(".out");
    write_text(path, "old");
    tw_output out;
    assert_ok(tw_output_open(path, &out, &err), &err);
    assert_ok(tw_output_write(&out, "new", 3, &err), &err);
    char temporary[512];
    snprintf(temporary, sizeof temporary, "%s", out.temporary);
    tw_output_abort(&out);
    assert_int_equal(access(temporary, F_OK), -1);
    size_t n;
    uint8_t *data = test_read(path, &n);
    assert_memory_equal(data, "old", 4);
    free(data);
    tw_output_abort(&out);
}

static void a_full_disk_is_an_error_with_the_path(void **state) {
    tw_output out;
    assert_ok(tw_output_open("/dev/full", &out, &err), &err);
    char block[4096] = {0};
    tw_status status = TW_OK;
    for (int i = 0; i < 64 && status == TW_OK; i++)
        status = tw_output_write(&out, block, sizeof block, &err);
    if (status == TW_OK) status = tw_output_commit(&out, &err);
    tw_output_abort(&out);
    assert_int_equal(status, TW_ERR_IO);
    assert_non_null(strstr(err.message, "/dev/full"));
    assert_non_null(strstr(err.message, "No space"));
}

static void missing_files_and_directories_are_refused(void **state) {
    tw_mapped_file file;
    uint8_t *data;
    size_t n;
    assert_fails(tw_map_file("/no/such/file", &file, &err), TW_ERR_IO, &err);
    assert_fails(tw_map_file("/tmp", &file, &err), TW_ERR_IO, &err);
    assert_non_null(strstr(err.message, "directory"));
    assert_fails(tw_map_file("/dev/null", &file, &err), TW_ERR_IO, &err);
    assert_fails(tw_read_file("/no/such/file", 10, &data, &n, &err), TW_ERR_IO, &err);
    assert_fails(tw_read_file("/tmp", 10, &data, &n, &err), TW_ERR_IO, &err);
    tw_output out;
    assert_fails(tw_output_open("/tmp", &out, &err), TW_ERR_IO, &err);
    assert_fails(tw_output_open("/no/such/dir/file", &out, &err), TW_ERR_IO, &err);
}

static void an_empty_file_maps_to_nothing(void **state) {
    const char *path = test_temporary(".empty");
    write_text(path, "");
    tw_mapped_file file;
    assert_ok(tw_map_file(path, &file, &err), &err);
    assert_int_equal(file.n_bytes, 0);
    tw_unmap_file(&file);
}

static void a_file_over_the_limit_is_refused(void **state) {
    const char *path = test_temporary(".big");
    write_text(path, "0123456789");
    uint8_t *data;
    size_t n;
    assert_fails(tw_read_file(path, 9, &data, &n, &err), TW_ERR_LIMIT, &err);
    assert_ok(tw_read_file(path, 10, &data, &n, &err), &err);
    free(data);
}

static void a_message_stays_one_line(void **state) {
    assert_int_equal(tw_fail(&err, TW_ERR_FORMAT, "name '%s'", "a\nb\x1b[0m"), TW_ERR_FORMAT);
    assert_string_equal(err.message, "name 'a?b?[0m'");
    tw_error_context(&err, "file %d", 3);
    assert_string_equal(err.message, "file 3: name 'a?b?[0m'");
    assert_int_equal(err.status, TW_ERR_FORMAT);
    tw_fail(&err, TW_ERR_FORMAT, "%s",
            "\xff"
            "a\xc2\x85\xe2\x80\xae"
            "b图\xe5\x9b");
    assert_string_equal(err.message, "?a??b图??");
    char longest[2000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    tw_fail(&err, TW_ERR_IO, "%s", longest);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    for (int shift = 0; shift < 3; shift++) { /* a cut never splits a character */
        char text[1000] = "";
        memset(text, 'a', (size_t)shift);
        while (strlen(text) < 900)
            strcat(text, "图");
        tw_fail(&err, TW_ERR_IO, "%s", text);
        assert_true(tw_utf8_valid(err.message, strlen(err.message)));
    }
}

static void json_strings_and_floats_are_written_exactly(void **state) {
    tw_buffer b = {0};
    tw_buffer_json_string(&b, "a\"\\\n\x01图\xff", 9);
    assert_string_equal(b.data, "\"a\\\"\\\\\\n\\u0001图\xEF\xBF\xBD\"");
    tw_buffer_clear(&b);
    static const float values[] = {0.1f, -1.0f, 1e-30f, 3.4028235e38f, 16777217.0f, 0.333333343f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        tw_buffer_clear(&b);
        tw_buffer_json_float(&b, values[i]);
        assert_true(strtof(b.data, NULL) == values[i]);
    }
    assert_string_equal(b.data, "0.33333334");
    tw_buffer_free(&b);
}

static void utf8_is_strict(void **state) {
    static const char *const bad[] = {
        "\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xF8", "\xE5\x9B", "\xFF"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tw_utf8_valid(bad[i], strlen(bad[i])));
    assert_true(tw_utf8_valid("图文 abc \xF0\x9F\x98\x80", strlen("图文 abc \xF0\x9F\x98\x80")));
    for (uint32_t c = 0; c <= 0x110000; c += 7) {
        uint8_t out[4];
        uint32_t back = 0;
        size_t n = tw_utf8_encode(c, out);
        if (n == 0) {
            assert_true((c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF);
            continue;
        }
        assert_int_equal(tw_utf8_decode(out, n, &back), n);
        assert_int_equal(back, c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_output_appears_only_when_committed),
        cmocka_unit_test(an_aborted_output_leaves_the_old_file),
        cmocka_unit_test(a_full_disk_is_an_error_with_the_path),
        cmocka_unit_test(missing_files_and_directories_are_refused),
        cmocka_unit_test(an_empty_file_maps_to_nothing),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(a_message_stays_one_line),
        cmocka_unit_test(json_strings_and_floats_are_written_exactly),
        cmocka_unit_test(utf8_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
