#!/bin/sh
# docs/MIGRATING.md, line by line: each of our command lines does what its block says, each line of a
# guide that is kept finds its graphs, every word of the guides is in the table and the verbs say what
# the table says. The names of released checkpoints stand for the tiny one, which has its own
# architecture and a shorter text; the rest is run as it is written, in an empty environment without compilers.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
document=$TUWEN_SOURCE/docs/MIGRATING.md
mkdir nothing
tuwen() { env -i PATH="$work/nothing" "$TUWEN" "$@"; }

# What a reader would have: checkpoints, pictures, data, the features that another tool wrote.
DATAPATH=data MM_MODEL=model.mm DEV_ID=0 chip_name=910B4
checkpoint_path=$DATAPATH/pretrained_weights/clip_cn_vit-b-16.pt
arch=$tiny/tiny-vit.json,$tiny/tiny-bert.json
mkdir -p "$DATAPATH/pretrained_weights" "$DATAPATH/deploy" models results examples Chinese-CLIP/examples \
    datasets/imagenet_val_1k cifar-100/test/000 cifar-100/test/001 dst
for file in "$checkpoint_path" models/clip_cn_vit-h-14.pt ViT-B-32.pt; do
    cp "$tiny/clip_cn_tiny-vit.pt" "$file"
done
for folder in examples Chinese-CLIP/examples datasets/imagenet_val_1k cifar-100/test/000; do
    cp "$pictures/green-triangle.jpg" "$folder/pokemon.jpeg"
done
cp "$pictures/red-circle.png" cifar-100/test/001/
printf 'triangle\ncircle\n' >label_en.txt
head -c 5000 "$pictures/red-circle.png" >models/vit-h-14.img.fp16.om
cp models/vit-h-14.img.fp16.om "$DATAPATH/deploy/vit-b-16.img.fp16.trt"
tuwen convert "$checkpoint_path" --arch "$arch" -o other.gguf >/dev/null 2>&1
tuwen embed -m other.gguf examples -o dst/pokemon_0.npy 2>err || cat err

# on_tiny LINE: the line for the tiny checkpoint.
on_tiny() {
    printf '%s\n' "$1" | sed "s|--model-arch ViT-[A-Z]-[0-9]*|--model-arch $arch|
        s|convert ViT-B-32.pt|& --arch $arch|; s|--context-length 77|--context-length 52|"
}

# blocks FILE: the fenced blocks of shell, lines that end in \ joined, a line "end" after each block.
blocks() {
    awk '/^```/ { if (inside) print "end"; inside = !inside && $0 == "```sh"; next }
        inside { part = $0; if (held != "") sub(/^#? */, "", part); held = held part }
        inside && sub(/ *\\$/, " ", held) { next }
        inside { print held; held = "" }' "$1"
}

# Our last command is over: unless a refusal was announced, it is done and has something to show.
close_command() {
    [ -n "$command" ] || return 0
    [ "$announced" -eq 1 ] || check "done: $command" status_is 0
    [ "$announced" -eq 1 ] || [ "$evidence" -gt 0 ] || check "it shows something: $command" false
    command=
}
says_plainly() { status_is "$1" && grep -q -F -e "$2" err; }
prints_plainly() { status_is 0 && grep -q -F -e "$1" out; }
# leaves FILE…: each has something in it and was written by the command.
leaves() {
    status_is 0 || return 1
    for left in "$@"; do
        [ -s "$left" ] && [ -n "$(find "$left" -newer stamp)" ] || return 1
    done
}
# A kept line reads graphs that were exported, for a fixed batch.
graphs_are_there() {
    for graph in $(printf '%s\n' "$1" | grep -o '[^ =]*\.onnx'); do
        [ -s "$graph" ] || return 1
        ! grep -a -q -F -e "$(printf '\022\005batch')" "$graph" || return 1 # a dim_param
    done
}

n_blocks=0 n_guide=0 n_ours=0 n_kept=0 command='' announced=0 evidence=0 of_guide=0 of_ours=0
: >guide_lines
blocks "$document" >lines
while IFS= read -r line; do
    case $line in
    end)
        close_command
        n_blocks=$((n_blocks + 1))
        check "block $n_blocks has lines of a guide" [ "$of_guide" -gt 0 ]
        check "and of ours one to three" [ $((of_ours >= 1 && of_ours <= 3)) -eq 1 ]
        of_guide=0 of_ours=0
        continue
        ;;
    '# '*)
        n_guide=$((n_guide + 1)) of_guide=1
        printf '%s\n' "${line#\# }" >>guide_lines
        ;;
    '#> '*)
        evidence=$((evidence + 1))
        eval "set -- ${line#'#> '}"
        check "leaves $*: $command" leaves "$@"
        ;;
    '#: '*)
        evidence=$((evidence + 1))
        check "prints ${line#'#: '}: $command" prints_plainly "${line#'#: '}"
        ;;
    '#! '*)
        announced=1
        set -- "${line#'#! '}"
        check "refused with ${1#* }: $command" says_plainly "${1%% *}" "${1#* }"
        ;;
    *'tuwen '*)
        close_command
        n_ours=$((n_ours + 1)) of_ours=$((of_ours + 1)) command=$line announced=0 evidence=0
        touch -d '1 second ago' stamp
        eval "$(on_tiny "$line")" >out 2>err </dev/null
        status=$?
        ;;
    *)
        close_command
        n_kept=$((n_kept + 1)) of_guide=1
        check "its graphs are there, of a fixed batch: $line" graphs_are_there "$line"
        printf '%s\n' "$line" >>kept_lines
        ;;
    esac
