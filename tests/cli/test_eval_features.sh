# eval features, and eval recall of a model, on tests/data/retrieval
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
TUWEN_MODEL=model.gguf
export TUWEN_MODEL
cp -r "$TUWEN_SOURCE/tests/data/retrieval" set
chmod -R u+w set
ids() { sed 's/.*_id": \([0-9]*\),.*/\1/' "$1" | tr '\n' ' '; }

# ---------------------------------------------------------------------------- Chinese-CLIP's layout
run eval features --data set
printf '4 text features are stored in set/valid_texts.txt_feat.jsonl\n4 image features are stored in set/valid_imgs.img_feat.jsonl\n' >expected
check "eval features tells what it wrote, where the original does" both 'status_is 0' 'cmp -s out expected'
check "pictures in the order of the LMDB's keys" [ "$(ids set/valid_imgs.img_feat.jsonl)" = "1000002 27 3000000001 999 " ]
check "texts in the order of the file" [ "$(ids set/valid_texts.txt_feat.jsonl)" = "8428 248816 7 8 " ]
check "lines as Python's json writes them" [ "$(grep -c -E '^\{"image_id": [0-9]+, "feature": \[(-?[0-9.]+(e-[0-9]+)?, ){31}-?[0-9.]+(e-[0-9]+)?\]\}$' set/valid_imgs.img_feat.jsonl)" -eq 4 ]
check "of length 1" awk -F'[][]' '{n = split($2, v, ", "); s = 0; for (i = 1; i <= n; i++) s += v[i] * v[i]; if (s < 0.999999 || s > 1.000001) exit 1}' set/valid_imgs.img_feat.jsonl
mv set/valid_imgs.img_feat.jsonl of_lmdb
mv set/valid_texts.txt_feat.jsonl texts
mv set/lmdb/valid/imgs imgs
run eval features --data set --split valid --json
check "the .tsv gives the same file as the LMDB" cmp -s set/valid_imgs.img_feat.jsonl of_lmdb
check "--json" prints '^{"texts": 4, "images": 4, "dim": 32, "skipped": 0, "text_features": "set/valid_texts.txt_feat.jsonl", "image_features": "set/valid_imgs.img_feat.jsonl", "used": {'
run eval features --extract-image-feats --extract-text-feats --image-data imgs --text-data set/valid_texts.jsonl \
    --img-batch-size 3 --text-batch-size 1 --image-feat-output-path i.jsonl --text-feat-output-path t.jsonl
check "the original's words, other batches: the same bits" both 'cmp -s i.jsonl of_lmdb' 'cmp -s t.jsonl texts'
run eval features --image-data set/valid_imgs.tsv --images-to only.jsonl -t 1
check "pictures alone" both 'cmp -s only.jsonl of_lmdb' '[ "$(wc -l <out)" -eq 1 ]'

# Chinese-CLIP's clean-up of texts: lower case, straight quotes.
printf '{"text_id": 1, "text": "“绿色”三角形 GREEN", "image_ids": []}\n{"text_id": 2, "text": "\\"绿色\\"三角形 green", "image_ids": []}\n' >q.jsonl
run eval features --text-data q.jsonl
check "quotes and case do not matter" [ "$(sed 's/.*feature//' q.txt_feat.jsonl | sort -u | wc -l)" -eq 1 ]

# What embed gives is the same vector.
cp "$pictures/red-circle.png" red.png
run embed red.png -o red.jsonl
numbers() { sed 's/.*\[//; s/\].*//' "$1" | tr ',' '\n'; }
# embed writes as few digits as an f32 needs: half of its last place, below 1, is 3e-8.
same_vector() {
    grep 1000002 of_lmdb >row
    numbers row >a
    numbers red.jsonl >b
    paste a b | awk '{d = $1 - $2; if (d < 0) d = -d; if (d > 3e-8) exit 1} END {if (NR != 32) exit 1}'
}
check "as embed's, to f32" same_vector

