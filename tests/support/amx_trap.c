#define _GNU_SOURCE
#include "amx_trap.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#include <ucontext.h>

enum { TILES = 8, ROWS = 16, WIDTH = 64 };

typedef struct tiles {
    int configured;
    unsigned rows[TILES], width[TILES]; /* width in bytes */
    uint8_t config[64];
    _Alignas(64) uint8_t data[TILES][ROWS][WIDTH];
} tiles;

static _Thread_local tiles mine;
static _Thread_local unsigned long executed;

/* An instruction of map 0F38 with a VEX prefix of three bytes. */
typedef struct instruction {
    unsigned prefix; /* 0, 1: 66, 2: F3, 3: F2 */
    unsigned opcode, reg, rm, vvvv;
    int is_register;                 /* mod is 3 */
    int has_sib, wide, longer, high; /* W; L; a register above 7 */
    uint8_t *address, *row_address;  /* whole; base and displacement alone */
    int64_t stride;                  /* index << scale */
    size_t n_bytes;
} instruction;

static _Thread_local uint64_t at; /* the instruction's place, for what is said of it */

static void refuse(const char *fault, const char *what) {
    char line[256];
    int n = snprintf(line, sizeof line, "amx trap: %s at %#llx: %s\n", fault,
                     (unsigned long long)at, what);
    if (write(STDERR_FILENO, line, (size_t)n) < 0) _exit(1);
    abort();
}

static void require(int holds, const char *fault, const char *what) {
    if (!holds) refuse(fault, what);
}

/* -------------------------------------------------------------------------------- decoding */

static int64_t reg_value(const ucontext_t *u, unsigned i) {
    static const int greg[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                 REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                 REG_R12, REG_R13, REG_R14, REG_R15};
    return u->uc_mcontext.gregs[greg[i]];
}

static int64_t displacement(const uint8_t *p, unsigned mod) {
    int8_t short_one = (int8_t)p[0];
    int32_t long_one;
    memcpy(&long_one, p, 4);
    return mod == 1 ? short_one : long_one;
}

/* The memory operand behind ModRM at p; returns its end. x and b extend index and base. */
static const uint8_t *decode_memory(const ucontext_t *u, const uint8_t *p, unsigned x, unsigned b,
                                    instruction *in) {
    unsigned mod = p[0] >> 6, base = in->rm | b << 3;
    int64_t address = 0;
    int no_base = mod == 0 && in->rm == 5; /* relative to the next instruction */
    in->has_sib = in->rm == 4;
    p++;
    if (in->has_sib) {
        unsigned scale = p[0] >> 6, index = (p[0] >> 3 & 7) | x << 3;
        base = (p[0] & 7) | b << 3;
        if (index != 4) in->stride = (int64_t)((uint64_t)reg_value(u, index) << scale);
        if (mod == 0 && (p[0] & 7) == 5) address = displacement(p + 1, 2);
        no_base = mod == 0 && (p[0] & 7) == 5;
        p += no_base ? 5 : 1;
        if (!no_base) address = reg_value(u, base);
    } else if (no_base) {
        address = displacement(p, 2);
        p += 4;
        address += (int64_t)(intptr_t)p;
    } else {
        address = reg_value(u, base);
    }
    if (mod == 1 || mod == 2) {
        address += displacement(p, mod);
        p += mod == 1 ? 1 : 4;
    }
    in->row_address = (uint8_t *)(intptr_t)address;
    in->address = (uint8_t *)(intptr_t)(address + in->stride);
    return p;
}

