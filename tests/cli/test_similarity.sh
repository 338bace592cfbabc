# similarity and classify
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
TUWEN_MODEL=model.gguf
export TUWEN_MODEL
red=$pictures/red-circle.png
printf '%s\n' 杰尼龟 '{"text": "妙蛙种子"}' 小火龙 >texts.jsonl
head -c 300 "$red" >cut.png

# numbers KEY: the rows of that array of arrays, one a line.
numbers() { sed -n "s/.*\"$1\": \[\[\([^\"]*\)\]\].*/\1/p" out | sed 's/\], \[/\n/g' | tr -d ','; }
rows_sum_to_one() { numbers probs | awk '{s = 0; for (i = 1; i <= NF; i++) s += $i; if (s < 0.99999 || s > 1.00001) bad = 1} END {exit bad || NR != 2}'; }
# logit = exp(2.25) x cosine, to the rounding of f32
logits_follow() {
    numbers logits >l.txt
    numbers cosine >c.txt
    paste -d ' ' l.txt c.txt | awk '{for (i = 1; i <= 3; i++) {d = $i - exp(2.25) * $(i + 3); if (d < -1e-5 || d > 1e-5) bad = 1}} END {exit bad || NR != 2}'
}
# The cosine of picture 0 and text 0 is the dot product of what embed writes.
cosine_is_of_embed() {
    "$TUWEN" embed "$red" -o i.npy 2>/dev/null
    "$TUWEN" embed --texts texts.jsonl -o t.npy 2>/dev/null
    tail -c +129 i.npy | od -An -v -t f4 -w4 >i.txt
    tail -c +129 t.npy | head -c 128 | od -An -v -t f4 -w4 >t.txt
    dot=$(paste i.txt t.txt | awk '{s += $1 * $2} END {printf "%.9g", s}')
    numbers cosine | head -n 1 | awk -v dot="$dot" '{d = $1 - dot; exit !(d < 1e-6 && d > -1e-6)}'
}

run similarity --texts texts.jsonl "$red" "$pictures/green-triangle.jpg" --json
check "similarity" status_is 0
check "--json is one object" both 'lines_are out 1' 'prints "^{\"logits\": \[\[.*\]\], \"probs\": \[\[.*\]\], \"cosine\""'
check "a row a picture, a column a text" [ "$(numbers logits | awk '{print NF}' | tr '\n' ' ')" = "3 3 " ]
check "probabilities of a row sum to one" rows_sum_to_one
check "logits are the cosine times exp(logit scale)" logits_follow
check "the cosine is that of the features" cosine_is_of_embed
check "what was used" prints '"used": {.*"isa": .*"threads": .*"batch": 8.*"decoders": .*"recipe": '
cp out batched
printf '%s\n' "$red" "$pictures/green-triangle.jpg" >list
run similarity --texts texts.jsonl --images list --json -b 1 -t 1
check "the same to the bit one by one" [ "$(numbers logits)" = "$(cp out one && cp batched out && numbers logits)" ]
run similarity --text 杰尼龟 --text 小火龙 "$red" "$pictures/粉色圆环.png"
check "a table: rows are pictures" prints "red-circle.png .*%.*%"
check "columns are texts" both "prints 杰尼龟" "prints 小火龙"
run similarity --texts texts.jsonl "$red" cut.png --json --errors errors.jsonl
check "some skipped is status 3" both 'status_is 3' 'lines_are errors.jsonl 1'
check "their rows are null" prints '\[null, null, null\]'
run similarity --text a cut.png
check "nothing but a bad picture" both 'status_is 1' 'says "cut.png: "'
run similarity "$red"
check "no texts" fails_saying 2 "no texts"
run similarity --text a
check "no pictures" fails_saying 2 "no pictures"
: >none
run similarity --texts none "$red"
check "an empty file of texts" fails_saying 1 "no text"
run similarity --texts texts.jsonl --images none --json
check "an empty list of pictures" both 'status_is 0' 'prints "^{\"logits\": \[\], \"probs\": \[\]"'

# classify
run classify --label 猫 --label 狗 --label 鱼 -k 2 "$red"
check "classify" status_is 0
check "the k best" lines_are out 3
run classify --label 猫 --label 狗 --label 鱼 --json "$red" "$pictures/blue-star.png"
check "--json is a line a picture" lines_are out 2
check "with label, prob, cosine and index" prints '^{"image": ".*red-circle.png", "top": \[{"label": "[猫狗鱼]*", "prob": [0-9.e-]*, "cosine": [-0-9.e]*, "index": [012]}, .*\], "used": ".*"}$'
printf ' 猫 \r\n狗\r\n鱼\r\n\r\n' >labels.txt
cp out expected
run classify --labels labels.txt --json "$red" "$pictures/blue-star.png"
check "labels from a file, stripped" cmp -s out expected
run classify --labels labels.txt --template '{}' --json "$red" "$pictures/blue-star.png"
check "the default template is {}" cmp -s out expected
printf '{"a": ["{}"], "b": ["一张{}的照片", "{}"], "note": "x"}' >templates.json
run classify --labels labels.txt --templates templates.json --template-set a --json "$red" "$pictures/blue-star.png"
check "a set of templates" cmp -s out expected
run classify --labels labels.txt --templates templates.json --template-set b --json "$red" "$pictures/blue-star.png"
check "another set" both 'status_is 0' '! cmp -s out expected'
cp out other
run classify --labels labels.txt --template '一张{}的照片' --template '{}' --json "$red" "$pictures/blue-star.png"
check "is its templates one by one" cmp -s out other
printf '一张{}的照片\n{}\n' >templates.txt
run classify --labels labels.txt --templates templates.txt --json "$red" "$pictures/blue-star.png"
check "or lines of a file" cmp -s out other
run classify --labels labels.txt --scale 100 --json "$red"
check "--scale" both 'status_is 0' 'prints "scale 100"'
run classify --labels labels.txt --json "$red" cut.png
check "some skipped is status 3" both 'status_is 3' 'lines_are out 1'

"$TUWEN" classify --labels labels.txt "$red" >/dev/full 2>err
status=$?
: >out
check "a full standard output" both 'status_is 1' '[ "$(grep -c "standard output: No space" err)" -eq 1 ]'

run classify "$red"
check "no labels" fails_saying 2 "no labels"
run classify --labels labels.txt --scale loud "$red"
check "a scale that is none" fails_saying 2 "model or a positive number"
run classify --labels none "$red"
check "an empty file of labels" fails_saying 1 "no label"
printf '猫\n\n狗\n' >gap.txt
run classify --labels gap.txt "$red"
check "a blank label" fails_saying 1 "gap.txt: line 2 is blank"
run classify --label 猫 --template 照片 "$red"
check "a template without {}" fails_saying 1 "has no {}"
run classify --label 猫 --templates templates.json "$red"
check "several sets and none chosen" fails_saying 1 "choose a set with --template-set: a, b"
run classify --label 猫 --templates templates.json --template-set c "$red"
check "a set that is not there" fails_saying 2 "no template set 'c'; there is a, b"
printf '{"a": [' >broken.json
run classify --label 猫 --templates broken.json --template-set a "$red"
check "broken templates" fails_saying 1 "broken.json"
finish
