# eval zeroshot
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
TUWEN_MODEL=model.gguf
export TUWEN_MODEL

# Three classes, names that sort as strings; the tiny model's weights are random, so what counts is
# that counts, order and figures agree with each other.
mkdir -p data/test/000/sub data/test/001 data/test/002
cp "$pictures/red-circle.png" data/test/000/b.png
cp "$pictures/blue-star.png" data/test/000/a.png
cp "$pictures/yellow-heart.png" data/test/000/sub/0.png
cp "$pictures/green-triangle.jpg" data/test/001/x.JPG
cp "$pictures/orange-square.png" data/test/002/x.png
echo note >data/test/002/readme.txt
printf '红\n绿\n黄\n' >labels.txt

run eval zeroshot --data data --labels labels.txt --predictions p.jsonl --json
check "eval zeroshot" status_is 0
check "--json has the figures" prints '^{"n": 5, "skipped": 0, "top1": [0-9.]*, "top5": 1, "mean_per_class": [0-9.]*, "classes": 3, "labels": 3, "templates": 1, "used": {'
check "RGB first, as ImageFolder" prints '"rgb": "first"'
sed -n 's/.*"image": "\([^"]*\)", "class": \([0-9]*\).*/\1 \2/p' p.jsonl >order
printf 'data/test/%s\n' "000/a.png 0" "000/b.png 0" "000/sub/0.png 0" "001/x.JPG 1" "002/x.png 2" >expected
check "pictures in ImageFolder's order" cmp -s order expected
hits=$(sed -n 's/.*"class": \([0-9]*\).*"top": \[{[^}]*"index": \([0-9]*\)}.*/\1 \2/p' p.jsonl | awk '$1 == $2' | wc -l)
check "top-1 is the share of hits" prints "\"top1\": $(awk -v h="$hits" 'BEGIN {printf "%g", h / 5}'),"
sed 's/, "used".*//' out >figures
run eval zeroshot --data data/test --labels labels.txt --json
check "the folder of the classes itself" [ "$(sed 's/, "used".*//' out)" = "$(cat figures)" ]
run eval zeroshot --datapath data --label-file labels.txt --img-batch-size 2 --json
check "the original's words" [ "$(sed 's/, "used".*//' out)" = "$(cat figures)" ]
tar -cf data.tar -C data test
run eval zeroshot --data data.tar --labels labels.txt --json --predictions t.jsonl
check "a tar archive" [ "$(sed 's/, "used".*//' out)" = "$(cat figures)" ]
check "the same rows" [ "$(sed 's/.*"top"//' t.jsonl)" = "$(sed 's/.*"top"//' p.jsonl)" ]
(cd data && find test -type f | sort -r) >members
tar -cf reversed.tar -C data -T members
run eval zeroshot --data reversed.tar --labels labels.txt --json
check "members in any order" [ "$(sed 's/, "used".*//' out)" = "$(cat figures)" ]
tar --format=pax -cf pax.tar -C . data
run eval zeroshot --data pax.tar --labels labels.txt --json
check "pax, folders above" [ "$(sed 's/, "used".*//' out)" = "$(cat figures)" ]
long=$(printf 'x%.0s' $(seq 1 150))
mkdir -p "long/$long" "long/other" && cp data/test/000/a.png "long/$long/" && cp data/test/001/x.JPG long/other/y.jpg
tar --format=gnu -cf long.tar -C . long
printf 'other\nlong\n' >two.txt
run eval zeroshot --data long.tar --labels two.txt --json
check "long names" both 'status_is 0' 'prints "^{\"n\": 2"'
run eval zeroshot --data data --labels labels.txt
check "figures for people" both 'prints "^zeroshot-top1: [0-9.]* ([0-9.]* %)$"' 'prints "^mean-per-class: "'
run eval zeroshot --data data --labels labels.txt --rgb-after --json
check "--rgb-after" prints '"rgb": "after"'
mkdir save
run eval zeroshot --data data --labels labels.txt --dataset three --save-dir save
check "--save-dir writes the original's file" grep -q '^{"model_name": "CN-CLIP-.*", "dataset_name": "three", "num_trainable_params": 0, "num_params": [0-9]*, "num_visual_params": [0-9]*, "num_backbone_params": [0-9]*, "n_shot": 0, "rnd_seeds": \[123\], "predictions": \[\[.*\]\]}$' save/three.json
check "with a row a picture" [ "$(grep -o '\[[0-9., e-]*\]' save/three.json | wc -l)" -eq 6 ]

