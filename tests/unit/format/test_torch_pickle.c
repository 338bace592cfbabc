/* Pickles, honest and hostile, inside small archives made here. */
#include "support.h"
#include "torch_builder.h"

#include "format/checkpoint.h"

#include <stdio.h>
#include <string.h>

/* Parses an archive of the pickle and 16 floats; frees the pickle. */
static tw_status parse(tw_buffer *pickle, test_zip *zip, tw_checkpoint **c, tw_error *err) {
    test_zip_checkpoint(zip, pickle, 16);
    tw_buffer_free(pickle);
    return tw_checkpoint_parse(zip->bytes.data, zip->bytes.n_bytes, c, err);
}

static void accepted(tw_buffer *pickle, size_t n_tensors) {
    test_zip zip;
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_ok(parse(pickle, &zip, &c, &err), &err);
    assert_int_equal(tw_checkpoint_n_tensors(c), n_tensors);
    tw_checkpoint_free(c);
    test_zip_free(&zip);
}

static void refused(tw_buffer *pickle, tw_status expected, const char *part) {
    test_zip zip;
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_fails(parse(pickle, &zip, &c, &err), expected, &err);
    assert_null(c);
    if (!strstr(err.message, part)) fail_msg("message \"%s\" lacks \"%s\"", err.message, part);
    test_zip_free(&zip);
}

static const test_view plain = {.type = "FloatStorage",
                                .key = "0",
                                .count = 16,
                                .n_dims = 2,
                                .shape = {4, 4},
                                .stride = {4, 1}};

/* A root dict that is open for more members, with one tensor "w". */
static tw_buffer begin(void) {
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\2}(");
    pickle_string(&b, "w");
    pickle_tensor(&b, &plain);
    return b;
}

static void end(tw_buffer *b) {
    pickle_op(b, "u.");
}

static void view_refused(test_view view, tw_status expected, const char *part) {
    tw_buffer b = begin();
    pickle_string(&b, "bad");
    pickle_tensor(&b, &view);
    end(&b);
    refused(&b, expected, part);
}

/* ------------------------------------------------------------------------------------- honest */

static void reads_a_dict_of_tensors(void **state) {
    (void)state;
    tw_buffer b = begin();
    test_zip zip;
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    test_view transposed = plain;
    transposed.offset = 1;
    transposed.shape[0] = 3;
    transposed.stride[0] = 1;
    transposed.stride[1] = 4;
    pickle_string(&b, "t");
    pickle_tensor(&b, &transposed);
    pickle_string(&b, "epoch");
    pickle_int(&b, -5);
    end(&b);
    assert_ok(parse(&b, &zip, &c, &err), &err);
    assert_int_equal(tw_checkpoint_n_tensors(c), 2);
    float values[12];
    tw_tensor_to_f32(tw_checkpoint_find(c, "t"), values);
    for (int i = 0; i < 12; i++)
        assert_true(values[i] == (float)(1 + i / 4 + i % 4 * 4));
    int64_t epoch;
    assert_true(tw_checkpoint_int(c, "epoch", &epoch) && epoch == -5);
    tw_checkpoint_free(c);
    test_zip_free(&zip);
}

static void reads_empty_and_scalar_tensors(void **state) {
    (void)state;
    tw_buffer b = begin();
    test_view scalar = {.type = "FloatStorage", .key = "0", .count = 16, .offset = 15};
    test_view empty = {.type = "FloatStorage",
                       .key = "0",
                       .count = 16,
                       .offset = 99,
                       .n_dims = 2,
                       .shape = {0, 7},
                       .stride = {7, 1}};
    pickle_string(&b, "scalar");
    pickle_tensor(&b, &scalar);
    pickle_string(&b, "empty");
    pickle_tensor(&b, &empty);
    end(&b);
    accepted(&b, 3);
}

