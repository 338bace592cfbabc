#include "base/memory.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>

/* Below this nobody asks. */
static const size_t LARGE = (size_t)128 << 20;

/* MemAvailable and SwapFree. */
static uint64_t system_bytes(void) {
    char line[128];
    uint64_t n, total = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %" SCNu64, &n) == 1 ||
            sscanf(line, "SwapFree: %" SCNu64, &n) == 1)
            total += n * 1024;
    fclose(f);
    return total;
}

/* The cgroup's limit; 0 without one. */
static uint64_t cgroup_bytes(void) {
    uint64_t n = 0;
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
    if (!f) f = fopen("/sys/fs/cgroup/memory/memory.limit_in_bytes", "re");
    if (!f) return 0;
    if (fscanf(f, "%" SCNu64, &n) != 1) n = 0; /* "max" */
    fclose(f);
    return n;
}

uint64_t tw_memory_available(void) {
    uint64_t all = system_bytes(), limit = cgroup_bytes();
    return limit && all ? TW_MIN(limit, all) : all;
}

tw_status tw_check_room(size_t n_bytes, const char *per, tw_error *err) {
    uint64_t available;
    if (n_bytes < LARGE) return TW_OK;
    available = tw_memory_available();
    if (available == 0 || n_bytes <= available) return TW_OK;
    return tw_fail(err, TW_ERR_NO_MEMORY,
                   "out of memory: %s needs %.1f GB and %.1f GB are available; a smaller one needs "
                   "less",
                   per, (double)n_bytes / 1e9, (double)available / 1e9);
}
