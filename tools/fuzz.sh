#!/bin/sh
# Builds the libFuzzer targets with ASan + UBSan and runs each: fuzz.sh FOLDER RUNS [PARSER…].
# New inputs are kept in FOLDER/corpus; a crash leaves its input in FOLDER/artifacts, status 1.
set -eu
build=$1 runs=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
CC=clang cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTUWEN_TESTS=OFF \
    -DTUWEN_FUZZ=ON -DTUWEN_SANITIZE=address,undefined >/dev/null
parsers=${*:-$(cd "$root/tests/fuzz" && for f in */fuzz.c; do dirname "$f"; done)}
for parser in $parsers; do
    cmake --build "$build" --target "fuzz_$parser" >/dev/null
    mkdir -p "$build/corpus/$parser" "$build/artifacts"
    dictionary="$root/tests/fuzz/$parser/$parser.dict"
    [ -f "$dictionary" ] && dictionary="-dict=$dictionary" || dictionary=
    start=$(date +%s)
    # shellcheck disable=SC2086
    if "$build/fuzz_$parser" -runs="$runs" -seed=1 -timeout=25 -rss_limit_mb=4096 -max_len=65536 \
        -print_final_stats=1 $dictionary -artifact_prefix="$build/artifacts/$parser-" \
        "$build/corpus/$parser" "$root/tests/fuzz/$parser/corpus" >"$build/$parser.log" 2>&1; then
        done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$parser.log")
        echo "$parser: clean after $done inputs in $(($(date +%s) - start)) s"
    else
        tail -n 30 "$build/$parser.log"
        echo "$parser: FAILED, see $build/$parser.log and $build/artifacts"
        exit 1
    fi
done
