# convert and info; checkpoints that are damaged, files that are something else, full disks.
. "$TUWEN_SOURCE/tests/cli/lib.sh"

checkpoint=$tiny/clip_cn_tiny-vit.pt
arch=$tiny/tiny-vit.json,$tiny/tiny-bert.json

run convert "$checkpoint" --arch "$arch" -o model.gguf
check "a checkpoint converts" status_is 0
check "convert says what it wrote" prints "model.gguf"
check "the model file begins with GGUF" [ "$(head -c 4 model.gguf)" = GGUF ]
check "nothing temporary is left" [ -z "$(find . -name "*part*")" ]
sha=$(sha256sum "$checkpoint" | cut -d ' ' -f 1)
check "convert prints the SHA-256 of the source" prints "$sha"
run convert --output=again.gguf --arch="$arch" -- "$checkpoint"
check "options in any form give the same file" cmp -s model.gguf again.gguf
run convert --model-arch "$arch" --pytorch-ckpt-path "$checkpoint" --context-length 52 -o again.gguf
check "the original tool's words are understood" both 'status_is 0' 'cmp -s model.gguf again.gguf'
run convert "$checkpoint" --vision-config "$tiny/tiny-vit.json" --text-config "$tiny/tiny-bert.json" -o again.gguf --json
check "towers by their own files" both 'status_is 0' 'cmp -s model.gguf again.gguf'
check "--json is one object" both 'lines_are out 1' 'prints "\"source_sha256\": \"$sha\""'
run convert "$checkpoint" --arch "$arch" --no-hash -o nohash.gguf
check "--no-hash leaves the digest out" both 'status_is 0' '! grep -q "$sha" nohash.gguf'
mkdir -p "数据 夹"
cp "$checkpoint" "数据 夹/检查点 1.pt"
run convert "数据 夹/检查点 1.pt" --arch "$arch" -o "数据 夹/模型.gguf"
check "Chinese paths with spaces" both 'status_is 0' '[ -s "数据 夹/模型.gguf" ]'

# info
run info model.gguf
check "info is status 0" status_is 0
for word in "ViT, 2 blocks, width 64, 4 heads of 16" "BERT, 2 layers, width 32" "wordpiece, 21128 entries" \
    "squash 32 bicubic, resampler classic, RGB after" "logit scale" "2.25 (exp 9.48" "$sha" \
    "clip_cn_tiny-vit.pt (torch-zip)" "tuwen [0-9]" "parameters" "crop rounding half-even"; do
    check "info shows: $word" prints "$word"
done
TUWEN_MODEL=model.gguf "$TUWEN" info >env.txt 2>err
check "the model comes from TUWEN_MODEL" cmp -s out env.txt
run info model.gguf --tensors
check "--tensors lists them" prints "^f.* \[21128, 32\] "
run info model.gguf --json --tensors
check "info --json is one object" both 'lines_are out 1' 'prints "^{.*\"logit_scale\": 2.25.*}$"'
run info
check "info without a model" fails_saying 2 "no model: give -m FILE or set TUWEN_MODEL"
run info "$checkpoint"
check "info of a checkpoint" fails_saying 1 "clip_cn_tiny-vit.pt"
run info missing.gguf
check "info of a missing file" fails_saying 1 "No such file"
run info .
check "info of a folder" fails_saying 1 "is a directory"
: >empty
run info empty
check "info of an empty file" fails_saying 1 "empty"
head -c 100000 model.gguf >cut.gguf
run info cut.gguf
check "info of a truncated model" fails_saying 1 "cut.gguf"

# recipe and precision
run convert "$checkpoint" --arch "$arch" -o r.gguf --resize-mode shortest --resampler 12.2 --rgb-first \
    --crop-rounding floor --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25
run info r.gguf
check "the recipe is stored" prints "shortest 32 bicubic, resampler 12.2, RGB first"
check "mean is stored" prints "mean 0.5 0.5 0.5"
run convert "$checkpoint" --arch "$arch" -o r.gguf --recipe hf
run info r.gguf
check "a named recipe is stored" prints "shortest 32 bicubic, resampler classic, RGB first, crop floor"
for precision in f32 f16 bf16; do
    run convert "$checkpoint" --arch "$arch" -o p.gguf --precision $precision
    run info p.gguf
    check "--precision $precision is stored" prints "[0-9] $precision"