/* FRAME, SHORT_BINUNICODE, MEMOIZE, STACK_GLOBAL, BINBYTES, BINUNICODE8, NEWOBJ_EX, sets. */
static void reads_opcodes_of_later_protocols(void **state) {
    (void)state;
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\4\x95\x10\0\0\0\0\0\0\0}\x94(");
    pickle_bytes(&b, "\x8c\1b\x94"
                     "B\2\0\0\0zz");
    pickle_bytes(&b, "\x8d\1\0\0\0\0\0\0\0s\x8f(K\1K\2\x90");
    pickle_bytes(&b, "\x8c\1f(K\1\x91");
    pickle_bytes(&b, "\x8c\1o\x8c\3pkg\x8c\1C\x93)}\x92");
    pickle_bytes(&b, "\x8c\1y\x96\1\0\0\0\0\0\0\0q");
    pickle_bytes(&b, "\x8c\1w\x8c\14torch._utils\x8c\22_rebuild_tensor_v2\x93(");
    pickle_storage(&b, "FloatStorage", "0", 16);
    pickle_bytes(&b, "K\0K\4\x85K\1\x85\x89)tR");
    pickle_bytes(&b, "\x8c\1m"
                     "h\1");
    end(&b);
    accepted(&b, 1);
}

static void unwraps_parameters_and_subclasses(void **state) {
    (void)state;
    tw_buffer b = begin();
    pickle_string(&b, "p");
    pickle_global(&b, "torch._utils", "_rebuild_parameter_with_state");
    pickle_op(&b, "(");
    pickle_global(&b, "torch._tensor", "_rebuild_from_type_v2");
    pickle_op(&b, "(");
    pickle_global(&b, "torch._utils", "_rebuild_tensor_v2");
    pickle_global(&b, "my", "Subclass");
    pickle_op(&b, "(");
    pickle_storage(&b, "FloatStorage", "0", 16);
    pickle_bytes(&b, "K\0K\4\x85K\1\x85\x89)t}tR");
    pickle_op(&b, "\x88)}tR");
    pickle_string(&b, "v3");
    pickle_global(&b, "torch._utils", "_rebuild_tensor_v3");
    pickle_op(&b, "(");
    pickle_storage(&b, "UntypedStorage", "0", 64);
    pickle_bytes(&b, "K\1");
    pickle_global(&b, "torch", "Size");
    pickle_bytes(&b, "K\3\x85\x85RK\5\x85\x89)");
    pickle_global(&b, "torch", "float32");
    pickle_op(&b, "tR");
    end(&b);
    accepted(&b, 3);
}

static void reads_the_ordered_dict_of_python_2(void **state) {
    (void)state;
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\2");
    pickle_global(&b, "collections", "OrderedDict");
    pickle_bytes(&b, "](](U\1w");
    pickle_tensor(&b, &plain);
    pickle_op(&b, "ee\x85R.");
    accepted(&b, 1);
}

static void leaves_foreign_values_alone(void **state) {
    (void)state;
    tw_buffer b = begin();
    pickle_string(&b, "args");
    pickle_global(&b, "argparse", "Namespace");
    pickle_op(&b, ")\x81}");
    pickle_string(&b, "lr");
    pickle_bytes(&b, "G\0\0\0\0\0\0\0\0sb");
    pickle_string(&b, "loss");
    pickle_global(&b, "numpy.core.multiarray", "scalar");
    pickle_op(&b, ")R");
    pickle_string(&b, "_extra_state");
    pickle_op(&b, "N");
    pickle_bytes(&b, "\x8a\x09\1\2\3\4\5\6\7\x08\x09N");
    end(&b);
    accepted(&b, 1);
}

/* ------------------------------------------------------------------------------------ hostile */

static void runs_nothing_and_refuses_what_asks_for_it(void **state) {
    (void)state;
    static const char *const calls[][2] = {{"os", "system"},     {"posix", "system"},
                                           {"nt", "system"},     {"subprocess", "Popen"},
                                           {"builtins", "eval"}, {"__builtin__", "exec"}};
    const char *witness = test_temporary(".witness");
    char command[512];
    snprintf(command, sizeof command, "touch %s", witness);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        tw_buffer b = begin();
        pickle_string(&b, "evil");
        pickle_global(&b, calls[i][0], calls[i][1]);
        pickle_string(&b, command);
        pickle_op(&b, "\x85R");
        end(&b);
        refused(&b, TW_ERR_FORMAT, "hostile pickle: it asks for the global");
    }
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\4\x8c\2os\x8c\6system\x93");
    pickle_string(&b, command);
    pickle_op(&b, "\x85R.");
    refused(&b, TW_ERR_FORMAT, "os.system");
    pickle_bytes(&b, "\x80\2");
    pickle_global(&b, "cn_clip.clip.model", "CLIP");
    pickle_op(&b, ")\x81}b.");
    refused(&b, TW_ERR_UNSUPPORTED, "a call of cn_clip.clip.model.CLIP, expected a state dict");
    FILE *f = fopen(witness, "r");
    assert_null(f);
}

