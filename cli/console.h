/* What the command says on standard error (errors, notes, progress), and how it ends at a signal.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include "base/status.h"

typedef enum cli_progress_mode {
    CLI_PROGRESS_AUTO = 1, /* a bar on a terminal, else a line every 10 s */
    CLI_PROGRESS_ALWAYS,   /* a bar */
    CLI_PROGRESS_NEVER,
    CLI_PROGRESS_JSON /* an object a second, and one at the end */
} cli_progress_mode;
#define CLI_PROGRESS_WORDS "auto|always|never|json"

/* Names the verb in messages and catches SIGINT, SIGTERM, SIGHUP and SIGPIPE. */
void cli_console_init(const char *verb);
void cli_console_set_progress(int mode);

/* "tuwen VERB: …" on a line of its own. */
void cli_error(const char *fmt, ...) TW_PRINTF(1, 2);

/* Prints an error of the library and returns the status to exit with: 2 for what the user wrote,
 * 128 + signal when one stopped the work, else 1. */
int cli_fail(const tw_error *err);

/* Work that can be cancelled: between the two a first signal asks it to stop (a second one ends
 * the process), outside any a signal ends the process at once. Files being written go away. */
void cli_work_begin(const char *stage, uint64_t total);
void cli_work_at(uint64_t done); /* where the hooks' own counts start from */
void cli_work_end(void);

/* The signal that asked to stop, 0 when none did. */
int cli_interrupted(void);

/* Log and progress hooks for the library; static. */
const tw_hooks *cli_hooks(void);

/* Standard output could not be written (errno says why): said once, and then cli_fail() is quiet.
 */
void cli_output_failed(void);

/* Writes out standard output; status 1 with a message when that is not possible. */
int cli_finish(int status);

#endif
