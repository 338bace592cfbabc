/* One axis of a resize: for each wanted output pixel, which input pixels it is made of and with
 * which weights. Equal to Pillow's to the last bit. */
#ifndef IMAGE_AXIS_H
#define IMAGE_AXIS_H

#include "base/status.h"

typedef enum tw_filter {
    TW_FILTER_COPY,    /* same size: nothing is computed */
    TW_FILTER_NEAREST, /* modes 1 and P */
    TW_FILTER_BILINEAR,
    TW_FILTER_BICUBIC
} tw_filter;

typedef struct tw_axis {
    uint32_t n_in, n_out;  /* sizes of the whole picture before and after */
    uint32_t first, count; /* outputs [first, first + count) are wanted; index 0 below is `first` */
    bool picks;            /* every output is one input (or none: taps 0), weights are not used */
    uint32_t max_taps;
    uint32_t *begin;  /* [count] first input pixel; never falls */
    uint32_t *taps;   /* [count] how many from there */
    size_t k_stride;  /* weights of one output, a multiple of TW_AXIS_K_GROUP, zero-filled */
    int32_t *k;       /* [count, k_stride] fixed point, TW_AXIS_K_BITS fraction bits */
    int16_t *k_high;  /* [count, k_stride] k >> TW_AXIS_K_SPLIT */
    int16_t *k_low;   /* [count, k_stride] the bits below */
    double *k_double; /* [count, k_stride] instead of the above where pixels are wide */
} tw_axis;

#define TW_AXIS_K_BITS 22 /* 32 bits less 8 of a pixel less 2 for overshoot */
#define TW_AXIS_K_SPLIT 11
#define TW_AXIS_K_GROUP 16

/* `wide`: weights as doubles, for 16- and 32-bit pixels. Errors: TW_ERR_NO_MEMORY. */
tw_status tw_axis_build(tw_filter filter, uint32_t n_in, uint32_t n_out, uint32_t first,
                        uint32_t count, bool wide, tw_axis *out, tw_error *err);
void tw_axis_free(tw_axis *axis);

#endif
