#!/usr/bin/env python3
"""Writes tests/fuzz/torch/corpus: small torch checkpoints, honest and hostile. Needs only Python's
standard library; the same files come out every time.

usage: python3 dev/make_torch_corpus.py [FOLDER]
"""
import io
import pathlib
import pickle
import struct
import sys
import zipfile

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / "tests/fuzz/torch/corpus")
FLOATS = struct.pack("<16f", *range(16))
MAGIC = 0x1950A86A20F9469CFC6C


def text(s):
    b = s.encode()
    return b"X" + struct.pack("<I", len(b)) + b


def integer(i):
    return b"J" + struct.pack("<i", i)


def glob(module, name):
    return f"c{module}\n{name}\n".encode()


def module(name, members):
    return glob("__torch__.m", name) + b")\x81}(" + members + b"ub"


def counts(*values):
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(kind="FloatStorage", key="0", n=16, tail=b""):
    return (b"(" + text("storage") + glob("torch", kind) + text(key) + text("cpu") + integer(n) +
            tail + b"tQ")


ORDERED_DICT = glob("collections", "OrderedDict") + b")R"


def tensor(shape=(4, 4), stride=(4, 1), offset=0, **kw):
    return (glob("torch._utils", "_rebuild_tensor_v2") + b"(" + storage(**kw) + integer(offset) +
            counts(*shape) + counts(*stride) + b"\x89" + ORDERED_DICT + b"tR")


def members(**kw):
    return b"(" + b"".join(text(k) + v for k, v in kw.items()) + b"u"


def root(**kw):
    return b"\x80\x02}" + members(**kw) + b"."


def state_dict(**kw):
    """OrderedDict with torch's _metadata attribute."""
    return (ORDERED_DICT + members(**kw) + b"}" + text("_metadata") + ORDERED_DICT + b"sb")


def archive(data_pkl, extra=(), name="a", method=zipfile.ZIP_STORED, data=FLOATS):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for member, content in [("data.pkl", data_pkl), ("data/0", data), *extra]:
            z.writestr(zipfile.ZipInfo(f"{name}/{member}", (1980, 1, 1, 0, 0, 0)), content,
                       compress_type=method if member == "data.pkl" else zipfile.ZIP_STORED)
    return out.getvalue()


def wide(plain):
    """The same archive with a 64-bit end record and a saturated plain one."""
    body, end = plain[:-22], plain[-22:]
    n, size, offset = struct.unpack("<HII", end[10:20])
    end64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, n, n, size, offset)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, len(body), 1)
    return (body + end64 + locator + b"PK\5\6" +
            struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0))


def legacy(obj, storages, little=True):
    head = b"".join(pickle.dumps(v, 2) for v in (
        MAGIC, 1001, {"protocol_version": 1001, "little_endian": little, "type_sizes": {"int": 4}}))
    tail = b"".join(struct.pack("<q", n) + data for _, n, data in storages)
    return head + obj + pickle.dumps([k for k, _, _ in storages], 2) + tail


