/* A stand-in for libascendcl, for tests where no Ascend is: the same interface, computing with
 * tuwen's own engine on the model file that the .om file names. It ends the process at mistakes:
 * calls in no context or the wrong one, memory of the wrong size, a result taken before the stream
 * was waited for, a batch size that was not set, anything left over at the end. $STANDIN_DEVICES
 * (2), $STANDIN_SOC, $STANDIN_FREE and $STANDIN_VERSION describe the machine; $STANDIN_FAIL is
 * "init", "device", "load", "execute" or "wait". */
#include "standin.h"

#include "backend/ascend/api.h"
#include "tensor/tensor.h"
#include "tuwen/tuwen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define DECLARE(result, name, arguments) EXPORT result acl##name arguments;
TW_ACL_FUNCTIONS(DECLARE)
#undef DECLARE

enum { HEAD = 256, MAX_MODELS = 64, MAX_DEVICES = 64, MAX_BUFFERS = 3 };

typedef struct context {
    int device;
} context;
typedef struct memory { /* before what the caller gets */
    size_t n_bytes;
    int device;
    uint32_t mark;
} memory;
typedef struct buffer {
    void *data;
    size_t n_bytes;
} buffer;
typedef struct dataset {
    size_t n;
    buffer *buffers[MAX_BUFFERS];
    uint64_t batch; /* set, and not yet used */
} dataset;
typedef struct stream {
    int device;
    void *to, *result; /* computed, to be put there when it is waited for */
    size_t n_bytes;
} stream;
typedef struct model {
    context *context; /* NULL: free */
    standin_om om;
    tw_model *model;
    tw_pool *pool;
    tw_encoder *encoder;
} model;

static bool initialised;
static int n_contexts, n_streams, n_memory, n_descs, n_datasets, n_buffers;
static bool device_set[MAX_DEVICES], unfinished[MAX_DEVICES];
static model models[MAX_MODELS];
static _Thread_local context *current;
static _Thread_local char message[256];

static void check(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "ASSERT stand-in: %s\n", what);
    exit(255);
}

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && value[0] ? value : otherwise;
}

static int failure(int error, const char *what) {
    snprintf(message, sizeof message,
             "\nEE1001: %s.\n        Solution: ask the stand-in.\n        TraceBack\n", what);
    return error;
}

static bool is_asked_to_fail(const char *what) {
    return strcmp(setting("STANDIN_FAIL", ""), what) == 0;
}

static int n_devices(void) {
    return atoi(setting("STANDIN_DEVICES", "2"));
}

static context *need_context(void) {
    check(initialised && current, "a call in no context");
    return current;
}

/* ------------------------------------------------------------------------------------ process */

int aclInit(const char *config) {
    check(config == NULL, "a configuration");
    if (is_asked_to_fail("init")) return failure(500000, "it was asked to refuse");
    if (initialised) return 100002;
    initialised = true;
    return 0;
}

int aclFinalize(void) {
    check(initialised, "the end before the beginning");
    check(n_contexts == 0 && n_streams == 0 && n_memory == 0, "something is left at the end");
    check(n_descs == 0 && n_datasets == 0 && n_buffers == 0, "a description is left at the end");
    for (int i = 0; i < MAX_DEVICES; i++)
        check(!device_set[i], "a device is left at the end");
    for (int i = 0; i < MAX_MODELS; i++)
        check(!models[i].context, "a model is left at the end");
    initialised = false;
    return 0;
}

const char *aclGetRecentErrMsg(void) {
    return message[0] ? message : NULL;
}

int aclrtGetVersion(int32_t *major, int32_t *minor, int32_t *patch) {
    *major = atoi(setting("STANDIN_VERSION", "1"));
    *minor = 13;
    *patch = 0;
    return 0;
}

const char *aclrtGetSocName(void) {
    return setting("STANDIN_SOC", "Ascend910B4");
}

/* ------------------------------------------------------------------------- devices and memory */

int aclrtGetDeviceCount(uint32_t *n) {
    check(initialised, "devices before the beginning");
    *n = (uint32_t)n_devices();
    return 0;
}

int aclrtSetDevice(int32_t device) {
    check(device >= 0 && device < n_devices(), "no such device");
    if (is_asked_to_fail("device")) return failure(507033, "the device is in use");
    check(!device_set[device], "a device is set twice");
    device_set[device] = true;
    return 0;
}

int aclrtResetDevice(int32_t device) {
    check(device_set[device], "a device is reset that was not set");
    device_set[device] = false;
    return 0;
}

int aclrtCreateContext(void **out, int32_t device) {
    check(device_set[device], "a context of a device that was not set");
    context *c = malloc(sizeof *c);
    c->device = device;
    n_contexts++;
    *out = c;
    return 0;
}