static void walks_no_cycle(void **state) {
    (void)state;
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\2}q\0("); /* root["state_dict"] = root */
    pickle_string(&b, "state_dict");
    pickle_bytes(&b, "h\0");
    end(&b);
    refused(&b, TW_ERR_FORMAT, "no tensor in the state dict");
    b = begin();
    pickle_string(&b, "loop");
    pickle_bytes(&b, "]q\1h\1a");
    end(&b);
    accepted(&b, 1);
    b = begin(); /* the shape of a tensor is the list that holds itself */
    pickle_string(&b, "bad");
    pickle_global(&b, "torch._utils", "_rebuild_tensor_v2");
    pickle_op(&b, "(");
    pickle_storage(&b, "FloatStorage", "0", 16);
    pickle_bytes(&b, "K\0]q\1h\1ah\1\x89)tR");
    end(&b);
    refused(&b, TW_ERR_FORMAT, "tensor \"bad\": shape: expected a count, got a list");
    b = begin();
    pickle_string(&b, "nested");
    for (int i = 0; i < 10; i++)
        pickle_global(&b, "torch.nn.parameter", "Parameter");
    pickle_op(&b, ")");
    for (int i = 0; i < 9; i++)
        pickle_op(&b, "R\x85");
    pickle_op(&b, "R");
    end(&b);
    refused(&b, TW_ERR_LIMIT, "tensor \"nested\": wrapped more than 8 times");
}

static void many(tw_buffer *b, const char *op, size_t n_op, size_t n) {
    for (size_t i = 0; i < n; i++)
        pickle_raw(b, op, n_op);
}

static void stops_at_its_limits(void **state) {
    (void)state;
    tw_buffer b = {0};
    many(&b, "(", 1, 2000000);
    refused(&b, TW_ERR_LIMIT, "data.pkl: byte 1048576: more than 1048576 marks");
    many(&b, "N", 1, 2000000);
    refused(&b, TW_ERR_LIMIT, "data.pkl: byte 1048576: more than 1048576 values on the stack");
    many(&b, "]0", 2, 5000000);
    refused(&b, TW_ERR_LIMIT, "more than 4194304 values");
    many(&b, "N0", 2, 9000000);
    refused(&b, TW_ERR_LIMIT, "more than 16777216 opcodes");
    pickle_op(&b, "]");
    many(&b, "Na", 2, 8390000);
    refused(&b, TW_ERR_LIMIT, "opcodes");
    pickle_op(&b, "](");
    many(&b, "N", 1, 1000000);
    pickle_op(&b, "e");
    for (int i = 0; i < 8; i++) {
        pickle_op(&b, "(");
        many(&b, "N", 1, 1000000);
        pickle_op(&b, "e");
    }
    refused(&b, TW_ERR_LIMIT, "more than 8388608 items of containers");
    pickle_bytes(&b, "Nr\xff\xff\xff\xff.");
    refused(&b, TW_ERR_LIMIT, "byte 1: memo index 4294967295");
    many(&b, "]", 1, 500000); /* a list in a list in a list … */
    many(&b, "a", 1, 499999);
    pickle_op(&b, ".");
    refused(&b, TW_ERR_FORMAT, "root: expected a dict, got a list");
    pickle_op(&b, "}");
    many(&b, "2\x86", 2, 100); /* 2^100 leaves */
    pickle_op(&b, ".");
    refused(&b, TW_ERR_FORMAT, "root: expected a dict, got a tuple");
}

