// libtuwen_magicmind.so: MagicMind behind the functions of shim.h. Never part of tuwen's build:
// `make magicmind` compiles it with Cambricon's headers, the tests with headers of their own.
// Sources of what is called: docs/BACKENDS.md, "Cambricon".
#include "backend/magicmind/shim.h"

#include <cnrt.h>
#include <mm_runtime.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void check(const magicmind::Status &status, const char *what) {
    if (status.ok()) return;
    std::ostringstream text;
    text << what << ": " << status;
    throw std::runtime_error(text.str());
}

void check(cnrtRet_t result, const char *what) {
    if (result == cnrtSuccess) return;
    throw std::runtime_error(std::string(what) + ": " + cnrtGetErrorStr(result));
}

void check(bool holds, const char *what) {
    if (!holds) throw std::runtime_error(what);
}

// No exception leaves the library.
template <typename Body> int guarded(char *why, size_t n_why, Body body) {
    try {
        body();
        return 0;
    } catch (const std::exception &e) {
        std::snprintf(why, n_why, "%s", e.what());
    } catch (...) {
        std::snprintf(why, n_why, "an exception of unknown type");
    }
    for (char *p = why; *p; p++) // one line
        if (*p == '\n' || *p == '\r') *p = ' ';
    return 1;
}

struct Destroy {
    template <typename T> void operator()(T *object) const { static_cast<void>(object->Destroy()); }
};
template <typename T> using Owned = std::unique_ptr<T, Destroy>;

// Memory of the device, kept from run to run.
struct Memory {
    void *data = nullptr;
    size_t n_bytes = 0;

    void need(size_t n) {
        if (n <= n_bytes) return;
        release();
        check(cnrtMalloc(&data, n), "cnrtMalloc");
        n_bytes = n;
    }
    void release() {
        if (data) static_cast<void>(cnrtFree(data));
        data = nullptr;
        n_bytes = 0;
    }
};

const struct {
    magicmind::DataType theirs;
    int32_t ours;
} types[] = {{magicmind::DataType::FLOAT32, TW_MM_F32},
             {magicmind::DataType::FLOAT16, TW_MM_F16},
             {magicmind::DataType::INT32, TW_MM_I32},
             {magicmind::DataType::INT64, TW_MM_I64}};

void describe(const std::string &name, magicmind::DataType type, const magicmind::Dims &shape,
              tw_mm_tensor *out) {
    const std::vector<int64_t> dims = shape.GetDims();
    std::memset(out, 0, sizeof *out);
    std::snprintf(out->name, sizeof out->name, "%s", name.c_str());
    std::snprintf(out->type_name, sizeof out->type_name, "%s",
                  std::string(magicmind::TypeEnumToString(type)).c_str());
    for (const auto &known : types)
        if (known.theirs == type) out->type = known.ours;
    out->n_dims = static_cast<int32_t>(dims.size());
    for (size_t i = 0; i < dims.size() && i < TW_MM_DIMS; i++)
        out->dims[i] = dims[i];
}

} // namespace

struct tw_mm_model {
    int device = 0;
    cnrtQueue_t queue = nullptr;
    Memory in_memory, out_memory;
    // Destroyed from the last to the first.
    Owned<magicmind::IModel> model;
    Owned<magicmind::IEngine> engine;
    Owned<magicmind::IContext> context;
    std::vector<magicmind::IRTTensor *> inputs, outputs;

    void open(const char *path);
    void info(tw_mm_info *out) const;
    void set_shape(const int64_t *dims, tw_mm_tensor *out);
    void run(const void *in, size_t in_bytes, void *out, size_t out_bytes);
    // A device is chosen for a thread, and any thread may call.
    void select() const { check(cnrtSetDevice(device), "cnrtSetDevice"); }
    ~tw_mm_model();
};

void tw_mm_model::open(const char *path) {
    select();
    check(cnrtQueueCreate(&queue), "cnrtQueueCreate");
    model.reset(magicmind::CreateIModel());
    check(model != nullptr, "CreateIModel gives nothing");
    check(model->DeserializeFromFile(path), "DeserializeFromFile");
    engine.reset(model->CreateIEngine());
    check(engine != nullptr, "CreateIEngine gives nothing: not built for this device?");
    context.reset(engine->CreateIContext());
    check(context != nullptr, "CreateIContext gives nothing");
    check(context->CreateInputTensors(&inputs), "CreateInputTensors");
    check(context->CreateOutputTensors(&outputs), "CreateOutputTensors");
}

