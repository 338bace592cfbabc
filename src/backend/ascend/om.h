/* What the head of an .om file, compiled by atc, must hold before the library is given it. */
#ifndef BACKEND_ASCEND_OM_H
#define BACKEND_ASCEND_OM_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { TW_OM_HEAD_BYTES = 256, TW_OM_PARTITIONS = 1024 };

/* Checks `head`, the first n_bytes (TW_OM_HEAD_BYTES and the table of partitions, or more) of a
 * file of file_bytes: magic, length, flags, partitions that fit. Errors: TW_ERR_FORMAT,
 * TW_ERR_UNSUPPORTED (encrypted, shapes of any size, several models).
 * Source: ModelFileHeader and OmFileLoadHelper of the published graph engine; lutzroeder/netron. */
tw_status tw_om_check(const uint8_t *head, size_t n_bytes, uint64_t file_bytes, tw_error *err);

#endif