# ------------------------------------------------------------------------------ folders and tar
mkdir photos
for n in red-circle.png orange-square.png; do cp "$pictures/$n" photos/; done
cp "$pictures/red-circle.png" photos/nobody.png
printf '{"text_id": 1, "text": "红色的圆", "image_ids": [5], "file": "red-circle.png"}\n{"text_id": 2, "text": "橙色", "image_ids": [4], "file": "orange-square.png"}\n' >photos.captions.jsonl
run eval features --data photos/
check "a folder and its captions; a picture without one is named" both 'status_is 3' 'says "skipped photos/nobody.png: no caption names it"'
check "in the order of paths" [ "$(ids photos.captions.img_feat.jsonl)" = "4 5 " ]
rm photos/nobody.png
tar -cf photos.tar photos
cp photos.captions.img_feat.jsonl of_folder
run eval features --data photos.tar
check "a tar" both 'status_is 0' 'cmp -s photos.captions.img_feat.jsonl of_folder'
sed 's/\[4\]/[4]/; s/orange-square/red-circle/' photos.captions.jsonl >two.jsonl
run eval features --image-data photos.tar --text-data two.jsonl
check "two ids for a picture" fails_saying 1 "captions give 'red-circle.png' two image ids"
run eval features --image-data photos.tar --images-to o.jsonl
check "pictures without captions" fails_saying 2 "the ids of its pictures are in captions"

# -------------------------------------------------------------------------------- hostile input
run_bad() { # NAME PATTERN: the .tsv with one line more
    { cat "$TUWEN_SOURCE/tests/data/retrieval/valid_imgs.tsv"; printf '%b' "$3"; } >set/valid_imgs.tsv
    run eval features --data set --errors errors.jsonl
    check "$1" both 'status_is 3' "says 'skipped .*$2'"
    check "$1: the others are there" cmp -s set/valid_imgs.img_feat.jsonl of_lmdb
    check "$1: listed" [ "$(wc -l <errors.jsonl)" -eq 1 ]
}
run_bad "a line without a tab" 'set/valid_imgs.tsv: line 5: no tab' '55\n'
run_bad "an id that is none" "x5. is no image id" 'x5\tQUJD\n'
run_bad "an id beyond 64 bits" "is no image id" '9223372036854775808\tQUJD\n'
run_bad "base64 that ends early" 'set/valid_imgs.tsv/55: base64: padding is missing' '55\tQUJDRA\n'
run_bad "no picture" 'set/valid_imgs.tsv/55: ' '55\tQUJD\n'
{ printf '27\tQUJD\n'; cat "$TUWEN_SOURCE/tests/data/retrieval/valid_imgs.tsv"; } >set/valid_imgs.tsv
run eval features --data set
check "of two lines of an id the last counts" both 'status_is 0' 'cmp -s set/valid_imgs.img_feat.jsonl of_lmdb'
tr '+/' '-_' <"$TUWEN_SOURCE/tests/data/retrieval/valid_imgs.tsv" | sed 's/\(.\{60\}\)/\1 /g' | sed 's/^\([0-9 ]*\) /\1/' >set/valid_imgs.tsv
run eval features --data set
check "the other alphabet, blanks between" cmp -s set/valid_imgs.img_feat.jsonl of_lmdb
echo '{"text_id": "1", "text": "x", "image_ids": []}' >>set/valid_texts.jsonl
run eval features --data set
check "a bad caption is skipped and named" both 'status_is 3' 'says "skipped set/valid_texts.jsonl: line 5: "'
printf '1\tQUJD\n' >set/valid_imgs.tsv
rm -f set/valid_imgs.img_feat.jsonl
run eval features --data set --extract-image-feats
check "no good picture at all" both 'status_is 1' 'says "none of the 1 pictures could be used"'
check "then no file" absent set/valid_imgs.img_feat.jsonl
mkdir db
head -c 9000 imgs/data.mdb >db/data.mdb
refused "a cut LMDB" 1 'db/data.mdb: lmdb: page [0-9]*: ' o.jsonl eval features --image-data db --images-to o.jsonl
echo hello >db/data.mdb
refused "no LMDB" 1 'db/data.mdb: lmdb: no meta page' o.jsonl eval features --image-data db --images-to o.jsonl

