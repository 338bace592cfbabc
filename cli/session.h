/* What the verbs that compute have in common: their options, and the model, pool and encoder these
 * ask for. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "args.h"
#include "base/buffer.h"
#include "console.h"
#include "tuwen/tuwen.h"

/* --------------------------------------------------------------------------------- options */

typedef struct cli_compute {
    const char *model, *backend, *device, *provider, *library, *graphs;
    int threads, precision, batch;
    bool allow_fallback;
    cli_texts settings;
} cli_compute;
/* -m -t -b --backend --device --precision --provider --provider-option --library --graphs … */
extern const cli_option cli_compute_options[];
/* The model and the device in the words of other tools: hidden, aliases or what replaces them. */
extern const cli_option cli_guide_options[];
extern const cli_option cli_thread_options[]; /* -t alone, of the same struct */

typedef struct cli_report {
    bool json;
    int progress;
} cli_report;
extern const cli_option cli_report_options[]; /* --json --progress */

/* Changes to a recipe; zeros leave it as it is. */
typedef struct cli_recipe {
    const char *name;
    int size; /* --size, of the verbs that have it */
    int resize_mode, interpolation, resampler, crop_rounding; /* word number + 1 */
    bool rgb_first, rgb_after, fast_decode;
    cli_triple mean, std;
} cli_recipe;
extern const cli_option cli_recipe_options[];

typedef struct cli_limits {
    uint64_t max_pixels, max_bytes;
    bool exif_rotate;
} cli_limits;
extern const cli_option cli_limit_options[];

typedef struct cli_text {
    int context_length, truncation;
    bool truncate, eval_quotes;
} cli_text;
extern const cli_option cli_text_options[];
enum { CLI_TRUNCATE_SILENT = 1, CLI_TRUNCATE_FLAG, CLI_TRUNCATE_ERROR };

/* Applies the options to *recipe. `fixed_size` is the model's (0: any). Errors: TW_ERR_ARGUMENT. */
tw_status cli_apply_recipe(const cli_recipe *options, int32_t fixed_size, tw_recipe *recipe,
                           tw_error *err);
/* tw_recipe_field flags of what the options give; a name gives all. */
uint32_t cli_recipe_fields(const cli_recipe *options);
tw_image_options cli_image_options(const cli_limits *limits);
tw_text_options cli_tokenize_options(const cli_text *options);

/* --------------------------------------------------------------------------------- session */

typedef struct cli_session {
    tw_model *model;
    tw_pool *pool;
    tw_encoder *encoder;
    tw_recipe recipe; /* in use: the model's, with the options applied */
    int batch;
    bool pool_is_lent; /* another session's */
} cli_session;

/* The name the options give, else $TUWEN_MODEL; NULL after an error message. */
const char *cli_model_path(const cli_compute *options);

/* Opens the model file that the options (or $TUWEN_MODEL) name. Returns CLI_CONTINUE or the status
 * to exit with, the error printed. */
int cli_open_model(const cli_compute *options, tw_model **out);
int cli_open_pool(const cli_compute *options, tw_pool **out);

/* Whether a model file holds int8 weights. */
bool cli_is_int8(const tw_model *model);

typedef enum cli_towers { CLI_BOTH, CLI_VISION, CLI_TEXT_TOWER, CLI_ANY } cli_towers;

/* All of it, and prints what is really used. `recipe` may be NULL. On failure nothing is open. */
int cli_session_open(cli_session *s, const cli_compute *compute, const cli_recipe *recipe,
                     cli_towers towers);
/* The same on the pool of another session, which is closed after this one; NULL: on its own. */
int cli_session_open_beside(cli_session *s, const cli_session *other, const cli_compute *compute,
                            const cli_recipe *recipe, cli_towers towers);
/* As the latter, with the reason of a failure in *err instead of on standard error. */
tw_status cli_session_try(cli_session *s, const cli_session *other, const cli_compute *compute,
                          const cli_recipe *recipe, cli_towers towers, tw_error *err);
void cli_session_close(cli_session *s);

/* "squash 224 bicubic, resampler classic, RGB after the resize" */
void cli_describe_recipe(const tw_recipe *recipe, char *buf, size_t n);

/* The members of what is really used, without braces around; the session may be partly open. */
void cli_json_used(tw_buffer *b, const cli_session *s, bool pictures);
void cli_json_recipe(tw_buffer *b, const tw_recipe *recipe);

#define CLI_CPU_CAPS \
    "ref, avx2, avxvnni, avx512, avx512vnni, avx512bf16, amx, neon, neondot, neoni8mm"
/* A warning when TUWEN_CPU names no instruction set, or one that is not in use here. */
void cli_check_cpu_cap(void);

#endif