void tw_mm_model::info(tw_mm_info *out) const {
    std::memset(out, 0, sizeof *out);
    out->n_in = static_cast<int32_t>(inputs.size());
    out->n_out = static_cast<int32_t>(outputs.size());
    const std::vector<std::string> in = model->GetInputNames(), from = model->GetOutputNames();
    check(in.size() == inputs.size() && from.size() == outputs.size(),
          "other numbers of names than of tensors");
    if (!inputs.empty())
        describe(in[0], model->GetInputDataType(0), model->GetInputDimension(0), &out->in);
    if (!outputs.empty())
        describe(from[0], model->GetOutputDataType(0), model->GetOutputDimension(0), &out->out);
}

void tw_mm_model::set_shape(const int64_t *dims, tw_mm_tensor *out) {
    select();
    const size_t n = model->GetInputDimension(0).GetDims().size();
    const magicmind::Dims shape(std::vector<int64_t>(dims, dims + n));
    check(inputs[0]->SetDimensions(shape), "SetDimensions");
    check(context->InferOutputShape(inputs, outputs), "InferOutputShape");
    describe("output", outputs[0]->GetDataType(), outputs[0]->GetDimensions(), out);
}

void tw_mm_model::run(const void *in, size_t in_bytes, void *out, size_t out_bytes) {
    select();
    check(inputs[0]->GetSize() == in_bytes, "the input has another size than its shape says");
    check(outputs[0]->GetSize() == out_bytes, "the output has another size than its shape says");
    check(inputs[0]->GetMemoryLocation() == magicmind::TensorLocation::kMLU &&
              outputs[0]->GetMemoryLocation() == magicmind::TensorLocation::kMLU,
          "a tensor that is not in the device's memory");
    in_memory.need(in_bytes);
    out_memory.need(out_bytes);
    check(inputs[0]->SetData(in_memory.data), "SetData");
    check(outputs[0]->SetData(out_memory.data), "SetData");
    check(cnrtMemcpy(in_memory.data, const_cast<void *>(in), in_bytes, cnrtMemcpyHostToDev),
          "cnrtMemcpy");
    const magicmind::Status launched = context->Enqueue(inputs, outputs, queue);
    // What was launched uses its memory until it is waited for, whatever went wrong.
    const cnrtRet_t waited = cnrtQueueSync(queue);
    check(launched, "Enqueue");
    check(waited, "cnrtQueueSync");
    check(cnrtMemcpy(out, out_memory.data, out_bytes, cnrtMemcpyDevToHost), "cnrtMemcpy");
}

tw_mm_model::~tw_mm_model() {
    static_cast<void>(cnrtSetDevice(device));
    for (magicmind::IRTTensor *tensor : inputs)
        Destroy()(tensor);
    for (magicmind::IRTTensor *tensor : outputs)
        Destroy()(tensor);
    context.reset();
    engine.reset();
    model.reset();
    in_memory.release();
    out_memory.release();
    if (queue) static_cast<void>(cnrtQueueDestroy(queue));
}

namespace {

int count_devices(unsigned *count, char *why, size_t n_why) {
    *count = 0;
    return guarded(why, n_why, [&] { check(cnrtGetDeviceCount(count), "cnrtGetDeviceCount"); });
}

int open_model(const char *path, int device, tw_mm_model **out, tw_mm_info *info, char *why,
               size_t n_why) {
    *out = nullptr;
    return guarded(why, n_why, [&] {
        std::unique_ptr<tw_mm_model> made(new tw_mm_model);
        made->device = device;
        made->open(path);
        made->info(info);
        *out = made.release();
    });
}

int set_shape(tw_mm_model *model, const int64_t *dims, tw_mm_tensor *out, char *why, size_t n_why) {
    return guarded(why, n_why, [&] { model->set_shape(dims, out); });
}

int run(tw_mm_model *model, const void *in, size_t in_bytes, void *out, size_t out_bytes, char *why,
        size_t n_why) {
    return guarded(why, n_why, [&] { model->run(in, in_bytes, out, out_bytes); });
}

void close_model(tw_mm_model *model) {
    delete model;
}

const tw_mm_shim shim = {TW_MM_ABI, sizeof(tw_mm_shim), count_devices, open_model, set_shape,
                         run,       close_model};

} // namespace

extern "C" __attribute__((visibility("default"))) const tw_mm_shim *TW_MM_ENTRY(void) {
    return &shim;
}