# The MagicMind sample's files, and its counting of them.
run eval zeroshot --data data --labels labels.txt --results sample --json
sed 's/, "used".*//' out >again
check "--results changes no figure" cmp -s again figures
awk '{printf "[%d]: %d\n", NR - 1, $2}' order >expected
check "eval_labels.txt has a line a picture" cmp -s sample/eval_labels.txt expected
sed 's/.*"top": //' p.jsonl | awk -F'"index": ' '{for (i = 2; i <= NF; i++) printf "[%d]: %d\n", NR - 1, $i}' >expected
check "eval_result_5.txt has the best labels, best first" cmp -s sample/eval_result_5.txt expected
awk -F: '!seen[$1]++' expected >expected_1
check "eval_result_1.txt has the first of them" cmp -s sample/eval_result_1.txt expected_1
awk -F'[][]' 'BEGIN {last = -1} NR == FNR {name[NR - 1] = $0; next} $2 != last {print "top5 result:"; last = $2; k = 0} {split($0, p, ": "); print k++ " [" name[p[2]] "]"}' labels.txt expected >names
check "infer_result.txt has their names" cmp -s sample/infer_result.txt names
top1=$(awk -v h="$hits" 'BEGIN {printf "%f", h / 5}')
check "eval_result.txt has both figures" [ "$(cat sample/eval_result.txt)" = "$(printf 'top1 accuracy: %s\ntop5 accuracy: 1.000000' "$top1")" ]
run eval zeroshot sample/eval_labels.txt sample/eval_result_1.txt sample/eval_result_5.txt counted.txt
check "counting them again prints the figures" both 'status_is 0' 'prints "^top1:  0\.[0-9]*$" && prints "^top5:  1\.0$"'
check "and writes them" cmp -s counted.txt sample/eval_result.txt
run eval zeroshot --result_label_file sample/eval_labels.txt --result_1_file sample/eval_result_1.txt --result_5_file sample/eval_result_5.txt --top1andtop5_file words.txt --json
check "in the words of compute_top1_and_top5.py" both 'cmp -s words.txt counted.txt' 'prints "^{\"n\": 5, \"top1\": [0-9.]*, \"top5\": 1}$"'
run eval zeroshot --data data --labels labels.txt --result_file a --result_label_file b --result_top1_file c --result_top5_file d
check "in the words of infer.py" both 'cmp -s a sample/infer_result.txt && cmp -s b sample/eval_labels.txt' 'cmp -s c sample/eval_result_1.txt && cmp -s d sample/eval_result_5.txt'
if command -v python3 >/dev/null; then
    python3 - sample/eval_labels.txt sample/eval_result_1.txt sample/eval_result_5.txt >python <<'EOF'
import sys
labels, top1, top5 = (open(path).readlines() for path in sys.argv[1:4])
for name, lines in (("top1: ", top1), ("top5: ", top5)):
    print(name, sum(label == line for label in labels for line in lines) / len(labels))
EOF
    run eval zeroshot sample/eval_labels.txt sample/eval_result_1.txt sample/eval_result_5.txt
    check "Python counts the same" cmp -s out python
else
    skip "Python counts the same" "no python3"
fi
run eval zeroshot sample/eval_labels.txt sample/eval_result_1.txt
check "a file too few" fails_saying 2 "expected LABELS TOP1 TOP5"
run eval zeroshot sample/eval_labels.txt sample/eval_result_1.txt nowhere.txt
check "a file that is missing" fails_saying 1 "nowhere.txt: No such file"
run eval zeroshot --data data --labels labels.txt --image_num 1000
check "words that have no place here say so" fails_saying 2 "all pictures of --data are counted"
refused "results that cannot be written" 1 "labels.txt/infer_result.txt: " none.jsonl eval zeroshot --data data --labels labels.txt --results labels.txt --predictions none.jsonl

