/* Token rows into embeddings, for both text towers. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"

typedef struct embed_job {
    const tw_backend_state *s;
    const tw_token_rows *rows;
    const float *position, *type;
    float *x;
} embed_job;

/* One row of tokens: x[i] = (word[id] + position[i]) (+ type), in the originals' order of sums. */
static void embed_task(void *arg, int index) {
    const embed_job *job = arg;
    const tw_backend_state *s = job->s;
    size_t w = (size_t)s->model->arch.text.width;
    size_t begin = job->rows->offset[index], end = job->rows->offset[index + 1];
    for (size_t i = begin; i < end; i++) {
        float *row = job->x + i * w;
        tw_tensor_to_f32_range(&s->model->text.token, (size_t)job->rows->ids[i] * w, w, row);
        s->kernels->add_f32(row, job->position + (i - begin) * w, w);
        if (job->type) s->kernels->add_f32(row, job->type, w);
    }
}

void tw_embed_tokens(tw_backend_state *s, const tw_token_rows *rows, const float *position,
                     const float *type, float *x) {
    embed_job job = {s, rows, position, type, x};
    tw_pool_run(s->pool, embed_task, &job, (int)rows->n);
}

size_t tw_longest_row(const tw_token_rows *rows) {
    size_t longest = 0;
    for (size_t i = 0; i < rows->n; i++)
        if (rows->offset[i + 1] - rows->offset[i] > longest)
            longest = rows->offset[i + 1] - rows->offset[i];
    return longest;
}
