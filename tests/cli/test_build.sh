#!/bin/sh
# build: the command lines that compilers get, what is written beside their results, and what is said
# when one is missing, fails or is stopped. The compilers are stand-ins that copy their input; OpenVINO's
# own is used when it is in PATH.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
real_ovc=$(command -v ovc)
mkdir bin
# stand_in NAME SCRIPT: a compiler that logs its arguments in calls, then runs SCRIPT.
stand_in() {
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$work" "$2" >"bin/$1"
    chmod +x "bin/$1"
}
path_before=$PATH
PATH=$work/bin:$PATH
export PATH

stand_in model_transform.py 'echo transforming; cp "$4" "$8"'
stand_in model_deploy.py 'while [ $# -gt 1 ]; do [ "$1" = --model ] && cp image.mlir "$2" 2>/dev/null || cp text.mlir "$2" 2>/dev/null; shift; done; echo deployed'
run build model.gguf --target sophon --batch 4 -o chip
check "sophon: both towers" status_is 0
check "the result is what the compiler wrote" grep -a -q unnorm_image_features chip.img.bmodel
check "extents are fixed" grep -q -F -e '--input_shapes [[4,3,32,32]]' calls
check "a text has the model's length" grep -q -F -e '--input_shapes [[4,52]]' calls
check "the usual precision and chip" grep -q -e '--quantize F16 --chip bm1684x ' calls
check "what the compiler printed is kept" grep -q deployed chip.txt.log
check "the record names the commands" grep -q '"target": "sophon".*"shape": "4,3,32,32".*\["model_transform.py", "--model_name", "image"' chip.img.bmodel.json
check "nothing else is left" [ "$(find . -name '*build-*' | wc -l)" -eq 0 ]

rm calls
stand_in atc 'for a in "$@"; do case $a in --output=*) echo om >"${a#--output=}.om" ;; esac; done'
run build model.gguf --target ascend --soc-version 910B4 --vision-only -o npu --json
check "ascend, JSON" prints '"outputs": \["npu.img.om"\], "target": "ascend"'
check "atc's words" grep -q -e '--framework=5 .*--input_format=NCHW --input_shape=image:1,3,32,32 --soc_version=Ascend910B4 --log=error' calls
run build model.gguf --target ascend --soc_version=Ascend910B4 --precision f32 --vision-only -o npu
check "a chip with the prefix, and f32" grep -q -e '--soc_version=Ascend910B4 --log=error --precision_mode_v2=origin$' calls
refused "ascend without a chip" 2 "needs one" npu2.img.om build model.gguf --target ascend -o npu2

stand_in trtexec 'for a in "$@"; do case $a in --saveEngine=*) echo trt >"${a#--saveEngine=}" ;; esac; done'
run build model.gguf --target tensorrt --vision-only -o gpu
check "tensorrt: what engines are good for" prints "provider tensorrt"

run build model.gguf --target sophon -o dry --print --text-only
check "--print runs nothing" both "prints 'model_deploy.py --mlir text.mlir'" "absent dry.txt.bmodel"
rm -f calls
run build model.gguf --target tensorrt -o "it's dry" --batch 2 --print --fp16 --convert-text --convert-vision
check "the words of onnx_to_tensorrt mean both towers" lines_are out 3
check "nothing was run" [ ! -e calls ]
cp out lines
tuwen() { "$TUWEN" "$@"; }
. ./lines >out 2>err
status=$?
check "what is printed can be run as it is" both 'status_is 0' "test -s \"it's dry.txt.trt\""
check "with the words it would have had" grep -q -e "--saveEngine=it's dry.img.trt --fp16" calls
refused "two precisions" 2 "exclude each other" x.img.trt build model.gguf --target tensorrt --fp16 --precision f32 -o x

run build model.gguf --target magicmind -o mlu --print --batch 4 --precision f16
lines() {
    printf '%s\n' 'tuwen export model.gguf -o mlu --batch 4 --context-length 52 --opset 13'
    for tower in 'img 4 3 32 32' 'txt 4 52'; do
        echo "python gen_model.py --precision force_float16 --input_dims ${tower#* } --dynamic_shape false --mlu_arch mtp_372 --type64to32_conversion true --conv_scale_fold true --onnx mlu.${tower%% *}.fp32.onnx --magicmind_model mlu.${tower%% *}.mm --device_id 0"
    done
}
lines >expected
check "magicmind: the lines to run by hand" both 'status_is 0' 'cmp -s expected out'
refused "magicmind has no compiler to run" 1 "target magicmind: MagicMind has a Python interface and no compiler to run; --print prints what to run with Cambricon's clip_pytorch/gen_model/gen_model.py" mlu.img.mm \
    build model.gguf --target magicmind -o mlu

# what goes wrong
stand_in atc 'echo "E40021: the chip is not known" >&2; exit 3'
refused "a compiler that fails" 1 "atc failed with status 3, see bad.img.log: E40021" bad.img.om \
    build model.gguf --target ascend --chip X --vision-only -o bad
stand_in atc 'exit 0'
refused "a compiler that writes nothing" 1 "did not write it" none.img.om \
    build model.gguf --target ascend --chip X --vision-only -o none
stand_in atc 'sleep 6061'
"$TUWEN" build model.gguf --target ascend --chip X --vision-only -o slow >out 2>err &
pid=$!
sleep 1
kill -TERM "$pid"
wait "$pid"
status=$?
check "a stop ends the compiler too" both "status_is 143" "! pgrep -f 'sleep 6061' >/dev/null"
check "and its folder is gone" [ "$(find . -name '*build-*' | wc -l)" -eq 0 ]
PATH=$path_before
rm -r bin
run build model.gguf --target sophon -o gone
check "a missing compiler, and how to get it" fails_saying 1 "model_transform.py is not installed (pip install tpu_mlir"
refused "no target" 2 "no target" x.img.xml build model.gguf -o x
refused "a target nobody has" 2 "target" x.img.xml build model.gguf --target mlu -o x
refused "a precision the target lacks" 2 "has no such one" x.img.om build model.gguf --target ascend --chip X --precision bf16 -o x
refused "a chip for openvino" 2 "has none" x.img.xml build model.gguf --target openvino --chip X -o x

if [ -z "$real_ovc" ]; then
    skip "OpenVINO's own compiler" "ovc is not in PATH"
    finish
fi
run build model.gguf --target openvino -o ov
check "OpenVINO's own compiler" both "status_is 0" "test -s ov.txt.bin"
finish
