#!/bin/sh
# convert --precision int8: the gate accepts, keeps blocks f16, refuses, is forced; what was measured is
# in the file; the file runs in int8, and in f32 when that is asked for.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
"$TUWEN" convert model.gguf -o f32.gguf --precision f32 >out 2>&1 && mv f32.gguf model.gguf
printf '%s\n' 杰尼龟 妙蛙种子 'a photo of a cat' >texts

run convert model.gguf -o int8.gguf --precision int8
check "a model that is near enough is written" both 'status_is 0' '[ -s int8.gguf ]'
check "what was measured is printed" both 'prints "^int8 .*built-in inputs, required mean 0.99, least 0.97: reached"' \
    'prints "cosine of 8 pictures: mean 0.99[0-9]*, least 0.9"'
check "nothing temporary is left" [ -z "$(find . -name "*part*")" ]
check "all but the vocabulary's words is a quarter of f32" [ "$(($(wc -c <int8.gguf) * 5 / 2))" -lt "$(wc -c <model.gguf)" ]
run convert model.gguf -o again.gguf --precision int8 --json
check "--json has it" both 'lines_are out 1' 'prints "\"int8\": {\"calibration\": \"built-in\", \"images\": 8, \"texts\": 8, .*\"forced\": false}"'
check "the same file again" cmp -s int8.gguf again.gguf
run info int8.gguf
check "info shows types and figures" both 'prints "^tensors .* 25 int8"' 'prints "cosine of 8 texts: mean 0.99"'
run info int8.gguf --json
check "and so does --json" both 'prints "\"int8\": 25}"' 'prints "\"image_cosine\": {\"mean\": 0.99[0-9]*, \"min\": 0.9"'

# The integers of the file are those of quantising when the model is loaded; all else of it is f16 here.
run convert model.gguf -o f16.gguf --precision f16
run embed -m int8.gguf "$pictures" -o file.npy
check "it runs in int8 unasked" both 'status_is 0' 'says ", int8, products of the blocks, .*all else f32, "'
run embed -m int8.gguf "$pictures" -o asked.npy --precision int8
check "and when asked" cmp -s file.npy asked.npy
run embed -m model.gguf "$pictures" -o loaded.npy --precision int8
check "near what loading quantises" npy_close file.npy loaded.npy 5e-3
run convert f16.gguf -o from16.gguf --precision int8
run embed -m from16.gguf "$pictures" -o a.npy
run embed -m f16.gguf "$pictures" -o b.npy --precision int8
check "equal to it where all else is f16 on both sides" cmp -s a.npy b.npy
run embed -m int8.gguf "$pictures" -o wide.npy --precision f32 --json
check "f32 computes with the int8 weights and says so" both 'says ", f32, int8 weights widened, "' \
    'prints "\"precision\": \"f32\", \"detail\": \"int8 weights widened, "'
run embed -m model.gguf "$pictures" -o f32.npy
check "near the model's own" npy_close wide.npy f32.npy 0.03
run embed -m int8.gguf --texts texts -o t.npy
run embed -m model.gguf --texts texts -o u.npy
check "texts" npy_close t.npy u.npy 0.03
run bench -m int8.gguf --n 2 --warmup 0 --json
check "bench" both 'status_is 0' 'prints "\"precision\": \"int8\""'
run verify int8.gguf --against model.gguf --b-precision f32 --min-cosine 0.99
check "verify" status_is 0
run export int8.gguf --vision-only -o exported
check "export widens" both 'status_is 0' '[ -s exported.img.onnx ] || [ -s exported.img.fp32.onnx ]'
refused "it is no checkpoint" 1 "int8 model file is made of a checkpoint" x.gguf \
    convert int8.gguf -o x.gguf --precision f16

