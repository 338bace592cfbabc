#!/bin/sh
# The backend sophon: on a stand-in for its libraries, which talks on standard output and ends the
# process at mistakes as they do, and, with the emulator's libraries in $TUWEN_SOPHON
# (tools/fetch_runtimes.sh gets them) and the shared files, on real compiled towers.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
emulator=${TUWEN_SOPHON:-}
unset TUWEN_SOPHON
standin=$TUWEN_BUILD/tests/sophon
compiled=${TUWEN_SHARED:-$TUWEN_SOURCE/../shared}/data/goldens/sophon_bmodel
make_model
printf '一只猫\na photo of a dog, seen from the side\n猫\n' >texts
red=$pictures/red-circle.png

bmodel() { "$TUWEN_BUILD/tests/make_bmodel" "$@" || echo "Bail out! make_bmodel $*"; }
bmodel t.img.bmodel img
bmodel t.txt.bmodel txt
sophon() { run "$@" --backend sophon --library "$standin"; }
# Standard output is one JSON document and nothing else.
only_json() { [ "$(wc -l <out)" -eq 1 ] && prints '^{.*}$'; }

sophon embed -m model.gguf "$pictures" -o five.npy --graphs t --no-normalize --json
check "pictures on the stand-in" status_is 0
check "standard output has the JSON alone, whatever the library says" only_json
check "JSON names runtime, chip and batches" prints '"device": "BM1684X 0".*"runtime": "libbmrt.so.1.0", "detail": "pictures of 4 1".*"batch": 4, "image_batches": \[4, 1\]'
check "what is used is printed" says "sophon libbmrt.so.1.0 BM1684X 0, as compiled, pictures of 4 1"
sophon embed -m model.gguf "$pictures" -o one.npy --graphs t.img.bmodel --no-normalize --batch 1
check "batches change nothing; one file serves one tower" npy_close five.npy one.npy 0
sophon embed -m model.gguf "$pictures" -o two.npy --graphs t --no-normalize --device 0,1
check "two devices change nothing" npy_close five.npy two.npy 0
sophon embed -m model.gguf --texts texts -o texts.npy --graphs t
check "texts, the last batch filled up" [ "$(npy_shape texts.npy)" = "3, 32" ]
sophon similarity -m model.gguf --text 猫 --text 狗 "$red" --graphs t --json
check "similarity: both towers on one device" both 'status_is 0' only_json
sophon classify -m model.gguf --labels texts --template '{}' "$red" --graphs t --json
check "classify" both 'status_is 0' only_json
bmodel rows.txt.bmodel rows
sophon embed -m model.gguf --texts texts -o own.npy --graphs rows --no-normalize
check "rows of tokens are projected by the model" says "texts of 2, projected by the model"
run export model.gguf -o rows --no-text-projection --text-only
sophon embed -m model.gguf --texts texts -o array.npy --graphs rows --no-normalize
check "or by the array beside them" both 'says "projected by the array"' 'npy_close own.npy array.npy 0'

# what is missing or wrong, and has one line
sophon_refused() {
    what=$1 wanted=$2 pattern=$3
    shift 3
    refused "$what" "$wanted" "$pattern" x.npy embed -m model.gguf --backend sophon \
        --library "$standin" "$red" -o x.npy "$@"
}
sophon_refused "no compiled towers" 2 "needs --graphs"
sophon_refused "a file that is not there" 1 "none.img.bmodel" --graphs none
sophon_refused "the other tower's file" 1 "'in' is i32 \[2, 52\], expected f32" --graphs t.txt.bmodel
sophon_refused "a precision" 2 "were compiled for" --graphs t --precision f16
sophon_refused "a provider" 2 "no provider" --graphs t --provider cuda
sophon_refused "a device that is not there" 1 "device 2: .* tells of 2" --graphs t --device 2
sophon_refused "no number of a device" 2 "expected up to 16 numbers" --graphs t --device GPU
for fault in "chip compiled for BM1688" "dynamic shapes of any size" "nets 2 nets, expected one" "order largest is combined first"; do
    bmodel bad.img.bmodel img "${fault%% *}"
    sophon_refused "a file with the fault ${fault%% *}" 1 "${fault#* }" --graphs bad