#define BYTES(literal) literal, sizeof(literal) - 1

static void refuses_broken_pickles(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *part;
    } cases[] = {
        {BYTES(""), "byte 0: pickle without its end"},
        {BYTES("\x80\2"), "byte 2: pickle without its end"},
        {BYTES("."), "byte 0: stack underflow"},
        {BYTES("\x80\2}."), "no tensor in the root of 0 members"},
        {BYTES("\x80\2N."), "root: expected a dict, got None"},
        {BYTES("\x80\2I1\n."), "byte 2: 0x49 is no opcode"},
        {BYTES("h\0."), "byte 0: memo index 0 was never stored"},
        {BYTES("X\xff\xff\xff\xff"), "byte 0: 4294967295 bytes wanted, 0 are left"},
        {BYTES("\x8d\0\0\0\0\0\0\0\x80"), "9223372036854775808 bytes wanted"},
        {BYTES("\x8b\xff\xff\xff\xff"), "byte 0: integer of negative length"},
        {BYTES("J\0"), "byte 0: 4 bytes wanted, 1 are left"},
        {BYTES("\x95\xff\0\0\0\0\0\0\0"), "byte 0: frame beyond the end"},
        {BYTES("cos"), "byte 0: name of a global without an end"},
        {BYTES("KK\x93."), "byte 2: stack underflow"},
        {BYTES("K\1K\2\x93."), "byte 4: name of a global that is not a string"},
        {BYTES("N(e."), "byte 2: items for None"},
        {BYTES("}(Nu."), "byte 3: a key without a value"},
        {BYTES("}Ns."), "byte 2: stack underflow"},
        {BYTES("(e."), "byte 1: stack underflow"},
        {BYTES("e."), "byte 0: no mark on the stack"},
        {BYTES("N(0\x85(."), "byte 5: stack underflow"},
        {BYTES("N(R."), "byte 2: stack underflow"},
        {BYTES("NNR."), "byte 2: arguments are not a tuple"},
        {BYTES("Nb."), "byte 1: stack underflow"},
        {BYTES("q\0."), "byte 0: stack underflow"},
        {BYTES("2."), "byte 0: stack underflow"},
        {BYTES("1."), "byte 0: no mark on the stack"},
        {BYTES("(o."), "byte 1: stack underflow"},
        {BYTES("ccollections\nOrderedDict\n]Na\x85R."), "OrderedDict of something else"},
        {BYTES("ccollections\nOrderedDict\nN\x85R."), "OrderedDict of no list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_buffer b = {0};
        pickle_raw(&b, cases[i].bytes, cases[i].n);
        refused(&b, TW_ERR_FORMAT, cases[i].part);
    }
    tw_buffer b = {0};
    pickle_bytes(&b, "\x80\6N.");
    refused(&b, TW_ERR_UNSUPPORTED, "pickle protocol 6");
}

static void keeps_views_inside_their_storage(void **state) {
    (void)state;
    test_view v = plain;
    v.offset = 1;
    view_refused(v, TW_ERR_FORMAT,
                 "tensor \"bad\": element 16 of a storage of 16, for shape [4, 4]");
    v.offset = -1;
    view_refused(v, TW_ERR_FORMAT, "storage offset: expected a count, got an integer");
    v.offset = INT64_MAX;
    view_refused(v, TW_ERR_FORMAT, "element");
    v = plain;
    v.stride[0] = 5;
    view_refused(v, TW_ERR_FORMAT, "element 18 of a storage of 16");
    v.stride[0] = -4;
    view_refused(v, TW_ERR_FORMAT, "strides: expected a count");
    v.stride[0] = INT64_MAX;
    view_refused(v, TW_ERR_FORMAT, "is too large");
    v = plain;
    v.shape[0] = -4;
    view_refused(v, TW_ERR_FORMAT, "shape: expected a count");
    v.shape[0] = v.shape[1] = (int64_t)1 << 40;
    v.stride[0] = v.stride[1] = 0;
    view_refused(v, TW_ERR_FORMAT, "is too large");
    v.shape[0] = v.shape[1] = 1 << 20; /* four bytes as four terabytes */
    view_refused(v, TW_ERR_FORMAT, "has 1099511627776 elements, its storage 16");
    v = plain;
    v.count = 17;
    view_refused(v, TW_ERR_FORMAT, "member data/0 has 64 bytes, its storage 68");
    v.count = INT64_MAX;
    view_refused(v, TW_ERR_FORMAT, "storage 0 of 9223372036854775807 elements");
    v.count = -1;
    view_refused(v, TW_ERR_FORMAT, "storage size: expected a count");
    v = plain;
    v.key = "1";
    view_refused(v, TW_ERR_FORMAT, "member data/1 is missing");
    v.key = "../data.pkl";
    view_refused(v, TW_ERR_FORMAT, "is missing");
    v = plain;
    v.type = "ComplexFloatStorage";
    view_refused(v, TW_ERR_UNSUPPORTED, "storage type torch.ComplexFloatStorage");
    v = plain;
    v.n_dims = 9;
    view_refused(v, TW_ERR_UNSUPPORTED, "shape: 9 dimensions");
}

