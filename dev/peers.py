"""What dev/bench_peers.py times: tuwen, ONNX Runtime, OpenVINO and PyTorch, each with the same two calls, and how each
one's files are made from a model file. A side runs in a process of its own (serve), which loads nothing of the others."""
import ctypes
import importlib
import os
import pathlib
import time

import numpy as np

# ------------------------------------------------------------------------------------------------- sides


class Tuwen:
    """The few calls of include/tuwen/encode.h that are needed, with the library's defaults."""
    imports = []

    class Error(ctypes.Structure):
        _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 508)]

    class Options(ctypes.Structure):
        _fields_ = [("struct_size", ctypes.c_size_t), ("backend", ctypes.c_char_p), ("batch", ctypes.c_int32),
                    ("vision_only", ctypes.c_bool), ("text_only", ctypes.c_bool), ("hooks", ctypes.c_void_p),
                    ("device", ctypes.c_char_p), ("provider", ctypes.c_char_p), ("library", ctypes.c_char_p),
                    ("graphs", ctypes.c_char_p), ("precision", ctypes.c_int), ("settings", ctypes.c_void_p),
                    ("n_settings", ctypes.c_size_t), ("allow_fallback", ctypes.c_bool)]

    PRECISIONS = {"f32": 0, "bf16": 2, "int8": 4}

    def __init__(self, job):
        self.library, self.error, self.width = ctypes.CDLL(job["library"]), self.Error(), job["width"]
        pool, opened, self.encoder = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("tw_pool_create", ctypes.c_int(job["threads"]), ctypes.byref(pool))
        self.call("tw_model_open", job["model"].encode(), ctypes.byref(opened))
        options = self.Options(struct_size=ctypes.sizeof(self.Options), precision=self.PRECISIONS[job["precision"]],
                               vision_only=job["towers"] == ["image"], text_only=job["towers"] == ["text"])
        self.call("tw_encoder_create", opened, pool, ctypes.byref(options), ctypes.byref(self.encoder))
        describe = self.library.tw_encoder_description
        describe.restype, describe.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
        self.description = "tuwen " + ", ".join(describe(self.encoder).decode().split(", ")[:2])

    def call(self, name, *args):
        if getattr(self.library, name)(*args, ctypes.byref(self.error)) != 0:
            raise RuntimeError(self.error.message.decode())

    def run(self, tower, x):
        out = np.empty((len(x), self.width), np.float32)
        to, n = out.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(x))
        if tower == "image":
            self.call("tw_encode_pixels", self.encoder, x.ctypes.data_as(ctypes.c_void_p), n, to)
        else:
            x = x.astype(np.int32)
            self.call("tw_encode_ids", self.encoder, x.ctypes.data_as(ctypes.c_void_p), n, ctypes.c_int32(x.shape[1]), to)
        return out


class OnnxRuntime:
    imports = ["onnxruntime"]

    def __init__(self, job):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        options.log_severity_level = 3
        self.sessions = {tower: onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                         for tower, path in graphs(job, f".{job['precision']}.onnx").items()}
        self.description = f"onnxruntime {onnxruntime.__version__}"

    def run(self, tower, x):
        session = self.sessions[tower]
        return session.run(None, {session.get_inputs()[0].name: x})[0]


class OpenVino:
    imports = ["openvino"]

    def __init__(self, job):
        import openvino
        core = openvino.Core()
        # A graph of nncf computes its products in int8; the hint is for what is left.
        hint = "bf16" if job["precision"] == "bf16" else "f32"
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": job["threads"], "NUM_STREAMS": "1",
                    "PERFORMANCE_HINT": "LATENCY"}
        end = ".int8.xml" if job["precision"] == "int8" else ".f32.xml"
        self.models = {tower: core.compile_model(path, "CPU", settings) for tower, path in graphs(job, end).items()}
        used = {str(m.get_property("INFERENCE_PRECISION_HINT")) for m in self.models.values()}
        if not all(hint.replace("bf16", "bfloat16").replace("f32", "float32") in u for u in used):
            raise RuntimeError(f"OpenVINO computes in {used}, asked for {hint}")
        self.description = f"openvino {openvino.get_version().split('-')[0]}"

    def run(self, tower, x):
        return self.models[tower](x)[0]


class PyTorch:
    imports = ["torch", "model_in_torch"]

    def __init__(self, job):
        import torch

        import model_in_torch
        torch.set_num_threads(job["threads"])
        self.dtype = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16}[job["precision"]]
        stored = torch.load(f"{job['prefix']}.{'bf16' if job['precision'] == 'bf16' else 'f32'}.pt", mmap=True)
        self.towers = model_in_torch.Towers({k: v.to(self.dtype) for k, v in stored["tensors"].items()}, stored["config"])
        self.torch, self.description = torch, f"torch {torch.__version__}"

    def run(self, tower, x):
        with self.torch.inference_mode():
            x = self.torch.from_numpy(x)
            out = self.towers.text(x) if tower == "text" else self.towers.image(x.to(self.dtype))
            return (out if self.dtype == self.torch.float64 else out.float()).numpy()


# In the order of the table: name, class, precision, note.
SIDES = [("ONNX Runtime f32", OnnxRuntime, "f32"), ("OpenVINO f32", OpenVino, "f32"), ("PyTorch f32", PyTorch, "f32"),
         ("tuwen f32", Tuwen, "f32"),
         ("OpenVINO bf16", OpenVino, "bf16"), ("PyTorch bf16", PyTorch, "bf16"), ("tuwen bf16", Tuwen, "bf16"),
         ("ONNX Runtime int8, dynamic", OnnxRuntime, "int8"), ("OpenVINO int8, nncf", OpenVino, "int8"),
         ("tuwen int8", Tuwen, "int8")]
