#!/bin/sh
# The backend magicmind on a stand-in for Cambricon's libraries, which computes with tuwen's own
# engine and ends the process at mistakes; `make magicmind` against the stand-in's headers.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
unset TUWEN_MAGICMIND
standin=$TUWEN_BUILD/tests/magicmind
if ! [ -f "$standin/libtuwen_magicmind.so" ]; then
    skip "the backend magicmind" "no C++ compiler when the tests were configured"
    finish
fi
make_model
printf '一只猫\na photo of a dog, seen from the side\n猫\n' >texts
red=$pictures/red-circle.png

# mm FILE LINE…: a "compiled" file of the stand-in.
mm() {
    name=$1
    shift
    { echo standin-mm; echo "model $PWD/model.gguf"; printf '%s\n' "$@" end; } >"$name"
}
image='in image FLOAT32 4 3 32 32' text='in text INT32 2 52'
features4='out features FLOAT32 4 32' features2='out features FLOAT32 2 32'
mm t.img.mm "$image" "$features4"
mm t.txt.mm "$text" "$features2"
magic() { run "$@" --backend magicmind --library "$standin"; }
only_json() { [ "$(wc -l <out)" -eq 1 ] && prints '^{.*}$'; }

magic embed -m model.gguf "$pictures" -o five.npy --graphs t --no-normalize --json
check "pictures on the stand-in" both 'status_is 0' only_json
check "JSON names library, device and rows" prints '"device": "MLU 0".*"runtime": "libtuwen_magicmind.so", "detail": "pictures of 4"'
check "what is used is printed" says "magicmind libtuwen_magicmind.so MLU 0, as compiled, pictures of 4"
run embed -m model.gguf "$pictures" -o cpu.npy --no-normalize
check "they are the engine's, to the bit" npy_close five.npy cpu.npy 0
mm any.img.mm 'in image FLOAT32 -1 3 32 32' 'out features FLOAT32 -1 32'
magic embed -m model.gguf "$pictures" -o any.npy --graphs any.img.mm --no-normalize --device 1
check "any number of rows; one file serves one tower; another device" both 'says "MLU 1, as compiled, pictures of any number"' 'npy_close any.npy cpu.npy 0'
magic embed -m model.gguf --texts texts -o texts.npy --graphs t
run embed -m model.gguf --texts texts -o cpu.npy
check "texts, the last rows filled up" both '[ "$(npy_shape texts.npy)" = "3, 32" ]' 'npy_close texts.npy cpu.npy 0'
magic similarity -m model.gguf --text 猫 --text 狗 "$red" --graphs t --json
check "similarity: both towers" both 'status_is 0' only_json
magic verify model.gguf --graphs t
check "verify compares it with the engine" status_is 0

# what is missing or wrong, and has one line
magic_refused() {
    what=$1 wanted=$2 pattern=$3
    shift 3
    refused "$what" "$wanted" "$pattern" x.npy embed -m model.gguf --backend magicmind \
        --library "$standin" "$red" -o x.npy "$@"
}
magic_refused "no compiled towers" 2 "needs --graphs"
magic_refused "a file that is not there" 1 "none.img.mm" --graphs none
magic_refused "the other tower's file" 2 "not the graph of the image tower" --graphs t.txt.mm
magic_refused "a precision" 2 "were compiled for" --graphs t --precision f16
magic_refused "a provider" 2 "no provider" --graphs t --provider cuda
magic_refused "a device that is not there" 1 "device 2: .* tells of 2" --graphs t --device 2
magic_refused "no number of a device" 2 "expected one number" --graphs t --device GPU
mm wide.img.mm "$image" 'out features FLOAT32 4 33'
magic_refused "features of another width" 1 "'features' is FLOAT32 \[4, 33\], expected f32 or f16 \[4, 32\]" --graphs wide
mm large.img.mm 'in image FLOAT32 4 3 64 64' "$features4"
magic_refused "pictures of another size" 1 "'image' is FLOAT32 \[4, 3, 64, 64\], expected f32 or f16 \[n, 3, 32, 32\]" --graphs large
mm fused.img.mm "$image" 'in text INT32 100 52' 'out logits_per_image FLOAT32 4 100' 'out logits_per_text FLOAT32 100 4'
magic_refused "one graph of both towers" 1 "gives logits, not features; compile each tower by itself" --graphs fused
head -n 3 t.img.mm >cut.img.mm
magic_refused "a file that is cut off" 1 "cut.img.mm: MagicMind refuses: .*the file is cut off" --graphs cut
: >empty.img.mm
magic_refused "an empty file" 1 "the file is empty" --graphs empty
magic_refused "another file" 1 "MagicMind refuses: .*no model of its own" --graphs "$(cp "$red" not.img.mm && echo not)"
STANDIN_FAIL=zeros
export STANDIN_FAIL
magic_refused "a library that computes nothing" 1 "nothing but zeros" --graphs t
STANDIN_FAIL=enqueue
magic_refused "a library that refuses" 1 "Enqueue: it was asked to refuse" --graphs t
unset STANDIN_FAIL

# the layer itself
layer_refused() {
    what=$1 pattern=$2 library=$3
    refused "$what" 1 "$pattern" x.npy embed -m model.gguf --backend magicmind --graphs t "$red" \
        -o x.npy --library "$library"
}
layer_refused "a layer made for another tuwen" "has interface 2, this tuwen wants 1; run 'make magicmind' again" "$standin/other"
layer_refused "a library that is no layer" "not made by 'make magicmind'" "$standin/lib64/libcnrt.so"
mkdir nothing
layer_refused "a folder without the layer" "no libtuwen_magicmind.so\* in this folder" nothing
refused "no layer at all" 1 "libtuwen_magicmind.so is not installed.*made by 'make magicmind'" x.npy \
    embed -m model.gguf --backend magicmind --graphs t "$red" -o x.npy

mkdir neuware
ln -s "$TUWEN_SOURCE/tests/support/magicmind/include" neuware/include
cp -r "$standin/lib64" neuware/lib64
make_layer() {
    make -s -C "$TUWEN_SOURCE" magicmind BUILD="$PWD/made" NEUWARE_HOME="$1" >out 2>err
    status=$?
}
make_layer "$PWD/neuware"
check "make magicmind" both 'status_is 0' '[ -f made/libtuwen_magicmind.so ]'
TUWEN_MAGICMIND=$PWD/made run embed -m model.gguf "$red" -o x.npy --backend magicmind --graphs t
check "what it made runs; the folder from the environment" status_is 0
rm x.npy
TUWEN_MAGICMIND=$PWD/made run doctor
check "doctor lists it" prints 'magicmind  *libtuwen_magicmind.so, devices: 2'
TUWEN_MAGICMIND=$PWD/made STANDIN_DEVICES=0 run doctor
check "doctor says when there is no device" prints 'magicmind  *libtuwen_magicmind.so: cnrtGetDeviceCount: no device'
rm neuware/lib64/libmagicmind_runtime.so
layer_refused "Cambricon's runtime is missing" "libtuwen_magicmind.so: libmagicmind_runtime.so: cannot open shared object file" made
make_layer "$PWD/nowhere"
check "make magicmind without Cambricon's toolkit" both '[ "$status" -ne 0 ]' 'says "no .*/nowhere/include/mm_runtime.h; NEUWARE_HOME names"'
finish