static void refuses_tensors_that_are_not_dense_or_plain(void **state) {
    (void)state;
    tw_buffer b = begin();
    pickle_string(&b, "q");
    pickle_global(&b, "torch._utils", "_rebuild_qtensor");
    pickle_op(&b, ")R");
    end(&b);
    refused(&b, TW_ERR_UNSUPPORTED, "tensor \"q\": expected a dense tensor");
    b = begin();
    pickle_string(&b, "n");
    pickle_global(&b, "torch._utils", "_rebuild_tensor_v2");
    pickle_op(&b, "(");
    pickle_storage(&b, "FloatStorage", "0", 16);
    pickle_bytes(&b, "K\0K\4\x85K\1\x85\x89)}");
    pickle_string(&b, "neg");
    pickle_op(&b, "\x88stR");
    end(&b);
    refused(&b, TW_ERR_UNSUPPORTED, "saved with its \"neg\" bit set");
    b = begin();
    pickle_string(&b, "e");
    pickle_global(&b, "torch._utils", "_rebuild_tensor_v2");
    pickle_op(&b, ")R");
    end(&b);
    refused(&b, TW_ERR_FORMAT, "tensor \"e\": storage: expected a persistent id, got nothing");
}

static void refuses_names_that_cannot_be_told_apart(void **state) {
    (void)state;
    tw_buffer b = begin();
    pickle_string(&b, "w");
    pickle_tensor(&b, &plain);
    end(&b);
    refused(&b, TW_ERR_FORMAT, "tensor \"w\" occurs twice");
    b = begin();
    pickle_bytes(&b, "X\3\0\0\0a\0b");
    pickle_tensor(&b, &plain);
    end(&b);
    refused(&b, TW_ERR_FORMAT, "not UTF-8 text");
    b = begin();
    pickle_string(&b, "\xff");
    pickle_tensor(&b, &plain);
    end(&b);
    refused(&b, TW_ERR_FORMAT, "not UTF-8 text");
    b = begin();
    pickle_string(&b, "line\nbreak");
    pickle_global(&b, "torch._utils", "_rebuild_tensor_v2");
    pickle_op(&b, ")R");
    end(&b);
    refused(&b, TW_ERR_FORMAT, "tensor \"line?break\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_dict_of_tensors),
        cmocka_unit_test(reads_empty_and_scalar_tensors),
        cmocka_unit_test(reads_opcodes_of_later_protocols),
        cmocka_unit_test(unwraps_parameters_and_subclasses),
        cmocka_unit_test(reads_the_ordered_dict_of_python_2),
        cmocka_unit_test(leaves_foreign_values_alone),
        cmocka_unit_test(runs_nothing_and_refuses_what_asks_for_it),
        cmocka_unit_test(walks_no_cycle),
        cmocka_unit_test(stops_at_its_limits),
        cmocka_unit_test(refuses_broken_pickles),
        cmocka_unit_test(keeps_views_inside_their_storage),
        cmocka_unit_test(refuses_tensors_that_are_not_dense_or_plain),
        cmocka_unit_test(refuses_names_that_cannot_be_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
