#define _GNU_SOURCE
#include "support.h"

#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *test_data(const char *name) {
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", TEST_DATA_DIR, name);
    return path;
}

uint8_t *test_read(const char *path, size_t *n_bytes) {
    uint8_t *data;
    tw_error err = TW_ERROR_INIT;
    if (tw_read_file(path, (size_t)1 << 30, &data, n_bytes, &err) != TW_OK)
        fail_msg("%s", err.message);
    return data;
}

static char temporaries[64][256];
static int n_temporaries;

static void remove_temporaries(void) {
    for (int i = 0; i < n_temporaries; i++)
        unlink(temporaries[i]);
}

const char *test_temporary(const char *suffix) {
    assert_true(n_temporaries < 64);
    if (n_temporaries == 0) atexit(remove_temporaries);
    const char *dir = getenv("TMPDIR");
    char *path = temporaries[n_temporaries];
    snprintf(path, sizeof temporaries[0], "%s/tuwen-test-%d-%d%s", dir ? dir : "/tmp",
             (int)getpid(), n_temporaries, suffix);
    n_temporaries++;
    return path;
}

static char folders[32][256];
static int n_folders;

static void remove_folders(void) {
    for (int i = 0; i < n_folders; i++) {
        DIR *dir = opendir(folders[i]);
        for (const struct dirent *e; dir && (e = readdir(dir));)
            unlink(test_in(folders[i], e->d_name));
        if (dir) closedir(dir);
        rmdir(folders[i]);
    }
}

const char *test_folder(void) {
    assert_true(n_folders < 32);
    if (n_folders == 0) atexit(remove_folders);
    const char *dir = getenv("TMPDIR");
    snprintf(folders[n_folders], sizeof folders[0], "%s/tuwen-test-XXXXXX", dir ? dir : "/tmp");
    assert_non_null(mkdtemp(folders[n_folders]));
    return folders[n_folders++];
}

const char *test_in(const char *folder, const char *name) {
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    int n = snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    assert_in_range(n, 0, (int)sizeof paths[0] - 1);
    return path;
}

void test_write(const char *path, const void *bytes, size_t n_bytes) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n_bytes, f), n_bytes);
    assert_int_equal(fclose(f), 0);
}

uint64_t test_random(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

float test_random_float(uint64_t *state) {
    return (float)((double)(test_random(state) >> 40) / (double)(1u << 23) - 1.0);
}
