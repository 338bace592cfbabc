/* tuwen/base.h – what every other header of the library builds on: visibility, status codes, the
 * caller-owned error, log and progress hooks, data types and the pool of threads.
 *
 * Conventions that hold for the whole library:
 *  - every fallible function returns tw_status and takes a `tw_error *` last (may be NULL);
 *  - what comes through `T **out` belongs to the caller and is released with the matching `_free`
 *    (which accepts NULL); on failure `*out` is NULL;
 *  - any other returned pointer is borrowed; its life is stated;
 *  - option structs are set with their `_INIT` macro; zero in any other field is the default;
 *  - strings are UTF-8; sizes are bytes unless the name says otherwise;
 *  - the library never prints, exits or aborts on bad input, and keeps no global or thread-local
 *    state beyond the choice of instruction set, made once.
 */
#ifndef TUWEN_BASE_H
#define TUWEN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUWEN_VERSION_MAJOR 0
#define TUWEN_VERSION_MINOR 1
#define TUWEN_VERSION_PATCH 0
#define TUWEN_VERSION "0.1.0"

#if defined(__GNUC__)
#define TW_API __attribute__((visibility("default")))
#else
#define TW_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library that is really loaded, as "major.minor.patch". Static storage. */
TW_API const char *tw_version(void);

/* ------------------------------------------------------------------------------------ status */

/* What went wrong, by what the caller can do about it. Values are stable. */
typedef enum tw_status {
    TW_OK = 0,
    TW_ERR_ARGUMENT = 1,    /* a caller's mistake: an option or argument out of range */
    TW_ERR_IO = 2,          /* the operating system refused: missing file, permission, disk full */
    TW_ERR_FORMAT = 3,      /* the bytes are not what they claim to be: damaged, truncated, hostile */
    TW_ERR_UNSUPPORTED = 4, /* well-formed, but of a kind this build does not handle */
    TW_ERR_MISMATCH = 5,    /* two valid things do not fit together (shape, vocabulary, dimension) */
    TW_ERR_AMBIGUOUS = 6,   /* the file does not say; the message names the option that settles it */
    TW_ERR_LIMIT = 7,       /* a safety limit was reached; the message names it */
    TW_ERR_NO_MEMORY = 8,   /* an allocation failed */
    TW_ERR_CANCELLED = 9    /* the progress hook asked to stop */
} tw_status;

/* Name of a status, e.g. "format". Static storage; never NULL. */
TW_API const char *tw_status_name(tw_status status);

/* A caller-owned error. `message` is one line, lower case, NUL-terminated, free of control
 * characters: what, where (file, tensor, byte offset), expected and got. Set only on failure. */
typedef struct tw_error {
    tw_status status;
    char message[508];
} tw_error;

#define TW_ERROR_INIT {TW_OK, {0}}

/* ------------------------------------------------------------------------------------- hooks */

typedef enum tw_log_level { TW_LOG_DEBUG = 0, TW_LOG_INFO = 1, TW_LOG_WARNING = 2 } tw_log_level;

/* Where messages and progress of a long call go. Both functions may be NULL. They are called on
 * the thread that made the call. */
typedef struct tw_hooks {
    size_t struct_size;
    /* One line without a newline; `message` lives for the call only. */
    void (*log)(void *user, tw_log_level level, const char *message);
    /* `done` of `total` units of `stage` ("read", "convert", "images", …); total 0 = unknown.
     * Return false to cancel: the running call stops soon and returns TW_ERR_CANCELLED. */
    bool (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    void *user;
} tw_hooks;

#define TW_HOOKS_INIT {sizeof(tw_hooks), 0, 0, 0}

/* -------------------------------------------------------------------------------- data types */

typedef enum tw_dtype {
    TW_F32 = 0,
    TW_F16 = 1,  /* IEEE binary16 */
    TW_BF16 = 2, /* upper half of binary32 */
    TW_F64 = 3,
    TW_I8 = 4,
    TW_U8 = 5,
    TW_I16 = 6,
    TW_I32 = 7,
    TW_I64 = 8,
    TW_BOOL = 9
} tw_dtype;

/* Short name: "f32", "f16", "bf16", … Static storage; "?" for an unknown value. */
TW_API const char *tw_dtype_name(tw_dtype dtype);

/* --------------------------------------------------------------------------- pool of threads */

/* One pool serves any number of models and encoders. A pool runs one parallel region at a time;
 * two threads that share one take turns. Results never depend on the number of threads. */
typedef struct tw_pool tw_pool;

/* Processors this process may use: the smaller of its affinity mask and its cgroup's quota,
 * at least 1. */
TW_API int tw_cpu_count(void);

/* Makes a pool of `n_threads` (1..1024; 0 = tw_cpu_count()), the calling thread included: a pool
 * of 1 starts none. Errors: TW_ERR_ARGUMENT, TW_ERR_NO_MEMORY, TW_ERR_IO (no thread to be had). */
TW_API tw_status tw_pool_create(int n_threads, tw_pool **out, tw_error *err);

/* A pool of the caller's own threads. `run` must call task(arg, i) exactly once for each i in
 * [0, n_tasks), on any threads in any order, and return when all are done. */
typedef struct tw_pool_ops {
    size_t struct_size;
    int n_threads; /* how many tasks may run at once; a hint for splitting work, 1..1024 */
    void (*run)(void *user, void (*task)(void *arg, int index), void *arg, int n_tasks);
    void *user;
} tw_pool_ops;

TW_API tw_status tw_pool_wrap(const tw_pool_ops *ops, tw_pool **out, tw_error *err);

/* Threads in the pool (the wrapped `n_threads` for a wrapped one). */
TW_API int tw_pool_threads(const tw_pool *pool);

/* Ends the pool's threads. Must not be called while the pool works. */
TW_API void tw_pool_free(tw_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