run eval features
check "no data" fails_saying 2 "no data"
run eval features --data nowhere
check "a missing set" fails_saying 1 "nowhere.captions.jsonl: No such file"
touch set/test_texts.jsonl
run eval features --data set
check "two splits" fails_saying 2 "has test and valid, choose with --split"
rm set/test_texts.jsonl
run eval features --image-data imgs --extract-text-feats
check "texts are asked for and not there" fails_saying 2 "no texts: give --text-data"

# ------------------------------------------------------------------ recall of a model in one go
cp "$TUWEN_SOURCE"/tests/data/retrieval/valid_* set/
run eval recall --data set
check "eval recall -m MODEL --data SET: a table" both 'prints "^text-to-image        4 "' 'prints "^image-to-text        4 "'
run eval recall --data set --json
sed 's/, "texts.*//' out >all_at_once
# The same by the three steps of the original (ten answers are more than this set has: the last
# step's own counting is checked in test_eval_recall.sh).
run eval knn --image-feats of_lmdb --text-feats texts -o - -k 1
awk -F'[:,\\[]' 'NR == FNR {split($0, p, "image_ids\": "); right[$2] = p[2]; next} {gsub(/[^0-9]/, "", $5); n++; if (right[$2] ~ ("[[ ]" $5 "[],]")) hits++} END {printf "%.17g\n", hits * 100 / n}' set/valid_texts.jsonl out >r1
check "r1 is that of eval knn's first" [ "$(sed 's/.*text_to_image": {"queries": 4, "r1": \([0-9.]*\),.*/\1/' all_at_once | awk '{printf "%.17g", $1}')" = "$(cat r1)" ]
run eval recall --data set --json --direction image-to-text -b 1 -t 1
check "one direction, one thread, one at a time: the same" [ "$(sed 's/, "texts.*//; s/^{//' out)" = "$(sed 's/.*}, //' all_at_once)" ]
sed '/^27/d' set/valid_imgs.tsv >fewer.tsv
run eval recall --image-data fewer.tsv --text-data set/valid_texts.jsonl
check "an annotated picture that is not there is told" both 'status_is 0' 'says "1 annotated pictures are not among the data"'
run eval recall --data set output.json
check "operands and --data" fails_saying 2 "goes with files of predictions"
run eval recall --image-data fewer.tsv
check "half a set" fails_saying 2 "give --data DIR, or --image-data and --text-data"

# ------------------------------------------------ the demo's 125 photographs: PyTorch's own figures
shared=${TUWEN_SHARED:-$TUWEN_SOURCE/../shared}
if [ -f "$shared/demo/flickr8k-125.tar" ]; then
    demo=$shared/demo
    "$TUWEN" convert "$demo/clip_cn_demo-vit-ti-16.pt" --arch "$demo/Demo-ViT-Ti-16.json,$demo/Demo-BERT.json" -o demo.gguf >/dev/null 2>&1
    for language in en zhm zhb; do
        grep "\"lang\": \"$language\"" "$demo/flickr8k-125.captions.jsonl" >captions.jsonl
        run eval recall -m demo.gguf --image-data "$demo/flickr8k-125.tar" --text-data captions.jsonl --json
        expected=$(tr -d '\n' <"$demo/expected.json" | sed "s/.*flickr_t2i.$language\": *{ *\(\"r1\": [0-9.]*, *\"r5\": [0-9.]*, *\"r10\": [0-9.]*\).*/\1/; s/,  */, /g")
        check "Flickr8k-125 ($language): PyTorch's recall" grep -q -F "\"queries\": 625, $expected" out
    done
else
    skip "Flickr8k-125: PyTorch's recall" "data not present: $shared/demo"
fi
finish
