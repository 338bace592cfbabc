# eval table: the figures of eval zeroshot and eval recall, one row a backend.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
onnxruntime=${TUWEN_ONNXRUNTIME:-} openvino=${TUWEN_OPENVINO:-}
unset TUWEN_ONNXRUNTIME TUWEN_OPENVINO
make_model
TUWEN_MODEL=model.gguf
export TUWEN_MODEL
retrieval=$TUWEN_SOURCE/tests/data/retrieval
mkdir -p data/0 data/1 data/2
cp "$pictures/red-circle.png" "$pictures/blue-star.png" data/0/
cp "$pictures/green-triangle.jpg" data/1/
cp "$pictures/orange-square.png" data/2/
printf '红\n绿\n黄\n' >labels.txt
classes="--data data --labels labels.txt"
sets="--image-data $retrieval/valid_imgs.tsv --text-data $retrieval/valid_texts.jsonl"

# members: the JSON's rows, one a line.
members() { sed 's/{"row": /\n&/g' out | grep '^{"row"'; }
# figures NAME: what the object NAME has in a line of JSON.
figures() { sed "s/.*\"$1\": {\([^}]*\)}.*/\1/"; }

# shellcheck disable=SC2086
run eval zeroshot $classes --json
sed 's/^{\(.*\), "skipped.*\("top1".*\), "classes.*/\1, \2/' out >zeroshot
# shellcheck disable=SC2086
run eval recall $sets --json
figures text_to_image <out >to_image
figures image_to_text <out >to_text
# shellcheck disable=SC2086
run eval table $classes $sets cpu --json
members >row
check "a row has the figures of eval zeroshot" [ "$(figures zeroshot <row)" = "$(cat zeroshot)" ]
check "and those of eval recall, both ways" both '[ "$(figures text_to_image <row)" = "$(cat to_image)" ]' '[ "$(figures image_to_text <row)" = "$(cat to_text)" ]'
check "the reference agrees with itself" both 'status_is 0' 'grep -q "\"images\": {\"n\": 8, \"no_cosine\": 0, \"cosine_min\": 1, \"cosine_mean\": 1, \"largest_difference\": 0}" row'

if command -v python3 >/dev/null; then
    check "it is JSON" python3 -c 'import json, sys; json.load(open("out"))'
fi

# The table for people: markdown, its columns in line, only those that the data has.
# shellcheck disable=SC2086
run eval table $classes cpu cpu:f32
check "a line a row under the titles" both 'status_is 0' 'lines_are out 4'
check "columns are in line" [ "$(sed 's/[^|]/ /g' out | sort -u | wc -l)" -eq 1 ]
check "no recall without a retrieval set, no note without a reason" prints "^| backend *| precision | *top-1 | *top-5 | least cosine | mean cosine | pictures/s |$"
# shellcheck disable=SC2086
run eval table $sets cpu
check "no accuracy without class folders" prints "^| backend *| precision | text→image R@1 | *R@5 | *R@10 | image→text R@1 | *R@5 | *R@10 | least cosine | mean cosine | pictures/s |$"

# A model stored in bf16 beside the one of f32.
"$TUWEN" convert "$tiny/clip_cn_tiny-vit.pt" --arch "$tiny/tiny-vit.json,$tiny/tiny-bert.json" --precision bf16 -o bf16.gguf >/dev/null 2>&1
find data -type f | sort >list
run verify model.gguf --against bf16.gguf --images list --min-cosine 0.9 --json
sed -n 's/.*"cosine_min": \([0-9.]*\), "cosine_mean": \([0-9.]*\).*/\1 \2/p' out >verified
# shellcheck disable=SC2086
run eval table $classes --rgb-after cpu bf16.gguf --json
members | sed -n '2s/.*"images": {[^}]*"cosine_min": \([0-9.]*\), "cosine_mean": \([0-9.]*\).*/\1 \2/p' >measured
# (verify's rows are not normalised, these are: the eighth digit may differ)
check "a model file is a row; its cosines are those of verify" awk 'NR == FNR {least = $1; mean = $2; next} {n++; a = $1 - least; b = $2 - mean} END {exit !(n == 1 && least > 0 && a * a < 1e-14 && b * b < 1e-14)}' measured verified
# shellcheck disable=SC2086
run eval table $classes cpu bf16.gguf
check "it goes by its name" prints "^| cpu [a-z0-9]*, bf16.gguf *| f32 "

