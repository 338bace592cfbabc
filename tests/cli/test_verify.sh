# verify
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
arch=$tiny/tiny-vit.json,$tiny/tiny-bert.json
mkdir tmp
TMPDIR=$work/tmp
export TMPDIR
nothing_left() { [ -z "$(ls -A "$TMPDIR")" ]; }

# damage TENSOR OUT [BYTES]: the Hugging Face checkpoint with the first value of a tensor made 100.
damage() {
    mkdir -p "$2"
    cp "$tiny/hf/"*.json "$2/"
    cp "$tiny/hf/model.safetensors" "$2/"
    chmod u+w "$2/model.safetensors"
    n_header=$(head -c 8 "$2/model.safetensors" | od -An -t u8 | tr -d ' ')
    begin=$(tail -c +9 "$2/model.safetensors" | head -c "$n_header" | tr '}' '\n' |
        sed -n "s/.*\"$1\":.*\"F32\".*\[\([0-9]*\),[0-9]*\]\$/\1/p")
    printf "${3:-\\000\\000\\310\\102}" |
        dd of="$2/model.safetensors" bs=1 seek=$((8 + n_header + begin)) conv=notrunc 2>/dev/null
}

# Models.
run verify model.gguf --against model.gguf
check "a model agrees with itself" both 'status_is 0' 'prints "^agree: every cosine is at least 0.9999$"'
check "its cosines are 1" [ "$(grep -c ' 8   1.00000000   1.00000000       0.00e+00  –$' out)" -eq 2 ]
check "no stage differs" both '! prints stage' 'lines_are out 4'
run verify model.gguf --against model.gguf --min-cosine 1 --json
check "even with --min-cosine 1" status_is 0
check "--json says what was compared" prints '^{"a": {"path": "model.gguf", "kind": "model", "dim": 32, .*"min_cosine": 1, .*"features": "image", "inputs": 8, "skipped": 0, "no_cosine": 0, "cosine_min": 1, "cosine_mean": 1, "largest_difference": 0, '
check "with every stage" prints '"stages": \[{"stage": "visual.ln_pre", "largest_difference": 0, "relative": 0}, {"stage": "visual.transformer.resblocks.0", .*"first_stage": null, "agree": true}\], "agree": true, "used": {.*"isa": '
"$TUWEN" verify -m model.gguf --against model.gguf >out 2>err
status=$?
check "A may be the model of -m" status_is 0

"$TUWEN" convert "$tiny/hf/model.safetensors" --arch "$arch" --precision f32 -o f32.gguf >out 2>err
for precision in f16 bf16; do
    "$TUWEN" convert "$tiny/hf/model.safetensors" --arch "$arch" --precision $precision -o $precision.gguf >out 2>err
    run verify f32.gguf --against $precision.gguf
    check "its conversion to $precision agrees" both 'status_is 0' 'prints "^agree"'
done
run verify f32.gguf --against bf16.gguf --min-cosine 0.999999
check "but not to the sixth digit for bf16" both 'status_is 1' 'prints "^disagree: not every cosine is at least 0.999999$"'
run verify f32.gguf --against bf16.gguf --stage-tolerance 0.0001
check "a stage tolerance below bf16 names the first stage" both 'status_is 0' 'prints "^image: first stage that differs: visual.ln_pre, by up to "'

# Checkpoints.
run verify model.gguf --against "$tiny/clip_cn_tiny-vit.pt" --b-arch "$arch"
check "a checkpoint agrees with its conversion" both 'status_is 0' 'prints "^agree"'
check "the temporary model file is removed" nothing_left
run verify "$tiny/clip_cn_tiny-vit.pt" --a-arch "$arch" --against "$tiny/hf/model.safetensors" --b-arch "$arch"
check "two checkpoints" both 'status_is 0' 'nothing_left'
run verify model.gguf --against model.gguf --b-arch RN50
check "an architecture for a model file" fails_saying 2 "is no checkpoint"
head -c 100000 "$tiny/clip_cn_tiny-vit.pt" >cut.pt
run verify model.gguf --against cut.pt
check "a damaged checkpoint" both 'status_is 1' 'says "cut.pt: " && silent && nothing_left'
(TMPDIR=$work/nowhere && export TMPDIR && "$TUWEN" verify f32.gguf --against "$tiny/hf/model.safetensors" --b-arch "$arch") >out 2>err
status=$?
check "a TMPDIR that is not there" both 'status_is 1' 'says "nowhere/tuwen-verify-.*: cannot create: No such file"'

