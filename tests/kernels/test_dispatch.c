/* Which table is chosen. */
#define _GNU_SOURCE
#include "kernel_support.h"
#include "kernels/dispatch.h"

#include <sys/wait.h>

/* In place of x86/amx_probe.c: what the processor and the system are said to answer. */
static tw_amx answer;
static int asked;
tw_amx tw_amx_probe(void) {
    asked++;
    return answer;
}

static int rank(const char *name) {
    for (int i = 0; i < LADDER; i++)
        if (strcmp(name, ladder[i]) == 0) return i;
    return 100;
}

static void tables_are_complete_and_ascend_from_ref(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n = tw_kernels_all(tables);
    printf("# this processor has:");
    for (int i = 0; i < n; i++)
        printf(" %s", tables[i]->name);
    printf("\n");
    fflush(stdout);
    assert_in_range(n, 1, TW_KERNELS_MAX);
    assert_string_equal(tables[0]->name, "ref");
    for (int i = 0; i < n; i++) {
        const tw_kernels *t = tables[i];
        assert_true(t->nr > 0 && t->mr > 0 && t->pack_f32 && t->gemm_f32 && t->layer_norm_f32);
        assert_true(t->attention_f32 && t->attention_scratch && t->add_f32 && t->avg_pool_f32);
        assert_true(t->dot_f32 && t->pack_stored_bf16);
        /* Where bf16 has an instruction, attention goes by it. */
        assert_int_equal(t->attention_bf16 != NULL, t->bf16.note[0] == 0);
        for (const tw_narrow *narrow = &t->i8; narrow; narrow = narrow == &t->i8 ? &t->bf16 : NULL)
            assert_true(narrow->note && narrow->mr > 0 && narrow->row && narrow->panel &&
                        narrow->pack && narrow->quantize && narrow->gemm);
        assert_in_range(rank(t->name), 0, LADDER - 1);
        if (i > 0) assert_true(rank(t->name) > rank(tables[i - 1]->name));
    }
}

static void a_cap_is_kept(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n = tw_kernels_all(tables);
    const char *best = tables[n - 1]->name;
    for (int i = 0; i < n; i++)
        assert_string_equal(tw_kernels_pick(tables[i]->name)->name, tables[i]->name);
    assert_string_equal(tw_kernels_pick(NULL)->name, best);
    assert_string_equal(tw_kernels_pick("")->name, best);
    assert_string_equal(tw_isa_best(), best);
}

static void a_cap_above_the_processor_gives_its_best(void **state) {
#if defined(__x86_64__)
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n = tw_kernels_all(tables);
    assert_string_equal(tw_kernels_pick("avx512bf16")->name, tables[n - 1]->name);
    assert_string_equal(tw_kernels_pick("neon")->name, "ref");
    assert_string_equal(tw_kernels_pick("neoni8mm")->name, "ref");
#elif defined(__aarch64__)
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n = tw_kernels_all(tables);
    assert_string_equal(tw_kernels_pick("neoni8mm")->name, tables[n - 1]->name);
    assert_string_equal(tw_kernels_pick("avx2")->name, "ref");
    assert_string_equal(tw_kernels_pick("avx512vnni")->name, "ref");
#endif
}

static void an_unknown_cap_is_no_cap_and_is_told(void **state) {
    assert_string_equal(tw_kernels_pick("pentium")->name, tw_isa_best());
    assert_false(tw_kernels_cap_known("pentium"));
    assert_false(tw_kernels_cap_known("AVX2"));
    assert_true(tw_kernels_cap_known(NULL));
    assert_true(tw_kernels_cap_known(""));
    assert_true(tw_kernels_cap_known("neon"));
    assert_true(tw_kernels_cap_known("neoni8mm"));
    assert_true(tw_kernels_cap_known("avx512vnni"));
    assert_true(tw_kernels_cap_known("amx"));
}

#if defined(__x86_64__)
static void tiles_are_used_where_the_system_grants_them(void **state) {
    static const tw_amx without[] = {TW_AMX_NONE, TW_AMX_OFF, TW_AMX_REFUSED};
    static const char *const notes[] = {NULL, "does not switch it on", "refuses it"};
    const char *best = NULL;
    for (int i = 0; i < 3; i++) {
        answer = without[i];
        best = tw_kernels_pick(NULL)->name;
        assert_string_not_equal(best, "amx");
        assert_string_equal(tw_kernels_pick("amx")->name, best);
        if (!notes[i]) assert_null(tw_isa_note());
        if (notes[i]) assert_non_null(strstr(tw_isa_note(), notes[i]));
    }
    answer = TW_AMX_READY;
    assert_null(tw_isa_note());
    /* All else of that table needs what avx512bf16 does. */
    const char *expected = strcmp(best, "avx512bf16") == 0 ? "amx" : best;
    assert_string_equal(tw_isa_best(), expected);
    assert_string_equal(tw_kernels_pick("amx")->name, expected);
    assert_string_equal(tw_kernels_pick("avx512bf16")->name, best);
    answer = TW_AMX_NONE;
}

/* To ask changes the process: its signal frames grow. */
static void the_system_is_not_asked_for_what_is_capped(void **state) {
    static const char *const caps[] = {"ref", "avx2", "avx512", "avx512bf16", "neon"};
    asked = 0;
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        tw_kernels_pick(caps[i]);
    assert_int_equal(asked, 0);
}
#endif

/* The choice is made once a process, so each value needs a process that has not chosen. */
static int chosen_under(const char *cap) {
    pid_t child = fork();
    if (child == 0) {
        setenv("TUWEN_CPU", cap, 1);
        int valid = tw_isa_cap_valid(), code = rank(tw_isa_name());
        setenv("TUWEN_CPU", "ref", 1);
        _exit(code == rank(tw_isa_name()) ? code + 10 * valid : 99);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_environment_caps_and_the_choice_is_final(void **state) {
    assert_int_equal(chosen_under("ref"), 10);
    assert_int_equal(chosen_under("avx512"), 10 + rank(tw_kernels_pick("avx512")->name));
    assert_int_equal(chosen_under("avx2"), 10 + rank(tw_kernels_pick("avx2")->name));
    assert_int_equal(chosen_under("neondot"), 10 + rank(tw_kernels_pick("neondot")->name));
    assert_int_equal(chosen_under("pentium"), rank(tw_isa_best()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_complete_and_ascend_from_ref),
        cmocka_unit_test(a_cap_is_kept),
        cmocka_unit_test(a_cap_above_the_processor_gives_its_best),
        cmocka_unit_test(an_unknown_cap_is_no_cap_and_is_told),
#if defined(__x86_64__)
        cmocka_unit_test(tiles_are_used_where_the_system_grants_them),
        cmocka_unit_test(the_system_is_not_asked_for_what_is_capped),
#endif
        cmocka_unit_test(the_environment_caps_and_the_choice_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