done
run convert "$checkpoint" --arch "$arch" -o v.gguf --vision-only
run info v.gguf
check "--vision-only leaves the text tower out" prints "text tower *none"
run convert "$checkpoint" --arch "$arch" -o t.gguf --text-only
run info t.gguf
check "--text-only leaves the image tower out" prints "image tower *none"

# rounding as the original's loader does
run convert "$checkpoint" --arch "$arch" -o h.gguf --round-f16
check "--round-f16" status_is 0
run info h.gguf
check "info shows it" prints "rounded to f16 as the original's loader does"
run info h.gguf --json
check "info --json shows it" prints '"round_f16": true'
run convert "$checkpoint" --round-f16 --precision bf16 -o x.gguf
check "--round-f16 does not go with bf16" fails_saying 2 "one or the other"

# another resolution
run convert "$checkpoint" --arch "$arch" -o r.gguf --resolution 48 --pos-embed chinese-clip
check "another resolution" both 'status_is 0' 'prints "squash 48"'
run info r.gguf
check "info shows it" both 'prints "picture 48 x 48"' 'prints "resized from picture 32 x 32 as chinese-clip does it"'
run info r.gguf --json
check "info --json shows it" prints '"trained_size": 32, "pos_embed": "chinese-clip"'
refused "a resolution without a convention" 1 "pos-embed chinese-clip, open-clip or hugging-face" x.gguf \
    convert "$checkpoint" --arch "$arch" --resolution 48 -o x.gguf
refused "a resolution that is no multiple of the patch" 1 "no multiple of the patch size 8" x.gguf \
    convert "$checkpoint" --arch "$arch" --resolution 50 --pos-embed open-clip -o x.gguf
run convert "$checkpoint" --pos-embed open-clip -o x.gguf
check "a convention needs a resolution" fails_saying 2 "goes with --resolution"
run convert "$checkpoint" --resolution 48 --pos-embed nearest -o x.gguf
check "an unknown convention" fails_saying 2 "nearest"

# GGUF
clip_cpp=$TUWEN_SOURCE/tests/data/checkpoints/tiny_openai_vit/tiny_ggml-model-f16.gguf
run convert "$clip_cpp" -o g.gguf
check "a clip.cpp file converts" both 'status_is 0' 'says "ln(100) is taken"'
run info g.gguf
for word in "ViT, 2 blocks, width 128, 2 heads of 64" "CLIP, 2 layers" "shortest 32 bicubic, resampler classic, RGB first, crop floor" \
    "4.6051702 (exp 100" "tiny_ggml-model-f16.gguf (gguf)"; do
    check "info of it shows: $word" prints "$word"
done
run info "$clip_cpp"
check "info of a clip.cpp file points at convert" fails_saying 1 "tuwen convert makes a model file of it"
refused "a clip.cpp file says its architecture itself" 2 "says itself" x.gguf convert "$clip_cpp" --arch ViT-B-32 -o x.gguf
refused "a quantised type that is not read" 1 "quantised as q6_k" x.gguf \
    convert "$TUWEN_SOURCE/tests/fuzz/gguf/corpus/clip_cpp_unread_type.gguf" -o x.gguf
