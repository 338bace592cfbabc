/* Runs a fuzz target over files and folders of files, for compilers without libFuzzer: each input
 * once. Prints TAP, one test a program. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static long n_inputs;

static int replay(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return 1;
    }
    if (S_ISDIR(st.st_mode)) {
        DIR *dir = opendir(path);
        if (!dir) {
            perror(path);
            return 1;
        }
        int failed = 0;
        for (struct dirent *e; (e = readdir(dir));) {
            if (e->d_name[0] == '.') continue;
            char child[4096];
            snprintf(child, sizeof child, "%s/%s", path, e->d_name);
            failed |= replay(child);
        }
        closedir(dir);
        return failed;
    }
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc((size_t)st.st_size + 1);
    if (!f || !data || fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
        perror(path);
        return 1;
    }
    fclose(f);
    /* A copy of the exact size, so that a sanitizer sees a read past the end. */
    uint8_t *exact = malloc((size_t)st.st_size ? (size_t)st.st_size : 1);
    if (!exact) return 1;
    memcpy(exact, data, (size_t)st.st_size);
    free(data);
    LLVMFuzzerTestOneInput(exact, (size_t)st.st_size);
    free(exact);
    n_inputs++;
    return 0;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("1..1\n%s 1 - replay of %ld inputs\n", failed || n_inputs == 0 ? "not ok" : "ok", n_inputs);
    return failed || n_inputs == 0;
}
