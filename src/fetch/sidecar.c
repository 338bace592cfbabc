#include "fetch/sidecar.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SIDECAR_BYTES ((size_t)64 << 10)

static tw_status get_text(const tw_json *root, const char *key, char *out, size_t n_bytes,
                          tw_error *err) {
    const char *text;
    TW_TRY(tw_json_get_string(root, key, "", &text, err));
    if (strlen(text) >= n_bytes)
        return tw_fail(err, TW_ERR_FORMAT, "key '%s' is longer than %zu bytes", key, n_bytes - 1);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            return tw_fail(err, TW_ERR_FORMAT, "key '%s' has a control character", key);
    memcpy(out, text, strlen(text) + 1);
    return TW_OK;
}

static tw_status get_sha256(const tw_json *root, const char *key, char out[TW_SHA256_BYTES],
                            tw_error *err) {
    char text[TW_SHA256_BYTES];
    TW_TRY(get_text(root, key, text, sizeof text, err));
    out[0] = '\0';
    if (!text[0] || tw_sha256_parse(text, strlen(text), out)) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s': expected 64 hexadecimal digits", key);
}

static tw_status read_members(const tw_json *root, tw_sidecar *out, tw_error *err) {
    tw_url url;
    int64_t length = -1;
    TW_TRY(get_text(root, "url", out->url, sizeof out->url, err));
    if (tw_url_parse(out->url, &url, NULL) != TW_OK)
        return tw_fail(err, TW_ERR_FORMAT, "key 'url': expected an address");
    TW_TRY(get_text(root, "validator", out->validator, sizeof out->validator, err));
    TW_TRY(tw_json_get_int(root, "length", 0, INT64_MAX, -1, &length, err));
    out->has_length = length >= 0;
    out->length = length >= 0 ? (uint64_t)length : 0;
    TW_TRY(get_sha256(root, "hub_sha256", out->hub_sha256, err));
    return get_sha256(root, "sha256", out->sha256, err);
}

tw_status tw_sidecar_parse(const void *json, size_t n_bytes, tw_sidecar *out, tw_error *err) {
    tw_json_doc *doc = NULL;
    *out = (tw_sidecar){0};
    TW_TRY(tw_json_parse(json, n_bytes, &doc, err));
    tw_status status = read_members(tw_json_root(doc), out, err);
    tw_json_free(doc);
    if (status != TW_OK) *out = (tw_sidecar){0};
    return status;
}

tw_status tw_sidecar_read(const char *path, tw_sidecar *out, bool *found, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    *found = false;
    *out = (tw_sidecar){0};
    if (access(path, F_OK) != 0) return TW_OK;
    TW_TRY(tw_read_file(path, MAX_SIDECAR_BYTES, &data, &n_bytes, err));
    *found = tw_sidecar_parse(data, n_bytes, out, NULL) == TW_OK;
    free(data);
    return TW_OK;
}

static void put_text(tw_buffer *b, const char *key, const char *value) {
    tw_buffer_printf(b, ", \"%s\": ", key);
    tw_buffer_json_string(b, value, strlen(value));
}

tw_status tw_sidecar_write(const char *path, const tw_sidecar *s, tw_error *err) {
    tw_output out = {0};
    tw_buffer b = {0};
    tw_status status;
    tw_buffer_puts(&b, "{\"url\": ");
    tw_buffer_json_string(&b, s->url, strlen(s->url));
    put_text(&b, "validator", s->validator);
    if (s->has_length) tw_buffer_printf(&b, ", \"length\": %llu", (unsigned long long)s->length);
    put_text(&b, "hub_sha256", s->hub_sha256);
    put_text(&b, "sha256", s->sha256);
    tw_buffer_puts(&b, "}\n");
    if (b.failed) {
        status = tw_fail_no_memory(err, b.n_bytes);
        goto done;
    }
    TW_CHECK(tw_output_open(path, &out, err));
    TW_CHECK(tw_output_write(&out, b.data, b.n_bytes, err));
    status = tw_output_commit(&out, err);
done:
    tw_output_abort(&out);
    tw_buffer_free(&b);
    return status;
}
