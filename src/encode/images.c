/* Encoded pictures: decoded and preprocessed on all threads, then through the image tower. */
#include "encode/encoder.h"

#include "base/pool.h"
#include "base/size.h"

#include <stdlib.h>

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

/* Moves the readable pictures to the front; returns how many, their places in `place`. */
static size_t compact(const prepare_job *job, size_t n, size_t *place) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (job->errors[i].status != TW_OK) continue;
        if (kept != i)
            for (size_t k = 0; k < job->picture; k++)
                job->pixels[kept * job->picture + k] = job->pixels[i * job->picture + k];
        place[kept++] = i;
    }
    return kept;
}

/* One batch; `rows` holds the features of the readable pictures. */
static tw_status encode_batch(tw_encoder *e, prepare_job *job, size_t n, float *rows,
                              float *features, tw_error *err) {
    size_t place[4096], dim = (size_t)e->model->arch.embed_dim;
    tw_pool_run(e->pool, prepare_task, job, (int)n);
    size_t kept = compact(job, n, place);
    if (kept > 0) TW_TRY(e->backend->encode_pixels(e->state, job->pixels, kept, rows, err));
    for (size_t i = 0; i < n; i++)
        if (job->errors[i].status != TW_OK) tw_fill_nan(features + i * dim, dim);
    for (size_t i = 0; i < kept; i++)
        for (size_t k = 0; k < dim; k++)
            features[place[i] * dim + k] = rows[i * dim + k];
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
    size_t dim = (size_t)arch->embed_dim, batch = (size_t)e->batch, r = (size_t)recipe->size;
    prepare_job job = {.recipe = recipe, .options = options, .picture = 3 * r * r};
    tw_error *own_errors = malloc(batch * sizeof *own_errors);
    float *rows = malloc(batch * dim * sizeof *rows);
    job.pixels = malloc(batch * job.picture * sizeof *job.pixels);
    tw_status status = TW_OK;
    if (!job.pixels || !own_errors || !rows) {
        status = tw_fail_no_memory(err, batch * job.picture * sizeof *job.pixels);
        goto done;
    }
    for (size_t i = 0; i < n; i += batch) {
        size_t now = TW_MIN(n - i, batch);
        job.images = images + i;
        job.errors = errors ? errors + i : own_errors;
        TW_CHECK(encode_batch(e, &job, now, rows, features + i * dim, err));
        for (size_t k = 0; !errors && k < now; k++)
            if (own_errors[k].status != TW_OK) {
                status = tw_fail(err, own_errors[k].status, "picture %zu: %s", i + k,
                                 own_errors[k].message);
                goto done;
            }
        TW_CHECK(tw_progress(&e->hooks, "images", i + now, n, err));
    }
done:
    free(job.pixels);
    free(own_errors);
    free(rows);
    return status;
}