/* 0 when it is no instruction of VEX's map 0F38. */
static int decode(const ucontext_t *u, instruction *in) {
    const uint8_t *code = (const uint8_t *)u->uc_mcontext.gregs[REG_RIP], *p = code;
    *in = (instruction){0};
    if (p[0] != 0xC4 || (p[1] & 0x1F) != 2) return 0;
    unsigned r = !(p[1] >> 7), x = !(p[1] >> 6 & 1), b = !(p[1] >> 5 & 1);
    in->wide = p[2] >> 7;
    in->vvvv = ~p[2] >> 3 & 15;
    in->longer = p[2] >> 2 & 1;
    in->prefix = p[2] & 3;
    in->opcode = p[3];
    p += 4;
    in->reg = p[0] >> 3 & 7;
    in->rm = p[0] & 7;
    in->is_register = p[0] >> 6 == 3;
    in->high = r || (in->is_register && b);
    p = in->is_register ? p + 1 : decode_memory(u, p, x, b, in);
    in->n_bytes = (size_t)(p - code);
    return 1;
}

/* ----------------------------------------------------------------------------- configuration */

static int all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return 0;
    return 1;
}

static void release(void) {
    memset(&mine, 0, sizeof mine);
}

static void load_config(const uint8_t *from) {
    uint8_t c[64];
    memcpy(c, from, sizeof c);
    release();
    if (c[0] == 0) return; /* the same as to release */
    require(c[0] == 1, "#GP", "ldtilecfg: a palette that is neither 0 nor 1");
    require(all_zero(c + 2, 14) && all_zero(c + 32, 16) && all_zero(c + 56, 8), "#GP",
            "ldtilecfg: reserved bytes that are not zero");
    require(c[1] == 0, "not emulated", "ldtilecfg: a start row");
    for (unsigned i = 0; i < TILES; i++) {
        mine.width[i] = c[16 + 2 * i] | (unsigned)c[17 + 2 * i] << 8;
        mine.rows[i] = c[48 + i];
        require(mine.width[i] <= WIDTH, "#GP", "ldtilecfg: rows of more than 64 bytes");
        require(mine.rows[i] <= ROWS, "#GP", "ldtilecfg: more than 16 rows");
        require(!mine.width[i] == !mine.rows[i], "#GP", "ldtilecfg: rows without columns or none");
    }
    memcpy(mine.config, c, sizeof c);
    mine.configured = 1;
}

/* ------------------------------------------------------------------------------------- tiles */

static void require_tile(unsigned i) {
    require(mine.configured, "#UD", "no tile is configured");
    require(mine.rows[i] > 0, "#UD", "a tile that is not configured");
    require(mine.width[i] % 4 == 0, "#UD", "a tile's rows are no whole elements");
}

static void move_tile(const instruction *in, int store) {
    unsigned i = in->reg;
    require_tile(i);
    if (!store) memset(mine.data[i], 0, sizeof mine.data[i]);
    for (unsigned r = 0; r < mine.rows[i]; r++) {
        uint8_t *p = in->row_address + (int64_t)r * in->stride;
        if (store)
            memcpy(p, mine.data[i][r], mine.width[i]);
        else
            memcpy(mine.data[i][r], p, mine.width[i]);
    }
}

/* C [m, n] += A [m, k] B [k, n], in units of 4 bytes. */
typedef struct product {
    unsigned c, a, b, m, n, k;
} product;

static product require_product(const instruction *in) {
    product p = {.c = in->reg, .a = in->rm, .b = in->vvvv & 7};
    require(in->vvvv < TILES, "#UD", "a tile above 7");
    require(p.c != p.a && p.c != p.b && p.a != p.b, "#UD", "a tile twice in a product");
    require_tile(p.c);
    require_tile(p.a);
    require_tile(p.b);
    require(mine.width[p.c] == mine.width[p.b], "#UD", "a product's columns differ");
    require(mine.rows[p.c] == mine.rows[p.a], "#UD", "a product's rows differ");
    require(mine.width[p.a] / 4 == mine.rows[p.b], "#UD", "a product's K differs");
    p.m = mine.rows[p.c];
    p.n = mine.width[p.c] / 4;
    p.k = mine.rows[p.b];
    return p;
}