# Folders.
run verify f32.gguf --against "$tiny/hf"
check "a folder of a checkpoint" both 'status_is 0' 'prints "^text  *8 " && nothing_left'
run verify "$tiny/hf" --against "$tiny/hf" --json
check "two of them" both 'status_is 0' 'prints "^{\"a\": {\"path\": \".*/hf\", \"kind\": \"checkpoint\"" && nothing_left'
"$TUWEN" verify -m "$tiny/hf" --against f32.gguf >out 2>err
status=$?
check "A of -m may be a folder" status_is 0
mkdir both none-here
cp "$tiny/hf/config.json" "$tiny/hf/model.safetensors" "$tiny/image_input.npy" both
run verify f32.gguf --against both
check "a folder of a checkpoint and of .npy files" fails_saying 1 "both: a checkpoint and .npy files in one folder"
rm both/image_input.npy
cp both/model.safetensors both/a.safetensors
mv both/model.safetensors both/b.safetensors
run verify f32.gguf --against both
check "a folder of two checkpoints" fails_saying 1 "both: 2 checkpoints: a.safetensors, b.safetensors; give one of them"
cp "$tiny/hf/config.json" none-here
run verify f32.gguf --against none-here
check "a folder of a configuration alone" fails_saying 1 "no .npy file in it: none-here: no checkpoint in this folder: looked for model.safetensors, "

# Damage: the stage that is named is where it was done.
damage vision_model.encoder.layers.0.mlp.fc2.weight block-0
damage vision_model.encoder.layers.1.mlp.fc2.weight block-1
damage text_model.encoder.layer.0.output.dense.weight layer-0
damage vision_model.pre_layrnorm.weight ln-pre
damage visual_projection.weight projection
for case in block-0:visual.transformer.resblocks.0 block-1:visual.transformer.resblocks.1 ln-pre:visual.ln_pre; do
    run verify f32.gguf --against "${case%%:*}/model.safetensors" --b-arch "$arch"
    check "a weight changed in ${case#*:}" both 'status_is 1' "prints '^image: first stage that differs: ${case#*:}, by up to [0-9.e+]* ([0-9.e+]* of its root mean square)$'"
    check "the other tower agrees" prints '^text  *8   1.00000000'
done
run verify f32.gguf --against layer-0/model.safetensors --b-arch "$arch"
check "a weight changed in the text tower" both 'status_is 1' 'prints "^text: first stage that differs: bert.encoder.layer.0, by up to "'
run verify f32.gguf --against projection/model.safetensors --b-arch "$arch"
check "a weight changed after the last stage" both 'status_is 1' 'prints "^image: first stage that differs: none; the final norm or projection$"'

damage vision_model.encoder.layers.1.mlp.fc2.bias nan '\000\000\300\177'
run verify f32.gguf --against nan/model.safetensors --b-arch "$arch"
check "a weight that is NaN" both 'status_is 1' 'prints "^image  *8  *nan  *nan " && prints "^image: 8 of 8 have no cosine: NaN, infinite or all zero$" && prints "^image: first stage that differs: visual.transformer.resblocks.1, by up to nan"'
run verify nan/model.safetensors --a-arch "$arch" --against nan/model.safetensors --b-arch "$arch"
check "does not agree with itself" both 'status_is 1' 'prints "^disagree"'

