#include "format/torch/rebuild.h"
#include "format/torch/torch.h"
#include "format/torch/zip.h"

#include <string.h>

#define MAX_VERSION 10

typedef struct archive {
    tw_zip zip;
    size_t n_top; /* bytes of the top folder's name with its slash; the name itself is
                     zip.first_name */
} archive;

/* A member of the top folder; NULL when there is none. */
static const tw_zip_entry *find(const archive *a, const char *folder, const void *name,
                                size_t n_name) {
    char path[512];
    size_t n_folder = strlen(folder);
    if (a->n_top + n_folder + n_name > sizeof path) return NULL;
    memcpy(path, a->zip.first_name, a->n_top);
    memcpy(path + a->n_top, folder, n_folder);
    memcpy(path + a->n_top + n_folder, name, n_name);
    return tw_zip_find(&a->zip, path, a->n_top + n_folder + n_name);
}

static const tw_zip_entry *find_name(const archive *a, const char *name) {
    return find(a, "", name, strlen(name));
}

static tw_status locate(const void *container, const tw_torch_storage *storage,
                        const uint8_t **data, tw_error *err) {
    const archive *a = container;
    const tw_pickle_value *key = storage->key;
    int n_shown = key->n < 80 ? (int)key->n : 80;
    const tw_zip_entry *entry = find(a, "data/", key->u.bytes, key->n);
    if (!entry)
        return tw_fail(err, TW_ERR_FORMAT, "member data/%.*s is missing", n_shown,
                       (const char *)key->u.bytes);
    size_t n_bytes = 0;
    TW_TRY(tw_zip_member(&a->zip, entry, data, &n_bytes, err));
    if (storage->n_bytes > n_bytes)
        return tw_fail(err, TW_ERR_FORMAT, "member data/%.*s has %zu bytes, its storage %llu",
                       n_shown, (const char *)key->u.bytes, n_bytes,
                       (unsigned long long)storage->n_bytes);
    return TW_OK;
}

static tw_status find_top(archive *a, tw_error *err) {
    const uint8_t *name = a->zip.first_name;
    const uint8_t *slash = memchr(name, '/', a->zip.n_first_name);
    if (slash) a->n_top = (size_t)(slash - name) + 1;
    if (!slash || !find_name(a, "data.pkl"))
        return tw_fail(err, TW_ERR_FORMAT,
                       "zip archive without FOLDER/data.pkl: not a torch checkpoint");
    return TW_OK;
}

static tw_status check_version(const archive *a, tw_error *err) {
    const tw_zip_entry *entry = find_name(a, "version");
    if (!entry) return TW_OK;
    const uint8_t *text = NULL;
    size_t n = 0;
    int version = 0;
    TW_TRY(tw_zip_member(&a->zip, entry, &text, &n, err));
    for (size_t i = 0; i < n && i < 4 && text[i] >= '0' && text[i] <= '9'; i++)
        version = version * 10 + (text[i] - '0');
    if (version >= 1 && version <= MAX_VERSION) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "archive version %d, expected 1 to %d", version,
                   MAX_VERSION);
}

/* Absent before torch 2.1, when only little-endian machines could write what others read. */
static tw_status check_byte_order(const archive *a, tw_error *err) {
    const tw_zip_entry *entry = find_name(a, "byteorder");
    if (!entry) return TW_OK;
    const uint8_t *text = NULL;
    size_t n = 0;
    TW_TRY(tw_zip_member(&a->zip, entry, &text, &n, err));
    if (n == 6 && memcmp(text, "little", 6) == 0) return TW_OK;
    if (n == 3 && memcmp(text, "big", 3) == 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "big-endian checkpoint, expected little-endian");
    return tw_fail(err, TW_ERR_FORMAT, "member byteorder: expected \"little\" or \"big\"");
}

static tw_status read_pickle(const archive *a, tw_pickle **out, tw_error *err) {
    const uint8_t *data = NULL;
    size_t n = 0;
    TW_TRY(tw_zip_member(&a->zip, find_name(a, "data.pkl"), &data, &n, err));
    tw_status status = tw_pickle_parse(data, n, out, NULL, err);
    if (status != TW_OK) tw_error_context(err, "data.pkl");
    return status;
}

tw_status tw_torch_read_zip(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                            tw_error *err) {
    archive a = {0};
    tw_pickle *pickle = NULL;
    tw_status status;
    TW_CHECK(tw_zip_open(data, n_bytes, &a.zip, err));
    TW_CHECK(find_top(&a, err));
    TW_CHECK(check_version(&a, err));
    TW_CHECK(check_byte_order(&a, err));
    TW_CHECK(read_pickle(&a, &pickle, err));
    const tw_torch_source source = {pickle, locate, &a};
    status = tw_torch_collect(&source, out, err);
done:
    tw_pickle_free(pickle);
    tw_zip_free(&a.zip);
    return status;
}
