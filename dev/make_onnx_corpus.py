#!/usr/bin/env python3
"""Writes tests/fuzz/onnx/corpus: small ONNX models, honest and hostile. Needs only Python's standard
library; the same files come out every time. A side file "side" of 4096 bytes lies beside them when
they are read.

usage: python3 dev/make_onnx_corpus.py [FOLDER]
"""
import pathlib
import struct
import sys

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / "tests/fuzz/onnx/corpus")
F32, I64, F16 = 1, 7, 10


def varint(v):
    v &= (1 << 64) - 1
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def num(field, v):
    return varint(field << 3) + varint(v)


def sub(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def f32(field, v):
    return varint(field << 3 | 5) + struct.pack("<f", v)


def entry(key, value):
    return sub(1, key) + sub(2, value)


def floats(n, v=0.25):
    return struct.pack(f"<{n}f", *[v] * n)


def tensor(name, dims, data=None, kind=F32, extra=b"", packed=False):
    """data: bytes; None: f32 of 0.25."""
    n = 1
    for d in dims:
        n *= d
    if data is None:
        data = floats(n)
    shape = sub(1, b"".join(map(varint, dims))) if packed else b"".join(num(1, d) for d in dims)
    raw = b"" if data == b"" and extra else sub(9, data)
    return shape + num(2, kind) + sub(8, name) + raw + extra


def aside(name, dims, location="side", offset=0, length=None, kind=F32):
    e = sub(13, entry("location", location)) + sub(13, entry("offset", str(offset)))
    if length is not None:
        e += sub(13, entry("length", str(length)))
    return tensor(name, dims, b"", kind, e + num(14, 1))


def node(op, inputs, output, attrs=b""):
    return (b"".join(sub(1, i) for i in inputs) + sub(2, output) + sub(3, output) + sub(4, op) + attrs)


def scalar(output, v, kind=F32):
    data = struct.pack("<f", v) if kind == F32 else struct.pack("<e", v)
    attr = sub(1, "value") + sub(5, tensor("", [], data, kind)) + num(20, 4)
    return node("Constant", [], output, sub(5, attr))


def port(name, dims, kind=F32):
    shape = b"".join(sub(1, num(1, d) if isinstance(d, int) else sub(2, d)) for d in dims)
    return sub(1, name) + sub(2, sub(1, num(1, kind) + sub(2, shape)))


def model(nodes, tensors, inputs, metadata=(), before=b"", after=b""):
    graph = (b"".join(sub(1, n) for n in nodes) + sub(2, "g") + b"".join(sub(5, t) for t in tensors)
             + b"".join(sub(11, i) for i in inputs))
    return (num(1, 7) + sub(2, "corpus") + before + sub(7, graph) + sub(8, num(2, 13))
            + b"".join(sub(14, entry(k, v)) for k, v in metadata) + after)


IMAGE = port("image", [1, 3, 8, 8])
TEXT = port("text", [1, 6], I64)


def attention(prefix):
    """softmax(q / 2) and a QuickGELU, as facts.c looks for them."""
    return [scalar(prefix + "c2", 2.0), node("Div", [prefix + "q", prefix + "c2"], prefix + "d"),
            node("MatMul", [prefix + "d", prefix + "k"], prefix + "s"),
            node("Softmax", [prefix + "s"], prefix + "p"), scalar(prefix + "c1702", 1.702),
            node("Mul", [prefix + "p", prefix + "c1702"], prefix + "m"),
            node("Sigmoid", [prefix + "m"], prefix + "g")]


def vit(width=8):
    block = "visual.transformer.resblocks.0."
    shapes = {"visual.class_embedding": [width], "visual.positional_embedding": [5, width],
              "visual.proj": [width, 4], "visual.conv1.weight": [width, 3, 4, 4],
              "visual.ln_pre.weight": [width], "visual.ln_pre.bias": [width],
              block + "attn.in_proj_weight": [3 * width, width], block + "attn.in_proj_bias": [3 * width],
              block + "attn.out_proj.weight": [width, width], block + "attn.out_proj.bias": [width],
              block + "ln_1.weight": [width], block + "ln_1.bias": [width],
              block + "mlp.c_fc.weight": [4 * width, width], block + "mlp.c_fc.bias": [4 * width],
              block + "mlp.c_proj.weight": [width, 4 * width], block + "mlp.c_proj.bias": [width],
              block + "ln_2.weight": [width], block + "ln_2.bias": [width],
              "visual.ln_post.weight": [width], "visual.ln_post.bias": [width]}
    return attention("a") + [scalar("eps", 1e-5), node("Add", ["v", "eps"], "ve"),
                             node("Sqrt", ["ve"], "std")], [tensor(k, v) for k, v in shapes.items()]


def bert():
    layer = "bert.encoder.layer.0."
    biases = {"attention.self.query": [4, 4], "attention.self.key": [4, 4], "attention.self.value": [4, 4],
              "attention.output.dense": [4, 4], "intermediate.dense": [4, 8], "output.dense": [8, 4]}
    tensors = [tensor("text_projection", [4, 4]), tensor("bert.embeddings.word_embeddings.weight", [9, 4]),
               tensor("bert.embeddings.position_embeddings.weight", [8, 4]),
               tensor("bert.embeddings.token_type_embeddings.weight", [2, 4])]
    for norm in ["bert.embeddings.", layer + "attention.output.", layer + "output."]:
        tensors += [tensor(norm + "LayerNorm.weight", [4]), tensor(norm + "LayerNorm.bias", [4])]
    nodes = [node("Erf", ["x"], "erf")]
    for i, (name, shape) in enumerate(biases.items()):
        tensors += [tensor(f"onnx::MatMul_{i}", shape), tensor(f"{layer}{name}.bias", shape[1:])]
        nodes += [node("MatMul", ["x", f"onnx::MatMul_{i}"], f"y{i}"),
                  node("Add", [f"{layer}{name}.bias", f"y{i}"], f"z{i}")]
    return nodes, tensors


def resnet(cycle=False):
    tensors = [tensor("visual.attnpool.positional_embedding", [2, 64])]
    for p, shape in [("q", [64, 64]), ("k", [64, 64]), ("v", [64, 64]), ("c", [4, 64])]:
        tensors += [tensor(f"visual.attnpool.{p}_proj.weight", shape),
                    tensor(f"visual.attnpool.{p}_proj.bias", shape[:1])]
    nodes, count = [node("Cast", ["image"], "cast")], [100]

    def conv(x, out, inside, side):
        c = count[0]
        count[0] += 1
        tensors.extend([tensor(f"onnx::Conv_{c}", [out, inside, side, side]), tensor(f"{c}", [out])])
        nodes.append(node("Conv", [x, f"onnx::Conv_{c}", f"{c}"], f"conv{c}"))
        return f"conv{c}"

    def relu(x):
        nodes.append(node("Relu", [x], x + "r"))
        return x + "r"

    def pool(x):
        nodes.append(node("AveragePool", [x], x + "p"))
        return x + "p"

    x = relu(conv("cast", 1, 3, 3))
    x = relu(conv(x, 1, 1, 3))
    x = pool(relu(conv(x, 2, 1, 3)))
    inside = 2
    for stage in range(4):
        planes = 2 << stage
        y = relu(conv(x, planes, inside, 1))
        y = pool(relu(conv(y, planes, planes, 3)))
        y = conv(y, 4 * planes, planes, 1)
        s = conv(pool(x), 4 * planes, inside, 1)
        nodes.append(node("Add", [y, s] if stage % 2 else [s, y], f"sum{stage}"))
        x, inside = relu(f"sum{stage}"), 4 * planes
    if cycle:
        nodes[0] = node("Cast", [x], "cast")
    nodes.reverse()  # the converter to f16 leaves lists unsorted
    return nodes, tensors


OWN = ([node("LayerNormalization", ["x", "v.pre_ln.weight", "v.pre_ln.bias"], "v.pre_ln.out",
             sub(5, sub(1, "epsilon") + f32(2, 1e-6) + num(20, 1))),
        node("Conv", ["x", "v.stem.1.weight", "v.stem.1.bias"], "v.stem.1.out"),
        node("Erf", ["x"], "t.blk.0.act.erf")] + attention("v."),
       [tensor("v.class_embd", [1, 1, 8]), tensor("v.pre_ln.weight", [8]), tensor("v.pre_ln.bias", [8]),
        tensor("visual_projection.weight.T", [8, 4]), tensor("v.stem.1.weight", [2, 3, 3, 3]),
        tensor("v.stem.1.bias", [2]), tensor("t.token_embd.weight", [9, 4]), tensor("t.mask", [6, 6]),
        tensor("logit_scale.exp", [])])
LINES = [("tuwen.logit_scale", "4.5"), ("tuwen.image_mean", "0.5,0.5,0.5"), ("tuwen.image_std", "0.25,0.25,0.25"),
         ("tuwen.recipe.resize_mode", "shortest"), ("tuwen.recipe.interpolation", "bicubic"),
         ("tuwen.recipe.resampler", "classic"), ("tuwen.recipe.rgb_order", "first"),
         ("tuwen.recipe.crop_rounding", "floor"), ("tuwen.context_length", "6"), ("tuwen.tokenizer.variant", "open_clip")]
A = tensor("visual.a", [4])


def one(*tensors, nodes=(), inputs=(IMAGE,), **more):
    return model(nodes, tensors, inputs, **more)


FILES = {
    "vit": model(*vit(), [IMAGE]),
    "bert": model(*bert(), [TEXT]),
    "resnet": model(*resnet(), [IMAGE]),
    "resnet_cycle": model(*resnet(True), [IMAGE]),
    "own": model(*OWN, [IMAGE, TEXT], LINES),
    "own_bad_lines": model(*OWN, [IMAGE, TEXT], [("tuwen.logit_scale", "4.5]"), ("tuwen.context_length", "x")]),
    "aside": one(aside("visual.a", [4], offset=1, length=16), aside("visual.b", [3], offset=17, kind=F16)),
    "aside_overlap": one(aside("visual.a", [4], offset=0), aside("visual.b", [4], offset=8)),
    "aside_outside": one(aside("visual.a", [1024], offset=4)),
    "aside_huge_offset": one(aside("visual.a", [4], offset=(1 << 64) - 8)),
    "aside_length": one(aside("visual.a", [4], length=8)),
    "aside_parent": one(aside("visual.a", [4], "../side")),
    "aside_absolute": one(aside("visual.a", [4], "/etc/passwd")),
    "aside_dots": one(aside("visual.a", [4], "..")),
    "aside_folder": one(aside("visual.a", [4], ".")),
    "aside_missing": one(aside("visual.a", [4], "nowhere")),
    "aside_number": one(aside("visual.a", [4], offset="-4")),
    "alias": one(A, nodes=[node("Identity", ["visual.a"], "visual.b"), node("Identity", ["visual.b"], "visual.c")]),
    "typed_floats": one(tensor("visual.a", [2], b"", extra=sub(4, floats(2)))),
    "typed_floats_loose": one(tensor("visual.a", [2], b"", extra=f32(4, 1) + f32(4, 2))),
    "typed_half": one(tensor("visual.a", [3], b"", F16, sub(5, varint(0x3C00) * 2) + num(5, 0x4000))),
    "typed_half_short": one(tensor("visual.a", [9], b"", F16, sub(5, varint(0x3C00) * 2))),
    "typed_half_long": one(tensor("visual.a", [1], b"", F16, sub(5, varint(0x3C00) * 2))),
    "packed_dims": one(tensor("visual.a", [2, 2], packed=True)),
    "empty_extent": one(tensor("visual.a", [0, 7], b""), A.replace(b"visual.a", b"visual.b")),
    "negative_extent": one(tensor("visual.a", [-2, -2], floats(4))),
    "product": one(tensor("visual.a", [1 << 32, 1 << 32, 4], floats(4))),
    "many_dims": one(tensor("visual.a", [1] * 9, floats(1))),
    "float8": one(tensor("visual.a", [4], bytes(4), 17)),
    "short_raw": one(tensor("visual.a", [8], floats(4))),
    "twice": one(A, A),
    "two_makers": one(A, nodes=[node("Relu", ["image"], "x"), node("Relu", ["image"], "x")]),
    "self": one(A, nodes=[node("Identity", ["x"], "x"), node("Softmax", ["x"], "y"),
                          node("Relu", ["r"], "r"), node("Softmax", ["r"], "s")]),
    "unnamed": one(tensor("onnx::MatMul_7", [4, 4])),
    "used_twice": one(tensor("onnx::MatMul_7", [4, 4]), tensor("bert.a.bias", [4]), tensor("bert.b.bias", [4]),
                      nodes=[node("MatMul", ["x", "onnx::MatMul_7"], "y"), node("Add", ["y", "bert.a.bias"], "p"),
                             node("Add", ["bert.b.bias", "y"], "q")], inputs=(TEXT,)),
    "tanh": one(A, nodes=[node("Tanh", ["image"], "x")]),
    "silu": one(A, nodes=[node("Sigmoid", ["image"], "x")]),
    "heads_differ": one(A, nodes=attention("a") + [scalar("c", 4.0), node("Div", ["q", "c"], "e"),
                                                   node("Softmax", ["e"], "f")]),
    "subgraph": one(A, nodes=[node("If", ["image"], "x", sub(5, sub(1, "then_branch") + sub(6, b"")))]),
    "hugging_face": one(A, inputs=[port("input_ids", ["n", "l"], I64), port("pixel_values", [1, 3, 8, 8]),
                                   port("attention_mask", ["n", "l"], I64)]),
    "no_input": one(A, inputs=()),
    "initializer_as_input": one(A, inputs=(IMAGE, port("visual.a", [4]))),
    "no_graph": num(1, 7) + sub(2, "corpus") + sub(8, num(2, 13)),
    "two_graphs": one(A, after=sub(7, b"")),
    "graph_as_number": num(1, 7) + sub(2, "corpus") + num(7, 3),
    "deep": one(A, after=sub(99, sub(99, sub(99, sub(99, b"")))), nodes=[]),
    "group": num(1, 7) + sub(2, "corpus") + varint(7 << 3 | 3),
    "field_0": num(1, 7) + sub(2, "corpus") + num(0, 1),
    "long_varint": num(1, 7) + sub(2, "corpus") + b"\x38" + b"\xff" * 11,
    "beyond": num(1, 7) + sub(2, "corpus") + varint(7 << 3 | 2) + varint(1 << 40),
    "cut": model(*vit(), [IMAGE])[:2000],
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in FILES.items():
    (OUT / f"{name}.onnx").write_bytes(data)
