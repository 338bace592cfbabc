#!/bin/sh
# --precision bf16: what is really used is said, on every instruction set; features are near those of
# f32 and independent of threads and batch; a model file of bf16 gives what one of f32 does.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
printf '%s\n' 杰尼龟 妙蛙种子 一只狗在草地上跑 皮卡丘 'a photo of a cat, seen from the side' >texts
rn=$TUWEN_SOURCE/tests/data/checkpoints/tiny_cn_rn
"$TUWEN" convert "$rn/clip_cn_tiny-rn.pt" --arch "$rn/tiny-rn.json,$rn/tiny-rbt.json" -o rn.gguf >out 2>err

for model in model rn; do
    run embed -m $model.gguf "$pictures" -o f32.npy
    run embed -m $model.gguf "$pictures" -o bf16.npy --precision bf16 --json
    check "$model: bf16 runs" both 'status_is 0' '[ "$(npy_shape bf16.npy)" = "8, $(npy_shape f32.npy | sed "s,.* ,,")" ]'
    check "$model: standard error says it" says "cpu .*, bf16, products of .*blocks, .*sums and all else f32, .* threads\{0,1\}, batch 8; "
    check "$model: so does --json" prints '"precision": "bf16", "detail": "products of .*blocks, '
    check "$model: it is another computation than f32" eval '! cmp -s bf16.npy f32.npy'
    for options in "-b 1" "-b 3" "-t 1" "-t 3 -b 64"; do
        # shellcheck disable=SC2086
        run embed -m $model.gguf "$pictures" $options --precision bf16 -o other.npy
        check "$model: pictures: the same to the bit with $options" cmp -s bf16.npy other.npy
    done
    run embed -m $model.gguf --texts texts -o texts.npy --precision bf16
    for options in "-b 1" "-b 3 -t 1" "-t 3"; do
        # shellcheck disable=SC2086
        run embed -m $model.gguf --texts texts $options --precision bf16 -o other.npy
        check "$model: texts: the same to the bit with $options" cmp -s texts.npy other.npy
    done
    # Every table rounds alike; what differs is the last bits of f32, and where such a bit moves a
    # value over the edge of a step: 2^-8 of it.
    for isa in ref avx2 avxvnni avx512 avx512vnni avx512bf16 amx neon; do
        TUWEN_CPU=$isa "$TUWEN" verify $model.gguf --against $model.gguf --b-precision f32 --precision bf16 --min-cosine 0.9995 >out 2>err
        status=$?
        check "$model: near f32 with TUWEN_CPU=$isa" both 'status_is 0' 'says ", bf16, .*batch"'
        check "$model: TUWEN_CPU=$isa says how" eval \
            'says "cpu \(avx512bf16\|amx\), bf16, .*attention.s too, .* f32, [0-9]* thread" || says "cpu ref, bf16, .*, summed in f64, [0-9]* thread" ||
             says "cpu [a-z0-9]*, bf16, .*, widened to f32, [0-9]* thread"'
        TUWEN_CPU=$isa "$TUWEN" embed -m $model.gguf "$pictures" -o other.npy --precision bf16 >out 2>err
        status=$?
        check "$model: near the best table with TUWEN_CPU=$isa" npy_close other.npy bf16.npy 1e-2
    done
    run verify $model.gguf --against $model.gguf --b-precision bf16 --min-cosine 0.99999999
    check "$model: but not the same as f32" both 'status_is 1' 'prints "^disagree"'
done

# Weights that are bf16 already are packed as they are: the same as widened to f32 and rounded again.
run convert model.gguf --precision bf16 -o stored.gguf
run convert stored.gguf --precision f32 -o widened.gguf
for what in "$pictures" "--texts texts"; do
    # shellcheck disable=SC2086
    run embed -m stored.gguf $what --precision bf16 -o a.npy
    # shellcheck disable=SC2086
    run embed -m widened.gguf $what --precision bf16 -o b.npy
    check "a model file of bf16 gives what one of f32 does: $what" both 'status_is 0' 'cmp -s a.npy b.npy'
done

run bench -m model.gguf --n 2 --warmup 0 --precision bf16 --json
check "bench" both 'status_is 0' 'prints "\"precision\": \"bf16\""'
run similarity -m rn.gguf --text 猫 --text 狗 "$pictures/red-circle.png" --precision bf16
check "similarity" both 'status_is 0' 'says ", bf16, "'
refused "f16" 2 "backend cpu computes in f32, bf16 or int8" x.npy embed -m model.gguf "$pictures" -o x.npy --precision f16
finish
