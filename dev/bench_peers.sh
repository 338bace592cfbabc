#!/bin/sh
# usage: bench_peers.sh SCRIPT BUILD [MODEL.gguf] [options of SCRIPT]
# An environment of Python of its own, BUILD/peers, with ONNX Runtime, OpenVINO, nncf and PyTorch from PyPI (730 MB to
# fetch, 1.9 GB on disk; 3 GB more to fetch without torch_without_cuda.sh), then bench_peers.py or bench_targets.py, named
# by SCRIPT. Without a model a random ViT-B-16 with RoBERTa-base is made (753 MB). What is there already is not fetched or
# made again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
script=$1
build=$2
shift 2
model=
case ${1:-} in '' | -*) ;; *) model=$1 && shift ;; esac
python=$build/peers/bin/python

[ -x "$python" ] || python3 -m venv "$build/peers"
if ! cmp -s "$here/requirements-peers.txt" "$build/peers/ready"; then
    echo "fetching the peers, 730 MB, into $build/peers" >&2
    "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements-peers.txt"
    if command -v readelf >/dev/null && command -v nm >/dev/null && command -v cc >/dev/null &&
        "$python" -m pip install --quiet --disable-pip-version-check filelock fsspec jinja2 networkx setuptools sympy typing-extensions &&
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps torch && sh "$here/torch_without_cuda.sh" "$python" &&
        "$python" -c 'import torch; torch.ones(2, 2) @ torch.ones(2, 2)'; then
        :
    else
        echo "bench_peers.sh: no PyTorch; the table goes without it, and ONNX Runtime in f32 judges the accuracy" >&2
    fi
    cp "$here/requirements-peers.txt" "$build/peers/ready"
fi
mkdir -p "$build/bench-peers"
if [ -z "$model" ]; then
    model=$build/bench-peers/random-vit-b-16.gguf
    [ -e "$model" ] || "$python" "$here/make_random_gguf.py" "$model" --tuwen "$build/tuwen" >/dev/null
fi
exec "$python" "$here/$script" "$model" --tuwen "$build/tuwen" --folder "$build/bench-peers" "$@"