REFERENCE = ("PyTorch f64", PyTorch, "f64")


def graphs(job, end):
    return {tower: f"{job['prefix']}.{'img' if tower == 'image' else 'txt'}{end}" for tower in job["towers"]}


# ------------------------------------------------------------------------------------------------- files


def inputs(model, tower, n, seed, length=12, padded=0):
    """Pictures of noise, or captions of `length` tokens, those of the ends included; all different."""
    rng = np.random.default_rng(seed)
    if tower == "image":
        return rng.standard_normal((n, 3, model["size"], model["size"]), np.float32)
    ids = rng.integers(671, min(8000, model["vocabulary"] - 2), (n, length))
    ids[:, 0], ids[:, -1] = (101, 102) if model["kind"] == "bert" else (model["vocabulary"] - 2, model["vocabulary"] - 1)
    return np.pad(ids, ((0, 0), (0, max(0, padded - length))))


def once(path, make):
    """Calls make(path) unless it has been done: a file beside says so, since a path may stand for several files."""
    done = pathlib.Path(f"{path}.done")
    if not done.exists():
        make(path)
        done.touch()


def onnx_int8(job):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    large = os.path.getsize(job["model"]) > 1.9e9
    for tower, path in graphs(job, ".int8.onnx").items():
        once(path, lambda p: quantize_dynamic(
            graphs(job, ".f32.onnx")[tower], p, weight_type=QuantType.QInt8, per_channel=True,
            use_external_data_format=large, op_types_to_quantize=["MatMul", "Gemm"], extra_options={"DefaultTensorType": 1}))


def openvino_f32(job):
    import openvino
    for tower, path in graphs(job, ".f32.xml").items():
        once(path, lambda p: openvino.save_model(
            openvino.convert_model(graphs(job, ".f32.onnx")[tower]), p, compress_to_fp16=False))


def openvino_int8(job):
    """Static int8 by nncf, with 32 inputs like the timed ones but others. Its way with transformers makes a ResNet slower."""
    import nncf
    import openvino
    openvino_f32(job)
    for tower, path in graphs(job, ".int8.xml").items():
        def make(p):
            samples = [inputs(job["info"], tower, 1, 1000 + i) for i in range(32)]
            model = openvino.Core().read_model(graphs(job, ".f32.xml")[tower])
            kind = None if tower == "image" and job["info"]["vision"] == "resnet" else nncf.ModelType.TRANSFORMER
            model = nncf.quantize(model, nncf.Dataset(samples), model_type=kind, subset_size=len(samples))
            openvino.save_model(model, p, compress_to_fp16=False)
        once(path, make)


def torch_files(job):
    import torch

    import model_in_torch
    def save(path):
        tensors, config = model_in_torch.read_gguf(job["model"])
        torch.save({"tensors": {k: v.bfloat16() for k, v in tensors.items()}, "config": config},
                   job["prefix"] + ".bf16.pt")
        torch.save({"tensors": tensors, "config": config}, path)
    once(job["prefix"] + ".f32.pt", save)


PREPARE = {(OnnxRuntime, "int8"): onnx_int8, (OpenVino, "f32"): openvino_f32, (OpenVino, "bf16"): openvino_f32,
           (OpenVino, "int8"): openvino_int8, (PyTorch, "f32"): torch_files, (PyTorch, "bf16"): torch_files,
           (PyTorch, "f64"): torch_files}

# ------------------------------------------------------------------------------------------------- process


def memory(process="self"):
    """MB resident now (anonymous and of files), and at most."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines())
    anonymous, of_files, most = (int(fields[k].split()[0]) * 1.024e-3 for k in ("RssAnon", "RssFile", "VmHWM"))
    return anonymous + of_files, most


def quiet():
    """What the libraries print would stand in the table."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


def answer(connection, function, *args):
    try:
        connection.send(("ok", function(*args)))
    except Exception as e:  # any library's; the table says it
        lines = str(e).strip().splitlines()
        connection.send(("error", f"{type(e).__name__}: {lines[-1] if lines else ''}"))


def prepare(connection, side, job):
    """In a process of its own: makes the side's files."""
    quiet()
    answer(connection, lambda: PREPARE.get(side[1:3], lambda job: None)(job))


def serve(connection, side, job):
    """In a process of its own: loads a side, then ("input", tower, x) keeps x and gives its features, ("call",) the
    seconds of one call, ("calls", s) those of as many as take s seconds, ("memory",) what is resident."""
    quiet()
    clock = time.process_time if job["threads"] == 1 and not job.get("wall") else time.perf_counter
    state = {}

    def load():
        start = time.perf_counter()
        for name in side[1].imports:
            importlib.import_module(name)
        imported = time.perf_counter()
        state["side"] = side[1](job)
        loaded = time.perf_counter()
        for tower in job["towers"]:
            state["side"].run(tower, job["first"][tower])
        return state["side"].description, loaded - imported, time.perf_counter() - start, imported - start

    def set_input(tower, x):
        state["args"] = tower, x
        start = time.perf_counter()
        return state["side"].run(tower, x), time.perf_counter() - start

    def call():
        start = clock()
        state["side"].run(*state["args"])
        return clock() - start

    def calls(seconds):
        begin, taken = time.perf_counter(), []
        while not taken or time.perf_counter() - begin < seconds:
            taken.append(call())
        return taken

    answer(connection, load)
    while (message := connection.recv())[0] != "end":
        answer(connection, {"input": set_input, "call": call, "calls": calls, "memory": memory}[message[0]], *message[1:])