done <lines
echo "# $n_blocks blocks: $n_guide lines of guides replaced, $n_kept kept, $n_ours of ours run"
check "no block was lost" [ "$n_blocks" -eq "$(grep -c -x '```sh' "$document")" ]

# The table of words: taken as they are, or refused by name.
taken() { status_is 0 && [ "$(head -c 12 out)" = "Usage: tuwen" ]; }
sed -n 's/^| `\(--[^`]*\)` | `\([a-z ]*\)` | `\([^`]*\)` |$/\1|\2|\3/p' "$document" >words
n_words=0
while IFS='|' read -r word verb here; do
    n_words=$((n_words + 1))
    # shellcheck disable=SC2086
    tuwen $verb $word --help >out 2>err </dev/null
    status=$?
    if [ "${word%%[ =]*}" = "$here" ]; then
        check "$verb takes $here" taken
    else
        check "$verb refuses ${word%%[ =]*}, naming $here" says_plainly 2 "$here"
    fi
done <words
check "every row of the table was read" [ "$n_words" -eq "$(grep -c '^| `--' "$document")" ]
# Words of cargo are its own; of a line of it, those after -- are the sample's.
grep -e '\.py ' -e '^atc ' -e ais_bench -e bmrt_test -e mm_run -e ' -- ' guide_lines | sed 's/.* -- / /' |
    grep -o -e ' --[a-z][a-z0-9_-]*' | sort -u >wanted
sed 's/[ =|].*//; s/^/ /' words | sort -u | comm -23 wanted - >out
check "every word of the guides is in the table" [ ! -s out ]
check "and there are as many as the guides have" [ "$(wc -l <wanted)" -ge 30 ]

# Each tool of the five guides has a block.
for tool in pytorch_to_onnx onnx_to_tensorrt speed_benchmark pytorch_to_coreml preprocess_clip_pytorch 'atc --framework' \
    'ais_bench --model' clip_onnx_infer compute_cosine_similarity 'embeddings.py --img_dir' 'embeddings_bmcv.py --img_dir' \
    'acc_eval.py' 'bmrt_test --bmodel' 'force_float32 1 true' 'magicmind_model} 1 1000' 'mm_run --h' 'mm_run --magicmind_model' \
    perf.sh eval.sh 'cargo build' 'provider openvino --openvino-device GPU' npu-smi; do
    check "a block for $tool" grep -q -F -e "$tool" guide_lines kept_lines
done

# The Chinese document: the same blocks and tables of words.
awk '/^```/ { inside = !inside; print; next } inside || /^\| `--/' "$document" >blocks.en
awk '/^```/ { inside = !inside; print; next } inside || /^\| `--/' "${document%.md}.zh-CN.md" >blocks.zh
diff blocks.en blocks.zh >out
check "the Chinese document has the same lines" [ ! -s out ]
finish
