#!/bin/sh
# The table amx in the whole command. Where the processor has no tiles, build/tests/tuwen_trapped runs
# the same machine code, its tile instructions executed one by one (tests/support/amx_trap.h). Features
# are not those of the other tables to the bit, for bf16 is summed in another order.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
trapped=${TUWEN_BUILD:-$(dirname "$TUWEN")}/tests/tuwen_trapped
"$trapped" doctor >out 2>err
status=$?
if ! prints '^instruction set  *amx (best here: amx)$'; then
    skip "the command with tiles" "the processor has no AVX-512, which all else of the table needs"
    finish
fi
"$TUWEN" doctor >out 2>err
prints '^instruction set  *amx ' && echo "# instruction sets: amx, the processor's own" ||
    echo "# instruction sets: amx (trapped)"

TUWEN_CPU=avx512bf16 "$trapped" doctor >out 2>err
status=$?
check "a cap below it is kept" prints '^instruction set  *avx512bf16 (best here: amx)$'
TEST_AMX=refused "$trapped" doctor >out 2>err
status=$?
check "a system that refuses tiles is said to" \
    both 'status_is 0' 'prints "^instruction set  *avx512bf16 (best here: avx512bf16); amx: the processor has it, the system refuses it"'
TEST_AMX=refused "$trapped" doctor --json >out 2>err
check "--json says so" prints '"isa_best": "avx512bf16", "isa_note": "amx: the processor has it, the system refuses it'
TEST_AMX=refused TUWEN_CPU=amx "$trapped" doctor >out 2>err
check "so is one that was asked for by name" prints '^instruction set  *avx512bf16 (best here: avx512bf16); amx: '

make_model
TEST_AMX=refused TUWEN_CPU=amx "$trapped" embed -m model.gguf "$pictures/red-circle.png" -o x.npy >out 2>err
status=$?
check "and what is used instead" \
    both 'status_is 0' 'says "TUWEN_CPU=amx: the processor has it, the system refuses it to this process, avx512bf16 is used$"'
rn=$TUWEN_SOURCE/tests/data/checkpoints/tiny_cn_rn
demo=$TUWEN_SOURCE/demo
"$TUWEN" convert "$rn/clip_cn_tiny-rn.pt" --arch "$rn/tiny-rn.json,$rn/tiny-rbt.json" -o rn.gguf >out 2>err
"$TUWEN" convert "$demo/clip_cn_demo-vit-ti-16.pt" --arch "$demo/Demo-ViT-Ti-16.json,$demo/Demo-BERT.json" -o demo.gguf >out 2>err

# tiles ARGS…: as run does, with tiles; the same processors.
tiles() {
    "$trapped" "$@" >out 2>err </dev/null
    status=$?
}

# int8 MODEL WHAT…, bf16 MODEL WHAT…: features with tiles and without. The sums of int8 are the same to
# the bit (tests/kernels/), but attention is bf16 in both.
int8() {
    int8_model=$1
    shift
    TUWEN_CPU=avx512bf16 "$TUWEN" embed -m "$int8_model.gguf" "$@" --precision int8 -o int8.npy >out 2>err
    tiles embed -m "$int8_model.gguf" "$@" --precision int8 -o tiles.npy
    check "$int8_model: int8 is near that of avx512bf16: $*" \
        both 'status_is 0 && says "cpu amx, int8, "' 'npy_close int8.npy tiles.npy 1e-2'
}
bf16() {
    bf16_model=$1
    shift
    TUWEN_CPU=avx512bf16 "$TUWEN" embed -m "$bf16_model.gguf" "$@" --precision bf16 -o bf16.npy >out 2>err
    tiles embed -m "$bf16_model.gguf" "$@" --precision bf16 -o tiles.npy
    check "$bf16_model: bf16 is near that of avx512bf16: $*" \
        both 'status_is 0 && says "cpu amx, bf16, "' 'npy_close bf16.npy tiles.npy 1e-2'
}

printf '%s\n' 杰尼龟 '一只狗在草地上跑' 'a photo of a cat' >texts
for model in model rn; do
    [ $model = rn ] || int8 $model "$pictures"
    int8 $model --texts texts
    for what in "$pictures" "--texts texts"; do
        # shellcheck disable=SC2086
        bf16 $model $what
        for options in "-b 1 -t 1" "-b 3 -t 2"; do
            # shellcheck disable=SC2086
            tiles embed -m $model.gguf $what --precision bf16 $options -o other.npy
            check "$model: bf16: the same to the bit with $options: $what" both 'status_is 0' 'cmp tiles.npy other.npy'
        done
    done
    tiles verify $model.gguf --against $model.gguf --b-precision f32 --precision bf16 --min-cosine 0.9995
    check "$model: bf16 is near f32" both 'status_is 0' 'says "cpu amx, bf16, "'
done
# 197 tokens, products of 192 and 768 columns.
int8 demo "$pictures/red-circle.png" "$pictures/blue-star.png"
int8 demo --texts texts
bf16 demo "$pictures/red-circle.png" "$pictures/blue-star.png"
bf16 demo --texts texts
finish
