# The demo model's zero-shot figures on 2,000 CIFAR-100 test pictures equal PyTorch's. The pictures
# are not carried: TUWEN_SHARED names the folder that has demo/cifar100-test-2000.tar.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
data=${TUWEN_SHARED:-$TUWEN_SOURCE/../shared}/demo

# figures LANGUAGE LABELS TOP1 TOP5: PyTorch 1.13's, as the data's expected.json states them. The
# limit is one picture of 2,000.
figures() {
    if [ ! -f "$data/cifar100-test-2000.tar" ]; then
        skip "zero-shot figures in $1" "data not present: cifar100-test-2000.tar"
        return
    fi
    run eval zeroshot -m demo.gguf --data "$data/cifar100-test-2000.tar" --labels "$data/$2" \
        --templates "$TUWEN_SOURCE/demo/templates.json" --template-set "$1" --json --progress never
    check "zero-shot with $1 prompts ends well" test "$status" -eq 0
    for pair in top1:$3 top5:$4; do
        got=$(sed -n "s/.*\"${pair%%:*}\": *\([0-9.]*\).*/\1/p" out)
        check "${pair%%:*} with $1 prompts is PyTorch's ${pair#*:} within one picture" \
            awk -v a="$got" -v b="${pair#*:}" 'BEGIN {d = a - b; exit !(a != "" && d <= 0.00051 && d >= -0.00051)}'
    done
}

run convert "$TUWEN_SOURCE/demo/clip_cn_demo-vit-ti-16.pt" -o demo.gguf
check "the demo checkpoint converts" test "$status" -eq 0
figures zh label_cn.txt 0.7915 0.9645
figures en label_en.txt 0.808 0.9635
finish
