# eval recall and eval knn on what the original scripts wrote (tests/data/eval)
. "$TUWEN_SOURCE/tests/cli/lib.sh"
cp "$TUWEN_SOURCE"/tests/data/eval/*.json* .
images=valid_imgs.img_feat.jsonl
texts=valid_texts.txt_feat.jsonl

# ---------------------------------------------------------------------------------------- knn
run eval knn --image-feats $images --text-feats $texts -o p.jsonl
check "eval knn" both 'status_is 0' 'silent'
check "text to image: the original's file, byte by byte" cmp -s p.jsonl valid_predictions.jsonl
run eval knn --image-feats $images --text-feats $texts --direction image-to-text -o - --top-k 10 --eval-batch-size 7
check "image to text, on standard output" cmp -s out valid_tr_predictions.jsonl
run eval knn --image-feats $images --text-feats $texts -o p1.jsonl -t 1 --json
check "the same with one thread" cmp -s p1.jsonl valid_predictions.jsonl
check "--json tells what was done" prints '^{"output": "p1.jsonl", "direction": "text-to-image", "queries": 40, "gallery": 30, "top_k": 10, "threads": 1, "seconds": '
run eval knn --image-feats $images --text-feats $texts -o p3.jsonl -k 3
sed 's/\(\[[0-9]*, [0-9]*, [0-9]*\)[^]]*/\1/' valid_predictions.jsonl >first3
check "--top-k 3: the first three" cmp -s p3.jsonl first3
run eval knn --image-feats $images --text-feats $texts -o p99.jsonl -k 99
check "more than there are: all of them" [ "$(head -n 1 p99.jsonl | tr -cd , | wc -c)" -eq 30 ]

printf '{"image_id": %s, "feature": [%s]}\n' 5 '1, 0' 3 '0, 1' 9 '1, 0' 4 'NaN, 0' 1 '2.0, 1e-3' >i.jsonl
printf '{"feature": [1, 0], "text_id": 7}\r\n{"text_id": 8, "feature": [0, 1]}' >t.jsonl
run eval knn --image-feats i.jsonl --text-feats t.jsonl -o -
printf '{"text_id": 7, "image_ids": [1, 5, 9, 3, 4]}\n{"text_id": 8, "image_ids": [3, 1, 5, 9, 4]}\n' >expected
check "equal scores in the order of the file, no number last" cmp -s out expected
: >none.jsonl
run eval knn --image-feats none.jsonl --text-feats t.jsonl -o -
printf '{"text_id": 7, "image_ids": []}\n{"text_id": 8, "image_ids": []}\n' >expected
check "an empty gallery" cmp -s out expected

printf '{"image_id": 1, "feature": [1]}\n' >short.jsonl
refused "lengths that differ" 1 'short.jsonl: features of 1 numbers, but those of t.jsonl have 2' o eval knn --image-feats short.jsonl --text-feats t.jsonl -o o
printf '{"image_id": 1, "feature": [1, 2]}\n{"image_id": 2, "feature": [1]}\n' >ragged.jsonl
refused "a line of another length" 1 'ragged.jsonl: line 2: 1 numbers, expected 2' o eval knn --image-feats ragged.jsonl --text-feats t.jsonl -o o
printf '{"image_id": 1, "feature": [1, 2]}\n{"image_id": "2", "feature": [1, 1]}\n' >words.jsonl
refused "an id in quotes" 1 'words.jsonl: line 2: "image_id" is not an integer' o eval knn --image-feats words.jsonl --text-feats t.jsonl -o o
refused "the files exchanged" 1 'i.jsonl: line 1: no "text_id" in it' o eval knn --image-feats t.jsonl --text-feats i.jsonl -o o
refused "a missing file" 1 'missing.jsonl: No such file' o eval knn --image-feats missing.jsonl --text-feats t.jsonl -o o
run eval knn --image-feats i.jsonl -o o
check "no texts" fails_saying 2 "expected --image-feats FILE and --text-feats FILE"
run eval knn --image-feats i.jsonl --text-feats t.jsonl
check "no output" fails_saying 2 "no output"