# Inputs.
find "$pictures" -type f | sort >list
printf '猫\na photo of a dog\n' >texts.txt
run verify f32.gguf --against block-1/model.safetensors --b-arch "$arch" --images list --texts texts.txt
check "own pictures and texts" both 'prints "^image  *8 .*demo/pictures/"' 'prints "^text  *2 "'
run verify f32.gguf --against block-1/model.safetensors --b-arch "$arch" --pixels "$tiny/image_input.npy"
check "own pixels" both 'status_is 1' 'prints "^image  *1 .* row 0$" && prints "resblocks.1" && ! prints "^text"'
run verify f32.gguf --against layer-0/model.safetensors --b-arch "$arch" --ids "$tiny/input_ids.npy"
check "own ids" both 'status_is 1' 'prints "^text  *5 .* row [0-4]$" && prints "bert.encoder.layer.0"'
head -c 300 "$pictures/red-circle.png" >cut.png
{
    cat list
    printf 'cut.png\nmissing.png\n'
} >mixed
run verify model.gguf --against model.gguf --images mixed --errors errors.jsonl
check "pictures that cannot be read are skipped" both 'status_is 3' 'prints "^image  *8 "'
check "each is named once" both '[ "$(grep -c ": skipped " err)" -eq 2 ]' 'lines_are errors.jsonl 2'
run verify model.gguf --against model.gguf --images mixed --json
check "and counted" prints '"inputs": 8, "skipped": 2, '
run verify f32.gguf --against block-1/model.safetensors --b-arch "$arch" --images mixed
check "to disagree counts more than to skip" both 'status_is 1' 'prints "^disagree"'
printf 'missing.png\n' >none
run verify model.gguf --against model.gguf --images none
check "nothing but bad pictures" both 'status_is 1' silent
: >none
run verify model.gguf --against model.gguf --texts none
check "no input agrees on nothing" both 'status_is 1' 'prints "^text  *0  *nan"'

# Other architectures.
rn=$TUWEN_SOURCE/tests/data/checkpoints/tiny_cn_rn
run verify model.gguf --against "$rn/clip_cn_tiny-rn.pt" --b-arch "$rn/tiny-rn.json,$rn/tiny-rbt.json"
check "another embedding is refused" both 'status_is 1' 'says "features of 32 values, .*/clip_cn_tiny-rn.pt: of 24: they cannot be compared" && silent && nothing_left'
"$TUWEN" convert "$tiny/hf/model.safetensors" --arch "$arch" --recipe openai -o openai.gguf >out 2>err
run verify f32.gguf --against openai.gguf
check "each model has its own preprocessing" both 'status_is 1' 'prints "^image: first stage that differs: visual.ln_pre, " && prints "^text  *8   1.00000000"'
openai=$TUWEN_SOURCE/tests/data/checkpoints/tiny_openai_vit/torch113/torchscript.pt
run verify "$openai" --against "$openai"
check "without a vocabulary the pictures are compared" both 'status_is 0' 'says "text features are not compared" && prints "^image"'

# Features of other tools.
run embed -m model.gguf --images list -o all.npy
run verify all.npy --against all.npy
check "two arrays, row by row" both 'status_is 0' 'prints "^feature  *8   1.00000000"'
run embed -m model.gguf --images list --no-normalize -o raw.npy
run verify raw.npy --against all.npy
check "normalised or not" status_is 0
run verify model.gguf --against all.npy --images list
check "a model and an array of its features" both 'status_is 0' 'prints "^image  *8 "'
run verify all.npy --against model.gguf --images list
check "the other way round" status_is 0
run verify all.npy --against "$tiny/unnorm_text_features.npy"
check "another number of rows" fails_saying 1 "5 rows, all.npy: 8"
run verify model.gguf --against all.npy --texts texts.txt
check "another number of inputs" both 'status_is 1' 'says "all.npy: 8 rows, inputs: 2"'
run embed -m model.gguf --ids "$tiny/input_ids.npy" -o five.npy
run verify five.npy --against "$tiny/unnorm_text_features.npy"
check "the original's features" both 'status_is 0' 'prints "^feature  *5 "'

mkdir ours theirs ascend
while read -r picture; do
    stem=$(basename "$picture")
    stem=${stem%.*}
    "$TUWEN" embed -m model.gguf "$picture" -o "ours/$stem.npy" 2>err || status=99
    cp "ours/$stem.npy" theirs/
    cp "ours/$stem.npy" "ascend/${stem}_0.npy"
