#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens for reading what is, or behaves as, a regular file. O_NONBLOCK: a FIFO must not hang us. */
static tw_status open_regular(const char *path, int *fd, off_t *n_bytes, tw_error *err) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return tw_fail_errno(err, errno, "%s", path);
    struct stat st;
    tw_status status = TW_OK;
    if (fstat(*fd, &st) != 0)
        status = tw_fail_errno(err, errno, "%s", path);
    else if (S_ISDIR(st.st_mode))
        status = tw_fail(err, TW_ERR_IO, "%s: is a directory, expected a file", path);
    else if (!S_ISREG(st.st_mode))
        status = tw_fail(err, TW_ERR_IO, "%s: is not a regular file", path);
    if (status != TW_OK) {
        close(*fd);
        *fd = -1;
        return status;
    }
    *n_bytes = st.st_size;
    return TW_OK;
}

tw_status tw_map_file(const char *path, tw_mapped_file *out, tw_error *err) {
    *out = (tw_mapped_file){0};
    int fd;
    off_t n = 0;
    TW_TRY(open_regular(path, &fd, &n, err));
    tw_status status = TW_OK;
    if (n > 0) {
        void *p = mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = tw_fail_errno(err, errno, "%s: cannot map %lld bytes", path, (long long)n);
        else
            *out = (tw_mapped_file){p, (size_t)n};
    }
    close(fd);
    return status;
}

void tw_unmap_file(tw_mapped_file *file) {
    if (file->data) munmap((void *)(uintptr_t)file->data, file->n_bytes);
    *file = (tw_mapped_file){0};
}

void tw_drop_pages(const void *p, size_t n_bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)p + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)p + n_bytes) / page * page;
    if (end > begin) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static tw_status read_stream(int fd, const char *path, size_t hint, size_t max_bytes,
                             uint8_t **data, size_t *n_bytes, tw_error *err) {
    size_t capacity = hint + 1 < 65536 ? 65536 : hint + 1, n = 0;
    uint8_t *buf = malloc(capacity);
    if (!buf) return tw_fail_no_memory(err, capacity);
    for (;;) {
        if (n + 1 >= capacity) {
            size_t grown = capacity * 2;
            uint8_t *p = realloc(buf, grown);
            if (!p) {
                free(buf);
                return tw_fail_no_memory(err, grown);
            }
            buf = p;
            capacity = grown;
        }
        ssize_t got = read(fd, buf + n, capacity - n - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            free(buf);
            return tw_fail_errno(err, errno, "%s: read at byte %zu", path, n);
        }
        if (got == 0) break;
        n += (size_t)got;
        if (n > max_bytes) {
            free(buf);
            return tw_fail(err, TW_ERR_LIMIT, "%s: more than %zu bytes", path, max_bytes);
        }
    }
    buf[n] = 0;
    *data = buf;
    *n_bytes = n;
    return TW_OK;
}

tw_status tw_read_file(const char *path, size_t max_bytes, uint8_t **data, size_t *n_bytes,
                       tw_error *err) {
    *data = NULL;
    *n_bytes = 0;
    if (strcmp(path, "-") == 0)
        return read_stream(STDIN_FILENO, "standard input", 0, max_bytes, data, n_bytes, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return tw_fail_errno(err, errno, "%s", path);
    struct stat st;
    tw_status status;
    if (fstat(fd, &st) != 0)
        status = tw_fail_errno(err, errno, "%s", path);
    else if (S_ISDIR(st.st_mode))
        status = tw_fail(err, TW_ERR_IO, "%s: is a directory, expected a file", path);
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max_bytes)
        status = tw_fail(err, TW_ERR_LIMIT, "%s: %lld bytes, more than the limit of %zu", path,
                         (long long)st.st_size, max_bytes);
    else
        status = read_stream(fd, path, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, max_bytes,
                             data, n_bytes, err);
    close(fd);
    return status;
}

/* Temporary names of open outputs, for the clean-up at a signal. A slot is claimed by storing the
 * pointer; the handler only reads. */
