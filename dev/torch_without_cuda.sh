#!/bin/sh
# usage: torch_without_cuda.sh PYTHON
# PyPI has no PyTorch for CPUs alone: its Linux wheel loads only beside 3 GB of NVIDIA's libraries. This puts
# empty ones in their place, in the wheel's own folder: for every symbol of theirs that the wheel refers to a
# function that returns 999 (cudaErrorUnknown). torch.cuda then finds no device, and the CPU part, which is
# whole, is what runs. Needs cc, nm and readelf.
set -eu
cd "$("$1" -c 'import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec("torch").origin).parent / "lib")')"
wheel=$(ls lib*torch*.so libc10*.so)
missing=$(readelf -d $wheel | sed -n 's/.*NEEDED.*\[\(lib\(cu\|nccl\|nv\)[^]]*\)\].*/\1/p' | sort -u)
versions=$(readelf -VW $wheel | awk '/Version: .*File:/ { file = $5 } /Name:/ && file ~ /^lib(cu|nccl|nv)/ { print file, $3 }' | sort -u)
symbols=$(nm -D --undefined-only $wheel | sed -n 's/^ *[Uw] \([A-Za-z_0-9]*\)@*\([^ ]*\)$/\1 \2/p' | sort -u)
trap 'rm -f stub.c stub.map' EXIT
for library in $missing; do
    [ ! -e "$library" ] || continue
    version=$(echo "$versions" | awk -v l="$library" '$1 == l { print $2 }')
    # Names without a version may come from any of them: from NCCL's, which has none itself.
    case $library in libnccl*) of='$2 == "" && /^(cu|nccl|nv)[A-Za-z]/' ;; *) of='$2 != "" && $2 == v' ;; esac
    echo "$symbols" | awk -v v="$version" "$of"' { print "long " $1 "(void) { return 999; }" }' >stub.c
    echo "${version:+$version} { global: *; };" >stub.map
    cc -w -fno-builtin -shared -fPIC -o "$library" -Wl,-soname,"$library" -Wl,--version-script=stub.map stub.c
done
