// A stand-in for libmagicmind_runtime.so, where no card is: the same interface over tuwen's own
// engine. A "compiled" file of it is text:
//     standin-mm
//     model PATH.gguf
//     in image FLOAT32 -1 3 8 8
//     out features FLOAT32 -1 4
//     end
// -1 is any extent. $STANDIN_FAIL is "shape", "enqueue", "zeros", "throw" or "host".
#include "mm_runtime.h"
#include "standin.h"

#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace magicmind {

namespace {

struct End {
    std::string name;
    DataType type;
    std::vector<int64_t> dims;
};

struct Graph {
    std::vector<End> in, out;
    standin_towers *towers = nullptr;
    ~Graph() {
        if (towers) standin_towers_close(towers);
    }
};

const struct {
    const char *name;
    DataType type;
    size_t n_bytes;
} types[] = {{"UINT8", DataType::UINT8, 1},     {"INT8", DataType::INT8, 1},
             {"INT32", DataType::INT32, 4},     {"INT64", DataType::INT64, 8},
             {"FLOAT16", DataType::FLOAT16, 2}, {"FLOAT32", DataType::FLOAT32, 4}};

bool asked_to_fail(const char *how) {
    return std::strcmp(standin_setting("STANDIN_FAIL", ""), how) == 0;
}

End read_end(std::istream &line) {
    End end;
    std::string word;
    line >> end.name >> word;
    bool known = false;
    for (const auto &type : types)
        if (word == type.name) {
            end.type = type.type;
            known = true;
        }
    standin_check(known, "an unknown type in its file");
    for (int64_t extent; line >> extent;)
        end.dims.push_back(extent);
    return end;
}

class Tensor : public IRTTensor {
  public:
    Tensor(const End &end) : end_(end), dims_(end.dims) {}
    Status SetData(void *data) override {
        data_ = data;
        return Status::OK();
    }
    Status SetDimensions(const Dims &dims) override {
        const std::vector<int64_t> wanted = dims.GetDims();
        if (wanted.size() != end_.dims.size()) return Status("another number of extents");
        for (size_t i = 0; i < wanted.size(); i++)
            if (wanted[i] <= 0 || (end_.dims[i] != -1 && end_.dims[i] != wanted[i]))
                return Status("an extent that the file does not take");
        dims_ = wanted;
        return Status::OK();
    }
    Dims GetDimensions() const override { return Dims(dims_); }
    DataType GetDataType() const override { return end_.type; }
    TensorLocation GetMemoryLocation() const override {
        return asked_to_fail("host") ? TensorLocation::kHost : TensorLocation::kMLU;
    }
    size_t GetSize() const override {
        size_t n = 0;
        for (const auto &type : types)
            if (type.type == end_.type) n = type.n_bytes;
        for (int64_t extent : dims_) {
            standin_check(extent > 0, "the size of a tensor without extents");
            n *= static_cast<size_t>(extent);
        }
        return n;
    }
    Status Destroy() override {
        delete this;
        return Status::OK();
    }
    void *data() const {
        standin_check(standin_has_memory(data_, GetSize()), "a tensor without enough memory");
        return data_;
    }
    const std::vector<int64_t> &dims() const { return dims_; }
    void infer(int64_t rows) {
        dims_ = end_.dims;
        if (dims_[0] == -1) dims_[0] = rows;
    }

