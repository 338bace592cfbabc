/* NEON of 64-bit Arm: 4 lanes, 32 registers. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

typedef float32x4_t vf;
typedef int32x4_t vi;
enum { VL = 4, NV = 3, MR = 8 }; /* 24 accumulators, 3 of B, 5 left for A */
#define TABLE tw_kernels_neon
#define TABLE_NAME "neon"

enum { GROUP = 2, A_BYTES = 2 };

/* clang-format off */
static inline vf v_zero(void) { return vdupq_n_f32(0.0f); }
static inline vf v_set1(float x) { return vdupq_n_f32(x); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vf a) { vst1q_f32(p, a); }
static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
static inline vf v_max(vf a, vf b) { return vmaxq_f32(a, b); }
static inline vf v_min(vf a, vf b) { return vminq_f32(a, b); }
static inline vf v_abs(vf a) { return vabsq_f32(a); }
static inline vf v_exponent(vf a) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(a), 23));
}

static inline vf v_load_n(const float *p, size_t n) {
    float lanes[4] = {0};
    for (size_t i = 0; i < n; i++)
        lanes[i] = p[i];
    return vld1q_f32(lanes);
}
static inline void v_store_n(float *p, vf a, size_t n) {
    float lanes[4];
    vst1q_f32(lanes, a);
    for (size_t i = 0; i < n; i++)
        p[i] = lanes[i];
}
static inline vf v_first_n(vf a, size_t n) {
    static const uint32_t window[8] = {~0u, ~0u, ~0u, ~0u};
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vld1q_u32(window + VL - n)));
}

static inline float v_sum(vf a) {
    float32x2_t s = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
}
static inline float v_top(vf a) { return vmaxvq_f32(a); }

static inline void transpose4(const float *from, size_t ld_from, float *to, size_t ld_to) {
    float32x4x2_t low = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + ld_from));
    float32x4x2_t high = vtrnq_f32(vld1q_f32(from + 2 * ld_from), vld1q_f32(from + 3 * ld_from));
    vst1q_f32(to, vcombine_f32(vget_low_f32(low.val[0]), vget_low_f32(high.val[0])));
    vst1q_f32(to + ld_to, vcombine_f32(vget_low_f32(low.val[1]), vget_low_f32(high.val[1])));
    vst1q_f32(to + 2 * ld_to, vcombine_f32(vget_high_f32(low.val[0]), vget_high_f32(high.val[0])));
    vst1q_f32(to + 3 * ld_to, vcombine_f32(vget_high_f32(low.val[1]), vget_high_f32(high.val[1])));
}

static inline vi i_zero(void) { return vdupq_n_s32(0); }
static inline vi i_set1(int32_t x) { return vdupq_n_s32(x); }
static inline vi i_load(const void *p) { return vld1q_s32(p); }
static inline vi i_add(vi a, vi b) { return vaddq_s32(a, b); }
static inline vi i_sub(vi a, vi b) { return vsubq_s32(a, b); }
static inline vi i_mul(vi a, vi b) { return vmulq_s32(a, b); }
static inline vi i_min(vi a, vi b) { return vminq_s32(a, b); }
static inline vi i_max(vi a, vi b) { return vmaxq_s32(a, b); }
static inline vi i_from(vf a) { return vcvtnq_s32_f32(a); }
static inline vf v_from(vi a) { return vcvtq_f32_s32(a); }
static inline vi i_four(const void *p) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return vdupq_n_s32(four);
}
static inline vi i_weights(const void *p) { return vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p))); }
static inline vi i_dot(vi s, vi a, vi b) {
    int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    return vaddq_s32(s, vpaddq_s32(low, vmull_high_s16(x, y)));
}
static inline void i_store_bytes(void *p, vi a) { vst1_s16(p, vmovn_s32(a)); }
static inline vf i_first(const void *p) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u8(vld1q_u8(p)), 16));
}
static inline vf i_second(const void *p) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u8(vld1q_u8(p)), vdupq_n_u32(0xFFFF0000u)));
}
/* clang-format on */

#include "kernels/simd/kernels.inc.h"
