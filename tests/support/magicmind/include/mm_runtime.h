// A stand-in for Cambricon's mm_runtime.h: the part of it that the shim uses, written from how
// public programs call it. Values of enumerations and the order of methods are its own.
#ifndef TESTS_MAGICMIND_MM_RUNTIME_H
#define TESTS_MAGICMIND_MM_RUNTIME_H

#include "cnrt.h"

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace magicmind {

class Status {
  public:
    Status() = default;
    explicit Status(const std::string &text) : failed_(true), text_(text) {}
    static Status OK() { return Status(); }
    bool ok() const { return !failed_; }
    const std::string &text() const { return text_; } // the stand-in's own

  private:
    bool failed_ = false;
    std::string text_;
};
std::ostream &operator<<(std::ostream &out, const Status &status);

enum class DataType { UINT8, INT8, INT32, INT64, FLOAT16, FLOAT32 };
enum class TensorLocation { kHost, kMLU, kRemoteHost, kRemoteMLU };
std::string TypeEnumToString(DataType type);

class Dims {
  public:
    Dims() = default;
    explicit Dims(const std::vector<int64_t> &dims) : dims_(dims) {}
    std::vector<int64_t> GetDims() const { return dims_; }

  private:
    std::vector<int64_t> dims_;
};

class IRTTensor {
  public:
    virtual Status SetData(void *data) = 0;
    virtual Status SetDimensions(const Dims &dims) = 0;
    virtual Dims GetDimensions() const = 0;
    virtual DataType GetDataType() const = 0;
    virtual TensorLocation GetMemoryLocation() const = 0;
    virtual size_t GetSize() const = 0;
    virtual Status Destroy() = 0;

  protected:
    virtual ~IRTTensor() = default;
};

class IContext {
  public:
    virtual Status CreateInputTensors(std::vector<IRTTensor *> *tensors) = 0;
    virtual Status CreateOutputTensors(std::vector<IRTTensor *> *tensors) = 0;
    virtual Status InferOutputShape(const std::vector<IRTTensor *> &inputs,
                                    const std::vector<IRTTensor *> &outputs) = 0;
    virtual Status Enqueue(const std::vector<IRTTensor *> &inputs,
                           const std::vector<IRTTensor *> &outputs, cnrtQueue_t queue) = 0;
    virtual Status Destroy() = 0;

  protected:
    virtual ~IContext() = default;
};

class IEngine {
  public:
    virtual IContext *CreateIContext() = 0;
    virtual Status Destroy() = 0;

  protected:
    virtual ~IEngine() = default;
};

class IModel {
  public:
    virtual Status DeserializeFromFile(const char *path) = 0;
    virtual std::vector<std::string> GetInputNames() const = 0;
    virtual std::vector<std::string> GetOutputNames() const = 0;
    virtual Dims GetInputDimension(int index) const = 0;
    virtual Dims GetOutputDimension(int index) const = 0;
    virtual DataType GetInputDataType(int index) const = 0;
    virtual DataType GetOutputDataType(int index) const = 0;
    virtual IEngine *CreateIEngine() = 0;
    virtual Status Destroy() = 0;

  protected:
    virtual ~IModel() = default;
};

IModel *CreateIModel();

} // namespace magicmind

#endif