  private:
    End end_;
    std::vector<int64_t> dims_;
    void *data_ = nullptr;
};

class Context : public IContext {
  public:
    Context(Graph *graph) : graph_(graph) {}
    Status CreateInputTensors(std::vector<IRTTensor *> *tensors) override {
        for (const End &end : graph_->in)
            tensors->push_back(new Tensor(end));
        return Status::OK();
    }
    Status CreateOutputTensors(std::vector<IRTTensor *> *tensors) override {
        for (const End &end : graph_->out)
            tensors->push_back(new Tensor(end));
        return Status::OK();
    }
    Status InferOutputShape(const std::vector<IRTTensor *> &in,
                            const std::vector<IRTTensor *> &out) override {
        if (asked_to_fail("shape")) return Status("it was asked to refuse");
        if (asked_to_fail("throw")) throw std::runtime_error("it was asked\nto throw");
        static_cast<Tensor *>(out[0])->infer(in[0]->GetDimensions().GetDims()[0]);
        return Status::OK();
    }
    Status Enqueue(const std::vector<IRTTensor *> &in, const std::vector<IRTTensor *> &out,
                   cnrtQueue_t queue) override {
        standin_launched(queue);
        if (asked_to_fail("enqueue")) return Status("it was asked to refuse");
        const Tensor *from = static_cast<Tensor *>(in[0]), *to = static_cast<Tensor *>(out[0]);
        const size_t n = static_cast<size_t>(from->dims()[0]);
        const bool half = to->GetDataType() == DataType::FLOAT16;
        void *result = to->data();
        bool done;
        if (from->dims().size() == 4)
            done = standin_run_image(graph_->towers, from->data(),
                                     from->GetDataType() == DataType::FLOAT16, n, result, half);
        else
            done = standin_run_text(graph_->towers, from->data(),
                                    from->GetDataType() == DataType::INT64, n,
                                    static_cast<size_t>(from->dims()[1]), result, half);
        if (asked_to_fail("zeros")) std::memset(result, 0, to->GetSize());
        return done ? Status::OK() : Status("the engine refuses");
    }
    Status Destroy() override {
        delete this;
        return Status::OK();
    }

  private:
    Graph *graph_;
};

class Engine : public IEngine {
  public:
    Engine(Graph *graph) : graph_(graph) {}
    IContext *CreateIContext() override { return new Context(graph_); }
    Status Destroy() override {
        delete this;
        return Status::OK();
    }

  private:
    Graph *graph_;
};

class Model : public IModel {
  public:
    Status DeserializeFromFile(const char *path) override {
        std::ifstream file(path);
        std::string line, word, model;
        if (!std::getline(file, line) || line != "standin-mm") return Status("no model of its own");
        while (std::getline(file, line)) {
            std::istringstream words(line);
            words >> word;
            if (word == "end") return open(model);
            if (word == "model") words >> model;
            if (word == "in") graph_.in.push_back(read_end(words));
            if (word == "out") graph_.out.push_back(read_end(words));
        }
        return Status("the file is cut off");
    }
    std::vector<std::string> GetInputNames() const override { return names(graph_.in); }
    std::vector<std::string> GetOutputNames() const override { return names(graph_.out); }
    Dims GetInputDimension(int i) const override { return Dims(graph_.in.at(i).dims); }
    Dims GetOutputDimension(int i) const override { return Dims(graph_.out.at(i).dims); }
    DataType GetInputDataType(int i) const override { return graph_.in.at(i).type; }
    DataType GetOutputDataType(int i) const override { return graph_.out.at(i).type; }
    IEngine *CreateIEngine() override { return new Engine(&graph_); }
    Status Destroy() override {
        delete this;
        return Status::OK();
    }

  private:
    Status open(const std::string &model) {
        char why[256] = "";
        graph_.towers = standin_towers_open(model.c_str(), why, sizeof why);
        return graph_.towers ? Status::OK() : Status(why);
    }
    static std::vector<std::string> names(const std::vector<End> &ends) {
        std::vector<std::string> out;
        for (const End &end : ends)
            out.push_back(end.name);
        return out;
    }
    Graph graph_;
};

} // namespace

std::ostream &operator<<(std::ostream &out, const Status &status) {
    return out << (status.ok() ? "OK" : status.text());
}

std::string TypeEnumToString(DataType type) {
    for (const auto &known : types)
        if (known.type == type) return known.name;
    return "?";
}

IModel *CreateIModel() {
    return new Model;
}

} // namespace magicmind
