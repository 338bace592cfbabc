/* LMDB files that liblmdb wrote (tests/fuzz/lmdb/corpus). The source belongs to the command and is
 * taken in. */
#include "dataset/lmdb.c"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct seen {
    const uint8_t *data;
    char key[16];
    size_t n, n_bytes;
    bool sorted;
} seen;

static tw_status take(void *user, const tw_lmdb_record *record, tw_error *err) {
    seen *s = user;
    char key[16] = "";
    memcpy(key, record->key, record->n_key < 15 ? record->n_key : 15);
    s->sorted = s->sorted && (s->n == 0 || strcmp(s->key, key) < 0);
    memcpy(s->key, key, sizeof key);
    s->n++;
    s->n_bytes += record->n_bytes;
    return TW_OK;
}

static seen read_corpus(const char *name, tw_status expected, size_t cut) {
    char path[256];
    size_t n_bytes;
    snprintf(path, sizeof path, "%s/tests/fuzz/lmdb/corpus/%s", TEST_SOURCE_DIR, name);
    uint8_t *data = test_read(path, &n_bytes);
    seen s = {.data = data, .sorted = true};
    tw_error err = TW_ERROR_INIT;
    assert_int_equal(tw_lmdb_each(data, cut ? cut : n_bytes, take, &s, &err), expected);
    assert_true(s.sorted);
    free(data);
    return s;
}

static void records_come_in_the_order_of_their_keys(void **state) {
    static const struct {
        const char *name;
        size_t n, n_bytes;
    } files[] = {{"empty", 0, 0},       {"small", 6, 11},      {"branches", 100, 15800},
                 {"overflow", 3, 8000}, {"deleted", 30, 1500}, {"grown", 12, 4800}};
    for (size_t i = 0; i < TW_COUNT(files); i++) {
        seen s = read_corpus(files[i].name, TW_OK, 0);
        assert_int_equal(s.n, files[i].n);
        assert_int_equal(s.n_bytes, files[i].n_bytes);
    }
}

static void a_cut_file_is_refused(void **state) {
    read_corpus("overflow", TW_ERR_FORMAT, 20000);
    read_corpus("branches", TW_ERR_FORMAT, 9000);
    read_corpus("small", TW_ERR_FORMAT, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_in_the_order_of_their_keys),
        cmocka_unit_test(a_cut_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
