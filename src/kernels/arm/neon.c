/* NEON of 64-bit Arm: 4 lanes, 32 registers. neondot.c compiles it once more with TW_DOT,
 * neoni8mm.c with TW_I8MM. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

typedef float32x4_t vf;
typedef int32x4_t vi;
enum { VL = 4, NV = 3, MR = 8 }; /* 24 accumulators, 3 of B, 5 left for A */
#if defined(TW_I8MM)
enum { GROUP = 8, A_BYTES = 1, A_OFFSET = 0 };
#elif defined(TW_DOT)
enum { GROUP = 4, A_BYTES = 1, A_OFFSET = 128 }; /* SDOT wants both operands with sign */
#else
enum { GROUP = 2, A_BYTES = 2, A_OFFSET = 0 };
#define TABLE tw_kernels_neon
#define TABLE_NAME "neon"
#endif

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
/* In the first lane alone, where the products take their second operand from. As C it takes GCC a
 * register set to zero and an insertion. */
static inline vi i_four(const void *p) {
    vi a;
    __asm__("ldr %s0, %1" : "=w"(a) : "m"(*(const char(*)[4])p));
    return a;
}
#if defined(TW_I8MM)
#define PAIRED 1
static inline vi i_weights(const void *p) { return vld1q_s32(p); }
static inline vi i_rows(const void *p, const void *q) {
    return vreinterpretq_s32_s8(vcombine_s8(vld1_s8(p), vld1_s8(q)));
}
static inline vi i_pairs(vi s, vi a, vi b) {
    return vusmmlaq_s32(s, vreinterpretq_u8_s32(a), vreinterpretq_s8_s32(b));
}
static inline vi i_upper(vi a, vi b) { return vcombine_s32(vget_low_s32(a), vget_low_s32(b)); }
static inline vi i_lower(vi a, vi b) { return vcombine_s32(vget_high_s32(a), vget_high_s32(b)); }
#elif defined(TW_DOT)
static inline vi i_weights(const void *p) { return vld1q_s32(p); }
static inline vi i_dot(vi s, vi a, vi b) {
    return vdotq_laneq_s32(s, vreinterpretq_s8_s32(b), vreinterpretq_s8_s32(a), 0);
}
#else
/* Of four columns the first element of K each, then the second, in 16 bits. */
static inline vi i_weights(const void *p) {
    static const uint8_t order[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    return vreinterpretq_s32_s16(vmovl_s8(vtbl1_s8(vld1_s8(p), vreinterpret_s8_u8(vld1_u8(order)))));
}
static inline vi i_dot(vi s, vi a, vi b) {
    int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    return vmlal_high_laneq_s16(vmlal_laneq_s16(s, vget_low_s16(y), x, 0), y, x, 1);
}
#endif
#if defined(TW_I8MM) || defined(TW_DOT)
static inline void i_store_bytes(void *p, vi a) {
    int16x4_t halves = vmovn_s32(a);
    int8x8_t bytes = vmovn_s16(vcombine_s16(halves, halves));
    __builtin_memcpy(p, &bytes, 4);
}
#else
static inline void i_store_bytes(void *p, vi a) { vst1_s16(p, vmovn_s32(a)); }
#endif
static inline vf i_first(const void *p) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u8(vld1q_u8(p)), 16));
}
static inline vf i_second(const void *p) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u8(vld1q_u8(p)), vdupq_n_u32(0xFFFF0000u)));
}
/* clang-format on */

#include "kernels/simd/kernels.inc.h"