printf 'a\nb\nc\nd\ne\n' >five.txt
run eval zeroshot --data data --labels five.txt --json
check "numbered folders may leave labels out" both 'status_is 0' 'prints "\"labels\": 5"'
mv data/test/002 data/test/yellow
run eval zeroshot --data data --labels five.txt
check "names and labels that do not fit" fails_saying 1 "3 class folders but 5 labels"
mkdir data/test/zz
printf 'a\nb\nc\nd\n' >four.txt
run eval zeroshot --data data --labels four.txt --json
check "an empty class folder counts" both 'status_is 0' 'prints "\"classes\": 3, \"labels\": 4"'
head -c 300 "$pictures/red-circle.png" >data/test/001/cut.png
run eval zeroshot --data data --labels four.txt --json --errors errors.jsonl
check "a bad picture is skipped and not counted" both 'status_is 3' 'prints "^{\"n\": 5, \"skipped\": 1"'
check "and listed" grep -q 'cut.png' errors.jsonl

run eval zeroshot --labels labels.txt
check "no data" fails_saying 2 "no data"
run eval zeroshot --data data
check "no labels" fails_saying 2 "no labels"
run eval zeroshot --data missing --labels labels.txt
check "missing data" fails_saying 1 "missing: No such file"
mkdir nothing
run eval zeroshot --data nothing --labels labels.txt
check "no class folder" fails_saying 1 "no class folder"
head -c 700 data.tar >cut.tar
run eval zeroshot --data cut.tar --labels labels.txt
check "a truncated archive" fails_saying 1 "cut.tar: tar: "
run eval zeroshot --data labels.txt --labels labels.txt
check "no archive" fails_saying 1 "labels.txt: tar: "
gzip -c data.tar >data.tgz
run eval zeroshot --data data.tgz --labels labels.txt
check "a compressed archive" fails_saying 1 "gzip"
: >empty.tar
run eval zeroshot --data empty.tar --labels labels.txt
check "an empty archive" fails_saying 1 "empty"
run eval zeroshot --data data --labels four.txt --predictions x.txt
check "predictions of another ending" fails_saying 2 ".json or .jsonl"
run eval zeroshot --data data --labels four.txt --vision-model ViT-B-16
check "another model than named" both 'status_is 1' 'says "not ViT-B-16"'
run eval zeroshot --data data --labels four.txt --predictions nowhere/p.json
check "predictions that cannot be written" both 'status_is 1' 'says "nowhere/p.json"'

# The trained demo model on drawn pictures: each label is right.
mkdir shapes
i=0
for name in red-circle.png blue-star.png green-triangle.jpg yellow-heart.png; do
    mkdir shapes/$i
    cp "$pictures/$name" shapes/$i/
    i=$((i + 1))
done
printf '红色的圆形\n蓝色的五角星\n绿色的三角形\n黄色的心形\n' >drawn.txt
"$TUWEN" convert "$TUWEN_SOURCE/demo/clip_cn_demo-vit-ti-16.pt" -o demo.gguf >/dev/null 2>&1
run eval zeroshot -m demo.gguf --data shapes --labels drawn.txt --templates "$TUWEN_SOURCE/demo/templates.json" --template-set zh --json
check "the demo model names the drawn shapes" prints '"top1": 1, "top5": 1, "mean_per_class": 1'

shared=${TUWEN_SHARED:-$TUWEN_SOURCE/../shared}/demo
if [ -f "$shared/cifar100-test-2000.tar" ]; then
    within_one_picture() { sed -n "s/.*\"$1\": \([0-9.]*\),.*/\1/p" out | awk -v want="$2" '{d = ($1 - want) * 2000; exit !(d < 1.01 && d > -1.01)}'; }
    run eval zeroshot -m demo.gguf --data "$shared/cifar100-test-2000.tar" --labels "$shared/label_cn.txt" \
        --templates "$shared/templates.json" --template-set zh --json
    check "CIFAR-100 in Chinese: top-1 as PyTorch" within_one_picture top1 0.7915
    check "CIFAR-100 in Chinese: top-5 as PyTorch" within_one_picture top5 0.9645
    run eval zeroshot -m demo.gguf --data "$shared/cifar100-test-2000.tar" --labels "$shared/label_en.txt" \
        --templates "$shared/templates.json" --template-set en --json
    check "CIFAR-100 in English: top-1 as PyTorch" within_one_picture top1 0.808
    check "CIFAR-100 in English: top-5 as PyTorch" within_one_picture top5 0.9635
else
    skip "CIFAR-100 figures" "data not present: cifar100-test-2000.tar"
fi
finish
