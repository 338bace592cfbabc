/* Sources: OpenVINO's conversion guide; the SOPHON, Ascend and TensorRT deployment guides of CLIP.
 */
#include "build_targets.h"

const build_target build_targets[] = {
    {.name = "openvino",
     .extension = "xml",
     .steps = {"ovc {graph} --output_model {out} --compress_to_fp16={precision}"},
     .version = "ovc --version",
     .precisions = {"False", "True", NULL},
     .package = "pip install openvino",
     .note = "run with --backend openvino --graphs PREFIX"},
    {.name = "sophon",
     .extension = "bmodel",
     .steps = {"model_transform.py --model_name {name} --model_def {graph} --input_shapes "
               "[[{shape,}]] --mlir {name}.mlir",
               "model_deploy.py --mlir {name}.mlir --quantize {precision} --chip {chip} "
               "--skip_validation --model {out}"},
     .precisions = {"F32", "F16", "BF16"},
     .precision = 1,
     .chip = "bm1684x",
     .package = "pip install tpu_mlir (Python 3.10)",
     .fixed = true},
    {.name = "ascend",
     .extension = "om",
     .steps = {"atc --framework=5 --model={graph} --output={stem} --input_format={format} "
               "--input_shape={input}:{shape,} --soc_version=Ascend{chip} --log=error"},
     .precisions = {"", "", NULL},
     .precision = 1,
     .chip = "",
     .package = "the CANN toolkit; source its set_env.sh",
     .note = "the backend ascend is not part of this version",
     .fixed = true},
    {.name = "tensorrt",
     .extension = "trt",
     .steps = {"trtexec --onnx={graph} --saveEngine={out} {precision}"},
     .precisions = {"", "--fp16", "--bf16"},
     .precision = 1,
     .package = "TensorRT, with its bin folder in PATH",
     .note = "engines are run by TensorRT's own tools; tuwen runs TensorRT through "
             "--backend onnxruntime --provider tensorrt",
     .fixed = true},
    {0},
};