# ------------------------------------------------------------------------------------- recall
run eval recall valid_texts.jsonl valid_predictions.jsonl r.json
printf 'Read standard from valid_texts.jsonl\nRead user submit file from valid_predictions.jsonl\nThe evaluation finished successfully.\n' >expected
check "eval recall prints what the original prints" both 'status_is 0' 'cmp -s out expected'
check "and writes its result, byte by byte" cmp -s r.json output.json
run eval recall valid_texts.jsonl valid_tr_predictions.jsonl r.json --direction image-to-text --turned t.tr.jsonl
check "image to text" cmp -s r.json output_tr.json
check "--turned is transform_ir_annotation_to_tr.py's file" cmp -s t.tr.jsonl valid_texts.tr.jsonl
run eval recall valid_texts.tr.jsonl valid_tr_predictions.jsonl r.json --direction image-to-text
check "with annotations turned before" cmp -s r.json output_tr.json
run eval recall valid_texts.jsonl valid_predictions.jsonl
check "without a result file the figures" prints '^R@1 52.50  R@5 85.00  R@10 95.00  mean 77.50$'
run eval recall valid_texts.jsonl valid_predictions.jsonl --json
check "--json is the original's object" [ "$(cat out)" = "$(cat output.json)" ]
for what in dup garbage missing nine nofield notlist string; do
    run eval recall valid_texts.jsonl bad_$what.jsonl r.json
    check "bad predictions ($what): the original's words" both 'status_is 1' "cmp -s r.json bad_$what.out.json"
    check "bad predictions ($what): one line" both one_line 'prints "^The evaluation failed: "'
done
run eval recall valid_texts.jsonl missing.jsonl r.json
check "a missing file, in its words" both 'fails_saying 1 "The submission file is not found!"' 'grep -q "\"errorMsg\": \"The submission file is not found!\"" r.json'

# Queries and answers at the edges: the last line of a query counts; no right answer is a miss.
ten() { printf '{"text_id": %s, "image_ids": [%s, 10, 11, 12, 13, 14, 15, 16, 17, %s]}\n' "$1" "$2" "$3"; }
{ ten 1 99 98; ten 1 1 9; ten 2 1 9; ten 3 1 9; ten 77 1 9; } >p.jsonl
printf '{"text_id": %s, "image_ids": [%s]}\n' 1 55 2 9 3 '' 1 '1, 9' >a.jsonl
run eval recall a.jsonl p.jsonl
check "counts" both 'prints "^text-to-image: 3 queries$"' 'prints "^R@1 33.33  R@5 33.33  R@10 66.67  mean 44.44$"'
ten 4 '"猫\n"' 9 | sed 's/\\\\n/\\n/' >>p.jsonl
run eval recall a.jsonl p.jsonl r.json
check "result files are ASCII" grep -q 'invalid predicted image_id \\u732b\\n at rank 1,' r.json
ten 1 '["a\"", {"b": null, "c'"'"'": 1e-7}, true, NaN]' 9 >p.jsonl
run eval recall a.jsonl p.jsonl
check "values as Python shows them" says "predicted image_id \['a\"', {'b': None, \"c'\": 1e-07}, True, nan\] at rank 1,"
printf '{"text_id": 1, "image_ids": [7000000000000000000]}\n' >a.jsonl
ten 1 7000000000000000000 2 >p.jsonl
run eval recall a.jsonl p.jsonl
check "ids of 64 bits" prints '^R@1 100.00'
printf '{"text_id": 1, "image_ids": [7]}\n{"text_id": 2}\n' >a.jsonl
run eval recall a.jsonl p.jsonl r.json
check "bad annotations are refused by line" both 'fails_saying 1 "a.jsonl: line 2: no \"image_ids\" in it"' 'grep -q "\"success\": false" r.json'
run eval recall none.jsonl p.jsonl
check "no annotations" fails_saying 1 "none.jsonl: no annotated query in it"
printf '{"text_id": 1, "image_ids": [7]}\n' >a.jsonl
printf '{"text_id": 1, "x": "\377"}\n' >p.jsonl
run eval recall a.jsonl p.jsonl
check "not UTF-8" fails_saying 1 "p.jsonl: line 1: is not UTF-8"
run eval recall a.jsonl
check "one operand" fails_saying 2 "got 1 operands"
finish
