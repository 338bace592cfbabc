/* Encoded pictures: decoded and preprocessed on all threads, then through the image tower. */
#include "encode/encoder.h"

#include "base/memory.h"
#include "base/pool.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

typedef struct prepare_job {
    const tw_bytes *images;
    const tw_recipe *recipe;
    const tw_image_options *options;
    float *pixels; /* [n, 3, R, R] */
    size_t picture;
    tw_error *errors; /* [n] */
} prepare_job;

static void prepare_task(void *arg, int index) {
    const prepare_job *job = arg;
    tw_error *err = &job->errors[index];
    *err = (tw_error)TW_ERROR_INIT;
    tw_preprocess_f32(job->recipe, job->images[index].data, job->images[index].n_bytes,
                      job->options, job->pixels + (size_t)index * job->picture, err);
}

/* Pictures that are decoded together, a batch or several: pixels of the readable ones, and where
 * their features belong. */
typedef struct stage {
    float *pixels;    /* [group, 3, R, R] */
    tw_error *own;    /* [group], where the caller takes no errors */
    tw_error *errors; /* [n] */
    size_t *place;    /* [kept] */
    size_t begin, n, kept;
} stage;

/* What a call works with. A backend that computes beside us has a stage in flight while the next is
 * decoded: two of them. */
typedef struct images_call {
    tw_encoder *e;
    prepare_job job;
    const tw_bytes *images;
    size_t group; /* pictures of a stage */
    stage stages[2];
    float *rows, *features;
    tw_error *errors;
} images_call;

/* Whole batches, and so many pictures that no thread waits for long for another's large one. */
static size_t group_size(const tw_encoder *e, size_t n) {
    size_t batch = (size_t)e->batch, wanted = 2 * (size_t)tw_pool_threads(e->pool);
    return TW_MIN(TW_MAX((wanted + batch - 1) / batch, (size_t)1) * batch, TW_MAX(n, (size_t)1));
}

static tw_status allocate(images_call *c, tw_error *err) {
    size_t dim = (size_t)c->e->model->arch.embed_dim, n_stages = c->e->can.beside ? 2 : 1;
    TW_TRY(tw_check_room(n_stages * c->group * c->job.picture * sizeof(float),
                         "a batch of this size", err));
    c->rows = malloc(c->group * dim * sizeof *c->rows);
    bool enough = c->rows != NULL;
    for (size_t i = 0; i < n_stages; i++) {
        stage *s = &c->stages[i];
        s->pixels = malloc(c->group * c->job.picture * sizeof *s->pixels);
        s->own = malloc(c->group * sizeof *s->own);
        s->place = malloc(c->group * sizeof *s->place);
        enough = enough && s->pixels && s->own && s->place;
    }
    if (enough) return TW_OK;
    return tw_fail_no_memory(err, n_stages * c->group * c->job.picture * sizeof(float));
}

static void release(images_call *c) {
    for (size_t i = 0; i < TW_COUNT(c->stages); i++) {
        free(c->stages[i].pixels);
        free(c->stages[i].own);
        free(c->stages[i].place);
    }
    free(c->rows);
}

/* Moves the readable pictures to the front. */
static void compact(stage *s, size_t picture) {
    s->kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->errors[i].status != TW_OK) continue;
        if (s->kept != i)
            memcpy(s->pixels + s->kept * picture, s->pixels + i * picture,
                   picture * sizeof *s->pixels);
        s->place[s->kept++] = i;
    }
}

/* Pictures [begin, begin + n) are decoded. */
static void prepare(images_call *c, stage *s, size_t begin, size_t n) {
    s->begin = begin;
    s->n = n;
    s->errors = c->errors ? c->errors + begin : s->own;
    c->job.images = c->images + begin;
    c->job.pixels = s->pixels;
    c->job.errors = s->errors;
    tw_pool_run(c->e->pool, prepare_task, &c->job, (int)n);
    compact(s, c->job.picture);
}

static void submit(images_call *c, const stage *s) {
    const tw_work work = {.pixels = s->pixels, .n = s->kept, .features = c->rows};
    if (s->kept > 0) tw_submit(&c->e->flight, &work);
}

/* Features of a batch to their places; without an array of errors the first one ends the call. */
static tw_status take(images_call *c, const stage *s, tw_error *err) {
    size_t dim = (size_t)c->e->model->arch.embed_dim;
    float *features = c->features + s->begin * dim;
    if (s->kept > 0) TW_TRY(tw_wait(&c->e->flight, err));
    for (size_t i = 0; i < s->n; i++) {
        if (s->errors[i].status == TW_OK) continue;
        tw_fill_nan(features + i * dim, dim);
        if (!c->errors)
            return tw_fail(err, s->errors[i].status, "picture %zu: %s", s->begin + i,
                           s->errors[i].message);
    }
    for (size_t i = 0; i < s->kept; i++)
        memcpy(features + s->place[i] * dim, c->rows + i * dim, dim * sizeof *features);
    return TW_OK;
}

static tw_status encode_all(images_call *c, size_t n, tw_error *err) {
    size_t group = c->group, at = 0;
    stage *now = &c->stages[0], *next = &c->stages[c->e->can.beside ? 1 : 0];
    if (n > 0) prepare(c, now, 0, TW_MIN(n, group));
    while (at < n) {
        size_t end = at + now->n;
        submit(c, now);
        if (end < n && next != now) prepare(c, next, end, TW_MIN(n - end, group));
        TW_TRY(take(c, now, err));
        TW_TRY(tw_progress(&c->e->hooks, "images", end, n, err));
        if (end < n && next == now) prepare(c, now, end, TW_MIN(n - end, group));
        at = end;
        stage *done = now;
        now = next;
        next = done;
    }
    return TW_OK;
}

tw_status tw_encode_images(tw_encoder *e, const tw_bytes *images, size_t n, const tw_recipe *recipe,
                           const tw_image_options *options, float *features, tw_error *errors,
                           tw_error *err) {
    const tw_arch *arch = &e->model->arch;
    if (arch->vision.kind == TW_VISION_NONE)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no image tower");
    if (!recipe) recipe = &e->model->recipe;
    if (recipe->size != arch->vision.image_size)
        return tw_fail(err, TW_ERR_MISMATCH, "recipe of size %d, the model takes %d",
                       (int)recipe->size, (int)arch->vision.image_size);
    size_t r = (size_t)recipe->size;
    images_call c = {.e = e,
                     .job = {.recipe = recipe, .options = options, .picture = 3 * r * r},
                     .images = images,
                     .group = group_size(e, n),
                     .features = features,
                     .errors = errors};
    tw_status status = allocate(&c, err);
    if (status == TW_OK) status = encode_all(&c, n, err);
    release(&c);
    return status;
}
