/* Base64 as Python's urlsafe_b64decode. The source belongs to the command and is taken in. */
#include "dataset/base64.c"

#include "support.h"

#include <string.h>

static void expect(const char *text, const char *decoded) {
    uint8_t out[64];
    size_t n;
    tw_error err = TW_ERROR_INIT;
    tw_status status = tw_base64_decode(text, strlen(text), out, &n, &err);
    assert_int_equal(status, decoded ? TW_OK : TW_ERR_FORMAT);
    if (!decoded) return;
    assert_int_equal(n, strlen(decoded));
    assert_memory_equal(out, decoded, n);
}

/* The expectations are what Python 3.11 gives. */
static void decodes_what_python_decodes(void **state) {
    expect("", "");
    expect("QUJD", "ABC");
    expect("QUI=", "AB");
    expect("QQ==", "A");
    expect("-_8=", "\xfb\xff");
    expect("+/8=", "\xfb\xff");
    expect("Q U\nJ\xe7\x8c\xab"
           "D!",
           "ABC");           /* foreign characters go */
    expect("QQ==QUJD", "A"); /* the padding is the end */
    expect("Q=UJD", "ABC");  /* one too early is foreign */
    expect("QQ=U", NULL);
    expect("QQ=UJD==", NULL);
    expect("Q", NULL);
    expect("QQ", NULL);
    expect("QQ=", NULL);
    expect("QUI", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(decodes_what_python_decodes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
