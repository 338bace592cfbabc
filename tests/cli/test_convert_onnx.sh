#!/bin/sh
# convert of ONNX graphs: Chinese-CLIP's exports and our own, one tower or both, and what is refused. The
# features of what comes out are compared by tests/golden/test_onnx.c.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
fixtures=$TUWEN_SOURCE/tests/data/checkpoints/onnx
corpus=$TUWEN_SOURCE/tests/fuzz/onnx/corpus
echo 一只红苹果 >texts.txt
picture=$(ls "$pictures"/*.jpg | head -n 1)

# features MODEL NAME: of a picture and of a text, in NAME.npy.
features() {
    "$TUWEN" embed -m "$1" "$picture" -o "$2.i.npy" >/dev/null 2>&1 &&
        "$TUWEN" embed -m "$1" --texts texts.txt -o "$2.t.npy" >/dev/null 2>&1
}
same_features() { features "$1" got && cmp -s got.i.npy want.i.npy && cmp -s got.t.npy want.t.npy; }
features model.gguf want

run export model.gguf -o x
run convert x.img.fp32.onnx -o back.gguf
check "our own export converts, its text graph is found beside" both 'status_is 0' 'says "x.txt.fp32.onnx: the other tower"'
check "features are the model's to the bit" same_features back.gguf
run info back.gguf
check "the logit scale comes along" prints "2.25 (exp 9.48"
check "and the recipe" prints "squash 32 bicubic, resampler classic, RGB after"
check "and the heads" both 'prints "4 heads of 16"' 'prints "(onnx)"'
run convert x.txt.fp32.onnx -o again.gguf
check "the text graph finds the image graph" both 'status_is 0' 'same_features again.gguf'
mkdir other
mv x.txt.fp32.onnx other/texts.onnx
run convert x.img.fp32.onnx --onnx-text other/texts.onnx -o again.gguf
check "--onnx-text names it" both 'status_is 0' 'same_features again.gguf'
run convert x.img.fp32.onnx --vision-only -o vision.gguf
run info vision.gguf
check "--vision-only needs one graph" prints "text tower *none"
run export model.gguf -o f --fused --external-data --opset 13
run convert f.fp32.onnx -o again.gguf
check "one graph of both towers, weights aside, norms in steps" both 'status_is 0' 'same_features again.gguf'
run export model.gguf -o c --text-only --context-length 20
run convert c.txt.fp32.onnx --text-only -o again.gguf
run info again.gguf
check "a fixed length is the context length" prints "context length 20"

cp "$fixtures"/tiny-rn.img.fp16.onnx* "$fixtures"/tiny-vit.img.fp32.onnx "$fixtures"/tiny-vit.txt.fp16.onnx* .
run convert tiny-rn.img.fp16.onnx --vision-only -o rn.gguf
check "Chinese-CLIP's ModifiedResNet, its names lost" status_is 0
check "a missing logit scale is said" says "ln(100)"
run info rn.gguf
check "its stages" prints "stages 2-1-2-1, width 8, attention pool with 4 heads of 64"
run convert tiny-vit.img.fp32.onnx --onnx-text tiny-vit.txt.fp16.onnx -o v.gguf
run info v.gguf
check "graphs of different types" both 'prints "BERT, 2 layers"' 'prints "f16"'

refused "no text graph beside" 1 "give --onnx-text FILE, or --vision-only" z.gguf convert tiny-vit.img.fp32.onnx -o z.gguf
refused "a text graph that is an image graph" 1 "expected an ONNX graph of the text tower" z.gguf \
    convert tiny-vit.img.fp32.onnx --onnx-text tiny-rn.img.fp16.onnx -o z.gguf
refused "a text graph that is none" 1 "model.gguf: expected an ONNX graph" z.gguf \
    convert tiny-vit.img.fp32.onnx --onnx-text model.gguf -o z.gguf
refused "--onnx-text and a torch checkpoint" 2 "goes with an ONNX graph of the image tower" z.gguf \
    convert "$tiny/clip_cn_tiny-vit.pt" --onnx-text tiny-vit.txt.fp16.onnx -o z.gguf
run convert tiny-rn.img.fp16.onnx --onnx-text tiny-vit.txt.fp16.onnx -o z.gguf
check "towers of different models" both 'status_is 1' 'says "features of length 24, text features of length 32"'
refused "an activation that is not the graph's" 1 "expected gelu, the graph has quick_gelu" z.gguf \
    convert tiny-vit.img.fp32.onnx --vision-only --activation gelu -o z.gguf
refused "heads that are not the graph's" 1 "head width 32 is asked for, the graph has 16" z.gguf \
    convert tiny-vit.img.fp32.onnx --vision-only --head-width 32 -o z.gguf
refused "Hugging Face's export" 1 "Hugging Face's exporter, of inputs (input_ids, pixel_values, attention_mask)" z.gguf \
    convert "$corpus/hugging_face.onnx" -o z.gguf
rm tiny-rn.img.fp16.onnx.extra_file
refused "no side file" 1 "its external data: tiny-rn.img.fp16.onnx.extra_file: No such file" z.gguf \
    convert tiny-rn.img.fp16.onnx --vision-only -o z.gguf
head -c 500000 "$fixtures/tiny-rn.img.fp16.onnx.extra_file" >tiny-rn.img.fp16.onnx.extra_file
refused "a short side file" 1 "is it truncated" z.gguf convert tiny-rn.img.fp16.onnx --vision-only -o z.gguf
head -c 300000 tiny-vit.img.fp32.onnx >cut.onnx
refused "a truncated graph" 1 "is the file truncated" z.gguf convert cut.onnx --vision-only -o z.gguf
refused "external data in another folder" 1 "'../side', expected the name of a file in the model's folder" z.gguf \
    convert "$corpus/aside_parent.onnx" --vision-only -o z.gguf
refused "external data at an absolute path" 1 "'/etc/passwd', expected the name" z.gguf \
    convert "$corpus/aside_absolute.onnx" --vision-only -o z.gguf
refused "a weight without a name or a place" 1 "'onnx::MatMul_7' \[4, 4\] has no name" z.gguf \
    convert "$corpus/unnamed.onnx" --vision-only -o z.gguf
finish