printf 'lmgg\1\0\0\0' >old.bin
refused "a ggml file from before GGUF" 1 "before GGUF" x.gguf convert old.bin -o x.gguf
run convert g.gguf -o again.gguf --std 0.5,0.5,0.5
run info again.gguf
check "with one field of its recipe changed" both 'prints "shortest 32 bicubic, resampler classic, RGB first, crop floor"' 'prints "std 0.5 0.5 0.5"'
run convert "$TUWEN_SOURCE/tests/data/checkpoints/tiny_openai_vit/torch113/torchscript.pt" -o again.gguf --rgb-first
run info again.gguf
check "an option changes the family's recipe" prints "shortest 32 bicubic, resampler classic, RGB first"
run convert model.gguf -o again.gguf --precision f16 --text-only
check "a model file converts again" status_is 0
run info again.gguf
check "at another precision" both 'prints "[0-9] f16"' 'prints "2.25 (exp 9.48"'
# folders
mkdir hub
cp "$tiny/hf/model.safetensors" "$tiny/hf/config.json" "$tiny/hf/preprocessor_config.json" hub
cp "$checkpoint" hub/clip_cn_vit-b-16.pt
run convert hub -o hub.gguf
check "a folder of Hugging Face's" both 'status_is 0' 'says "hub: takes model.safetensors; leaves clip_cn_vit-b-16.pt"'
check "its digest is the file's" prints "$(sha256sum hub/model.safetensors | cut -d ' ' -f 1)"
run info hub.gguf
check "its configuration settles the heads" prints "4 heads of 16"
check "the model is called as the folder" prints "name *hub"
check "the file that was read is recorded" prints "source *model.safetensors (safetensors)"
check "its processor settles the recipe" prints "squash 32 bicubic, resampler classic, RGB first"
run convert hub -o x.gguf --mean 0.5,0.5,0.5 --resampler 13
run info x.gguf
check "an option changes that recipe, no other one" both 'prints "squash 32 bicubic, resampler 13, RGB first"' 'prints "mean 0.5 0.5 0.5" && prints "std 0.26862955"'
printf '{"size": 32, "crop_size": 32, "resample": 2, "image_mean": 0.5}' >hub/preprocessor_config.json
run convert hub -o x.gguf
run info x.gguf
check "an old processor settles the recipe" both 'prints "shortest 32 bilinear, resampler classic, RGB first"' 'prints "mean 0.5 0.5 0.5"'
printf '{"size": 32, "crop_size": 32, "resample": 1}' >hub/preprocessor_config.json
run convert hub -o x.gguf
check "a filter that is not there" both 'status_is 1' 'says "hub/preprocessor_config.json: resample 1 is lanczos"'
run convert hub -o x.gguf --interpolation bilinear
check "one option does not hide that" both 'status_is 1' 'says "resample 1 is lanczos"'
run convert hub -o x.gguf --recipe chinese-clip
check "--recipe overrides the processor" status_is 0
run info x.gguf
check "and is stored" prints "squash 32 bicubic, resampler classic, RGB after"
rm hub/preprocessor_config.json
run convert hub -o x.gguf
check "no processor is a warning" both 'status_is 0' 'says "no preprocessor_config.json beside"'
printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n' >hub/vocab.txt
run convert hub -o x.gguf
check "the folder's vocabulary must fit" both 'status_is 1' 'says "hub/vocab.txt has 4 entries, the text tower has 21128"'
printf '{"do_lower_case": false}' >hub/tokenizer_config.json
run convert hub -o x.gguf
check "another tokenizer is refused" both 'status_is 1' 'says "hub/tokenizer_config.json: do_lower_case is false"'
cp "$TUWEN_SOURCE/data/chinese_clip/vocab.txt" .
run convert hub -o x.gguf --vocab vocab.txt
check "--vocab overrides both" status_is 0
rm hub/vocab.txt hub/tokenizer_config.json
cp "$tiny/hf/preprocessor_config.json" hub
(cd hub && "$TUWEN" convert . -o ../dot.gguf >/dev/null 2>&1)
check "the folder one is in" cmp -s hub.gguf dot.gguf
rm hub/model.safetensors
run convert hub/ -o x.gguf --arch "$arch"
check "Chinese-CLIP's own file of a folder" both 'status_is 0' 'says "hub/: takes clip_cn_vit-b-16.pt"'
cp "$checkpoint" hub/clip_cn_vit-l-14.pt
refused "two files of a kind" 1 "hub: 2 checkpoints: clip_cn_vit-b-16.pt, clip_cn_vit-l-14.pt; give one of them" x.gguf \
    convert hub -o x.gguf
printf '{"weight_map": {"a": "../x"}}' >hub/model.safetensors.index.json
refused "a shard outside the folder" 1 "shard '../x' of tensor 'a' is not a plain file name" x.gguf convert hub -o x.gguf
refused "an index by name" 1 "index.json: weight_map: shard '../x'" x.gguf convert hub/model.safetensors.index.json -o x.gguf

# wrong usage
run convert
check "no checkpoint" fails_saying 2 "expected one checkpoint"
run convert "$checkpoint"
check "no output" fails_saying 2 "give -o M.gguf"
run convert "$checkpoint" -o -
check "a model file needs a name" fails_saying 2 "needs a name"
run convert "$checkpoint" -o x.gguf --vision-only --text-only
check "only one half can be left out" fails_saying 2 "exclude each other"
run convert "$checkpoint" --save-onnx-path x
check "--save-onnx-path says what replaces it" fails_saying 2 "use -o M.gguf"
run convert --convert-text "$checkpoint"
check "--convert-text says what replaces it" fails_saying 2 "text-only"
refused "an architecture nobody knows" 2 "nonsense" x.gguf convert "$checkpoint" --arch nonsense -o x.gguf
refused "an architecture that does not fit" 1 "clip_cn_tiny-vit.pt" x.gguf \
    convert "$checkpoint" --arch ViT-B-16 -o x.gguf

