#!/bin/sh
# SOPHON's compiler from PyPI, in a virtual environment: tpu_mlir.sh FOLDER. Needs python3.10 in PATH: the
# wheel is for that version alone. About 1.3 GB on disk. FOLDER/bin in PATH is what `tuwen build --target
# sophon` and dev/compile_bmodel.sh want.
set -eu
folder=$1
version=1.30.2
if [ -f "$folder/tpu_mlir.version" ] && [ "$(cat "$folder/tpu_mlir.version")" = "$version" ]; then
    echo "tpu_mlir $version: there already, $folder"
    exit
fi
command -v python3.10 >/dev/null && python3.10 -c '' 2>/dev/null ||
    { echo "tpu_mlir.sh: python3.10 is not in PATH; tpu_mlir is for no other version" >&2; exit 1; }
python3.10 -m venv "$folder"
pip() { "$folder/bin/python" -m pip --quiet --disable-pip-version-check install "$@"; }
pip numpy==1.24.3 tqdm==4.65.0 protobuf==3.20.3 onnx==1.14.1 onnxruntime==1.16.3 onnxsim==0.4.17 Pillow==10.0.0 \
    opencv-python-headless==4.8.0.76 scipy==1.11.1 plotly==5.15.0 graphviz==0.20.1 pandas==2.0.3 \
    scikit-learn==1.6.1 psutil filelock transformers==5.6.2
pip --no-deps "tpu_mlir==$version" onnxruntime_extensions==0.14.0
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# The wheel has Ubuntu 22.04's libc and puts it before the system's, whose programs then do not start.
for library in libc.so.6 libm.so.6 libpthread.so.0; do
    rm -f "$packages/tpu_mlir/lib/third_party/$library"
done
# Of torch the compiler's ONNX path uses one conversion; this is it, and 3 GB less.
mkdir -p "$packages/torch"
cat >"$packages/torch/__init__.py" <<'END'
import numpy
__version__ = "0.0.0"
class tensor:
    def __init__(self, x): self.x = numpy.array(x)
    def numpy(self): return self.x
def __getattr__(name): raise ImportError(name)
END
echo "$version" >"$folder/tpu_mlir.version"
echo "tpu_mlir $version: $folder"
