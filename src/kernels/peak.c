/* 12 independent sums are more than latency x ports of any core so far. The empty asm keeps them in
 * registers and the compiler from working out the loop. */
#include "kernels/peak.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define EACH(of) of(0) of(1) of(2) of(3) of(4) of(5) of(6) of(7) of(8) of(9) of(10) of(11)
#define DECLARE(i) VEC s##i = START(i);
#define STEP(i)                                                                                    \
    s##i = ADD_PRODUCT(s##i, x, y);                                                                \
    __asm__ volatile("" : KEEP(s##i));
#define SAVE(i) memcpy(sink + i * sizeof(VEC) / sizeof(float), &s##i, sizeof(VEC));
#define LOOP(first, second)                                                                        \
    VEC x = first, y = second;                                                                     \
    EACH(DECLARE) for (long r = 0; r < rounds; r++){EACH(STEP)} EACH(SAVE)

#if defined(__x86_64__)
#define KEEP(a) "+x"(a)
#define VEC __m256
#define START(i) _mm256_set1_ps((float)i)
#define ADD_PRODUCT(s, a, b) _mm256_fmadd_ps(s, a, b)
__attribute__((target("avx2,fma"))) static void f32_256(long rounds, float *sink) {
    LOOP(_mm256_set1_ps(1.0000001f), _mm256_set1_ps(1e-9f))
}
#undef VEC
#undef START
#undef ADD_PRODUCT
#define VEC __m256i
#define START(i) _mm256_set1_epi32(i)
#define ADD_PRODUCT(s, a, b) _mm256_dpbusd_avx_epi32(s, a, b)
__attribute__((target("avx2,avxvnni"))) static void i8_256(long rounds, float *sink) {
    LOOP(_mm256_set1_epi8(1), _mm256_set1_epi8(-1))
}
#undef VEC
#undef START
#undef ADD_PRODUCT
#undef KEEP
#define KEEP(a) "+v"(a)
#define VEC __m512
#define START(i) _mm512_set1_ps((float)i)
#define ADD_PRODUCT(s, a, b) _mm512_fmadd_ps(s, a, b)
__attribute__((target("avx512f"))) static void f32_512(long rounds, float *sink) {
    LOOP(_mm512_set1_ps(1.0000001f), _mm512_set1_ps(1e-9f))
}
#undef VEC
#undef START
#undef ADD_PRODUCT
#define VEC __m512i
#define START(i) _mm512_set1_epi32(i)
#define ADD_PRODUCT(s, a, b) _mm512_dpbusd_epi32(s, a, b)
__attribute__((target("avx512f,avx512vnni"))) static void i8_512(long rounds, float *sink) {
    LOOP(_mm512_set1_epi8(1), _mm512_set1_epi8(-1))
}
#undef VEC
#undef START
#undef ADD_PRODUCT
#define VEC __m512
#define START(i) _mm512_set1_ps((float)i)
#define ADD_PRODUCT(s, a, b) _mm512_dpbf16_ps(s, (__m512bh)a, (__m512bh)b)
__attribute__((target("avx512f,avx512bf16"))) static void bf16_512(long rounds, float *sink) {
    LOOP(_mm512_set1_ps(1.0f), _mm512_set1_ps(1e-9f))
}
/* Four sums, as in tiles.inc.h, three times; all are 0. */
#define DOTS(name)                                                                                 \
    name " %%tmm6, %%tmm4, %%tmm0\n" name " %%tmm7, %%tmm4, %%tmm1\n" name                         \
         " %%tmm6, %%tmm5, %%tmm2\n" name " %%tmm7, %%tmm5, %%tmm3\n"
#define TILE_LOOP(name)                                                                            \
    unsigned char config[64] = {1};                                                                \
    for (int i = 0; i < 8; i++)                                                                    \
        config[16 + 2 * i] = 64, config[48 + i] = 16;                                              \
    __asm__ volatile("ldtilecfg (%0)" : : "r"(config) : "memory");                                 \
    for (long r = 0; r < rounds; r++)                                                              \
        __asm__ volatile(DOTS(name) DOTS(name) DOTS(name) : : : "memory");                         \
    __asm__ volatile("tilerelease" : : : "memory");                                                \
    memset(sink, 0, 12 * 16 * sizeof *sink);
static void i8_tiles(long rounds, float *sink) {
    TILE_LOOP("tdpbusd")
}
static void bf16_tiles(long rounds, float *sink) {
    TILE_LOOP("tdpbf16ps")
}
#elif defined(__aarch64__)
#define KEEP(a) "+w"(a)
#define VEC float32x4_t
#define START(i) vdupq_n_f32((float)i)
#define ADD_PRODUCT(s, a, b) vfmaq_f32(b, s, a)
static void f32_128(long rounds, float *sink) {
    LOOP(vdupq_n_f32(1.0000001f), vdupq_n_f32(1e-9f))
}
#endif

static const struct {
    const char *table;
    tw_peak_loop f32, i8, bf16; /* none for bf16: it is computed by f32's */
} loops[] = {
#if defined(__x86_64__)
    {"avx2", {f32_256, 12 * 8 * 2}, {NULL, 0}, {NULL, 0}},
    {"avxvnni", {f32_256, 12 * 8 * 2}, {i8_256, 12 * 32 * 2}, {NULL, 0}},
    {"avx512", {f32_512, 12 * 16 * 2}, {NULL, 0}, {NULL, 0}},
    {"avx512vnni", {f32_512, 12 * 16 * 2}, {i8_512, 12 * 64 * 2}, {NULL, 0}},
    {"avx512bf16", {f32_512, 12 * 16 * 2}, {i8_512, 12 * 64 * 2}, {bf16_512, 12 * 32 * 2}},
    {"amx",
     {f32_512, 12 * 16 * 2},
     {i8_tiles, 12 * 16 * 16 * 64 * 2},
     {bf16_tiles, 12 * 16 * 16 * 32 * 2}},
#elif defined(__aarch64__)
    {"neon", {f32_128, 12 * 4 * 2}, {NULL, 0}, {NULL, 0}},
    {"neondot", {f32_128, 12 * 4 * 2}, {NULL, 0}, {NULL, 0}},
    {"neoni8mm", {f32_128, 12 * 4 * 2}, {NULL, 0}, {NULL, 0}},
#endif
    {NULL, {NULL, 0}, {NULL, 0}, {NULL, 0}},
};

static size_t find(const char *table) {
    size_t i = 0;
    while (loops[i].table && strcmp(loops[i].table, table) != 0)
        i++;
    return i;
}

int tw_peak_loop_f32(const char *table, tw_peak_loop *out) {
    *out = loops[find(table)].f32;
    return out->run != NULL;
}

int tw_peak_loop_i8(const char *table, tw_peak_loop *out) {
    *out = loops[find(table)].i8;
    return out->run != NULL;
}

int tw_peak_loop_bf16(const char *table, tw_peak_loop *out) {
    *out = loops[find(table)].bf16;
    return out->run != NULL || tw_peak_loop_f32(table, out);
}
