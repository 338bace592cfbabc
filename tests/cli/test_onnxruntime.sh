#!/bin/sh
# The backend onnxruntime: the same numbers as the CPU engine from graphs written for the run and from
# exported ones, and what is said when something is missing. The runtime is looked for in
# $TUWEN_ONNXRUNTIME and, with more providers, $TUWEN_ONNXRUNTIME_OPENVINO and $TUWEN_ONNXRUNTIME_EP_OPENVINO
# (tools/fetch_runtimes.sh gets all); without them only the refusals are tested.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
. "$TUWEN_SOURCE/tests/cli/graphs.sh"
library=${TUWEN_ONNXRUNTIME:-}
library_openvino=${TUWEN_ONNXRUNTIME_OPENVINO:-}
unset TUWEN_ONNXRUNTIME
make_model
printf '一只猫\na photo of a dog, seen from the side\n猫\n' >texts
red=$pictures/red-circle.png

# what is missing or wrong, and has one line
refused "a folder without the library" 1 "no libonnxruntime.so" x.npy \
    embed -m model.gguf --backend onnxruntime --library . "$red" -o x.npy
refused "a library that is not there" 1 "nothing.so: no such library" x.npy \
    embed -m model.gguf --backend onnxruntime --library nothing.so "$red" -o x.npy
printf 'no library' >libonnxruntime.so.9
refused "a file that is no library" 1 "libonnxruntime.so.9" x.npy \
    embed -m model.gguf --backend onnxruntime --library . "$red" -o x.npy
refused "bf16" 1 "computes in f32 or f16" x.npy \
    embed -m model.gguf --backend onnxruntime --precision bf16 "$red" -o x.npy
refused "an unknown backend" 2 "there are cpu, onnxruntime, openvino" x.npy embed -m model.gguf --backend x "$red" -o x.npy
refused "a provider without its backend" 2 "backend cpu has no provider" x.npy \
    embed -m model.gguf --provider cuda "$red" -o x.npy

if [ -z "$library" ]; then
    skip "running on ONNX Runtime" "TUWEN_ONNXRUNTIME is not set"
    finish
fi
ort() { run "$@" --backend onnxruntime --library "$library"; }

run embed -m model.gguf "$pictures" -o cpu.npy --no-normalize
ort embed -m model.gguf "$pictures" -o ort.npy --no-normalize
check "pictures" status_is 0
check "what is used is printed" says "onnxruntime 1[.0-9]* cpu, f32, [0-9]* of [0-9]* nodes there"
check "pictures are the CPU engine's within 1e-5" npy_close cpu.npy ort.npy 1e-5
run embed -m model.gguf --texts texts -o cpu.npy --no-normalize
ort embed -m model.gguf --texts texts -o ort.npy --no-normalize
check "texts are the CPU engine's within 1e-5" npy_close cpu.npy ort.npy 1e-5
check "nothing is left in the folder for temporary files" [ -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'tuwen-??????' -newer texts)" ]
ort embed -m model.gguf --texts texts -o half.npy --no-normalize --precision f16
check "f16 graphs are near" npy_close cpu.npy half.npy 1e-2
ort similarity -m model.gguf --text 猫 "$red" --json
check "JSON names the backend, its version and provider" prints '"backend": "onnxruntime", "device": "cpu".*"runtime": "1'

