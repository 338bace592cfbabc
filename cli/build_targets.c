/* Sources: OpenVINO's conversion guide; the SOPHON, Ascend, TensorRT and MagicMind deployment
 * guides of CLIP; of the last gen_model/run.sh and buildin/python_common/build_param.py, with one
 * input. */
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
               "--input_shape={input}:{shape,} --soc_version=Ascend{chip} --log=error {precision}"},
     .precisions = {"--precision_mode_v2=origin", "", NULL}, /* f16 is what atc does untold */
     .precision = 1,
     .chip = "",
     .chip_prefix = "Ascend",
     .package = "the CANN toolkit; source its set_env.sh",
     .note = "run with --backend ascend --graphs PREFIX",
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
    {.name = "magicmind",
     .extension = "mm",
     .steps = {"python gen_model.py --precision {precision} --input_dims {shape*} "
               "--dynamic_shape false --mlu_arch {chip} --type64to32_conversion true "
               "--conv_scale_fold true --onnx {graph} --magicmind_model {out} --device_id 0"},
     .precisions = {"force_float32", "force_float16", NULL},
     .chip = "mtp_372",
     .by_hand = "MagicMind has a Python interface and no compiler to run; --print prints what to "
                "run with Cambricon's clip_pytorch/gen_model/gen_model.py",
     .opset = 13,
     .fixed = true},
    {0},
};

#define GRAPH "leave it out: the graph is written from the model; give -m M.gguf"
const cli_option build_replaced_options[] = {
    {"text-onnx-path", 0, CLI_REPLACED, GRAPH, NULL, 0, 0, 0},
    {"vision-onnx-path", 0, CLI_REPLACED, GRAPH, NULL, 0, 0, 0},
    {"framework", 0, CLI_REPLACED, GRAPH, NULL, 0, 0, 0},
    {"model-arch", 0, CLI_REPLACED, "the model file knows; give -m M.gguf", NULL, 0, 0, 0},
    {"input-format", 0, CLI_REPLACED, "leave it out: the graph says it", NULL, 0, 0, 0},
    {"input-shape", 0, CLI_REPLACED, "use --batch N, and for texts --context-length L", NULL, 0, 0,
     0},
    {"log", 0, CLI_REPLACED, "leave it out: what the compiler prints is in PREFIX.*.log", NULL, 0,
     0, 0},
    {0}};
#undef GRAPH
