/* Addresses and names of releases. The sources belong to the command and are taken in. */
#include "fetch/names.c"
#include "fetch/url.c"

#include "support.h"

static void addresses_are_taken_apart(void **state) {
    tw_url u;
    tw_error err = TW_ERROR_INIT;
    assert_ok(tw_url_parse("HTTPS://Example.Org/a/b?c=d", &u, &err), &err);
    assert_true(u.https);
    assert_string_equal(u.host, "example.org");
    assert_int_equal(u.port, 443);
    assert_string_equal(u.path, "/a/b?c=d");
    assert_ok(tw_url_parse("http://[::1]:8080", &u, &err), &err);
    assert_string_equal(u.host, "[::1]");
    assert_int_equal(u.port, 8080);
    assert_string_equal(u.path, "");
}

static void what_is_no_address_is_refused(void **state) {
    static const char *const wrong[] = {"",
                                        "x",
                                        "ftp://h/",
                                        "file:///etc/passwd",
                                        "http://",
                                        "http:///x",
                                        "http://h:/",
                                        "http://h:0/",
                                        "http://h:65536/",
                                        "http://h:123456/",
                                        "http://h:1x/",
                                        "http://u@h/",
                                        "http://u:p@h/",
                                        "http://h/a b",
                                        "http://h/a\nb",
                                        "http://h/\xe5",
                                        "http://h/#f",
                                        "http://[::1/",
                                        "http://[/",
                                        "http://[]/",
                                        "http://h[1]/",
                                        "http://a;b/",
                                        "http://h\\x/"};
    for (size_t i = 0; i < TW_COUNT(wrong); i++) {
        tw_url u;
        tw_error err = TW_ERROR_INIT;
        assert_fails(tw_url_parse(wrong[i], &u, &err), TW_ERR_ARGUMENT, &err);
    }
    char longest[TW_URL_BYTES + 1] = "http://h/";
    memset(longest + 9, 'a', sizeof longest - 10);
    tw_url u;
    tw_error err = TW_ERROR_INIT;
    longest[TW_URL_BYTES - 1] = '\0';
    assert_ok(tw_url_parse(longest, &u, &err), &err);
    longest[TW_URL_BYTES - 1] = 'a';
    assert_fails(tw_url_parse(longest, &u, &err), TW_ERR_ARGUMENT, &err);
}

static void origins_are_scheme_host_and_port(void **state) {
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"http://h/a", "http://H:80/b", true},
        {"https://h", "https://h:443/", true},
        {"http://h", "https://h", false},
        {"http://h:1", "http://h:2", false},
        {"http://h", "http://h.evil.org/", false},
        {"http://huggingface.co", "http://huggingface.co.x", false},
    };
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        tw_url a, b;
        assert_int_equal(tw_url_parse(cases[i].a, &a, NULL), TW_OK);
        assert_int_equal(tw_url_parse(cases[i].b, &b, NULL), TW_OK);
        assert_int_equal(tw_url_same_origin(&a, &b), cases[i].same);
    }
}

