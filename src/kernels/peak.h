/* What an instruction set can do at most: multiply-adds that stay in registers. */
#ifndef KERNELS_PEAK_H
#define KERNELS_PEAK_H

typedef struct tw_peak_loop {
    /* `rounds` of 12 independent vector operations; `sink` takes the results, [12 * 16] floats. */
    void (*run)(long rounds, float *sink);
    double operations; /* of a round, two a multiply-add */
} tw_peak_loop;

/* Of the table of that name: f32 multiply-adds, or products of int8 when it has an instruction for
 * them. Returns 0 when there is no such loop. */
int tw_peak_loop_f32(const char *table, tw_peak_loop *out);
int tw_peak_loop_i8(const char *table, tw_peak_loop *out);
/* Of f32 where there is no instruction for bf16. */
int tw_peak_loop_bf16(const char *table, tw_peak_loop *out);

#endif
