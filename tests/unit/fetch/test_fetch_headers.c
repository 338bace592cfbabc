/* The head of an answer, and the note beside a download. The sources belong to the command and are
 * taken in. */
#include "fetch/headers.c"
#include "fetch/sidecar.c"
#include "fetch/url.c"

#include "support.h"

static void ranges_are_read(void **state) {
    tw_content_range r;
    assert_true(tw_content_range_parse("bytes 10-19/100", 15, &r));
    assert_true(r.has_range && r.has_total);
    assert_int_equal(r.first, 10);
    assert_int_equal(r.last, 19);
    assert_int_equal(r.total, 100);
    assert_true(tw_content_range_parse(" Bytes 0-0/* ", 13, &r));
    assert_true(r.has_range && !r.has_total);
    assert_true(tw_content_range_parse("bytes */7\r\n", 11, &r));
    assert_true(!r.has_range && r.has_total && r.total == 7);
}

static void ranges_that_are_none_are_refused(void **state) {
    static const char *const wrong[] = {"",
                                        "bytes",
                                        "bytes ",
                                        "bytes 1",
                                        "bytes 1-2",
                                        "bytes 1-2/",
                                        "bytes /3",
                                        "bytes 2-1/3",
                                        "bytes 0-3/3",
                                        "bytes -1/3",
                                        "bytes 1-/3",
                                        "bytes */*",
                                        "items 0-1/3",
                                        "bytes 0-1/3x",
                                        "bytes +0-1/3",
                                        "bytes 0-18446744073709551616/99999999999999999999",
                                        "bytes 0x0-1/3"};
    tw_content_range r;
    for (size_t i = 0; i < TW_COUNT(wrong); i++)
        assert_false(tw_content_range_parse(wrong[i], strlen(wrong[i]), &r));
}

static void take(tw_response *r, const char *line) {
    tw_response_take_line(r, line, strlen(line));
}

static void a_head_is_read_line_by_line(void **state) {
    tw_response r = {0};
    take(&r, "HTTP/1.1 100 Continue\r\n");
    take(&r, "ETag: \"gone\"\r\n");
    take(&r, "HTTP/1.1 206 Partial Content\r\n");
    assert_int_equal(r.status, 206);
    assert_string_equal(r.etag, "");
    take(&r, "CONTENT-LENGTH:5\r\n");
    take(&r, "content-range: bytes 5-9/10\r\n");
    take(&r, "Retry-After: 120\r\n");
    take(&r, "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT\r\n");
    assert_true(r.has_length && r.n_bytes == 5 && !r.bad_length);
    assert_true(r.range.first == 5 && !r.bad_range);
    assert_true(r.has_retry_after && r.retry_after == 120);
    assert_string_equal(tw_response_validator(&r), "Sat, 01 Jan 2022 00:00:00 GMT");
    take(&r, "ETag: \"a b\"\r\n");
    assert_string_equal(tw_response_validator(&r), "\"a b\"");
    take(&r, "ETag: W/\"weak\"\r\n");
    assert_string_equal(r.etag, "");
    take(&r, "Content-Length: 6\r\n");
    assert_true(r.bad_length);
    take(&r, "Content-Encoding: identity\r\n");
    assert_false(r.encoded);
    take(&r, "Content-Encoding: br\r\n");
    assert_true(r.encoded);
    take(&r, "Content-Range: 5-9\r\n");
    assert_true(r.bad_range);
}

static void digests_are_64_hexadecimal_digits(void **state) {
    char hex[65], out[TW_SHA256_BYTES];
    memset(hex, 'A', 64);
    hex[64] = '\0';
    assert_true(tw_sha256_parse(hex, 64, out));
    assert_int_equal(out[0], 'a');
    assert_false(tw_sha256_parse(hex, 63, out));
    hex[5] = 'g';
    assert_false(tw_sha256_parse(hex, 64, out));
}

static void a_note_reads_as_written(void **state) {
    const char *path = test_temporary(".pull");
    tw_sidecar s = {
        .url = "https://h/x?a=\"", .has_length = true, .length = 1, .validator = "\"v\\1\""};
    tw_sidecar got;
    tw_error err = TW_ERROR_INIT;
    bool found;
    snprintf(s.url, sizeof s.url, "https://h/x?a=%%22");
    memset(s.sha256, 'b', 64);
    assert_ok(tw_sidecar_write(path, &s, &err), &err);
    assert_ok(tw_sidecar_read(path, &got, &found, &err), &err);
    assert_true(found && got.has_length && got.length == 1);
    assert_string_equal(got.url, s.url);
    assert_string_equal(got.validator, s.validator);
    assert_string_equal(got.sha256, s.sha256);
    assert_string_equal(got.hub_sha256, "");
}

static void a_note_of_another_kind_is_refused(void **state) {
    static const char *const wrong[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"url\": \"file:///x\"}",
                                        "{\"url\": \"http://h/\", \"length\": -1}",
                                        "{\"url\": \"http://h/\", \"length\": 1.5}",
                                        "{\"url\": \"http://h/\", \"sha256\": \"12\"}",
                                        "{\"url\": \"http://h/\", \"validator\": \"a\\r\\nX: y\"}",
                                        "{\"url\": 5}"};
    for (size_t i = 0; i < TW_COUNT(wrong); i++) {
        tw_sidecar s;
        tw_error err = TW_ERROR_INIT;
        assert_fails(tw_sidecar_parse(wrong[i], strlen(wrong[i]), &s, &err), TW_ERR_FORMAT, &err);
        assert_string_equal(s.url, "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(ranges_that_are_none_are_refused),
        cmocka_unit_test(a_head_is_read_line_by_line),
        cmocka_unit_test(digests_are_64_hexadecimal_digits),
        cmocka_unit_test(a_note_reads_as_written),
        cmocka_unit_test(a_note_of_another_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