done <list
run verify ours --against theirs
check "two folders, by name" both 'status_is 0' 'prints "^feature  *8   1.00000000"'
run verify ours --against ascend
check "the names of ais_bench" both 'status_is 0' 'prints "^feature  *8   1.00000000"'
run verify model.gguf --against ascend --images list
check "a model and a folder" both 'status_is 0' 'prints "^image  *8 "'
rm theirs/red-circle.npy
cp ours/red-circle.npy theirs/extra.npy
run verify ours --against theirs
check "files without partner are status 3" both 'status_is 3' 'prints "^feature  *7   1.00000000"'
check "each is named" both 'says "skipped ours/red-circle.npy: no file of this name in theirs"' 'says "skipped theirs/extra.npy: no file of this name in ours"'
check "and counted" says "2 of 9 files skipped"
run verify model.gguf --against theirs --images list
check "so with a model" both 'status_is 3' 'says "red-circle.png: no file of this name in theirs" && says "theirs/extra.npy: no picture of this name in list"'
cp ours/blue-star.npy theirs/red-circle.npy
rm theirs/extra.npy
run verify ours --against theirs
check "another feature is found and named" both 'status_is 1' 'prints "ours/red-circle.npy$" && prints "^disagree"'
head -c 150 ours/red-circle.npy >theirs/red-circle.npy
run verify ours --against theirs
check "an unreadable .npy is skipped" both 'status_is 3' 'says "skipped ours/red-circle.npy: theirs/red-circle.npy: npy: shape "'
cp all.npy theirs/red-circle.npy
run verify ours --against theirs
check "a file of many features is skipped" both 'status_is 3' 'says "8 x 32 values, expected one feature of 32"'
{
    head -c "$(npy_header ours/red-circle.npy)" ours/red-circle.npy
    printf '\000\000\300\177%.0s' $(seq 32)
} >theirs/red-circle.npy
run verify ours --against theirs
check "NaN agrees with nothing" both 'status_is 1' 'prints "^feature: 1 of 8 have no cosine" && prints "  nan  .*ours/red-circle.npy$"'
run verify theirs --against theirs --json
check "not with itself either" both 'status_is 1' 'prints "\"no_cosine\": 1, \"cosine_min\": null, \"cosine_mean\": 1, "'
{
    head -c "$(npy_header ours/red-circle.npy)" ours/red-circle.npy
    head -c 128 /dev/zero
} >theirs/red-circle.npy
run verify theirs --against theirs
check "nor does a row of zeros" status_is 1
mkdir void other
run verify ours --against void
check "an empty folder" fails_saying 1 "no .npy file in it: void: no checkpoint in this folder: looked for "
cp ours/red-circle.npy other/nothing.npy
run verify ours --against other
check "no partner at all" both 'status_is 1' 'says "none of the 9 files could be used" && silent'
cp ours/red-circle.npy other/a.npy
mkdir other/b
cp ours/red-circle.npy other/b/a.npy
run verify other --against other
check "a name twice" fails_saying 1 "two files of the name 'a'"
run verify "$tiny/input_ids.npy" --against "$tiny/input_ids.npy"
check "an array of no features" fails_saying 1 "expected features, f32 \[n, E\], got i64"
printf 'no array' >bad.npy
run verify bad.npy --against all.npy
check "a .npy that is none" fails_saying 1 "bad.npy: not a .npy file"

# Usage.
run verify
check "nothing" fails_saying 2 "nothing to compare with: give --against B"
run verify model.gguf
check "no B" fails_saying 2 "give --against B"
run verify --against model.gguf
check "no A" fails_saying 2 "no model"
run verify a b --against c
check "two of A" fails_saying 2 "expected one A, got 2"
run verify missing.gguf --against model.gguf
check "a file that is not there" fails_saying 1 "missing.gguf: No such file"
run verify model.gguf --against all.npy
check "rows without inputs" fails_saying 2 "all.npy: give the inputs of its rows"
run verify model.gguf --against ours --texts texts.txt
check "files without names" fails_saying 2 "ours: give --images LIST"
run verify ours --against all.npy
check "a folder and an array" fails_saying 2 "all.npy: rows of one file have no names"
run verify ours --against ours --images list
check "inputs for no model" fails_saying 2 "inputs are for models"
run verify model.gguf --against model.gguf --images list --pixels x.npy
check "two kinds of pictures" fails_saying 2 "exclude each other"
for cosine in 2 -1.1 0.9x '' nan; do
    run verify model.gguf --against model.gguf --min-cosine "$cosine"
    check "--min-cosine '$cosine'" fails_saying 2 "min-cosine: expected a number -1..1, got '$cosine'"
