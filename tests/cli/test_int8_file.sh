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
check "it runs in int8 unasked" both 'status_is 0' 'says ", int8, products of the blocks, all else f32, "'
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

# Towers without int8.
rn=$TUWEN_SOURCE/tests/data/checkpoints/tiny_cn_rn
run convert "$rn/clip_cn_tiny-rn.pt" --arch "$rn/tiny-rn.json,$rn/tiny-rbt.json" -o rn.gguf --precision int8
check "a ResNet beside a text tower" both 'status_is 0' 'prints "cosine of 8 texts: mean 0.99"'
run embed -m rn.gguf "$pictures" -o x.npy
check "its pictures are computed in f32" both 'status_is 0' 'says ", f32, "'
refused "a ResNet alone" 1 "no int8 products" x.gguf \
    convert "$rn/clip_cn_tiny-rn.pt" --arch "$rn/tiny-rn.json,$rn/tiny-rbt.json" -o x.gguf --precision int8 --vision-only
finish
