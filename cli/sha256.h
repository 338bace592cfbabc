/* SHA-256 of a file, a checkpoint or bytes: for provenance and to know a file by. */
#ifndef CLI_SHA256_H
#define CLI_SHA256_H

#include "base/status.h"

#define CLI_SHA256_HEX 65 /* 64 digits and a NUL */

/* Reads the file once, in pieces; `hooks` shows progress in bytes and may cancel. */
tw_status cli_sha256_file(const char *path, const tw_hooks *hooks, char hex[CLI_SHA256_HEX],
                          tw_error *err);

/* Of the file that tensors are taken from; of a sharded one, of its shards in the order of their
 * names, one after another. */
tw_status cli_sha256_checkpoint(const char *checkpoint, const tw_hooks *hooks,
                                char hex[CLI_SHA256_HEX], tw_error *err);

tw_status cli_sha256_bytes(const void *data, size_t n_bytes, char hex[CLI_SHA256_HEX],
                           tw_error *err);

#endif
