#!/bin/sh
# What ONNX Runtime's providers are told, and which are refused, on a stand-in for the runtime
# (tests/support/onnxruntime) that takes everything up to the session: no GPU or NPU is needed.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
standin=$TUWEN_BUILD/tests/onnxruntime
unset TUWEN_ONNXRUNTIME TUWEN_CACHE ORT_DISABLE_TELEMETRY
make_model
red=$pictures/red-circle.png
STANDIN_ORT_LOG=$work/log
XDG_CACHE_HOME=$work/cache
export STANDIN_ORT_LOG XDG_CACHE_HOME
told() { grep -q -s -x -e "$1" log; }
# ort ARGS…: the stand-in's log of one run is in the file log.
ort() {
    rm -f log
    run embed -m model.gguf "$red" -o x.npy --backend onnxruntime --library "$standin" "$@"
}
refuses() {
    refused_what=$1 refused_line=$2
    shift 2
    refused "$refused_what" 1 "$refused_line" x.npy embed -m model.gguf "$red" -o x.npy --backend onnxruntime \
        --library "$standin" "$@"
}

# the library
refuses "a session that fails" "a stand-in runs nothing"
STANDIN_ORT_VERSION=1.16.3 refuses "a version that is too old" "ONNX Runtime 1.16.3, expected 1.17 or later"
STANDIN_ORT_VERSION=2.0.0 refuses "a version that is not known" "ONNX Runtime 2.0.0, expected 1.17"
STANDIN_ORT_VERSION=nonsense refuses "no version" "ONNX Runtime nonsense, expected"
STANDIN_ORT_NO_API=1 refuses "no table of that version" "refuses its own API 24"
mkdir other
cp "$standin/libonnxruntime.so.1" other/libonnxruntime.so.1
machine=$(od -An -t u1 -j 18 -N 1 other/libonnxruntime.so.1 | tr -d ' ')
theirs=ARM64 byte='\267'
[ "$machine" = 183 ] && theirs=x86-64 byte='\076'
printf "$byte" | dd of=other/libonnxruntime.so.1 bs=1 seek=18 conv=notrunc 2>/dev/null
refused "a library for another machine" 1 "built for $theirs, this is" x.npy \
    embed -m model.gguf "$red" -o x.npy --backend onnxruntime --library other
echo 'int x;' >other/libonnxruntime.so.1
refused "a file that is no library" 1 "not a shared library" x.npy \
    embed -m model.gguf "$red" -o x.npy --backend onnxruntime --library other
ort
check "the runtime reports to nobody" told "environment ORT_DISABLE_TELEMETRY=1"
ORT_DISABLE_TELEMETRY=0 ort
check "unless the user wants that" told "environment ORT_DISABLE_TELEMETRY=0"

# providers that are built in
refuses "a provider the build lacks, and what it has" \
    "provider rocm: ONNX Runtime 1.31.1 of .* was built without it (AMD's builds before 1.23 have it); it has Tensorrt CANN QNN Odd CUDA CPU" \
    --provider rocm
refuses "an unknown provider" "provider xyz: .*; it has Tensorrt CANN" --provider xyz
refuses "DirectML" "DirectML is part of Windows" --provider directml
ort --provider qnn --provider-option backend_path=libQnnHtp.so
check "QNN by the name the runtime has for it" both 'told "append name=QNN"' 'told "append backend_path=libQnnHtp.so"'
ort --provider cuda
check "CUDA, in f32 proper" both 'told "update device_id=0"' 'told "update use_tf32=0"'
ort --provider cuda --provider-option use_tf32=1
check "unless told otherwise" both 'told "update use_tf32=1"' '! told "update use_tf32=0"'
STANDIN_ORT_VERSION=1.17.3 ort --provider cuda
check "a version that has no such setting is not given it" both 'told "append object=1"' '! grep -q tf32 log'
ort --provider odd
check "a provider tuwen has not heard of" told "append name=Odd"
ort --provider CANN --device 3
check "CANN" both 'told "update device_id=3"' 'told "append object=1"'

