#include "support.h"

#include "base/file.h"

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

uint64_t test_random(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

float test_random_float(uint64_t *state) {
    return (float)((double)(test_random(state) >> 40) / (double)(1u << 23) - 1.0);
}