# bad input
refused "a missing checkpoint" 1 "missing.pt: No such file" x.gguf convert missing.pt -o x.gguf
mkdir bare
refused "a folder without a checkpoint" 1 "bare: no checkpoint in this folder: looked for model.safetensors, " x.gguf \
    convert bare -o x.gguf
refused "an empty file" 1 "empty" x.gguf convert empty -o x.gguf
refused "a picture" 1 "red-circle.png" x.gguf convert "$pictures/red-circle.png" -o x.gguf
printf 'cat\ndog\n' >short.txt
refused "a vocabulary of another size" 1 "short.txt" x.gguf convert "$checkpoint" --arch "$arch" --vocab short.txt -o x.gguf
printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n' >small.txt
refused "a vocabulary that does not fit the tower" 1 "small.txt has 4 entries, the text tower has 21128" x.gguf \
    convert "$checkpoint" --arch "$arch" --vocab small.txt -o x.gguf
refused "an empty vocabulary" 1 "empty" x.gguf convert "$checkpoint" --arch "$arch" --vocab empty -o x.gguf
printf '{"embed_dim": ' >broken.json
refused "a broken configuration" 1 "broken.json" x.gguf convert "$checkpoint" --vision-config broken.json -o x.gguf

size=$(wc -c <"$checkpoint")
for part in 1 4 100 1000 $((size / 4)) $((size / 2)) $((size - 1000)) $((size - 22)) $((size - 1)); do
    head -c "$part" "$checkpoint" >cut.pt
    refused "cut after $part bytes" 1 "cut.pt" x.gguf convert cut.pt --arch "$arch" -o x.gguf
done

# A flipped bit in the weights is a valid other number; elsewhere it is refused. Never a crash.
whole_or_nothing() {
    if [ "$status" -eq 0 ]; then
        [ -s x.gguf ]
    else
        [ "$status" -eq 1 ] && absent x.gguf && grep -q "flip.pt" err
    fi
}
for at in 0 2 8 27 31 40 64 100 200 400 800 $((size / 2)) $((size - 60000)) $((size - 20000)) $((size - 3000)) \
    $((size - 500)) $((size - 98)) $((size - 60)) $((size - 42)) $((size - 20)) $((size - 12)) $((size - 6)) $((size - 2)); do
    cp "$checkpoint" flip.pt
    chmod u+w flip.pt
    byte=$(od -An -t u1 -j "$at" -N 1 flip.pt | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\$(printf %o $((byte ^ 16)))" | dd of=flip.pt bs=1 seek="$at" conv=notrunc 2>/dev/null
    rm -f x.gguf
    run convert flip.pt --arch "$arch" -o x.gguf
    check "bit flipped in byte $at" whole_or_nothing
done

# output that cannot be written
printf old >x.gguf
(ulimit -f 100 && "$TUWEN" convert "$checkpoint" --arch "$arch" -o x.gguf) >out 2>err
status=$?
check "a full disk is an error" both 'status_is 1' 'says "x.gguf"'
check "a full disk leaves the old file" both '[ "$(cat x.gguf)" = old ]' '[ -z "$(find . -name "*.part")" ]'
run convert "$checkpoint" --arch "$arch" -o /dev/full
check "/dev/full is an error" both 'status_is 1' 'says "No space left"'
run convert "$checkpoint" --arch "$arch" -o nowhere/x.gguf
check "a folder that is not there" both 'status_is 1' 'says "nowhere/x.gguf"'
run convert "$checkpoint" --arch "$arch" -o .
check "a folder as output" both 'status_is 1' 'says "is a directory"'
if [ "$(id -u)" -eq 0 ]; then
    skip "an unreadable checkpoint" "root reads everything"
else
    cp "$checkpoint" secret.pt && chmod 0 secret.pt
    refused "an unreadable checkpoint" 1 "Permission denied" x.gguf convert secret.pt -o x.gguf
fi
finish
