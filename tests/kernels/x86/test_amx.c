/* Tiles: the instructions themselves against their description (the trap's, or the processor's own
 * where it has them), what must fault, and the table amx on real shapes: int8 to the bit of the
 * others, bf16 in the order that kernels.h states. */
#define _GNU_SOURCE
#include "../kernel_support.h"
#include "kernels/peak.h"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#include <pthread.h>
#include <sys/wait.h>

typedef struct config {
    uint8_t palette, start_row, reserved[14];
    uint16_t width[16];
    uint8_t rows[16];
} config;

#define BARRIER() __asm__ volatile("" ::: "memory")

/* cmocka brings a handler of SIGILL at the start of each test. */
static int no_tiles(void) {
    const char *how, *why = amx_for_tests(&how);
    if (why) printf("# skipped: amx: %s\n", why);
    if (why) skip();
    return 0;
}

static void configure(const config *c) {
    BARRIER();
    _tile_loadconfig(c);
    BARRIER();
}

/* Tile 0 is C [m, n], 1 is A [m, k], 2 is B [k, n], in elements of 4 bytes. */
static config product_config(size_t m, size_t n, size_t k) {
    config c = {.palette = 1};
    c.rows[0] = c.rows[1] = (uint8_t)m;
    c.rows[2] = (uint8_t)k;
    c.width[0] = c.width[2] = (uint16_t)(4 * n);
    c.width[1] = (uint16_t)(4 * k);
    return c;
}

typedef struct operands {
    size_t m, n, k;
    uint8_t a[16][64], b[16][64], c[16][64];
} operands;

static operands make_operands(uint64_t *seed) {
    operands o = {.m = between(seed, 1, 16), .n = between(seed, 1, 16), .k = between(seed, 1, 16)};
    for (size_t i = 0; i < 16 * 64; i++) {
        o.a[i / 64][i % 64] = (uint8_t)test_random(seed);
        o.b[i / 64][i % 64] = (uint8_t)test_random(seed);
        o.c[i / 64][i % 64] = (uint8_t)test_random(seed);
    }
    return o;
}

static void load(const operands *o) {
    config c = product_config(o->m, o->n, o->k);
    configure(&c);
    _tile_loadd(0, o->c, 64);
    _tile_loadd(1, o->a, 64);
    _tile_stream_loadd(2, o->b, 64);
}

static void store(void *to) {
    BARRIER();
    _tile_stored(0, to, 64);
    BARRIER();
    _tile_release();
}

/* ------------------------------------------------------------------------------- instructions */

static int32_t byte_at(uint8_t x, int is_signed) {
    return is_signed ? (int8_t)x : x;
}

static void products_of_bytes_are_the_described(void **state) {
    uint64_t seed = 1;
    for (int i = 0; i < 200 && !no_tiles(); i++) {
        operands o = make_operands(&seed);
        int a_signed = i & 1, b_signed = i >> 1 & 1;
        uint8_t got[16][64];
        memcpy(got, o.c, sizeof got);
        load(&o);
        if (a_signed && b_signed) _tile_dpbssd(0, 1, 2);
        if (a_signed && !b_signed) _tile_dpbsud(0, 1, 2);
        if (!a_signed && b_signed) _tile_dpbusd(0, 1, 2);
        if (!a_signed && !b_signed) _tile_dpbuud(0, 1, 2);
        store(got);
        for (size_t m = 0; m < o.m; m++)
            for (size_t n = 0; n < o.n; n++) {
                uint32_t sum;
                memcpy(&sum, &o.c[m][4 * n], 4);
                for (size_t k = 0; k < 4 * o.k; k++)
                    sum += (uint32_t)(byte_at(o.a[m][k], a_signed) *
                                      byte_at(o.b[k / 4][4 * n + k % 4], b_signed));
                memcpy(&o.c[m][4 * n], &sum, 4);
            }
        assert_memory_equal(got, o.c, sizeof got); /* what is outside the tile too */
    }
}

