#!/bin/sh
# --precision int8: what is really used is said, features are near those of f32 and independent of
# threads and batch, and what has no int8 is refused.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
printf '%s\n' 杰尼龟 妙蛙种子 一只狗在草地上跑 皮卡丘 'a photo of a cat, seen from the side' >texts

run embed -m model.gguf "$pictures" -o f32.npy
run embed -m model.gguf "$pictures" -o int8.npy --precision int8 --json
check "int8 runs" both 'status_is 0' '[ "$(npy_shape int8.npy)" = "8, 32" ]'
# Where there is an instruction for bf16, attention goes by it and says so.
attention="\(attention's in bf16, \)\{0,1\}"
check "standard error says it" says "cpu .*, int8, products of the blocks, ${attention}all else f32, .* threads\{0,1\}, batch 8; "
check "so does --json" prints '"precision": "int8", "detail": "products of the blocks, .*all else f32, '
check "it is another computation than f32" eval '! cmp -s int8.npy f32.npy'
for options in "-b 1" "-b 3" "-t 1" "-t 3 -b 64"; do
    # shellcheck disable=SC2086
    run embed -m model.gguf "$pictures" $options --precision int8 -o other.npy
    check "pictures: the same to the bit with $options" cmp -s int8.npy other.npy
done
run embed -m model.gguf --texts texts -o texts.npy --precision int8
for options in "-b 1" "-b 3 -t 1" "-t 3"; do
    # shellcheck disable=SC2086
    run embed -m model.gguf --texts texts $options --precision int8 -o other.npy
    check "texts: the same to the bit with $options" cmp -s texts.npy other.npy
done

# Every table quantises alike; what differs is the rest, in the last bits of f32, and where such a bit
# moves a value over the edge of a step: one of 255.
for isa in ref avx2 avxvnni avx512 avx512vnni neon neondot neoni8mm; do
    TUWEN_CPU=$isa "$TUWEN" verify model.gguf --against model.gguf --b-precision f32 --precision int8 --min-cosine 0.999 >out 2>err
    status=$?
    check "near f32 with TUWEN_CPU=$isa" both 'status_is 0' 'says ", int8, .*batch"'
    check "and attention is f32" both 'says ", int8, products of the blocks, all else f32, "' '! says "in bf16"'
    TUWEN_CPU=$isa "$TUWEN" embed -m model.gguf "$pictures" -o other.npy --precision int8 >out 2>err
    status=$?
    check "near the best table with TUWEN_CPU=$isa" npy_close other.npy int8.npy 1e-2
done
run verify model.gguf --against model.gguf --b-precision int8 --min-cosine 0.9999999
check "but not the same as f32" both 'status_is 1' 'prints "^disagree"'

# Every verb that computes.
run bench -m model.gguf --n 2 --warmup 0 --precision int8 --json
check "bench" both 'status_is 0' 'prints "\"precision\": \"int8\""'
run similarity -m model.gguf --text 猫 --text 狗 "$pictures/red-circle.png" --precision int8
check "similarity" both 'status_is 0' 'says ", int8, "'

# Towers and backends without it.
rn=$TUWEN_SOURCE/tests/data/checkpoints/tiny_cn_rn
"$TUWEN" convert "$rn/clip_cn_tiny-rn.pt" --arch "$rn/tiny-rn.json,$rn/tiny-rbt.json" -o rn.gguf >out 2>err
refused "a ResNet alone" 1 "a ResNet image tower is computed in f32 only" x.npy embed -m rn.gguf "$pictures" -o x.npy --precision int8
run embed -m rn.gguf "$pictures" -o x.npy --precision int8 --allow-fallback
check "unless that is allowed, and then it says f32" both 'status_is 0' 'says ", f32, .*batch"'
run embed -m rn.gguf --texts texts -o x.npy --precision int8
check "its text tower is computed in int8" both 'status_is 0' 'says ", int8, products of the blocks"'
run similarity -m rn.gguf --text 猫 "$pictures/red-circle.png" --precision int8
check "both: what is int8 is said" both 'status_is 0' \
    'says ", int8, products of the text tower.s blocks, .*all else and the ResNet f32, "'
refused "another backend" 2 "backend onnxruntime has none" x.npy \
    embed -m model.gguf "$pictures" -o x.npy --backend onnxruntime --precision int8
finish