int aclrtDestroyContext(void *c) {
    n_contexts--;
    if (current == c) current = NULL;
    free(c);
    return 0;
}

int aclrtSetCurrentContext(void *c) {
    check(c != NULL, "no context is made current");
    current = c;
    return 0;
}

int aclrtCreateStream(void **out) {
    stream *s = calloc(1, sizeof *s);
    s->device = need_context()->device;
    n_streams++;
    *out = s;
    return 0;
}

int aclrtDestroyStream(void *s) {
    check(!((stream *)s)->result, "a stream ends before it was waited for");
    n_streams--;
    free(s);
    return 0;
}

int aclrtSynchronizeStream(void *handle) {
    stream *s = handle;
    check(s->device == need_context()->device, "a stream of another device");
    if (s->result) memcpy(s->to, s->result, s->n_bytes);
    free(s->result);
    s->result = NULL;
    unfinished[s->device] = false;
    return is_asked_to_fail("wait") ? failure(507011, "the model execution failed") : 0;
}

int aclrtGetMemInfo(int attribute, size_t *n_free, size_t *n_total) {
    need_context();
    *n_free = *n_total = 0;
    if (attribute == TW_ACL_HBM) *n_total = (size_t)32 << 30;
    if (attribute == TW_ACL_HBM)
        *n_free = (size_t)strtoull(setting("STANDIN_FREE", "1073741824"), NULL, 10);
    return 0;
}

int aclrtMalloc(void **out, size_t n_bytes, int policy) {
    check(policy == TW_ACL_HUGE_FIRST && n_bytes > 0, "memory of no size");
    memory *m = malloc(sizeof *m + n_bytes);
    *m = (memory){n_bytes, need_context()->device, 0x4d454d};
    memset(m + 1, 0xee, n_bytes);
    n_memory++;
    *out = m + 1;
    return 0;
}

static memory *memory_of(const void *p) {
    memory *m = (memory *)p - 1;
    check(m->mark == 0x4d454d, "not memory of a device");
    check(m->device == need_context()->device, "memory of another device");
    return m;
}

int aclrtFree(void *p) {
    memory *m = memory_of(p);
    m->mark = 0;
    n_memory--;
    free(m);
    return 0;
}

int aclrtMemcpy(void *to, size_t max, const void *from, size_t n_bytes, int kind) {
    memory *m = memory_of(kind == TW_ACL_TO_DEVICE ? to : from);
    check(kind == TW_ACL_TO_DEVICE || kind == TW_ACL_TO_HOST, "a copy of no kind");
    check(n_bytes <= max && n_bytes <= m->n_bytes, "a copy larger than its place");
    check(kind != TW_ACL_TO_DEVICE || max <= m->n_bytes, "a place larger than the memory");
    check(!unfinished[m->device], "a copy before the stream was waited for");
    memcpy(to, from, n_bytes);
    return 0;
}

/* -------------------------------------------------------------------------------------- models */

static bool read_om(const char *path, standin_om *om) {
    uint8_t head[HEAD + 8 + 24];
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    bool good = fread(head, 1, sizeof head, f) == sizeof head;
    bool wide = good && (head[184] || head[185] || head[186]);
    good = good && fseek(f, HEAD + (wide ? 8 + 24 : 4 + 12), SEEK_SET) == 0 &&
           fread(om, sizeof *om, 1, f) == 1 && memcmp(om->mark, "STANDIN", 8) == 0;
    fclose(f);
    return good;
}

int aclmdlQuerySize(const char *path, size_t *n_work, size_t *n_weights) {
    standin_om om;
    if (!read_om(path, &om)) return failure(500002, "no model of the stand-in");
    *n_work = (size_t)1 << 20;
    *n_weights = om.n_weights;
    return 0;
}

int aclmdlLoadFromFile(const char *path, uint32_t *out) {
    tw_error err = TW_ERROR_INIT;
    tw_encoder_options o = TW_ENCODER_OPTIONS_INIT;
    uint32_t i = 0;
    while (i < MAX_MODELS && models[i].context)
        i++;
    check(i < MAX_MODELS, "too many models");
    model m = {.context = need_context()};
    if (is_asked_to_fail("load") || !read_om(path, &m.om))
        return failure(500002, "the model does not match the soc version");
    o.batch = 64;
    o.vision_only = m.om.is_image != 0;
    o.text_only = !m.om.is_image;
    if (tw_model_open(m.om.model, &m.model, &err) != TW_OK ||
        tw_pool_create(1, &m.pool, &err) != TW_OK ||
        tw_encoder_create(m.model, m.pool, &o, &m.encoder, &err) != TW_OK)
        check(false, err.message);
    models[i] = m;
    *out = i;
    return 0;
}

