#include "backend/devices.h"

#include <stdlib.h>

tw_status tw_device_numbers(const char *text, int *numbers, size_t max, size_t *n, tw_error *err) {
    const char *at = text ? text : "0";
    *n = 0;
    do {
        char *end;
        long number = at[0] >= '0' && at[0] <= '9' ? strtol(at, &end, 10) : -1;
        if (number < 0 || number > 1023 || (*end && *end != ',') || *n == max)
            return tw_fail(err, TW_ERR_ARGUMENT,
                           "device %s: expected up to %zu numbers, as 0 or 0,1", text, max);
        for (size_t i = 0; i < *n; i++)
            if (numbers[i] == number)
                return tw_fail(err, TW_ERR_ARGUMENT, "device %s: %ld comes twice", text, number);
        numbers[(*n)++] = (int)number;
        at = *end ? end + 1 : NULL;
    } while (at);
    return TW_OK;
}
