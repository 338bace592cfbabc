/* Work submitted and waited for, on a backend made for the purpose. */
#include "support.h"

#include "backend/submit.h"
#include "base/status.h"

#include <semaphore.h>
#include <string.h>

struct tw_backend_state {
    bool beside;
    sem_t go;
    int n_calls;
    size_t most;
};

static void capabilities(const tw_backend_state *s, tw_capabilities *can) {
    can->beside = s->beside;
}

/* Beside the caller it computes only when told to: called by the caller it would never return. */
static tw_status encode_pixels(tw_backend_state *s, const float *pixels, size_t n, float *features,
                               tw_error *err) {
    if (s->beside) sem_wait(&s->go);
    s->n_calls++;
    if (n > s->most) s->most = n;
    if (pixels[0] < 0) return tw_fail(err, TW_ERR_MISMATCH, "below zero");
    for (size_t i = 0; i < n; i++)
        features[i] = 2 * pixels[i];
    return TW_OK;
}

static tw_status encode_tokens(tw_backend_state *s, const tw_token_rows *rows, float *features,
                               tw_error *err) {
    (void)err;
    if (s->beside) sem_wait(&s->go);
    s->n_calls++;
    for (size_t i = 0; i < rows->n; i++)
        features[i] = (float)rows->ids[rows->offset[i]];
    return TW_OK;
}

static const tw_backend backend = {
    .capabilities = capabilities, .encode_pixels = encode_pixels, .encode_tokens = encode_tokens};

static void check(bool beside) {
    tw_backend_state s = {.beside = beside};
    tw_flight flight;
    tw_error err = TW_ERROR_INIT;
    const float pixels[] = {1, 2, 3}, below = -1;
    float features[3] = {0};
    const int32_t ids[] = {7, 8, 9};
    const size_t offset[] = {0, 2, 3};
    const tw_token_rows rows = {ids, offset, 2};
    sem_init(&s.go, 0, 0);
    assert_ok(tw_flight_open(&backend, &s, 3, 1, 1, &flight, &err), &err);
    for (int round = 0; round < 3; round++) {
        tw_submit(&flight, &(tw_work){.pixels = pixels, .n = 3, .features = features});
        if (beside) assert_int_equal(sem_post(&s.go), 0); /* we are here before it is done */
        assert_ok(tw_wait(&flight, &err), &err);
        assert_true(features[0] >= 2 && features[0] <= 2 && features[2] >= 6 && features[2] <= 6);
        tw_submit(&flight, &(tw_work){.rows = &rows, .features = features});
        if (beside) sem_post(&s.go);
        assert_ok(tw_wait(&flight, &err), &err);
        assert_true(features[0] >= 7 && features[0] <= 7 && features[1] >= 9 && features[1] <= 9);
    }
    tw_submit(&flight, &(tw_work){.pixels = &below, .n = 1, .features = features});
    if (beside) sem_post(&s.go);
    assert_fails(tw_wait(&flight, &err), TW_ERR_MISMATCH, &err);
    assert_string_equal(err.message, "below zero");
    assert_int_equal(s.n_calls, 7);
    tw_flight_close(&flight);
    sem_destroy(&s.go);
}

static void beside_the_caller(void **state) {
    (void)state;
    check(true);
}

static void by_the_caller(void **state) {
    (void)state;
    check(false);
}

/* More pictures than the backend takes at once go to it in turn, the last ones fewer. */
static void more_than_a_batch(void **state) {
    (void)state;
    tw_backend_state s = {.beside = false};
    tw_flight flight;
    tw_error err = TW_ERROR_INIT;
    const float pixels[] = {1, 2, 3, 4, 5, -1};
    float features[6] = {0};
    assert_ok(tw_flight_open(&backend, &s, 2, 1, 1, &flight, &err), &err);
    tw_submit(&flight, &(tw_work){.pixels = pixels, .n = 5, .features = features});
    assert_ok(tw_wait(&flight, &err), &err);
    assert_int_equal(s.n_calls, 3);
    assert_int_equal(s.most, 2);
    for (int i = 0; i < 5; i++)
        assert_true(features[i] >= 2 * pixels[i] && features[i] <= 2 * pixels[i]);
    tw_submit(&flight, &(tw_work){.pixels = pixels + 5, .n = 1, .features = features});
    assert_fails(tw_wait(&flight, &err), TW_ERR_MISMATCH, &err);
    tw_flight_close(&flight);
}

/* What is in flight is waited for: its buffers are the caller's. */
static void closed_in_flight(void **state) {
    (void)state;
    tw_backend_state s = {.beside = true};
    tw_flight flight;
    tw_error err = TW_ERROR_INIT;
    const float pixels[] = {1};
    float features[1] = {0};
    sem_init(&s.go, 0, 1);
    assert_ok(tw_flight_open(&backend, &s, 3, 1, 1, &flight, &err), &err);
    tw_submit(&flight, &(tw_work){.pixels = pixels, .n = 1, .features = features});
    tw_flight_close(&flight);
    assert_int_equal(s.n_calls, 1);
    tw_flight_open(&backend, &s, 3, 1, 1, &flight, &err);
    tw_flight_close(&flight); /* nothing submitted */
    sem_destroy(&s.go);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_the_caller),
        cmocka_unit_test(by_the_caller),
        cmocka_unit_test(more_than_a_batch),
        cmocka_unit_test(closed_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