/* What lies beyond a tile's rows and columns is zero, so whole rows may be computed. */
__attribute__((target("avx512f,avx512bw,avx512vl"))) static void
multiply_bytes(const product *p, int a_signed, int b_signed) {
    for (unsigned m = 0; m < p->m; m++) {
        int32_t *c = (int32_t *)(void *)mine.data[p->c][m];
        for (unsigned k = 0; k < p->k; k++)
            for (unsigned q = 0; q < 4; q++) {
                const uint8_t *b = mine.data[p->b][k];
                int x = mine.data[p->a][m][4 * k + q];
                if (a_signed) x = (int8_t)x;
                for (unsigned n = 0; x && n < p->n; n++) {
                    int y = b_signed ? (int8_t)b[4 * n + q] : b[4 * n + q];
                    c[n] = (int32_t)((uint32_t)c[n] + (uint32_t)(x * y));
                }
            }
    }
}

/* The same of bytes without sign times those with one, which the kernels use: faster. */
__attribute__((target("avx512f,avx512bw,avx512vl"))) static void
multiply_unsigned_signed(const product *p) {
    const __m512i low = _mm512_set1_epi32(0xFF00FF);
    for (unsigned m = 0; m < p->m; m++) {
        __m512i c = _mm512_load_si512(mine.data[p->c][m]);
        for (unsigned k = 0; k < p->k; k++) {
            int32_t four;
            memcpy(&four, mine.data[p->a][m] + 4 * k, 4);
            __m512i a = _mm512_set1_epi32(four), b = _mm512_load_si512(mine.data[p->b][k]);
            __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8);
            __m512i odd = _mm512_srai_epi16(b, 8);
            __m512i a_even = _mm512_and_si512(a, low);
            __m512i a_odd = _mm512_and_si512(_mm512_srli_epi16(a, 8), low);
            c = _mm512_add_epi32(c, _mm512_madd_epi16(a_even, even));
            c = _mm512_add_epi32(c, _mm512_madd_epi16(a_odd, odd));
        }
        _mm512_store_si512(mine.data[p->c][m], c);
    }
}

/* Sums of the first and of the second of each pair, from 0, each product a fused multiply-add; the
 * second sum is added to the first, that to C. Numbers below the normal ones are 0 and become 0,
 * ties go to even, whatever the program's own control word says. */
__attribute__((target("avx512f,avx512bw,avx512vl"))) static void multiply_bf16(const product *p) {
    const unsigned kept = _mm_getcsr();
    _mm_setcsr(0x1F80u | 0x8040u); /* no exception, to nearest; flush to zero, denormals are zero */
    const __m512i upper = _mm512_set1_epi32((int)0xFFFF0000u);
    for (unsigned m = 0; m < p->m; m++) {
        __m512 first = _mm512_setzero_ps(), second = _mm512_setzero_ps();
        for (unsigned k = 0; k < p->k; k++) {
            int32_t pair;
            memcpy(&pair, mine.data[p->a][m] + 4 * k, 4);
            __m512i a = _mm512_set1_epi32(pair), b = _mm512_load_si512(mine.data[p->b][k]);
            __m512 a0 = _mm512_castsi512_ps(_mm512_slli_epi32(a, 16));
            __m512 b0 = _mm512_castsi512_ps(_mm512_slli_epi32(b, 16));
            __m512 a1 = _mm512_castsi512_ps(_mm512_and_si512(a, upper));
            __m512 b1 = _mm512_castsi512_ps(_mm512_and_si512(b, upper));
            first = _mm512_fmadd_ps(a0, b0, first);
            second = _mm512_fmadd_ps(a1, b1, second);
        }
        __m512 c = _mm512_castsi512_ps(_mm512_load_si512(mine.data[p->c][m]));
        c = _mm512_add_ps(c, _mm512_add_ps(first, second));
        __mmask16 columns = (__mmask16)((1u << p->n) - 1u);
        _mm512_store_si512(mine.data[p->c][m],
                           _mm512_castps_si512(_mm512_maskz_mov_ps(columns, c)));
    }
    _mm_setcsr(kept);
}

/* --------------------------------------------------------------------------------- execution */