def files():
    w = tensor()
    yield "zip_plain.pt", archive(root(w=w))
    yield "zip_wide.pt", wide(archive(root(w=w)))
    yield "zip_checkpoint.pt", wide(archive(
        root(epoch=integer(3), name=text("名"), state_dict=state_dict(**{
            "module.w": w, "module.t": tensor((3, 4), (1, 4), 1),
            "module.s": tensor((), (), 15), "module.e": tensor((0, 3), (3, 1))}),
            optimizer=b"}" + members(state=tensor(key="9"))),
        [("version", "3\n"), ("byteorder", "little")]))
    for kind, n in [("HalfStorage", 32), ("BFloat16Storage", 32), ("DoubleStorage", 8),
                    ("LongStorage", 8), ("IntStorage", 16), ("ShortStorage", 32),
                    ("CharStorage", 64), ("ByteStorage", 64), ("BoolStorage", 64),
                    ("ComplexFloatStorage", 8)]:
        yield f"zip_{kind}.pt", archive(root(w=tensor((8,), (1,), kind=kind, n=n)))
    yield "zip_parameter.pt", archive(root(
        p=glob("torch._utils", "_rebuild_parameter") + b"(" + w + b"\x88" + ORDERED_DICT + b"tR",
        q=glob("torch._utils", "_rebuild_tensor_v3") + b"(" +
        storage("UntypedStorage", n=64) + b"K\0" + counts(16) + counts(1) + b"\x89" +
        ORDERED_DICT + glob("torch", "float32") + b"tR",
        r=glob("torch._tensor", "_rebuild_from_type_v2") + b"(" +
        glob("torch._utils", "_rebuild_tensor_v2") + glob("my", "T") + b"(" + storage() + b"K\0" +
        counts(4) + counts(1) + b"\x89" + ORDERED_DICT + b"t}tR"))
    yield "zip_namespace.pt", archive(root(
        w=w, args=glob("argparse", "Namespace") + b")\x81}" + text("lr") +
        b"G\x3f\xf0\0\0\0\0\0\0sb", s=glob("__builtin__", "set") + b"](K\1K\2e\x85R",
        big=b"\x8a\x09\1\2\3\4\5\6\7\x08\x09", l=b"](NK\1M\0\1e", b=b"\x88"))
    yield "zip_protocol4.pt", archive(
        b"\x80\x04\x95\x05\0\0\0\0\0\0\0}\x94(\x8c\x01w\x94" + w +
        b"\x8c\x01b\x94B\2\0\0\0zz\x8c\x01s\x8f(K\1\x90\x8c\x01f(K\1\x91"
        b"\x8c\x01g\x8c\x03pkg\x8c\x01C\x93)\x81h\x02\x8d\1\0\0\0\0\0\0\0xu.")
    yield "zip_system.pt", archive(b"\x80\x02cposix\nsystem\n" + text("id") + b"\x85R.")
    yield "zip_cycle.pt", archive(b"\x80\x02}q\0(" + text("state_dict") + b"h\0" + text("l") +
                                  b"]q\1h\1au.")
    yield "zip_laughs.pt", archive(b"}" + b"2\x86" * 64 + b".")
    yield "zip_deep.pt", archive(b"]" * 500 + b"a" * 499 + b".")
    yield "zip_marks.pt", archive(b"(" * 500)
    yield "zip_memo.pt", archive(b"}r\xff\xff\xff\x00.")
    yield "zip_outside.pt", archive(root(w=tensor(offset=1)))
    yield "zip_stride0.pt", archive(root(w=tensor((2**20, 2**20), (0, 0))))
    yield "zip_short_member.pt", archive(root(w=w), data=FLOATS[:60])
    yield "zip_missing.pt", archive(root(w=tensor(key="7")))
    yield "zip_twice.pt", archive(b"\x80\x02}(" + (text("w") + w) * 2 + b"u.")
    yield "zip_deflated.pt", archive(root(w=w), method=zipfile.ZIP_DEFLATED)
    yield "zip_torchscript.pt", archive(root(w=w), [("constants.pkl", "x")])
    inner = module("Linear", text("weight") + w + text("training") + b"\x88")
    yield "zip_module.pt", archive(b"\x80\x02" + module("Model", text("scale") + integer(3) +
                                   text("a") + inner + text("b") + inner) + b".")
    yield "zip_module_cycle.pt", archive(b"\x80\x02" + glob("__torch__", "M") + b")\x81q\0}(" +
                                         text("self") + b"h\0" + text("again") + b"h\0ub.")
    laughs = inner
    for _ in range(12):
        laughs = module("List", text("0") + laughs + b"q\1" + b"".join(
            text(str(i)) + b"h\1" for i in range(1, 10)))
    yield "zip_module_laughs.pt", archive(b"\x80\x02" + laughs + b".")
    yield "zip_module_no_state.pt", archive(b"\x80\x02" + glob("__torch__", "M") + b")\x81K\1b.")
    yield "zip_big_endian.pt", archive(root(w=w), [("byteorder", "big")])
    yield "zip_truncated.pt", archive(root(w=w))[:-30]
    yield "zip_python2.pt", archive(
        b"\x80\x02" + glob("collections", "OrderedDict") + b"](](U\1w" + w + b"ee\x85R.")
    obj = root(w=tensor(key="k0"), i=tensor((3,), (1,), kind="LongStorage", key="k1", n=3))
    tail = [("k0", 16, FLOATS), ("k1", 3, struct.pack("<3q", 1, 2, 3))]
    yield "legacy.pt", legacy(obj, tail)
    yield "legacy_view.pt", legacy(
        root(w=tensor((2,), (1,), key="k0", tail=b"(U\1vK\2K\2t")), tail[:1])
    yield "legacy_module.pt", legacy(root(w=tensor(key="k0"), m=b"(" + text("module") + b"NtQ"),
                                     tail[:1])
    yield "legacy_big_endian.pt", legacy(obj, tail, little=False)
    yield "legacy_truncated.pt", legacy(obj, tail)[:-9]
    yield "plain_pickle.pkl", pickle.dumps({"a": [1, 2.0, "x", None]}, 2)


OUT.mkdir(parents=True, exist_ok=True)
total = 0
for file_name, content in files():
    (OUT / file_name).write_bytes(content)
    total += len(content)
print(f"{OUT}: {total} bytes")
