/* tuwen/encode.h – pictures and texts into features, and what is done with features: similarity
 * and zero-shot classification. */
#ifndef TUWEN_ENCODE_H
#define TUWEN_ENCODE_H

#include "tuwen/base.h"
#include "tuwen/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A model on a backend, with its packed weights and scratch memory. One thread at a time uses an
 * encoder; make a clone for each further thread (clones share the packed weights). The model and
 * the pool must outlive it. */
typedef struct tw_encoder tw_encoder;

typedef struct tw_encoder_options {
    size_t struct_size;
    const char *backend; /* NULL or "cpu"; "onnxruntime", … : tw_backend_names() */
    int32_t batch;       /* most items computed at once, 1..4096; 0 = 8, or the largest batch that a
                            backend of fixed batches has, on each of its devices */
    bool vision_only, text_only; /* leave the other tower unpacked */
    const tw_hooks *hooks; /* may be NULL; progress of the long calls below; stays in use */
    /* For backends that open another runtime; one that does not know an option refuses it. */
    const char *device;    /* "CPU", "GPU.0", …; NULL = the backend's default */
    const char *provider;  /* of ONNX Runtime: "cpu", "cuda", "tensorrt", "openvino", …,
                              or NAME=PATH of a library that has it */
    const char *library;   /* the runtime's library or its folder; NULL = searched for */
    const char *graphs;    /* PREFIX of PREFIX.img.*.onnx and PREFIX.txt.*.onnx (SOPHON:
                              .bmodel, Ascend: .om, Cambricon: .mm; to be given), or one such file;
                              NULL = written from the model for this run */
    int precision;         /* of the computation: -1 = the backend's default, or TW_F32, … */
    const char *const *settings; /* "key=value", handed to the runtime */
    size_t n_settings;
    bool allow_fallback;   /* let the runtime compute elsewhere than was asked for */
} tw_encoder_options;

#define TW_ENCODER_OPTIONS_INIT                                                                    \
    {sizeof(tw_encoder_options), 0, 0, false, false, 0, 0, 0, 0, 0, -1, 0, 0, false}

/* The backends of this build, one word each, ended by NULL. */
TW_API const char *const *tw_backend_names(void);

/* What of a backend's runtime is on this machine: its version, providers or devices, into `buf`;
 * "" for one that needs no runtime. `library` as in the options. The runtime stays loaded.
 * Errors: TW_ERR_UNSUPPORTED (there is none, and how to get it; no such backend). */
TW_API tw_status tw_backend_probe(const char *backend, const char *library, char *buf,
                                  size_t n_bytes, tw_error *err);

/* Errors: TW_ERR_ARGUMENT, TW_ERR_UNSUPPORTED (backend), TW_ERR_NO_MEMORY. `options` may be NULL. */
TW_API tw_status tw_encoder_create(const tw_model *model, tw_pool *pool,
                                   const tw_encoder_options *options, tw_encoder **out,
                                   tw_error *err);
TW_API tw_status tw_encoder_clone(const tw_encoder *encoder, tw_encoder **out, tw_error *err);
TW_API void tw_encoder_free(tw_encoder *encoder);

/* What is really used, one line: "cpu avx2, f32, 2 threads". Borrowed from the encoder. */
TW_API const char *tw_encoder_description(const tw_encoder *encoder);

/* The same in parts. */
typedef struct tw_used {
    size_t struct_size;
    char backend[32];   /* "cpu" */
    char runtime[32];   /* version of another runtime, "1.31.1"; empty when there is none */
    char device[64];    /* "avx2"; of other runtimes what computes: "cpu", "cuda", "GPU.0" */
    char precision[16]; /* "f32" */
    char detail[128];   /* "2 threads" */
    int32_t batch;      /* most items computed at once */
} tw_used;

#define TW_USED_INIT {sizeof(tw_used), "", "", "", "", "", 0}

TW_API void tw_encoder_used(const tw_encoder *encoder, tw_used *out);

/* The numbers of rows that a tower is run with: any number, or one of `sizes`, largest first, the
 * rows that are missing filled up by the backend. */
typedef struct tw_batch_sizes {
    bool present;      /* the tower is there */
    int32_t n_sizes;   /* 0 = any number */
    int32_t sizes[16]; /* [n_sizes] */
} tw_batch_sizes;

/* What a backend can do with the model it was opened for. Pictures go in as f32 NCHW, token rows as
 * int32 of any length up to longest_text. */
typedef struct tw_capabilities {
    size_t struct_size;
    tw_batch_sizes images, texts;
    int32_t longest_text; /* tokens of a row, of the model or of a graph made for fewer */
    bool pads_texts;      /* rows are computed as long as the longest; else each by itself */
    uint32_t precisions;  /* bits 1 << TW_F32, …: what it can be asked to compute in; 0 = what its
                             files were compiled for */
    int32_t n_devices;    /* that batches are shared among */
    bool beside;          /* computes beside the calling thread, which decodes pictures meanwhile */
} tw_capabilities;

#define TW_CAPABILITIES_INIT {sizeof(tw_capabilities), {0}, {0}, 0, false, 0, 1, false}

TW_API void tw_encoder_capabilities(const tw_encoder *encoder, tw_capabilities *out);

/* Takes one named stage of a tower: x f32 [n_rows, n_columns], rows `ld` floats apart, borrowed for
 * the call. Names and shapes: docs/MODEL.md, named stages. */
typedef void (*tw_observer)(void *user, const char *stage, const float *x, size_t n_rows,
                            size_t n_columns, size_t ld);

/* Shows every stage of the calls that follow to `observer`, on the calling thread, in the order of
 * computing, once a batch; NULL ends it. Features are the same to the bit; a clone is not observed.
 * Errors: TW_ERR_UNSUPPORTED when the backend shows no stages. */