# place NAME: where a tensor of model.gguf begins; all lie back to back at multiples of 32 bytes.
place() {
    "$TUWEN" info model.gguf --tensors | awk -v name="$1" -v size="$(wc -c <model.gguf)" '
        /^(f32|f16) / {
            bytes = $1 == "f32" ? 4 : 2
            shape = $0; sub(/^[^[]*\[/, "", shape); sub(/\].*/, "", shape)
            n = split(shape, extents, ", ")
            for (i = 1; i <= n; i++) bytes *= extents[i]
            if ($NF == name) found = 1
            if (found) sum += int((bytes + 31) / 32) * 32
        }
        END {print size - sum}'
}
poke() { printf "$1" | dd of=sick.gguf bs=1 seek="$2" conv=notrunc 2>/dev/null; }
# sicken N: in block N of the image tower one value inside the MLP is a million times the others, and
# read by nobody: f32 does not see it, 8 bits a row see nothing else.
sicken() {
    poke '\0\044\164\111' "$(place "v.blk.$1.ffn_down.bias")"
    at=$(place "v.blk.$1.ffn_up.weight")
    row=0
    while [ $row -lt 64 ]; do
        poke '\0\0\0\0' $((at + row * 256 * 4))
        row=$((row + 1))
    done
}
cp model.gguf sick.gguf
sicken 0
run convert sick.gguf -o kept.gguf --precision int8
check "the block that loses most stays f16" both 'status_is 0' 'says "v.blk.0 loses most and stays f16"'
check "and that is recorded" prints "kept f16: v.blk.0$"
run embed -m kept.gguf "$pictures" -o x.npy
check "a file of both runs" both 'status_is 0' 'says ", int8, 4 of 8 products of the blocks, "'
sicken 1
run convert sick.gguf -o x.gguf --precision int8
check "a model that is too far off is refused" both 'status_is 1' \
    'says "int8 is too far from f32 on built-in inputs (cosine of pictures: mean .* even with f16 in v.blk"'
check "and nothing is written" absent x.gguf
check "nor left" [ -z "$(find . -name "*part*")" ]
run convert sick.gguf -o forced.gguf --precision int8 --force
check "--force writes it" both 'status_is 0' 'says "written by --force"'
run info forced.gguf
check "which it says of itself" prints "NOT reached"

# Sets of one's own.
run convert model.gguf -o x.gguf --precision int8 --calibrate "$pictures"
check "a folder of pictures" both 'status_is 0' 'prints "on pictures inputs"'
mkdir pairs
cp "$pictures"/*.png pairs/
i=0
for file in pairs/*.png; do
    i=$((i + 1))
    echo "{\"text_id\": $i, \"text\": \"图片 $i\", \"image_ids\": [$i], \"file\": \"${file#pairs/}\"}"
done >pairs.captions.jsonl
run convert model.gguf -o x.gguf --precision int8 --calibrate pairs
check "pairs: recall of both" both 'prints "text-to-image R@1: f32 [0-9.]*, int8 [0-9.]*$"' 'prints "image-to-text R@1: "'
i=0
for file in pairs/*.png; do
    i=$((i + 1))
    printf '%s\t%s\n' $i "$(base64 -w 0 "$file")"
done >own_imgs.tsv
cp pairs.captions.jsonl own_texts.jsonl
cp out folder.out
run convert model.gguf -o y.gguf --precision int8 --calibrate own_imgs.tsv
check "the same as .tsv" both 'status_is 0' '[ "$(grep R@1 out)" = "$(grep R@1 folder.out)" ]'
echo 'no picture' >pairs/broken.png
echo '{"text_id": 99, "text": "x", "image_ids": [99], "file": "broken.png"}' >>pairs.captions.jsonl
run convert model.gguf -o x.gguf --precision int8 --calibrate pairs
check "a picture that cannot be read is named and left out" both 'status_is 0' 'says "broken.png"'
mkdir none
refused "a set without pictures" 1 "no picture in it" x.gguf convert model.gguf -o x.gguf --precision int8 --calibrate none
refused "a .tsv of another name" 2 "expected X_imgs.tsv" x.gguf convert model.gguf -o x.gguf --precision int8 --calibrate a.tsv
refused "without int8" 2 "go with --precision int8" x.gguf convert model.gguf -o x.gguf --force
refused "with --round-f16" 2 "one or the other" x.gguf convert model.gguf -o x.gguf --precision int8 --round-f16

# Pictures whose classes are known. Noise in 60 classes, each picture in that of f32's best label: f32 is
# right everywhere, and int8, as near as it is, not where two labels are as good as equal.
awk 'BEGIN {for (i = 10; i < 70; i++) print "w" i}' >labels
echo '{"one": ["{}"], "two": ["a {}", "{} !"]}' >templates.json
awk 'BEGIN {
    srand(7)
    for (i = 0; i < 120; i++) {
        name = sprintf("noise%03d.ppm", i)
        print "P3\n8 8\n255" >name
        for (j = 0; j < 192; j++) print int(rand() * 256) >name
        close(name)
    }
}'
run classify -m model.gguf --labels labels --rgb-first -k 1 --json noise*.ppm
sed 's/.*"image": "\([^"]*\)".*"index": \([0-9]*\).*/\1 \2/' out | while read -r name label; do
    mkdir -p "classes/$label"
    mv "$name" "classes/$label/"
done
run convert model.gguf -o x.gguf --precision int8 --calibrate classes --labels labels
check "top-1 that falls is refused, near as the features are" both 'status_is 1' \
    'says "on classes inputs (cosine of pictures: mean 0.99.*; top-1: right f32 120, int8 1*[0-9]*[0-9] of 120)"'
check "after blocks of either tower were kept" both 'says "v.blk.[01] loses most"' 'says "t.blk.[01] loses most"'
check "nothing of it is written" absent x.gguf
run convert model.gguf -o x.gguf --precision int8 --calibrate classes --labels labels --force
check "forced it is, and says so" both 'status_is 0' 'prints "zero-shot top-1 of 60 labels: f32 100.00, int8 [0-9]*\.[0-9]*$"'
check "info says NOT reached" prints "NOT reached"
run eval zeroshot -m x.gguf --data classes --labels labels
check "the figure is eval zeroshot's" both 'status_is 0' \
    '[ "$(sed -n "s/zeroshot-top1.*(\(.*\) %)/\1/p" out)" = "$("$TUWEN" info x.gguf | sed -n "s/.*top-1.*int8 //p")" ]'
mkdir -p shapes
cp "$pictures"/*.png shapes/
mkdir -p shapes/0 shapes/1
for file in shapes/*.png; do mv "$file" shapes/1/; done
printf '%s\n' 杰尼龟 妙蛙种子 >two
run convert model.gguf -o x.gguf --precision int8 --calibrate shapes --labels two --templates templates.json --template-set two --json
check "with templates" both 'status_is 0' 'prints "\"top1\": {\"f32\": [0-9.]*, \"int8\": [0-9.]*}, \"labels\": 2, "'
run info int8.gguf --json
check "without labels there is no top-1" prints '"top1": null, "labels": 0'
: >empty
for case in 'labels of a set without classes|1|no class folder|--calibrate none --labels two' \
    'more classes than labels|1|is not the number of a label|--calibrate classes --labels two' \
    'no label|1|no label in it|--calibrate shapes --labels empty' \
    'labels that are not there|1|absent|--calibrate shapes --labels absent' \
    'a template set that is not there|2|three|--calibrate shapes --labels two --templates templates.json --template-set three' \
    'labels without pictures|2|--labels goes with --calibrate|--labels two' \
    'templates without labels|2|go with --labels|--calibrate shapes --templates templates.json' \
    'labels and one tower|2|needs both towers|--calibrate shapes --labels two --vision-only'; do
    name=${case%%|*} rest=${case#*|}
    want=${rest%%|*} rest=${rest#*|}
    # shellcheck disable=SC2086
    refused "$name" "$want" "${rest%%|*}" x.gguf convert model.gguf -o x.gguf --precision int8 ${rest#*|}
done
demo=${TUWEN_SHARED:-$TUWEN_SOURCE/../shared}/demo
if [ -f "$demo/cifar100-test-2000.tar" ]; then
    run convert "$demo/clip_cn_demo-vit-ti-16.pt" --arch "$demo/Demo-ViT-Ti-16.json,$demo/Demo-BERT.json" -o x.gguf --precision int8 \
        --calibrate "$demo/cifar100-test-2000.tar" --labels "$demo/label_cn.txt" --templates "$demo/templates.json" --template-set zh
    check "2000 photographs of CIFAR-100 on a trained model" both 'status_is 0' 'prints "top-1 of 100 labels: f32 79.[0-9]*, int8 79.[0-9]*$"'
else
    skip "2000 photographs of CIFAR-100 on a trained model" "data not present: cifar100-test-2000.tar"
fi

# Towers without int8.
rn=$TUWEN_SOURCE/tests/data/checkpoints/tiny_cn_rn
run convert "$rn/clip_cn_tiny-rn.pt" --arch "$rn/tiny-rn.json,$rn/tiny-rbt.json" -o rn.gguf --precision int8
check "a ResNet beside a text tower" both 'status_is 0' 'prints "cosine of 8 texts: mean 0.99"'
run embed -m rn.gguf "$pictures" -o x.npy
check "its pictures are computed in f32" both 'status_is 0' 'says ", f32, "'
refused "a ResNet alone" 1 "no int8 products" x.gguf \
    convert "$rn/clip_cn_tiny-rn.pt" --arch "$rn/tiny-rn.json,$rn/tiny-rbt.json" -o x.gguf --precision int8 --vision-only
finish