done

# Published examples.
run verify --published list
check "the published examples are listed" both 'status_is 0' 'prints "^chinese-clip-vit-b-16$" && prints "^openai-vit-b-32$"'
check "with picture, place and SHA-256" both 'prints "pokemon.jpeg (github.com/OFA-Sys/Chinese-CLIP, examples/pokemon.jpeg)"' 'prints "SHA-256  *0ad09b846ccfcee616c03fa8da9c55caa0613b9fd33b7711629846403ae21bb0$"'
run verify --published list --json
check "one object a line with --json" both 'status_is 0' '[ "$(grep -c "^{\"published\": .*\"sources\": \[{.*\"tolerance\": .*}\]}$" out)" -eq 2 ]'
run verify --published vit -m model.gguf a.png
check "an example nobody knows" fails_saying 2 "no example 'vit' (see tuwen verify --published list)"
run verify --published chinese-clip-vit-b-16 -m model.gguf
check "no picture" fails_saying 2 "give the picture pokemon.jpeg (github.com/OFA-Sys/Chinese-CLIP, examples/pokemon.jpeg)"
run verify --published chinese-clip-vit-b-16 "$pictures"
check "no model for it" fails_saying 2 "no model"
run verify --published chinese-clip-vit-b-16 -m model.gguf --against model.gguf a.png
check "two kinds of comparison" fails_saying 2 "exclude each other"
run verify --published chinese-clip-vit-b-16 -m model.gguf "$pictures"
check "a folder without the picture" fails_saying 1 "demo/pictures/pokemon.jpeg: No such file"
run verify --published chinese-clip-vit-b-16 -m model.gguf "$pictures/red-circle.png"
check "another picture" fails_saying 1 "red-circle.png: not the published pokemon.jpeg .*: neither its SHA-256 nor its pixels"
run verify --published openai-vit-b-32 -m model.gguf cut.png
check "a damaged picture" fails_saying 1 "cut.png: "
shared=${TUWEN_SHARED:-$TUWEN_SOURCE/../shared}/data
if [ -e "$shared/images/pokemon.jpeg" ]; then
    for picture in pokemon.jpeg pikachu.png; do
        run verify --published chinese-clip-vit-b-16 -m model.gguf "$shared/images/$picture"
        check "$picture is the picture, the model is not the model" both 'status_is 1' 'says "model.gguf: ViT-w64-l2-p8-r32@BERT-w32-l2, the example chinese-clip-vit-b-16 is of Chinese-CLIP ViT-B-16" && silent'
    done
    run verify --published openai-vit-b-32 -m model.gguf "$shared/images"
    check "a folder with the picture" both 'status_is 1' 'says "the example openai-vit-b-32 is of OpenAI CLIP ViT-B/32"'
else
    skip "the published pictures" "data not present: images/pokemon.jpeg"
fi
if [ -e "$shared/goldens/tiny_openai_vit/hf/model.safetensors" ]; then
    clip_cpp=$(find "$shared/goldens/tiny_openai_vit" -name '*f32*.gguf' | head -n 1)
    run verify "$clip_cpp" --against "$openai"
    check "a GGUF file of clip.cpp is a checkpoint" both 'status_is 0' 'prints "^image  *8 "'
else
    skip "a GGUF file of clip.cpp" "data not present: goldens/tiny_openai_vit"
fi

# Ctrl-C while a checkpoint is converted (as soon as the temporary file is there), and while the
# pictures are compared.
yes "$pictures/red-circle.png" | head -n 100000 >many
demo=$TUWEN_SOURCE/demo/clip_cn_demo-vit-ti-16.pt
for moment in converted compared; do
    env --default-signal=INT "$TUWEN" verify "$demo" --against "$demo" --images many >out 2>err </dev/null &
    pid=$!
    n=0
    while [ $moment = converted ] && nothing_left && [ $n -lt 5000 ]; do n=$((n + 1)); done
    [ $moment = compared ] && sleep 2
    kill -s INT $pid
    wait $pid
    status=$?
    check "Ctrl-C while it is $moment is status 130" status_is 130
    check "and leaves no temporary file" nothing_left
done
finish
