# Sourced by the tests of backends that run ONNX graphs, after lib.sh and make_model.
# bad_graphs BACKEND LIBRARY: --graphs that do not fit the model, each with its line.
bad_graphs() {
    graphs_backend=$1 graphs_library=$2
    make_graph=$TUWEN_BUILD/tests/make_graph
    "$TUWEN" export model.gguf -o good >/dev/null 2>&1
    "$TUWEN" export model.gguf -o half --precision f16 --external-data >/dev/null 2>&1

    # Names are the graph's own business.
    LC_ALL=C sed 's/image/photo/g' good.img.fp32.onnx >named.img.fp32.onnx
    run embed -m model.gguf "$red" -o engine.npy --no-normalize
    run embed -m model.gguf "$red" -o named.npy --no-normalize --backend "$1" --library "$2" --graphs named
    check "an input of another name" npy_close engine.npy named.npy 1e-5

    other=$TUWEN_SOURCE/tests/data/checkpoints
    "$TUWEN" convert "$other/tiny_cn_rn/clip_cn_tiny-rn.pt" --arch "$other/tiny_cn_rn/tiny-rn.json,$other/tiny_cn_rn/tiny-rbt.json" \
        -o rn.gguf >/dev/null 2>&1
    "$TUWEN" export rn.gguf -o size >/dev/null 2>&1
    bad_graph "pictures of another size" "takes pictures of 3 x 64 x 64, the model's are 3 x 32 x 32" size
    "$TUWEN" convert "$other/tiny_openai_vit/torch113/torchscript.pt" -o openai.gguf >/dev/null 2>&1
    "$TUWEN" export openai.gguf -o wide >/dev/null 2>&1
    bad_graph "features of another length" "gives 48 values for 1 rows, the model's features have 32: .* another model's" wide
    # 8 pictures are 12 rows of 32: nothing but the rows tells.
    rm -f x.npy
    run embed -m model.gguf "$pictures" -b 8 -o x.npy --backend "$1" --library "$2" --graphs wide
    check "also when they are whole rows of the right one" both 'status_is 1' 'says "another model.s graph"'

    "$make_graph" type.img.fp32.onnx image i64 0 3 32 32
    bad_graph "pictures of integers" "input 'image' has another type than f32 or f16" type
    "$make_graph" type.txt.fp32.onnx text f32 0 52
    bad_graph "tokens of fractions" "input 'text' has another type than i64 or i32" type --texts texts
    "$make_graph" rank.img.fp32.onnx image f32 0 3072
    bad_graph "pictures as rows" "input 'image' has 2 extents, expected 4" rank
    "$make_graph" many.img.fp32.onnx image f32 100000 3 32 32
    bad_graph "a batch that nobody has" "takes 100000 rows a run, expected 1 to 4096" many
    "$make_graph" long.txt.fp32.onnx text i64 1 1000000
    bad_graph "a length that nobody has" "takes 1000000 tokens a text, expected 1 to 4096" long --texts texts
    "$make_graph" same.img.fp32.onnx image f32 0 3 32 32
    bad_graph "a graph that gives no features" "gives 3072 values for 1 rows, the model's features have 32" same

    mkdir -p apart
    cp half.img.fp16.onnx apart/
    bad_graph "no side file" "side file is missing" apart/half
    head -c 9000 half.img.fp16.onnx.extra_file >apart/half.img.fp16.onnx.extra_file
    bad_graph "half a side file" "side file is .*cut short" apart/half
    # As many bytes as before, or the lengths around the name would be wrong.
    sed 's,half.img.fp16.onnx.extra_file,../f.img.fp16.onnx.extra_file,g' half.img.fp16.onnx >apart/out.img.fp16.onnx
    mv half.img.fp16.onnx.extra_file f.img.fp16.onnx.extra_file
    bad_graph "a side file outside the folder" "side file outside its folder" apart/out

    printf 'no graph' >text.img.fp32.onnx
    bad_graph "a file of something else" "text.img.fp32.onnx: not an ONNX file" text
    : >empty.img.fp32.onnx
    bad_graph "an empty file" "empty.img.fp32.onnx: the file is empty" empty
    bad_graph "an engine of TensorRT" "x.img.fp16.trt: an engine of TensorRT is not run by itself" x.img.fp16.trt
    : >x.img.fp16.trt
    bad_graph "the prefix of engines" "x.img.fp16.trt: .* --provider tensorrt" x
    bad_graph "an engine by its other name" "x.engine: an engine of TensorRT" x.engine
}

# bad_graph NAME PATTERN GRAPHS [INPUT…]
bad_graph() {
    bad_name=$1 bad_pattern=$2 bad_prefix=$3
    shift 3
    [ $# -gt 0 ] || set -- "$red"
    refused "$bad_name" 1 "$bad_pattern" x.npy embed -m model.gguf "$@" -o x.npy --backend "$graphs_backend" \
        --library "$graphs_library" --graphs "$bad_prefix"
}
