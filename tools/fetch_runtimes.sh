#!/bin/sh
# Fetches the shared libraries of other runtimes from their wheels on PyPI, for tests and trials:
# fetch_runtimes.sh FOLDER [onnxruntime|onnxruntime-openvino|onnxruntime-ep-openvino|openvino|sophon-emulator]…
# Each is unpacked to FOLDER/NAME/; nothing of Python in it is used. Needs python3 with pip here.
set -eu
folder=$1
shift
names=${*:-onnxruntime openvino}

# NAME: package, version, folder of the libraries inside the wheel.
wheel_of() {
    case $1 in
    onnxruntime) echo "onnxruntime 1.31.1 onnxruntime/capi" ;;
    onnxruntime-openvino) echo "onnxruntime-openvino 1.24.1 onnxruntime/capi" ;;
    onnxruntime-ep-openvino) echo "onnxruntime-ep-openvino 1.8.1 onnxruntime_ep_openvino" ;;
    openvino) echo "openvino 2026.4.1 openvino/libs" ;;
    sophon-emulator) echo "tpu_mlir 1.30.2 tpu_mlir/lib" ;; # of BM1684X
    *) echo "fetch_runtimes.sh: no runtime '$1'; there are onnxruntime, onnxruntime-openvino, onnxruntime-ep-openvino, openvino, sophon-emulator" >&2; return 1 ;;
    esac
}

for name in $names; do
    wheel=$(wheel_of "$name")
    # shellcheck disable=SC2086
    set -- $wheel
    target=$folder/$name
    if [ -f "$target/version" ] && [ "$(cat "$target/version")" = "$2" ]; then
        echo "$name $2: there already, $target"
        continue
    fi
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    # tpu_mlir is for Python 3.10 alone; its libraries do not mind.
    version=
    [ "$1" = tpu_mlir ] && version="--python-version 3.10"
    # shellcheck disable=SC2086
    python3 -m pip download --quiet --no-deps --only-binary :all: $version -d "$scratch" "$1==$2"
    python3 -m zipfile -e "$scratch"/*.whl "$scratch/unpacked"
    rm -rf "$target"
    mkdir -p "$target"
    if [ "$1" = tpu_mlir ]; then
        # libbmlib opens the emulated chip by the name libcmodel.so.
        mv "$scratch/unpacked/$3/libbmlib_bm1684x.so.0" "$target/libbmlib.so.0"
        mv "$scratch/unpacked/$3/libbmrt.so.1.0" "$target/"
        mv "$scratch/unpacked/$3/libcmodel_bm1684x.so" "$target/libcmodel.so"
        mv "$scratch/unpacked/$3/libcpuop.so" "$target/" # layers that run on the host
    else
        find "$scratch/unpacked/$3" -maxdepth 1 -name '*.so*' ! -name '*pybind*' -exec mv {} "$target/" \;
    fi
    echo "$2" >"$target/version"
    rm -rf "$scratch"
    echo "$name $2: $target"
done