#define MAX_OPEN 16
static char *volatile open_temporaries[MAX_OPEN];
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(char *name) {
    pthread_mutex_lock(&open_lock);
    for (int i = 0; i < MAX_OPEN; i++)
        if (!open_temporaries[i]) {
            open_temporaries[i] = name;
            break;
        }
    pthread_mutex_unlock(&open_lock);
}

static void forget(const char *name) {
    pthread_mutex_lock(&open_lock);
    for (int i = 0; i < MAX_OPEN; i++)
        if (open_temporaries[i] == name) open_temporaries[i] = NULL;
    pthread_mutex_unlock(&open_lock);
}

void tw_output_abort_all(void) {
    for (int i = 0; i < MAX_OPEN; i++) {
        const char *name = open_temporaries[i];
        if (name) unlink(name);
    }
}

tw_status tw_output_open(const char *path, tw_output *out, tw_error *err) {
    *out = (tw_output){0};
    if (strcmp(path, "-") == 0) {
        int fd = dup(STDOUT_FILENO);
        out->stream = fd < 0 ? NULL : fdopen(fd, "wb");
        if (!out->stream) return tw_fail_errno(err, errno, "standard output");
        out->path = strdup("standard output");
        return TW_OK;
    }
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return tw_fail(err, TW_ERR_IO, "%s: is a directory, cannot write a file there", path);
    out->path = strdup(path);
    if (!out->path) return tw_fail_no_memory(err, strlen(path) + 1);
    if (exists && !S_ISREG(st.st_mode)) {
        out->stream = fopen(path, "wbe");
        if (!out->stream) {
            int e = errno;
            tw_output_abort(out);
            return tw_fail_errno(err, e, "%s", path);
        }
        return TW_OK;
    }
    size_t n = strlen(path) + sizeof ".XXXXXX.part";
    out->temporary = malloc(n);
    if (!out->temporary) {
        tw_output_abort(out);
        return tw_fail_no_memory(err, n);
    }
    snprintf(out->temporary, n, "%s.XXXXXX.part", path);
    int fd = mkostemps(out->temporary, 5, O_CLOEXEC);
    if (fd < 0) {
        int e = errno;
        free(out->temporary);
        out->temporary = NULL;
        tw_output_abort(out);
        return tw_fail_errno(err, e, "%s: cannot create", path);
    }
    remember(out->temporary);
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, exists ? st.st_mode & 07777 : 0666 & ~mask);
    out->stream = fdopen(fd, "wb");
    if (!out->stream) {
        close(fd);
        tw_output_abort(out);
        return tw_fail_no_memory(err, sizeof(FILE));
    }
    return TW_OK;
}

tw_status tw_output_write(tw_output *out, const void *data, size_t n_bytes, tw_error *err) {
    if (n_bytes == 0 || fwrite(data, 1, n_bytes, out->stream) == n_bytes) return TW_OK;
    return tw_fail_errno(err, errno, "%s: write", out->path);
}

tw_status tw_output_commit(tw_output *out, tw_error *err) {
    tw_status status = TW_OK;
    if (fflush(out->stream) != 0 || ferror(out->stream))
        status = tw_fail_errno(err, errno, "%s: write", out->path);
    /* Written data must be on disk before the name is: a crash must not leave an empty file. */
    else if (out->temporary && fsync(fileno(out->stream)) != 0)
        status = tw_fail_errno(err, errno, "%s: sync", out->path);
    int failed_close = fclose(out->stream);
    out->stream = NULL;
    if (status == TW_OK && failed_close) status = tw_fail_errno(err, errno, "%s: close", out->path);
    if (status == TW_OK && out->temporary && rename(out->temporary, out->path) != 0)
        status = tw_fail_errno(err, errno, "%s: rename into place", out->path);
    if (status == TW_OK && out->temporary) {
        forget(out->temporary);
        free(out->temporary);
        out->temporary = NULL;
    }
    tw_output_abort(out);
    return status;
}

void tw_output_abort(tw_output *out) {
    if (out->stream) fclose(out->stream);
    if (out->temporary) {
        unlink(out->temporary);
        forget(out->temporary);
    }
    free(out->temporary);
    free(out->path);
    *out = (tw_output){0};
}