enum { NONE, P66, F3, F2 };

static void execute_configuring(const instruction *in) {
    if (in->is_register && in->prefix == NONE && in->reg == 0 && in->rm == 0) {
        release();
    } else if (in->is_register && in->prefix == F2 && in->rm == 0) {
        require_tile(in->reg);
        memset(mine.data[in->reg], 0, sizeof mine.data[in->reg]);
    } else if (!in->is_register && in->prefix == NONE && in->reg == 0) {
        load_config(in->address);
    } else if (!in->is_register && in->prefix == P66 && in->reg == 0) {
        memcpy(in->address, mine.config, sizeof mine.config);
    } else {
        refuse("#UD", "no such instruction");
    }
}

static void execute_moving(const instruction *in) {
    require(!in->is_register && in->has_sib && in->prefix != NONE, "#UD", "no such instruction");
    move_tile(in, in->prefix == F3);
}

static void execute_bytes(const instruction *in) {
    require(in->is_register, "#UD", "no such instruction");
    product p = require_product(in);
    if (in->prefix == P66)
        multiply_unsigned_signed(&p);
    else
        multiply_bytes(&p, in->prefix == F2 || in->prefix == F3, in->prefix == F2);
}

static void execute_bf16(const instruction *in) {
    require(in->is_register && in->prefix == F3, "#UD", "no such instruction");
    product p = require_product(in);
    multiply_bf16(&p);
}

/* 0 when the instruction is not one of tiles. */
static int step(ucontext_t *u) {
    static const struct {
        unsigned opcode;
        void (*execute)(const instruction *in);
    } known[] = {{0x49, execute_configuring},
                 {0x4B, execute_moving},
                 {0x5C, execute_bf16},
                 {0x5E, execute_bytes}};
    instruction in;
    if (!decode(u, &in)) return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (in.opcode != known[i].opcode) continue;
        at = (uint64_t)u->uc_mcontext.gregs[REG_RIP];
        require(!in.wide && !in.longer && !in.high, "#UD", "W, L or a tile above 7");
        require(in.opcode >= 0x5C || in.vvvv == 0, "#UD", "an operand too many");
        known[i].execute(&in);
        u->uc_mcontext.gregs[REG_RIP] += (greg_t)in.n_bytes;
        executed++;
        return 1;
    }
    return 0;
}

/* A prefetch, of which nobody sees that it was left out; 0 when it is none. */
static int pass_hint(ucontext_t *u) {
    const uint8_t *code = (const uint8_t *)u->uc_mcontext.gregs[REG_RIP];
    const uint8_t *p = (code[0] & 0xF0) == 0x40 ? code + 1 : code; /* REX */
    instruction in = {0};
    if (p[0] != 0x0F || p[1] != 0x18 || p[2] >> 6 == 3) return 0;
    in.rm = p[2] & 7;
    p = decode_memory(u, p + 2, 0, 0, &in);
    u->uc_mcontext.gregs[REG_RIP] += (greg_t)(p - code);
    return 1;
}

/* Those that follow at once are executed as well: each would trap. */
static void on_illegal(int number, siginfo_t *info, void *context) {
    (void)info;
    if (!step(context)) {
        signal(number, SIG_DFL);
        return;
    }
    while (step(context) || pass_hint(context))
        ;
}

const char *amx_trap_install(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl"))
        return "the processor has no AVX-512, which all else of the table needs";
    struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGILL, &action, NULL) == 0 ? NULL : "sigaction failed";
}
#else
static unsigned long executed;

const char *amx_trap_install(void) {
    return "not an x86-64 Linux";
}
#endif

unsigned long amx_trap_count(void) {
    return executed;
}

const char *amx_for_tests(const char **how) {
    int real = 0;
#if defined(__x86_64__)
    real = tw_amx_probe() == TW_AMX_READY;
#endif
    if (how) *how = real ? "" : " (trapped)";
    return real ? NULL : amx_trap_install();
}