static model *model_of(uint32_t i) {
    check(i < MAX_MODELS && models[i].context, "no such model");
    check(models[i].context == need_context(), "a model in another context");
    return &models[i];
}

int aclmdlUnload(uint32_t i) {
    model *m = model_of(i);
    tw_encoder_free(m->encoder);
    tw_pool_free(m->pool);
    tw_model_free(m->model);
    *m = (model){0};
    return 0;
}

void *aclmdlCreateDesc(void) {
    n_descs++;
    return calloc(1, sizeof(standin_om));
}

int aclmdlDestroyDesc(void *desc) {
    n_descs--;
    free(desc);
    return 0;
}

int aclmdlGetDesc(void *desc, uint32_t i) {
    memcpy(desc, &model_of(i)->om, sizeof(standin_om));
    return 0;
}

/* --------------------------------------------------------------------------------- description */

size_t aclmdlGetNumInputs(void *desc) {
    const standin_om *om = desc;
    return om->n_inputs ? (size_t)om->n_inputs : om->n_batches ? 2 : 1;
}

size_t aclmdlGetNumOutputs(void *desc) {
    const standin_om *om = desc;
    return om->n_outputs ? (size_t)om->n_outputs : 1;
}

static bool is_batch_input(const standin_om *om, size_t index) {
    return om->n_batches > 0 && index == (om->batch_input_is_first ? 0 : 1);
}

static size_t largest_batch(const standin_om *om) {
    uint64_t largest = om->n_batches ? 0 : (uint64_t)om->in.dims[0];
    for (int i = 0; i < om->n_batches; i++)
        if (om->batches[i] > largest) largest = om->batches[i];
    return (size_t)largest;
}

static size_t type_bytes(int type) {
    return type == STANDIN_U8 ? 1 : type == STANDIN_F16 ? 2 : type == STANDIN_I64 ? 8 : 4;
}

static size_t row_values(const standin_end *end) {
    size_t n = 1;
    for (int i = 1; i < end->n_dims; i++)
        n *= (size_t)(end->dims[i] > 0 ? end->dims[i] : 0);
    return n;
}

static size_t row_bytes(const standin_end *end) {
    return row_values(end) * type_bytes(end->type);
}

size_t aclmdlGetInputSizeByIndex(void *desc, size_t index) {
    const standin_om *om = desc;
    return is_batch_input(om, index) ? 8 : largest_batch(om) * row_bytes(&om->in);
}

/* Outputs may be larger than their values. */
size_t aclmdlGetOutputSizeByIndex(void *desc, size_t index) {
    const standin_om *om = desc;
    return index == 0 ? largest_batch(om) * row_bytes(&om->out) + 32 : 32;
}

static int put_dims(const standin_end *end, tw_acl_dims *out) {
    *out = (tw_acl_dims){.n_dims = (size_t)end->n_dims};
    memcpy(out->name, end->name, sizeof end->name);
    memcpy(out->dims, end->dims, sizeof end->dims);
    return 0;
}

int aclmdlGetInputDims(const void *desc, size_t index, tw_acl_dims *out) {
    static const standin_end batch = {TW_ACL_BATCH_INPUT, STANDIN_I32, 1, {1}};
    const standin_om *om = desc;
    return put_dims(is_batch_input(om, index) ? &batch : &om->in, out);
}

int aclmdlGetOutputDims(const void *desc, size_t index, tw_acl_dims *out) {
    check(index == 0, "no such output");
    return put_dims(&((const standin_om *)desc)->out, out);
}

int aclmdlGetInputDataType(const void *desc, size_t index) {
    const standin_om *om = desc;
    return is_batch_input(om, index) ? STANDIN_I32 : om->in.type;
}

int aclmdlGetOutputDataType(const void *desc, size_t index) {
    check(index == 0, "no such output");
    return ((const standin_om *)desc)->out.type;
}

int aclmdlGetInputIndexByName(const void *desc, const char *name, size_t *index) {
    const standin_om *om = desc;
    if (strcmp(name, TW_ACL_BATCH_INPUT) != 0 || !om->n_batches)
        return failure(100000, "no input has that name");
    *index = om->batch_input_is_first ? 0 : 1;
    return 0;
}

int aclmdlGetDynamicBatch(const void *desc, tw_acl_batches *out) {
    const standin_om *om = desc;
    out->n = (size_t)om->n_batches;
    memcpy(out->sizes, om->batches, (size_t)om->n_batches * sizeof om->batches[0]);
    return 0;
}

/* ---------------------------------------------------------------------------------------- run */

void *aclCreateDataBuffer(void *data, size_t n_bytes) {
    buffer *b = malloc(sizeof *b);
    *b = (buffer){data, n_bytes};
    check(n_bytes <= memory_of(data)->n_bytes, "a buffer larger than its memory");
    n_buffers++;
    return b;
}