# libraries of providers
: >hare.so
ort --provider hare=hare.so --provider-option speed=9
check "a library of providers is registered" told "register hare=$work/hare.so"
check "its first device of that name is taken" both 'told "device HareExecutionProvider=GPU"' 'told "device speed=9"'
ort --provider HARE=hare.so --device npu
check "or the one of the kind that --device says" told "device HareExecutionProvider=NPU"
ort --provider hare.slow=hare.so
check "a name in full" told "device hare.slow=CPU"
refuses "a name it does not offer" "no provider fox on this machine; there are CPUExecutionProvider on CPU, HareExecutionProvider on GPU" \
    --provider fox=hare.so
refuses "a kind it does not offer" "no provider hare for device TPU" --provider hare=hare.so --device TPU
refuses "no such library" "nothing.so: no such provider library" --provider hare=nothing.so
STANDIN_ORT_VERSION=1.21.0 refuses "a runtime too old for them" "need ONNX Runtime 1.22 or later, this is 1.21.0" \
    --provider hare=hare.so

# TensorRT
engines() { sed -n 's/^update trt_engine_cache_path=//p' log; }
ort --provider tensorrt --batch 4
first=$(engines)
check "engines are kept, in the user's cache folder" \
    both 'told "update trt_engine_cache_enable=1"' 'test -d "$first" -a "${first#"$work"/cache/tuwen/tensorrt/0-onnxruntime-1.31.1/}" != "$first"'
check "timings too" both 'told "update trt_timing_cache_enable=1"' 'told "update trt_timing_cache_path=$first"'
check "for one picture to a batch" both 'told "update trt_profile_min_shapes=image:1x3x32x32"' \
    'told "update trt_profile_max_shapes=image:4x3x32x32"'
check "that building takes time is said" says "building the engine of the image tower; this can take minutes"
: >"$first/x.engine"
ort --provider tensorrt --batch 4
check "but not when there is one" both '! says "building"' '[ "$(engines)" = "$first" ]'
ort --provider tensorrt --batch 5
check "another batch, another folder" both 'says building' '[ "$(engines)" != "$first" ]'
ort --provider tensorrt --batch 4 --device 1
check "another device too" both 'told "update device_id=1"' '[ "$(engines)" != "$first" ]'
cp model.gguf again.gguf
rm -f log
run embed -m again.gguf "$red" -o x.npy --backend onnxruntime --library "$standin" --provider tensorrt --batch 4
check "another model too" both 'says building' '[ "$(engines)" != "$first" ]'
LD_LIBRARY_PATH=$standin STANDIN_NVINFER_VERSION=101302 ort --provider tensorrt --batch 4
check "another TensorRT too" both 'says building' 'engines | grep -q /101302-onnxruntime'
ort --provider tensorrt --precision f16 --provider-option "trt_engine_cache_path=$work/mine"
check "f16, and a folder of the user's" both 'told "update trt_fp16_enable=1"' '[ "$(engines)" = "$work/mine" ]'
TUWEN_CACHE=$work/own ort --provider tensorrt
check "TUWEN_CACHE says where" both 'says building' 'engines | grep -q "^$work/own/tensorrt/"'
printf '一只猫\n' >texts
rm -f log
run embed -m model.gguf --texts texts -o x.npy --backend onnxruntime --library "$standin" --provider tensorrt --batch 4
check "texts: one token to all positions, at the usual length best" both \
    'told "update trt_profile_opt_shapes=text:4x52"' 'told "update trt_profile_max_shapes=text:4x64"'
HOME='' XDG_CACHE_HOME='' ort --provider tensorrt
check "without a place for it nothing is kept" both 'says "this can take minutes$"' '[ -z "$(engines)" ]'
finish