# What is missing is a row with its reason, and the status is 1; the others are there.
# shellcheck disable=SC2086
run eval table $classes openvino@nowhere cpu nothing.gguf
check "a missing backend is a row with its reason" both 'status_is 1' 'prints "^| openvino@nowhere *| – .*| not run: nowhere: "'
check "so is a missing model" prints "^| nothing.gguf *| – .*| not run: nothing.gguf: No such file"
check "the other rows are whole" prints "^| cpu [a-z0-9]* *| f32  *|  *[0-9]*\.[0-9][0-9] |"
check "it is said on standard error, too" says "openvino@nowhere: "
# shellcheck disable=SC2086
run eval table $classes openvino@nowhere cpu --json
check "and in JSON" both 'status_is 1' 'prints "{\"rows\": \[{\"row\": \"openvino@nowhere\", \"ran\": false, \"reason\": \"nowhere: "'
# shellcheck disable=SC2086
run eval table $classes cpu:f16
check "a precision that a backend does not have" both 'status_is 1' 'prints "| not run: backend cpu computes in f32, bf16 or int8 |$"'
head -c 300 "$pictures/red-circle.png" >data/1/cut.png
# shellcheck disable=SC2086
run eval table $classes cpu bf16.gguf --json
check "a bad picture is skipped for all rows, told once" both 'status_is 3' '[ "$(grep -c "skipped data/1/cut.png" err)" -eq 1 ] && [ "$(members | grep -c "\"n\": 4, \"top1\"")" -eq 2 ]'
rm data/1/cut.png

for spec in cpuu cpu:f99 openvino: openvino/ openvino@ :f32 onnxruntime/cpu:f99@x ""; do
    # shellcheck disable=SC2086
    run eval table $classes "$spec"
    check "a row that is none: '$spec'" fails_saying 2 "expected BACKEND\[/DEVICE\]\[:PRECISION\]\[@LIBRARY\] or FILE.gguf, got '$spec'"
done
# shellcheck disable=SC2086
run eval table $classes
check "no rows" fails_saying 2 "no rows"
run eval table cpu
check "no data" fails_saying 2 "no data"
run eval table --data data cpu
check "no labels" fails_saying 2 "no labels"
run eval table --image-data data cpu
check "half a set" fails_saying 2 "go together"
run eval table --data nowhere --labels labels.txt cpu
check "missing data" fails_saying 1 "nowhere: No such file"

# The demo model's figures are PyTorch's, whatever computes them.
demo=${TUWEN_SHARED:-$TUWEN_SOURCE/../shared}/demo
if [ -f "$demo/expected.json" ]; then
    "$TUWEN" convert "$TUWEN_SOURCE/demo/clip_cn_demo-vit-ti-16.pt" -o demo.gguf >/dev/null 2>&1
    set -- cpu
    [ -z "$onnxruntime" ] || set -- "$@" "onnxruntime@$onnxruntime"
    [ -z "$openvino" ] || set -- "$@" "openvino@$openvino"
    for language in en zhm zhb; do
        grep "\"lang\": \"$language\"" "$demo/flickr8k-125.captions.jsonl" >captions.jsonl
        run eval table -m demo.gguf --image-data "$demo/flickr8k-125.tar" --text-data captions.jsonl --json "$@"
        expected=$(tr -d '\n' <"$demo/expected.json" | sed "s/.*flickr_t2i.$language\": *{ *\(\"r1\": [0-9.]*, *\"r5\": [0-9.]*, *\"r10\": [0-9.]*\).*/\1/; s/,  */, /g")
        check "Flickr8k-125 ($language) on $# backends: PyTorch's recall" [ "$(members | grep -c -F "\"text_to_image\": {\"queries\": 625, $expected")" -eq $# ]
    done
else
    skip "Flickr8k-125 on every backend" "data not present: $demo"
fi

# other NAME LIBRARY ROW…: rows of another runtime agree with the reference, figures and features.
other() {
    runtime=$1
    if [ -z "$2" ]; then
        skip "eval table on $runtime" "the library is not named"
        return
    fi
    shift 2
    # shellcheck disable=SC2086
    run eval table $classes $sets cpu "$@" --json
    members | sed 's/, "images".*//; s/.*"zeroshot"/"zeroshot"/' | sort -u >rows
    check "$runtime: the same figures" both 'status_is 0' 'lines_are rows 1'
    check "$runtime: cosines of 1 within 1e-6" [ "$(members | grep -o '"cosine_min": [0-9.]*' | awk '$2 < 0.999999 {bad++} END {print NR, bad + 0}')" = "$((2 * $# + 2)) 0" ]
}
other onnxruntime "$onnxruntime" "onnxruntime@$onnxruntime"
other openvino "$openvino" "openvino@$openvino" "openvino/CPU:f32@$openvino"
finish