TW_API tw_status tw_encoder_observe(tw_encoder *encoder, tw_observer observer, void *user,
                                    tw_error *err);

/* Encoded bytes of one picture, borrowed for the call. */
typedef struct tw_bytes {
    const void *data;
    size_t n_bytes;
} tw_bytes;

/* Preprocessed pixels -> un-normalised features.
 *   pixels    f32 [n, 3, R, R], C order
 *   features  out, f32 [n, E]
 * Numeric contract: row i depends on pixels[i] alone, to the bit, whatever n, batch and threads.
 * Source: Chinese-CLIP cn_clip/clip/model.py encode_image. */
TW_API tw_status tw_encode_pixels(tw_encoder *encoder, const float *pixels, size_t n,
                                  float *features, tw_error *err);

/* Token ids -> un-normalised features.
 *   ids       i32 [n, length], zero-padded rows. Only the part up to the last non-zero id of a row
 *             is computed (BERT), or up to its first largest id, the end of text (CLIP's tower);
 *             both are exact: what follows cannot matter
 *   features  out, f32 [n, E]
 * Errors: TW_ERR_ARGUMENT (length 1..n_positions; an id outside the vocabulary; an all-zero row). */
TW_API tw_status tw_encode_ids(tw_encoder *encoder, const int32_t *ids, size_t n, int32_t length,
                               float *features, tw_error *err);

/* Encoded pictures -> un-normalised features. A picture that cannot be read does not stop the
 * others: its row is NaN and its entry of `errors` is set (others' status stays TW_OK).
 *   errors   out, [n]; may be NULL: then the first bad picture ends the call with its error
 *   recipe   NULL = the model's */
TW_API tw_status tw_encode_images(tw_encoder *encoder, const tw_bytes *images, size_t n,
                                  const tw_recipe *recipe, const tw_image_options *options,
                                  float *features, tw_error *errors, tw_error *err);

/* Texts (NUL-terminated UTF-8) -> un-normalised features.
 *   truncated  out, [n], whether a text was cut; may be NULL */
TW_API tw_status tw_encode_texts(tw_encoder *encoder, const char *const *texts, size_t n,
                                 const tw_text_options *options, float *features, bool *truncated,
                                 tw_error *err);

/* Divides each row of [n, dim] by its L2 norm, in place. A zero row becomes NaN, as in the
 * original. */
TW_API void tw_normalize(float *features, size_t n, size_t dim);

/* Cosines, logits and probabilities of n_images x n_texts from un-normalised or normalised rows.
 *   logit_scale  log-scale: logits = exp(logit_scale) * cosine
 *   cosine, logits, probs  out, f32 [n_images, n_texts]; each may be NULL; probs = softmax over
 *                the texts of a row */
TW_API tw_status tw_similarity(const float *images, size_t n_images, const float *texts,
                               size_t n_texts, size_t dim, float logit_scale, float *cosine,
                               float *logits, float *probs, tw_error *err);

/* Class vectors for zero-shot classification: per label all templates are filled in ("{}" is the
 * label; a template without "{}" is an error), lower-cased with straight quotes, encoded,
 * normalised, averaged and normalised again.
 *   weights  out, f32 [n_labels, E]
 * Source: Chinese-CLIP cn_clip/eval/zeroshot_evaluation.py. */
TW_API tw_status tw_zeroshot_weights(tw_encoder *encoder, const char *const *labels,
                                     size_t n_labels, const char *const *templates,
                                     size_t n_templates, float *weights, tw_error *err);

/* One result of a ranking. */
typedef struct tw_match {
    uint32_t index; /* of the label */
    float cosine;
    float prob;     /* softmax(scale x cosine) over all labels */
} tw_match;

/* The k best labels of each picture, best first, ties in label order.
 *   images   f32 [n, dim]; weights f32 [n_labels, dim], normalised rows
 *   scale    multiplies the cosine before the softmax; Chinese-CLIP's script uses 100
 *   matches  out, [n, k]; k in 1..n_labels */
TW_API tw_status tw_classify(const float *images, size_t n, const float *weights, size_t n_labels,
                             size_t dim, float scale, size_t k, tw_match *matches, tw_error *err);

/* Numeric self-check of this build on this machine: a JPEG that the library carries is decoded
 * and resized, and a tiny network is run, both against stored results. `report` gets one line a
 * check ("ok …" or "FAILED …"). Errors: TW_ERR_MISMATCH when a check fails. */
TW_API tw_status tw_self_check(tw_pool *pool, void (*report)(void *user, const char *line),
                               void *user, tw_error *err);

/* What the instruction set in use can do at most on all threads of the pool: 10^9 operations a second
 * of multiply-adds that stay in registers, in TW_F32, TW_BF16 (by f32's where there is no instruction
 * for it, as it is computed) or TW_I8 (where there is one); the best of some samples, a tenth of a
 * second. 0: no such loop. */
TW_API double tw_peak_gflops(tw_pool *pool, tw_dtype precision);

/* Name of the instruction set in use ("ref", "avx2", "avx512", "neon"…), after the cap by the
 * environment variable TUWEN_CPU; and of the best this processor has. Static storage. */
TW_API const char *tw_isa_name(void);
TW_API const char *tw_isa_best(void);
/* 1 unless TUWEN_CPU is set to what is no instruction set's name, which caps nothing; else 0. */
TW_API int tw_isa_cap_valid(void);
/* Why a better one that this processor has cannot be used here, one line ("amx: …"), or NULL. It may
 * ask the system for what that one needs. Static storage. */
TW_API const char *tw_isa_note(void);

#ifdef __cplusplus
}
#endif
#endif
