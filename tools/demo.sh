#!/bin/sh
# The main job on real input: demo.sh [BUILD]. A Chinese-CLIP checkpoint becomes a model file,
# pictures become features, and pictures meet words, in Chinese and in English.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-build}
tuwen=$(cd "$build" && pwd)/tuwen
out=$(cd "$build" && pwd)/demo
mkdir -p "$out"
cd "$root/demo"
TUWEN_MODEL="$out/demo.gguf"
export TUWEN_MODEL

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || step() { printf '\n%s\n' "$*"; }

step "1. A checkpoint becomes one file: weights, vocabulary, recipe"
"$tuwen" convert clip_cn_demo-vit-ti-16.pt --arch Demo-ViT-Ti-16.json,Demo-BERT.json -o "$TUWEN_MODEL"

step "2. Pictures become features"
"$tuwen" embed pictures/ -o "$out/pictures.npy"
"$tuwen" embed --texts labels.zh.txt -o "$out/labels.jsonl"
wc -c "$out/pictures.npy" "$out/labels.jsonl" | awk '$2 != "total" {print $1 " bytes  " $2}'

step "3. Pictures x texts: probability (cosine)"
"$tuwen" similarity --text 红色的圆形 --text 蓝色的五角星 --text "a green triangle" --text "yellow heart" \
    pictures/red-circle.png pictures/blue-star.png pictures/green-triangle.jpg pictures/yellow-heart.png

step "4. Zero-shot classification in Chinese"
"$tuwen" classify --labels labels.zh.txt --templates templates.json --template-set zh --top-k 2 pictures/

step "5. Zero-shot classification in English"
"$tuwen" classify --labels labels.en.txt --templates templates.json --template-set en --top-k 2 pictures/
