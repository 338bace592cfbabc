#!/bin/sh
# The demo model on SOPHON's BM1684X without a card: sophon.sh BUILD. Towers are exported, compiled by tpu_mlir
# and run on its emulator; features are compared with tuwen's own engine, and words meet pictures. Minutes: the
# emulator takes about 25 s a picture. Needs python3.10.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
work=$build/sophon
mkdir -p "$work"
"$root/tools/tpu_mlir.sh" "$work/tpu_mlir"
"$root/tools/fetch_runtimes.sh" "$work" sophon-emulator
export PATH="$build:$work/tpu_mlir/bin:$PATH"
cd "$root/demo"
TUWEN_MODEL=$work/demo.gguf
export TUWEN_MODEL
tuwen convert clip_cn_demo-vit-ti-16.pt --arch Demo-ViT-Ti-16.json,Demo-BERT.json -o "$TUWEN_MODEL"
tuwen build --target sophon --chip bm1684x --precision f16 -o "$work/demo"
printf 'pictures/%s\n' red-circle.png blue-star.png green-triangle.jpg yellow-heart.png >"$work/pictures"
printf '红色的圆形\n蓝色的五角星\na green triangle\nyellow heart\n' >"$work/texts"
on_chip="--backend sophon --library $work/sophon-emulator --graphs $work/demo"
# shellcheck disable=SC2086
tuwen verify "$TUWEN_MODEL" $on_chip --images "$work/pictures" --texts "$work/texts" --min-cosine 0.9999
# shellcheck disable=SC2086
tuwen similarity $on_chip --text 红色的圆形 --text "a green triangle" pictures/red-circle.png pictures/green-triangle.jpg
# shellcheck disable=SC2086
tuwen classify $on_chip --labels "$work/texts" --template '{}' --top-k 1 pictures/blue-star.png