run export model.gguf -o one --batch 1 --context-length 52
ort embed -m model.gguf --texts texts -o fixed.npy --no-normalize --graphs one
check "graphs for one row run row by row" npy_close cpu.npy fixed.npy 1e-5
run export model.gguf -o two --batch 2 --context-length 24
ort embed -m model.gguf --texts texts -o fixed.npy --no-normalize --graphs two
check "graphs for two rows: the last run is filled up" npy_close cpu.npy fixed.npy 1e-5
ort embed -m model.gguf --texts texts -o fixed.npy --no-normalize --graphs two.txt.fp32.onnx
check "one graph by its name" npy_close cpu.npy fixed.npy 1e-5
run export model.gguf -o short --context-length 4
refused "a text longer than the graph" 1 "the graph takes 4" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --texts texts -o x.npy --graphs short
refused "no such graphs" 1 "none.txt.fp32.onnx" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --texts texts -o x.npy --graphs none
refused "the other tower's graph" 2 "not the graph of the text tower" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --texts texts -o x.npy --graphs two.img.fp32.onnx
head -c 1000 two.txt.fp32.onnx >cut.txt.fp32.onnx
refused "a graph that is cut off" 1 "cut.txt.fp32.onnx" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --texts texts -o x.npy --graphs cut
run export model.gguf -o fused --fused
mv fused.fp32.onnx fused.txt.fp32.onnx
refused "a graph of both towers" 1 "expected one tower" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --texts texts -o x.npy --graphs fused
refused "a provider this build lacks" 1 "was built without it" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --provider cuda "$red" -o x.npy
refused "an unknown provider" 1 "was built without it; it has" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --provider xyz "$red" -o x.npy
refused "DirectML" 1 "part of Windows" x.npy \
    embed -m model.gguf --backend onnxruntime --library "$library" --provider directml "$red" -o x.npy
bad_graphs onnxruntime "$library"
run verify model.gguf --against model.gguf
check "verify still compares on the CPU engine" status_is 0

plugin=${TUWEN_ONNXRUNTIME_EP_OPENVINO:-}/libonnxruntime_providers_openvino_plugin.so
if [ -e "$plugin" ]; then
    # Of processors it takes Intel's alone.
    run embed -m model.gguf --texts texts -o cpu.npy --no-normalize
    ort embed -m model.gguf --texts texts -o plugin.npy --no-normalize --provider "openvino=$plugin"
    if [ "$status" -eq 0 ]; then
        check "a library of providers" both 'says " openvino, f32, [1-9]"' 'npy_close cpu.npy plugin.npy 1e-5'
    else
        check "a library of providers that finds no device here" fails_saying 1 "no provider openvino on this machine; there are CPUExecutionProvider on CPU"
    fi
else
    skip "a library of providers" "TUWEN_ONNXRUNTIME_EP_OPENVINO is not set"
fi
refused "a library of something else" 1 "not a library of ONNX Runtime providers" x.npy embed -m model.gguf --texts texts -o x.npy \
    --backend onnxruntime --library "$library" --provider "x=$(ls /lib/*/libm.so.6 /lib64/libm.so.6 2>/dev/null | head -n 1)"
mkdir home
HOME=$work/home XDG_CACHE_HOME=$work/home ort embed -m model.gguf --texts texts -o x.npy
check "the runtime leaves nothing in the user's folder" both 'status_is 0' '[ -z "$(ls -A home)" ]'

if [ -z "$library_openvino" ]; then
    skip "the provider openvino" "TUWEN_ONNXRUNTIME_OPENVINO is not set"
    finish
fi
ov() { run "$@" --backend onnxruntime --library "$library_openvino" --provider openvino; }
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize
check "provider openvino takes the nodes" says "onnxruntime 1[.0-9]* openvino, f32, [1-9]"
check "its texts are within 1e-5" npy_close cpu.npy ov.npy 1e-5
refused "a device it lacks" 1 "no device GPU" x.npy embed -m model.gguf --backend onnxruntime \
    --library "$library_openvino" --provider openvino --openvino-device GPU --texts texts -o x.npy
refused "an unknown option" 1 "unknown OpenVINO option" x.npy embed -m model.gguf --backend onnxruntime \
    --library "$library_openvino" --provider openvino --provider-option nonsense=1 --texts texts -o x.npy
refused "a provider that takes nothing is not silent" 1 "takes none" x.npy embed -m model.gguf --backend onnxruntime \
    --library "$library_openvino" --provider openvino --device AUTO --texts texts -o x.npy
ov embed -m model.gguf --texts texts -o ov.npy --no-normalize --device AUTO --allow-fallback
check "unless that is allowed, and said" says "openvino, f32 graphs, 0 of"
finish
