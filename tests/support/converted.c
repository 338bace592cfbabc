#include "converted.h"

#include "format/gguf/gguf.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

tw_model *test_converted(const char *path, const tw_convert_options *options) {
    tw_error err = TW_ERROR_INIT;
    tw_model *m;
    const char *file = test_temporary(".gguf");
    assert_ok(tw_convert(path, file, options, &err), &err);
    assert_ok(tw_model_open(file, &m, &err), &err);
    return m;
}

float *test_values(const tw_tensor *t) {
    float *out = malloc(tw_tensor_elements(t) * sizeof *out + 1);
    assert_non_null(out);
    tw_tensor_to_f32(t, out);
    return out;
}

void test_same_values(const tw_tensor *a, const tw_tensor *b) {
    size_t n = tw_tensor_elements(a);
    assert_int_equal(n, tw_tensor_elements(b));
    float *x = test_values(a), *y = test_values(b);
    if (memcmp(x, y, n * sizeof *x) != 0) fail_msg("%s and %s differ", a->name, b->name);
    free(x);
    free(y);
}

void test_same_weights(const tw_model *a, const tw_model *b) {
    size_t n = tw_gguf_n_tensors(a->gguf);
    assert_int_equal(n, tw_gguf_n_tensors(b->gguf));
    for (size_t i = 0; i < n; i++) {
        const tw_tensor *x = &tw_gguf_tensor_at(a->gguf, i)->view,
                        *y = &tw_gguf_tensor_at(b->gguf, i)->view;
        assert_string_equal(x->name, y->name);
        test_same_values(x, y);
    }
}