done
head -c 1500 t.img.bmodel >cut.img.bmodel
sophon_refused "a file that is cut off" 1 "cut.img.bmodel: cut off" --graphs cut
head -c 5000 "$red" >not.img.bmodel
sophon_refused "another file" 1 "not a .bmodel file" --graphs not
bmodel zeros.img.bmodel zeros
sophon_refused "a library that computes nothing" 1 "nothing but zeros" --graphs zeros
STANDIN_FAIL=launch
export STANDIN_FAIL
sophon_refused "a library that refuses" 1 "it was asked to refuse" --graphs t
STANDIN_FAIL=assert
sophon embed -m model.gguf "$red" -o x.npy --graphs t
check "a library that ends the process: what it said" both '[ "$status" -eq 255 ]' 'says "ASSERT stand-in: it was asked to fail"'
check "and nothing on standard output" silent
check "and no half-written file" absent x.npy
unset STANDIN_FAIL
refused "a folder without the libraries" 1 "no libbmlib.so that can be opened" x.npy \
    embed -m model.gguf --backend sophon --library . --graphs t "$red" -o x.npy
refused "no such folder" 1 "no such folder of libraries" x.npy \
    embed -m model.gguf --backend sophon --library nowhere --graphs t "$red" -o x.npy
TUWEN_SOPHON=$standin run embed -m model.gguf "$red" -o x.npy --backend sophon --graphs t
check "the folder from the environment" status_is 0

if [ -z "$emulator" ]; then
    skip "running on the emulator" "TUWEN_SOPHON is not set"
    finish
fi
if ! [ -f "$compiled/image_b4.npy" ]; then
    skip "compiled towers on the emulator" "data not present: goldens/sophon_bmodel"
    finish
fi
emulated() { run "$@" --backend sophon --library "$emulator" --graphs "$compiled/$graphs"; }
# cosine A B LIMIT: of each row of 32 of A with B's, at least the limit.
cosine() {
    for file in "$1" "$2"; do
        tail -c "+$(($(npy_header "$file") + 1))" "$file" | od -An -v -t f4 -w128 >"$file.rows"
    done
    paste -d ' ' "$1.rows" "$2.rows" | awk -v limit="$3" '
        {ab = aa = bb = 0; for (i = 1; i <= 32; i++) {ab += $i * $(i + 32); aa += $i ^ 2; bb += $(i + 32) ^ 2}}
        NF != 64 || ab < limit * sqrt(aa * bb) {bad = 1}
        END {exit bad || NR == 0}'
}
# The first row of a file of 32 columns.
first_row() {
    head -c "$(npy_header "$1")" "$1" | sed 's/([0-9]*, 32)/(1, 32)/' >"$2"
    tail -c "+$(($(npy_header "$1") + 1))" "$1" | head -c 128 >>"$2"
}

graphs=tiny_cn_vit_img_f16_b4_b1.bmodel
emulated embed -m model.gguf --pixels "$compiled/image_b4.npy" -o four.npy --no-normalize --json
check "standard output has the JSON alone on the emulator" both 'status_is 0' only_json
check "batch 4: what the emulator gave elsewhere, to the bit" npy_close four.npy "$compiled/emulator_f16_b4.npy" 0
check "batch 4: cosine to ONNX Runtime" cosine four.npy "$compiled/onnx_unnorm_image_features_b4.npy" 0.999997
emulated embed -m model.gguf --pixels "$compiled/image_b4.npy" -o single.npy --no-normalize --batch 1
first_row single.npy first.npy
check "batch 1: what the emulator gave elsewhere, to the bit" npy_close first.npy "$compiled/emulator_f16_b1.npy" 0
check "batch 1: cosine to ONNX Runtime" cosine single.npy "$compiled/onnx_unnorm_image_features_b4.npy" 0.999997
graphs=tiny_cn_vit_img_int8io_b1.bmodel
emulated embed -m model.gguf --pixels "$compiled/image_b4.npy" -o int8.npy --no-normalize
first_row int8.npy first.npy
tail -c 32 "$compiled/emulator_int8_b1.npy" | od -An -v -t d1 -w1 | awk '{printf "%.7f\n", $1 * 0.0217689}' >expected
tail -c 128 first.npy | od -An -v -t f4 -w4 | paste - expected >pairs
int8_equal() { awk '{d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5) bad = 1} END {exit bad || NR != 32}' pairs; }
check "int8 in and out: what the emulator gave elsewhere" int8_equal
emulated embed -m model.gguf "$red" -o x.npy --device 1
check "a device that the emulator lacks" fails_saying 1 "device 1"
graphs=tiny_cn_vit_img_f16_b4_b1.bmodel
emulated embed -m model.gguf "$red" "$pictures/blue-star.png" -o pictures.npy
run embed -m model.gguf "$red" "$pictures/blue-star.png" -o cpu.npy
check "pictures: cosine to the CPU engine" cosine pictures.npy cpu.npy 0.99999
finish