int aclDestroyDataBuffer(const void *b) {
    n_buffers--;
    free((void *)b);
    return 0;
}

void *aclmdlCreateDataset(void) {
    n_datasets++;
    return calloc(1, sizeof(dataset));
}

int aclmdlDestroyDataset(const void *d) {
    n_datasets--;
    free((void *)d);
    return 0;
}

int aclmdlAddDatasetBuffer(void *handle, void *b) {
    dataset *d = handle;
    check(d->n < MAX_BUFFERS, "too many buffers");
    d->buffers[d->n++] = b;
    return 0;
}

int aclmdlSetDynamicBatchSize(uint32_t i, void *inputs, size_t index, uint64_t n) {
    const standin_om *om = &model_of(i)->om;
    dataset *d = inputs;
    check(is_batch_input(om, index) && index < d->n, "not the input of the batch size");
    bool known = false;
    for (int b = 0; b < om->n_batches; b++)
        known = known || om->batches[b] == n;
    if (!known) return failure(145002, "the batch size is not one of the model's");
    d->batch = n;
    return 0;
}

static float get_value(const void *from, int type, size_t i) {
    return type == STANDIN_F16 ? tw_f16_to_f32(((const uint16_t *)from)[i])
                               : ((const float *)from)[i];
}

/* A row of ids; one of padding alone gives zeros, as a real tower gives something. */
static tw_status encode_ids(model *m, const void *from, size_t row, float *feature, tw_error *err) {
    size_t length = row_values(&m->om.in), n = 0;
    int32_t *ids = calloc(length, sizeof *ids);
    for (size_t k = 0; k < length; k++) {
        ids[k] = m->om.in.type == STANDIN_I64 ? (int32_t)((const int64_t *)from)[row * length + k]
                                              : ((const int32_t *)from)[row * length + k];
        n += ids[k] != 0;
    }
    tw_status status = n ? tw_encode_ids(m->encoder, ids, 1, (int32_t)length, feature, err) : TW_OK;
    free(ids);
    return status;
}

static tw_status encode_pixels(model *m, const void *from, size_t row, float *feature,
                               tw_error *err) {
    size_t n = row_values(&m->om.in);
    float *pixels = malloc(n * sizeof *pixels);
    for (size_t k = 0; k < n; k++)
        pixels[k] = get_value(from, m->om.in.type, row * n + k);
    tw_status status = tw_encode_pixels(m->encoder, pixels, 1, feature, err);
    free(pixels);
    return status;
}

static void compute(model *m, size_t batch, const void *from, void *to) {
    size_t dim = row_values(&m->om.out);
    float *feature = calloc(dim, sizeof *feature);
    tw_error err = TW_ERROR_INIT;
    for (size_t row = 0; row < batch; row++) {
        memset(feature, 0, dim * sizeof *feature);
        tw_status status = m->om.is_image ? encode_pixels(m, from, row, feature, &err)
                                          : encode_ids(m, from, row, feature, &err);
        check(status == TW_OK, err.message);
        for (size_t k = 0; k < dim; k++) {
            float v = m->om.result == STANDIN_ZEROS ? 0 : m->om.result ? NAN : feature[k];
            if (m->om.out.type == STANDIN_F16)
                ((uint16_t *)to)[row * dim + k] = tw_f32_to_f16(v);
            else
                ((float *)to)[row * dim + k] = v;
        }
    }
    free(feature);
}

int aclmdlExecuteAsync(uint32_t i, const void *inputs, void *outputs, void *handle) {
    model *m = model_of(i);
    dataset *in = (dataset *)inputs, *out = outputs;
    stream *s = handle;
    size_t at = m->om.n_batches && m->om.batch_input_is_first ? 1 : 0;
    size_t batch = m->om.n_batches ? (size_t)in->batch : largest_batch(&m->om);
    if (is_asked_to_fail("execute")) return failure(507011, "it was asked to refuse");
    check(in->n == aclmdlGetNumInputs(&m->om) && out->n == 1, "not a buffer for each end");
    check(batch > 0, "no batch size was set");
    check(s->device == need_context()->device && !s->result, "the stream is another's or busy");
    check(in->buffers[at]->n_bytes >= batch * row_bytes(&m->om.in), "an input that is too small");
    s->n_bytes = batch * row_bytes(&m->om.out);
    check(out->buffers[0]->n_bytes >= s->n_bytes, "an output that is too small");
    s->result = malloc(s->n_bytes);
    s->to = out->buffers[0]->data;
    compute(m, batch, in->buffers[at]->data, s->result);
    in->batch = 0;
    unfinished[s->device] = true;
    return 0;
}