static void redirects_are_never_a_step_down(void **state) {
    tw_error err = TW_ERROR_INIT;
    assert_ok(tw_url_check_redirect("http://a/", "https://b/", &err), &err);
    assert_ok(tw_url_check_redirect("http://a/", "http://b/", &err), &err);
    assert_ok(tw_url_check_redirect("https://a/", "https://b/", &err), &err);
    assert_fails(tw_url_check_redirect("https://a/", "http://a/", &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_url_check_redirect("https://a/", "file:///x", &err), TW_ERR_FORMAT, &err);
}

static void secrets_travel_encrypted_or_stay(void **state) {
    static const char *const no[] = {"http://h/", "http://127.0.0.1.evil.org/",
                                     "http://localhost.x/"};
    static const char *const yes[] = {"https://h/", "http://127.0.0.1:80/", "http://localhost/",
                                      "http://[::1]/"};
    tw_url u;
    for (size_t i = 0; i < TW_COUNT(no); i++) {
        assert_int_equal(tw_url_parse(no[i], &u, NULL), TW_OK);
        assert_false(tw_url_is_private(&u));
    }
    for (size_t i = 0; i < TW_COUNT(yes); i++) {
        assert_int_equal(tw_url_parse(yes[i], &u, NULL), TW_OK);
        assert_true(tw_url_is_private(&u));
    }
}

static void file_names_are_plain(void **state) {
    static const struct {
        const char *url, *name;
    } cases[] = {
        {"http://h/a/b.pt?x=/y", "b.pt"}, {"http://h/..", "_."},
        {"http://h/.hidden", "_hidden"},  {"http://h/a%2fb", "a_2fb"},
        {"http://h/a;b:c", "a_b_c"},
    };
    char name[16];
    tw_error err = TW_ERROR_INIT;
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        assert_ok(tw_url_file_name(cases[i].url, name, sizeof name, &err), &err);
        assert_string_equal(name, cases[i].name);
    }
    assert_fails(tw_url_file_name("http://h/a/", name, sizeof name, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_url_file_name("http://h", name, sizeof name, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_url_file_name("http://h/0123456789abcdef", name, sizeof name, &err),
                 TW_ERR_ARGUMENT, &err);
}

static const tw_release *find(const char *name) {
    const tw_release *r = NULL;
    tw_error err = TW_ERROR_INIT;
    assert_ok(tw_release_find(name, &r, &err), &err);
    return r;
}

static void every_release_is_found_by_all_its_names(void **state) {
    for (size_t i = 0; i < tw_n_releases; i++) {
        const tw_release *r = &tw_releases[i];
        char full[160], url[TW_URL_BYTES];
        tw_error err = TW_ERROR_INIT;
        snprintf(full, sizeof full, "%s/%s", r->family, r->name);
        assert_ptr_equal(find(full), r);
        if (r->alias) assert_ptr_equal(find(r->alias), r);
        assert_ok(tw_release_url(r, TW_HUB_HUGGINGFACE, "", r->file, url, &err), &err);
        assert_memory_equal(url, "https://", 8);
        if (r->sha256 && r->place != TW_PLACE_META) assert_non_null(strstr(url, r->sha256));
        assert_true(!r->sha256 || strlen(r->sha256) == 64 || strlen(r->sha256) == 8);
    }
}

static void addresses_are_those_of_the_originals(void **state) {
    static const struct {
        const char *name, *base, *url;
        tw_hub hub;
    } cases[] = {
        {"ViT-H-14", "",
         "https://huggingface.co/OFA-Sys/chinese-clip-vit-huge-patch14/resolve/main/"
         "clip_cn_vit-h-14.pt",
         TW_HUB_HUGGINGFACE},
        {"ViT-H-14", "https://hf-mirror.com/",
         "https://hf-mirror.com/OFA-Sys/chinese-clip-vit-huge-patch14/resolve/main/"
         "clip_cn_vit-h-14.pt",
         TW_HUB_HUGGINGFACE},
        {"chinese-clip/RN50", "",
         "https://www.modelscope.cn/api/v1/models/AI-ModelScope/chinese-clip-rn50/repo?"
         "Revision=master&FilePath=clip_cn_rn50.pt",
         TW_HUB_MODELSCOPE},
        {"ViT-B/32", "",
         "https://openaipublic.azureedge.net/clip/models/"
         "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
         TW_HUB_HUGGINGFACE},
        {"ViT-B-32/laion400m_e32", "http://mirror/prefix",
         "http://mirror/prefix/mlfoundations/open_clip/releases/download/v0.2-weights/"
         "vit_b_32-quickgelu-laion400m_e32-46683a32.pt",
         TW_HUB_HUGGINGFACE},
        {"ViT-g-14/laion2b_s34b_b88k", "",
         "https://huggingface.co/laion/CLIP-ViT-g-14-laion2B-s34B-b88K/resolve/main/"
         "open_clip_pytorch_model.bin",
         TW_HUB_HUGGINGFACE},
    };
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        char url[TW_URL_BYTES];
        tw_error err = TW_ERROR_INIT;
        const tw_release *r = find(cases[i].name);
        assert_ok(tw_release_url(r, cases[i].hub, cases[i].base, r->file, url, &err), &err);
        assert_string_equal(url, cases[i].url);
    }
}

static void wrong_names_and_places_are_refused(void **state) {
    const tw_release *r;
    char url[TW_URL_BYTES];
    tw_error err = TW_ERROR_INIT;
    assert_fails(tw_release_find("RN50", &r, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_release_find("", &r, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_release_find("openai/", &r, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_release_find("openai/ViT-B-16", &r, &err), TW_ERR_ARGUMENT, &err);
    assert_non_null(strstr(err.message, "near ones are openai/ViT-B/16"));
    r = find("openai/RN101");
    assert_fails(tw_release_url(r, TW_HUB_MODELSCOPE, "", r->file, url, &err), TW_ERR_ARGUMENT,
                 &err);
    assert_fails(tw_release_url(r, TW_HUB_HUGGINGFACE, "mirror", r->file, url, &err),
                 TW_ERR_ARGUMENT, &err);
    assert_fails(tw_release_url(r, TW_HUB_HUGGINGFACE, "http://h/?a=", r->file, url, &err),
                 TW_ERR_ARGUMENT, &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(origins_are_scheme_host_and_port),
        cmocka_unit_test(redirects_are_never_a_step_down),
        cmocka_unit_test(secrets_travel_encrypted_or_stay),
        cmocka_unit_test(file_names_are_plain),
        cmocka_unit_test(every_release_is_found_by_all_its_names),
        cmocka_unit_test(addresses_are_those_of_the_originals),
        cmocka_unit_test(wrong_names_and_places_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
