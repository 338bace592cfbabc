#define _GNU_SOURCE
#include "sha256.h"

#include "tuwen/model.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PIECE ((size_t)1 << 20)

static tw_status hash_stream(FILE *f, const char *path, uint64_t total, EVP_MD_CTX *context,
                             const tw_hooks *hooks, tw_error *err) {
    uint8_t *piece = malloc(PIECE);
    if (!piece) return tw_fail_no_memory(err, PIECE);
    tw_status status = TW_OK;
    uint64_t done = 0;
    for (size_t n; status == TW_OK && (n = fread(piece, 1, PIECE, f)) > 0; done += n) {
        if (EVP_DigestUpdate(context, piece, n) != 1)
            status = tw_fail(err, TW_ERR_UNSUPPORTED, "SHA-256 is not available");
        else
            status = tw_progress(hooks, "hash", done + n, total, err);
    }
    if (status == TW_OK && ferror(f)) status = tw_fail_errno(err, errno, "%s", path);
    free(piece);
    return status;
}

static void put_hex(const uint8_t digest[32], char hex[CLI_SHA256_HEX]) {
    for (unsigned i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

tw_status cli_sha256_bytes(const void *data, size_t n_bytes, char hex[CLI_SHA256_HEX],
                           tw_error *err) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(data, n_bytes, digest, NULL, EVP_sha256(), NULL) != 1)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "SHA-256 is not available");
    put_hex(digest, hex);
    return TW_OK;
}

typedef struct digest {
    EVP_MD_CTX *context;
    const tw_hooks *hooks;
} digest;

static tw_status hash_file(void *user, const char *path, tw_error *err) {
    const digest *d = user;
    FILE *f = fopen(path, "rbe");
    if (!f) return tw_fail_errno(err, errno, "%s", path);
    struct stat st;
    uint64_t total = fstat(fileno(f), &st) == 0 ? (uint64_t)st.st_size : 0;
    tw_status status = hash_stream(f, path, total, d->context, d->hooks, err);
    fclose(f);
    return status;
}

/* Of one file, or of all that a checkpoint's tensors are taken from. */
static tw_status hash(const char *path, bool checkpoint, const tw_hooks *hooks,
                      char hex[CLI_SHA256_HEX], tw_error *err) {
    digest d = {EVP_MD_CTX_new(), hooks};
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    tw_status status = TW_OK;
    if (!d.context || EVP_DigestInit_ex(d.context, EVP_sha256(), NULL) != 1)
        status = tw_fail(err, TW_ERR_UNSUPPORTED, "SHA-256 is not available");
    if (status == TW_OK)
        status =
            checkpoint ? tw_convert_sources(path, hash_file, &d, err) : hash_file(&d, path, err);
    if (status == TW_OK && (EVP_DigestFinal_ex(d.context, bytes, &n) != 1 || n != 32))
        status = tw_fail(err, TW_ERR_UNSUPPORTED, "SHA-256 is not available");
    if (status == TW_OK) put_hex(bytes, hex);
    EVP_MD_CTX_free(d.context);
    return status;
}

tw_status cli_sha256_file(const char *path, const tw_hooks *hooks, char hex[CLI_SHA256_HEX],
                          tw_error *err) {
    return hash(path, false, hooks, hex, err);
}

tw_status cli_sha256_checkpoint(const char *checkpoint, const tw_hooks *hooks,
                                char hex[CLI_SHA256_HEX], tw_error *err) {
    return hash(checkpoint, true, hooks, hex, err);
}
