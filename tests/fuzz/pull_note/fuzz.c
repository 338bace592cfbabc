/* The note beside a download: refused with a message, or an address and digests of their form. The
 * reader belongs to the command, not to the library, so its sources are taken in. */
#include "fetch/headers.c"
#include "fetch/sidecar.c"
#include "fetch/url.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_sidecar s;
    tw_url url;
    tw_error err = TW_ERROR_INIT;
    char name[64];
    tw_status status = tw_sidecar_parse(data, n_bytes, &s, &err);
    if (status != err.status || (status != TW_OK && s.url[0])) abort();
    if (status != TW_OK) return 0;
    if (tw_url_parse(s.url, &url, NULL) != TW_OK) abort();
    if (tw_url_file_name(s.url, name, sizeof name, NULL) == TW_OK &&
        (name[0] == '.' || strchr(name, '/')))
        abort();
    if (s.sha256[0] && strlen(s.sha256) != 64) abort();
    if (strpbrk(s.validator, "\r\n")) abort(); /* it becomes a line of a request */
    return 0;
}
