#!/bin/sh
# The backend openvino: the same numbers as the CPU engine, precision said and read back, and what is
# said when something is missing. OpenVINO is looked for in $TUWEN_OPENVINO (tools/fetch_runtimes.sh
# gets it); without it only the refusals are tested.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
. "$TUWEN_SOURCE/tests/cli/graphs.sh"
library=${TUWEN_OPENVINO:-}
unset TUWEN_OPENVINO
make_model
printf '一只猫\na photo of a dog, seen from the side\n猫\n' >texts
red=$pictures/red-circle.png

refused "a folder without the library" 1 "no libopenvino_c.so" x.npy \
    embed -m model.gguf --backend openvino --library . "$red" -o x.npy
refused "a library of something else" 1 "no OpenVINO of 2025 or later" x.npy \
    embed -m model.gguf --backend openvino --library "$(ls /lib/*/libm.so.6 /lib64/libm.so.6 2>/dev/null | head -n 1)" "$red" -o x.npy
refused "int8" 2 "int8" x.npy embed -m model.gguf --backend openvino --precision int8 "$red" -o x.npy

if [ -z "$library" ]; then
    skip "running on OpenVINO" "TUWEN_OPENVINO is not set"
    finish
fi
ov() { run "$@" --backend openvino --library "$library"; }

run embed -m model.gguf "$pictures" -o cpu.npy --no-normalize
ov embed -m model.gguf "$pictures" -o ov.npy --no-normalize
check "what is used is read back and printed" says "openvino 20[.0-9]* CPU, f32, LATENCY, "
check "pictures are the CPU engine's within 1e-5" npy_close cpu.npy ov.npy 1e-5
run embed -m model.gguf --texts texts -o cpu.npy --no-normalize
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize
check "texts are the CPU engine's within 1e-5" npy_close cpu.npy ov.npy 1e-5
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize --precision f16 --allow-fallback
check "f16 says so, or what it became" says "CPU, [bf]*[13][62], "
got=$(sed -n 's/.* CPU, \([a-z0-9]*\), .*/\1/p' err)
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize --precision f16
check "another precision than asked for is an error" [ "$got" = f16 -o "$status" -eq 1 ]
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize --device AUTO
check "device AUTO" npy_close cpu.npy ov.npy 1e-5
check "which does not tell its precision" says " CPU, f32 asked, "
for device in GPU NPU AUTO:GPU,CPU; do
    rm -f x.npy
    ov embed -m model.gguf --texts texts -o x.npy --device "$device"
    if [ "$status" -eq 0 ]; then
        skip "$device without one" "there is one"
    else
        check "$device without one" both 'fails_saying 1 "device $device: OpenVINO"' 'says "no such device\|OpenCL driver\|NPU is not available"'
    fi
done
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize --provider-option PERFORMANCE_HINT=THROUGHPUT
check "throughput" says "THROUGHPUT"
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize --provider-option CACHE_DIR=cache
check "a cache of compiled graphs" test -d cache
run export model.gguf -o one --batch 1 --context-length 52
ov embed -m model.gguf --texts texts -o fixed.npy --no-normalize --graphs one
check "graphs for one row run row by row" npy_close cpu.npy fixed.npy 1e-5
ov similarity -m model.gguf --text 猫 "$red" --json
check "JSON names the backend, its version and device" prints '"backend": "openvino", "device": "CPU".*"runtime": "20'

ov verify model.gguf
check "verify: the engine against openvino" both "status_is 0" "prints agree"
ov verify model.gguf --precision bf16 --min-cosine 0.9999999
check "verify: bf16 does not agree to seven digits" status_is 1

bad() { refused "$1" 1 "$2" x.npy embed -m model.gguf --texts texts -o x.npy --backend openvino --library "$library" $3; }
bad "a device that is not there" "no such device" "--device XYZ"
bad "an unknown property" "NONSENSE" "--provider-option NONSENSE=1"
bad "a bad value" "INFERENCE_PRECISION_HINT" "--provider-option INFERENCE_PRECISION_HINT=f99"
refused "a word that is no property" 2 "expected KEY=VALUE" x.npy embed -m model.gguf --texts texts -o x.npy \
    --backend openvino --library "$library" --provider-option nonsense
bad_graphs openvino "$library"
head -c 1000 one.txt.fp32.onnx >cut.txt.fp32.onnx
bad "a graph that is cut off" "cut.txt.fp32.onnx" "--graphs cut"
finish
