#!/bin/sh
# Compiles a model file's towers for a SOPHON chip: compile_bmodel.sh MODEL.gguf PREFIX [F16] [BATCH…]
# PREFIX.img.bmodel and PREFIX.txt.bmodel of each BATCH (1), the largest first, as the runtime wants.
# Needs tuwen, and in PATH the bin/ folder of tools/tpu_mlir.sh.
# TUWEN, TOWERS ("img txt"), CHIP (bm1684x), CONTEXT_LENGTH (52) and SPLIT (not
# empty: the text tower, TOWERS=txt, ends in rows of tokens) may be set.
set -eu
model=$(realpath "$1")
prefix=$(realpath -m "$2")
mode=${3:-F16}
shift 2
[ $# -eq 0 ] || shift
batches=$(printf '%s\n' "${@:-1}" | sort -nr)
tuwen=${TUWEN:-tuwen}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

for tower in ${TOWERS:-img txt}; do
    files=
    for batch in $batches; do
        # Weight files are named after the net: a folder for each batch.
        mkdir "$tower$batch"
        cd "$tower$batch"
        "$tuwen" export "$model" -o m --batch "$batch" --context-length "${CONTEXT_LENGTH:-52}" \
            ${SPLIT:+--no-text-projection --text-only} >/dev/null
        python3 - "m.$tower.fp32.onnx" <<'END'
import sys, numpy, onnx
g = onnx.load(sys.argv[1], load_external_data=False).graph.input[0]
shape = [d.dim_value for d in g.type.tensor_type.shape.dim]
r = numpy.random.default_rng(1)
x = r.standard_normal(shape, dtype=numpy.float32) if len(shape) == 4 else r.integers(1, 99, shape)
numpy.savez("in.npz", **{g.name: x})
open("shape", "w").write(str([shape]))
END
        model_transform.py --model_name "tuwen_$tower" --model_def "m.$tower.fp32.onnx" --input_shapes "$(cat shape)" \
            --test_input in.npz --test_result top.npz --mlir m.mlir >log 2>&1 || { tail -n 20 log; exit 1; }
        model_deploy.py --mlir m.mlir --quantize "$mode" --chip "${CHIP:-bm1684x}" --skip_validation \
            --model m.bmodel >log 2>&1 || { tail -n 20 log; exit 1; }
        cd ..
        files="$files $tower$batch/m.bmodel"
    done
    # shellcheck disable=SC2086
    set -- $files
    if [ $# -gt 1 ]; then
        model_tool --combine "$@" -o "$prefix.$tower.bmodel" >log 2>&1 || { tail -n 20 log; exit 1; }
    else
        mv "$1" "$prefix.$tower.bmodel"
    fi
    ls -l "$prefix.$tower.bmodel"
done