static float flushed(float x) {
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

static float half_at(const uint8_t *p) {
    uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
    float x;
    memcpy(&x, &bits, 4);
    return flushed(x);
}

/* `pairs` of bf16 of a row times those of a column, `ldb` bytes apart: even places, odd places, the
 * sum of both. */
static float sum_of_pairs(const uint8_t *a, const uint8_t *b, size_t ldb, size_t pairs) {
    float sum[2] = {0, 0};
    for (size_t k = 0; k < pairs; k++)
        for (size_t i = 0; i < 2; i++)
            sum[i] =
                flushed(fmaf(half_at(a + 4 * k + 2 * i), half_at(b + k * ldb + 2 * i), sum[i]));
    return flushed(sum[0] + sum[1]);
}

/* Magnitudes whose products and sums meet; near the smallest normal numbers if `tiny`. */
static void bring_together(operands *o, int tiny) {
    for (size_t r = 0; r < 16; r++)
        for (size_t j = 1; j < 64; j += 2) {
            o->a[r][j] = (uint8_t)((o->a[r][j] & 0x80) | (0x3C + j / 2 % 5));
            o->b[r][j] = (uint8_t)((o->b[r][j] & 0x80) | (tiny ? 4 : 0x3D));
            if (j % 4 == 3) o->c[r][j] &= tiny ? 0x81 : 0xBF;
        }
}

static void products_of_bf16_are_the_described(void **state) {
    uint64_t seed = 2;
    size_t n_finite = 0;
    for (int i = 0; i < 400 && !no_tiles(); i++) {
        operands o = make_operands(&seed);
        if (i % 4) bring_together(&o, i % 4 == 1);
        uint8_t got[16][64];
        memcpy(got, o.c, sizeof got);
        load(&o);
        _tile_dpbf16ps(0, 1, 2);
        store(got);
        for (size_t m = 0; m < o.m; m++)
            for (size_t n = 0; n < o.n; n++) {
                float c, x;
                memcpy(&c, &o.c[m][4 * n], 4);
                memcpy(&x, &got[m][4 * n], 4);
                c = flushed(flushed(c) + sum_of_pairs(o.a[m], &o.b[0][4 * n], 64, o.k));
                if (isnan(c) ? !isnan(x) : memcmp(&c, &x, 4) != 0)
                    fail_msg("case %d: (%zu, %zu) is %a, expected %a", i, m, n, (double)x,
                             (double)c);
                n_finite += isfinite(c) != 0;
                memcpy(&o.c[m][4 * n], &x, 4);
            }
        assert_memory_equal(got, o.c, sizeof got);
    }
    assert_true(n_finite > 10000);
}

static void tiles_are_loaded_and_stored_at_any_address(void **state) {
    uint64_t seed = 3;
    for (int i = 0; i < 100 && !no_tiles(); i++) {
        uint8_t from[4096], to[4096], expected[4096];
        size_t rows = between(&seed, 1, 16), width = 4 * between(&seed, 1, 16);
        long stride = (long)between(&seed, width, 120);
        const uint8_t *first = from + between(&seed, 200, 230);
        uint8_t *out = to + 2100;
        config c = {.palette = 1};
        c.rows[7] = (uint8_t)rows;
        c.width[7] = (uint16_t)width;
        for (size_t j = 0; j < sizeof from; j++)
            from[j] = (uint8_t)test_random(&seed), to[j] = expected[j] = 0xA5;
        configure(&c);
        BARRIER();
        /* A displacement of one byte, of four bytes, none; a scale; rows backwards. */
        if (i % 3 == 0)
            __asm__ volatile("tileloadd -16(%0,%1,2), %%tmm7" ::"r"(first + 16), "r"(stride)
                             : "memory");
        else if (i % 3 == 1)
            __asm__ volatile("tileloadd 1000(%0,%1,1), %%tmm7" ::"r"(first - 1000), "r"(2 * stride)
                             : "memory");
        else
            __asm__ volatile("tileloadd (%0,%1,1), %%tmm7" ::"r"(first), "r"(2 * stride)
                             : "memory");
        __asm__ volatile("tilestored %%tmm7, 64(%0,%1,1)" ::"r"(out - 64), "r"(-stride) : "memory");
        _tile_release();
        for (size_t r = 0; r < rows; r++)
            memcpy(expected + (out - to) - (long)r * stride, first + 2 * (long)r * stride, width);
        assert_memory_equal(to, expected, sizeof to);
    }
}

static void a_configuration_is_kept_and_empties_all_tiles(void **state) {
    uint8_t ones[16][64], got[16][64], zeros[64] = {0};
    config c = product_config(7, 5, 3), kept;
    if (no_tiles()) return;
    memset(ones, 1, sizeof ones);
    configure(&c);
    _tile_loadd(0, ones, 64);
    BARRIER();
    _tile_storeconfig(&kept);
    BARRIER();
    assert_memory_equal(&kept, &c, sizeof c);
    configure(&c);
    memset(got, 9, sizeof got);
    BARRIER();
    _tile_stored(0, got, 64);
    BARRIER();
    assert_memory_equal(got[6], zeros, 20);
    assert_int_equal(got[6][20], 9);
    _tile_loadd(0, ones, 64);
    _tile_zero(0);
    BARRIER();
    _tile_stored(0, got, 64);
    BARRIER();
    assert_memory_equal(got[0], zeros, 20);
    _tile_release();
    BARRIER();
    _tile_storeconfig(&kept);
    BARRIER();
    assert_memory_equal(&kept, zeros, sizeof kept);
}

/* ------------------------------------------------------------------------------------- faults */

static void load_one(const config *c) {
    uint8_t memory[16][64] = {{0}};
    configure(c);
    _tile_loadd(0, memory, 64);
}

static void of_palette_2(void) {
    config c = product_config(1, 1, 1);
    c.palette = 2;
    configure(&c);
}
static void of_17_rows(void) {
    config c = product_config(17, 1, 1);
    configure(&c);
}
static void of_68_bytes(void) {
    config c = product_config(1, 17, 1);
    configure(&c);
}
static void of_rows_without_columns(void) {
    config c = product_config(1, 0, 1);
    configure(&c);
}
static void of_a_reserved_byte(void) {
    config c = product_config(1, 1, 1);
    c.reserved[13] = 1;
    configure(&c);
}
static void of_a_ninth_tile(void) {
    config c = product_config(1, 1, 1);
    c.rows[8] = 1;
    configure(&c);
}
static void of_nothing_configured(void) {
    _tile_release();
    _tile_zero(0);
}
static void of_a_tile_not_configured(void) {
    config c = product_config(1, 1, 1);
    configure(&c);
    _tile_zero(3);
}
static void of_half_an_element(void) {
    config c = product_config(1, 1, 1);
    c.width[0] = 6;
    load_one(&c);
}
static void of_other_columns(void) {
    config c = product_config(2, 3, 4);
    c.width[2] = 16;
    configure(&c);
    _tile_dpbusd(0, 1, 2);
}
static void of_other_rows(void) {
    config c = product_config(2, 3, 4);
    c.rows[1] = 3;
    configure(&c);
    _tile_dpbusd(0, 1, 2);
}
static void of_another_k(void) {
    config c = product_config(2, 3, 4);
    c.rows[2] = 5;
    configure(&c);
    _tile_dpbf16ps(0, 1, 2);
}
static void of_a_tile_twice(void) {
    config c = product_config(4, 4, 4);
    configure(&c);
    /* tdpbusd %tmm1, %tmm1, %tmm0, which the assembler refuses */
    __asm__ volatile(".byte 0xc4, 0xe2, 0x71, 0x5e, 0xc1" ::: "memory");
}
static void of_no_tile_instruction(void) {
    __builtin_trap();
}

/* What the process that did it ends with; its standard error in `said`. */
static int ends(void (*what)(void), char *said, size_t n) {
    int pipe_ends[2], status;
    assert_int_equal(pipe(pipe_ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        what();
        _exit(0);
    }
    close(pipe_ends[1]);
    ssize_t got = read(pipe_ends[0], said, n - 1);
    said[got > 0 ? got : 0] = '\0';
    close(pipe_ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void what_the_processor_refuses_ends_the_process(void **state) {
    static const struct {
        void (*what)(void);
        const char *said;
    } cases[] = {{of_palette_2, "#GP at 0x"},
                 {of_17_rows, "more than 16 rows"},
                 {of_68_bytes, "more than 64 bytes"},
                 {of_rows_without_columns, "rows without columns"},
                 {of_a_reserved_byte, "reserved bytes"},
                 {of_a_ninth_tile, "reserved bytes"},
                 {of_nothing_configured, "#UD at 0x"},
                 {of_a_tile_not_configured, "not configured"},
                 {of_half_an_element, "no whole elements"},
                 {of_other_columns, "columns differ"},
                 {of_other_rows, "rows differ"},
                 {of_another_k, "K differs"},
                 {of_a_tile_twice, "a tile twice"},
                 {of_no_tile_instruction, ""}};
    const char *how;
    for (size_t i = 0; i < sizeof cases / sizeof *cases && !no_tiles(); i++) {
        char said[512];
        int number = ends(cases[i].what, said, sizeof said);
        amx_for_tests(&how);
        if (!*how || !*cases[i].said) { /* the processor itself */
            if (number != SIGILL && number != SIGSEGV) fail_msg("case %zu: signal %d", i, number);
            continue;
        }
        if (number != SIGABRT || !strstr(said, cases[i].said))
            fail_msg("case %zu: signal %d, \"%s\"", i, number, said);
    }
}

/* ------------------------------------------------------------------------------------ threads */

static void *multiply_often(void *seed_of) {
    uint64_t seed = *(uint64_t *)seed_of;
    for (int i = 0; i < 200; i++) {
        operands o = make_operands(&seed);
        uint8_t got[16][64];
        load(&o);
        _tile_zero(0);
        _tile_dpbusd(0, 1, 2);
        store(got);
        for (size_t m = 0; m < o.m; m++) {
            int32_t sum = 0, x;
            for (size_t k = 0; k < 4 * o.k; k++)
                sum += o.a[m][k] * (int8_t)o.b[k / 4][k % 4];
            memcpy(&x, got[m], 4);
            if (x != sum) return seed_of;
        }
    }
    return NULL;
}

static void threads_have_tiles_of_their_own(void **state) {
    pthread_t threads[3];
    uint64_t seeds[3] = {1, 2, 3};
    if (no_tiles()) return;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, multiply_often, &seeds[i]), 0);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

/* -------------------------------------------------------------------------------------- table */

static size_t panels_of(const tw_kernels *t, size_t n) {
    return (n + t->nr - 1) / t->nr;
}

static void *memory(size_t n_bytes) {
    return scratch_array((n_bytes + 3) / 4);
}

/* c [m, n] of random operands, which depend on the sizes alone. */
static float *narrow_product(const tw_kernels *t, const tw_narrow *narrow, size_t m, size_t n,
                             size_t k, unsigned char **rows) {
    uint64_t seed = m + n + k;
    float *x = array(m * k), *w = array(n * k), *c = array(m * n);
    unsigned char *a = memory(m * narrow->row(k)), *b = memory(panels_of(t, n) * narrow->panel(k));
    fill_random(x, m * k, &seed);
    fill_random(w, n * k, &seed);
    narrow->quantize(x, k, NULL, m, k, a);
    narrow->pack(w, k, n, k, 0, panels_of(t, n), b);
    tw_gemm_narrow g = {a, b, {.c = c, .ldc = n, .m = m, .n = n, .k = k}};
    narrow->gemm(&g, 0, m, 0, panels_of(t, n));
    if (rows) *rows = a;
    return c;
}

static void int8_of_real_shapes_is_that_of_the_others(void **state) {
    static const size_t shapes[][3] = {{197, 96, 768}, {257, 64, 1280}, {99, 40, 3072},
                                       {12, 96, 768},  {33, 32, 2100},  {197, 33, 197}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !no_tiles(); i++) {
        const size_t *s = shapes[i];
        CASE("m=%zu n=%zu k=%zu", s[0], s[1], s[2]);
        float *c = narrow_product(&tw_kernels_amx, &tw_kernels_amx.i8, s[0], s[1], s[2], NULL);
        float *expected =
            narrow_product(&tw_kernels_avx512, &tw_kernels_avx512.i8, s[0], s[1], s[2], NULL);
        check_same_bits("int8", c, expected, s[0], s[1], s[1]);
        free_arrays();
    }
}

/* 32 of K at a time, as kernels.h says; operands from the row and the panel as they are packed. */
static void bf16_is_summed_in_the_stated_order(void **state) {
    static const size_t shapes[][3] = {{70, 64, 768}, {33, 33, 1000}, {17, 32, 31}, {5, 40, 65}};
    const tw_kernels *t = &tw_kernels_amx;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !no_tiles(); i++) {
        size_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        unsigned char *rows, *panels = memory(panels_of(t, n) * t->bf16.panel(k));
        float *c = narrow_product(t, &t->bf16, m, n, k, &rows), *w = array(n * k);
        uint64_t seed = m + n + k;
        fill_random(array(m * k), m * k, &seed);
        fill_random(w, n * k, &seed);
        t->bf16.pack(w, k, n, k, 0, panels_of(t, n), panels);
        for (size_t r = 0; r < m; r++)
            for (size_t j = 0; j < n; j++) {
                const unsigned char *a = rows + r * t->bf16.row(k);
                const unsigned char *b = panels + j / t->nr * t->bf16.panel(k) + j % t->nr * 4;
                float sum = 0;
                for (size_t pair = 0; pair < (k + 1) / 2; pair += 16) {
                    size_t pairs = (k + 1) / 2 - pair < 16 ? (k + 1) / 2 - pair : 16;
                    sum = flushed(
                        sum + sum_of_pairs(a + 4 * pair, b + pair * 4 * t->nr, 4 * t->nr, pairs));
                }
                if (memcmp(&sum, c + r * n + j, 4) != 0)
                    fail_msg("m=%zu n=%zu k=%zu: (%zu, %zu) is %a, expected %a", m, n, k, r, j,
                             (double)c[r * n + j], (double)sum);
            }
        free_arrays();
    }
}

/* Others of the process may use tiles between two products. */
static void no_tile_stays_in_use(void **state) {
    const tw_narrow *products[] = {&tw_kernels_amx.i8, &tw_kernels_amx.bf16};
    for (size_t i = 0; i < 4 && !no_tiles(); i++) {
        config c = product_config(3, 3, 3), zero = {0}, kept;
        narrow_product(&tw_kernels_amx, products[i % 2], 40, 40, 100, NULL);
        BARRIER();
        _tile_storeconfig(&kept);
        BARRIER();
        assert_memory_equal(&kept, &zero, sizeof kept);
        configure(&c);
        free_arrays();
    }
    if (!no_tiles()) _tile_release();
}

static void the_peak_loops_run(void **state) {
    int (*const loops[])(const char *, tw_peak_loop *) = {tw_peak_loop_i8, tw_peak_loop_bf16};
    for (int i = 0; i < 2 && !no_tiles(); i++) {
        tw_peak_loop loop;
        float sink[12 * 16];
        assert_true(loops[i]("amx", &loop));
        unsigned long before = amx_trap_count();
        loop.run(10, sink);
        assert_true(loop.operations == 12 * 16 * 16 * (i ? 32 : 64) * 2);
        if (before > 0) assert_int_equal(amx_trap_count() - before, 10 * 12 + 2);
    }
}
#else
static void products_of_bytes_are_the_described(void **state) {
    printf("# skipped: amx: not an x86-64 Linux\n");
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_bytes_are_the_described),
#if defined(__x86_64__) && defined(__linux__)
        cmocka_unit_test(products_of_bf16_are_the_described),
        cmocka_unit_test(tiles_are_loaded_and_stored_at_any_address),
        cmocka_unit_test(a_configuration_is_kept_and_empties_all_tiles),
        cmocka_unit_test(what_the_processor_refuses_ends_the_process),
        cmocka_unit_test(threads_have_tiles_of_their_own),
        cmocka_unit_test(int8_of_real_shapes_is_that_of_the_others),
        cmocka_unit_test(bf16_is_summed_in_the_stated_order),
        cmocka_unit_test(no_tile_stays_in_use),
        cmocka_unit_test(the_peak_loops_run),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
