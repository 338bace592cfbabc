/* Status and error plumbing: one line, lower case, what / where / expected / got. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "tuwen/base.h"

#if defined(__GNUC__)
#define TW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TW_PRINTF(fmt, args)
#endif

/* Sets `err` (may be NULL) and returns `status`. Control characters (line breaks of a hostile
 * name, say) become '?', so that a message is always one line. */
tw_status tw_fail(tw_error *err, tw_status status, const char *fmt, ...) TW_PRINTF(3, 4);

/* TW_ERR_IO with strerror(errno_value) appended. */
tw_status tw_fail_errno(tw_error *err, int errno_value, const char *fmt, ...) TW_PRINTF(3, 4);

/* Puts "CONTEXT: " before the message that `err` holds; keeps its status. */
void tw_error_context(tw_error *err, const char *fmt, ...) TW_PRINTF(2, 3);

tw_status tw_fail_no_memory(tw_error *err, size_t n_bytes);

/* Returns from the enclosing function when a call fails. */
#define TW_TRY(call)                                                                               \
    do {                                                                                           \
        tw_status tw_try_status_ = (call);                                                         \
        if (tw_try_status_ != TW_OK) return tw_try_status_;                                        \
    } while (0)

/* Goes to `done` with `status` set when a call fails. */
#define TW_CHECK(call)                                                                             \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != TW_OK) goto done;                                                            \
    } while (0)

void tw_log(const tw_hooks *hooks, tw_log_level level, const char *fmt, ...) TW_PRINTF(3, 4);

/* TW_ERR_CANCELLED when the hook says stop. */
tw_status tw_progress(const tw_hooks *hooks, const char *stage, uint64_t done, uint64_t total,
                      tw_error *err);

#endif
