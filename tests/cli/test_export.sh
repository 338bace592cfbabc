#!/bin/sh
# export: which files appear, what their inputs and outputs are called, and what is refused. That the
# graphs compute the model is checked by dev/check_onnx.py, which needs the runtimes.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model

# has FILE WORD…: the file contains each word.
has() {
    file=$1
    shift
    for word in "$@"; do
        grep -a -q -F -e "$word" "$file" || return 1
    done
}
lacks() { ! has "$@"; }

run export model.gguf -o plain
check "both towers" status_is 0
check "the files are named as Chinese-CLIP's" prints "plain.txt.fp32.onnx"
check "image graph: its input, output and weights" has plain.img.fp32.onnx unnorm_image_features \
    v.blk.1.ffn_up.weight.T LayerNormalization batch tuwen.logit_scale
check "text graph: its input, output and weights" has plain.txt.fp32.onnx unnorm_text_features \
    t.blk.1.attn_q.weight.T Erf batch length
check "no tower holds the other's weights" lacks plain.img.fp32.onnx t.blk.0
run export model.gguf -o again
check "the same model gives the same bytes" cmp -s plain.img.fp32.onnx again.img.fp32.onnx

run export -m model.gguf -o old --opset 13 --vision-only
check "opset 13 has no LayerNormalization" lacks old.img.fp32.onnx LayerNormalization
check "one tower alone" absent old.txt.fp32.onnx
run export model.gguf -o fixed --batch 4 --context-length 20
check "fixed extents have no names" lacks fixed.txt.fp32.onnx Shape length
run export model.gguf -o half --precision f16 --json
check "f16, and JSON" prints '"outputs": \["half.img.fp16.onnx", "half.txt.fp16.onnx"\]'
check "f16 halves the file" [ "$(wc -c <half.txt.fp16.onnx)" -lt "$(($(wc -c <plain.txt.fp32.onnx) * 6 / 10))" ]

run export model.gguf -o aside --external-data
check "weights aside" test -s aside.txt.fp32.onnx.extra_file
check "the side file is named without a folder" has aside.txt.fp32.onnx aside.txt.fp32.onnx.extra_file location
check "and the graph is small" [ "$(wc -c <aside.txt.fp32.onnx)" -lt 100000 ]
run export model.gguf -o fused --fused
check "one graph of both towers" has fused.fp32.onnx logits_per_image logits_per_text images texts
run export model.gguf -o unit --normalize
check "normalised features have their own name" lacks unit.img.fp32.onnx unnorm_image_features
run export model.gguf -o split --no-text-projection --text-only
check "a split text tower" has split.txt.fp32.onnx text_rows
check "its projection lies beside" [ "$(npy_shape split.text_projection.npy)" = "32, 32" ]
run export --save-onnx-path words --convert-vision --convert-text -m model.gguf
check "words of the original's script" test -s words.txt.fp32.onnx

mkdir 图文
run export model.gguf -o 图文/模型
check "a Chinese path" test -s 图文/模型.img.fp32.onnx

# bad usage, bad places
refused "no output" 2 "no output" none export model.gguf
refused "no model" 2 "model" none export -o none
refused "a missing model" 1 "missing.gguf" none.img.fp32.onnx export missing.gguf -o none
refused "a folder that is not there" 1 "nowhere/x" none export model.gguf -o nowhere/x
refused "more tokens than positions" 2 "context length 65, the model has 64 positions" long.txt.fp32.onnx \
    export model.gguf -o long --text-only --context-length 65
refused "an unknown opset" 2 "opset" none export model.gguf -o none --opset 12
refused "int8" 2 "precision" none export model.gguf -o none --precision int8
refused "fused and one tower" 2 "fused" none export model.gguf -o none --fused --text-only
"$TUWEN" convert "$tiny/clip_cn_tiny-vit.pt" --arch "$tiny/tiny-vit.json,$tiny/tiny-bert.json" --text-only \
    -o text.gguf >/dev/null 2>&1
run export text.gguf -o only
check "a model of one tower" both "status_is 0" "absent only.img.fp32.onnx"
refused "the tower it lacks" 1 "no image tower" only.img.fp32.onnx export text.gguf -o only --vision-only
finish
