/* Devices of a runtime that numbers them. */
#ifndef BACKEND_DEVICES_H
#define BACKEND_DEVICES_H

#include "base/status.h"

#include <stddef.h>

/* "0,1": numbers below 1024 with commas, each once, at most `max`; NULL: "0". Errors:
 * TW_ERR_ARGUMENT. */
tw_status tw_device_numbers(const char *text, int *numbers, size_t max, size_t *n, tw_error *err);

#endif
