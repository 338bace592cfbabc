# Sourced by the scripts of this folder: TAP, a scratch folder, a tiny model. They are given
# TUWEN (the command) and TUWEN_SOURCE (the root of the sources).
set -u
: "${TUWEN:?the command to test}" "${TUWEN_SOURCE:?the root of the sources}"
unset TUWEN_MODEL TUWEN_CPU TUWEN_LIBHEIF TUWEN_LIBAVIF
LC_ALL=C
export LC_ALL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
tiny=$TUWEN_SOURCE/tests/data/checkpoints/tiny_cn_vit
pictures=$TUWEN_SOURCE/demo/pictures
n_tests=0
n_failed=0

# run ARGS…: the command; its status in $status, what it wrote in the files out and err.
run() {
    "$TUWEN" "$@" >out 2>err </dev/null
    status=$?
}

# check NAME CONDITION…: one test.
check() {
    name=$1
    shift
    n_tests=$((n_tests + 1))
    if "$@"; then
        echo "ok $n_tests - $name"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_tests - $name"
        echo "# condition: $*; status $status"
        sed 's/^/# out: /' out | head -n 20
        sed 's/^/# err: /' err | head -n 20
    fi
}

skip() {
    n_tests=$((n_tests + 1))
    echo "ok $n_tests - $1 # skip $2"
}

finish() {
    echo "1..$n_tests"
    [ "$n_failed" -eq 0 ]
    exit
}

# Conditions.
status_is() { [ "$status" -eq "$1" ]; }
prints() { grep -q -e "$1" out; }
says() { grep -q -e "$1" err; }
silent() { ! [ -s out ]; }
one_line() { [ "$(wc -l <err)" -eq 1 ]; }
lines_are() { [ "$(wc -l <"$1")" -eq "$2" ]; }
# Nothing of a file: neither it nor a temporary one beside it.
absent() { ! [ -e "$1" ] && [ -z "$(find . -name "*.part")" ]; }
# That status with one clear line.
fails_saying() { [ "$status" -eq "$1" ] && one_line && says "$2"; }
both() { eval "$1" && eval "$2"; }

# refused NAME STATUS PATTERN FILE ARGS…: one clear line, that status, nothing written.
refused() {
    refused_name=$1 refused_status=$2 refused_pattern=$3 refused_file=$4
    shift 4
    rm -f "$refused_file"
    run "$@"
    check "$refused_name" is_refused
}
is_refused() {
    [ "$status" -eq "$refused_status" ] && says "$refused_pattern" && absent "$refused_file" &&
        [ "$(grep -c -v -e ', batch ' -e ' threads$' -e ': Chinese-CLIP, ' -e ': takes ' err)" -eq 1 ]
}

# A model file model.gguf made of the tiny checkpoint.
make_model() {
    "$TUWEN" convert "$tiny/clip_cn_tiny-vit.pt" --arch "$tiny/tiny-vit.json,$tiny/tiny-bert.json" \
        -o model.gguf >/dev/null 2>&1 || {
        echo "Bail out! the tiny model cannot be converted"
        exit 1
    }
}

# The shape that a .npy file states: "2, 32".
npy_shape() { head -c 128 "$1" | tr -d '\n\0' | sed -n "s/.*'shape': *(\([^)]*\)).*/\1/p"; }
npy_header() { od -An -t u2 -j 8 -N 2 "$1" | awk '{print $1 + 10}'; }

# npy_close A B LIMIT: the same number of f32 and no difference above the limit.
npy_close() {
    tail -c "+$(($(npy_header "$1") + 1))" "$1" | od -An -v -t f4 -w4 >a.txt
    tail -c "+$(($(npy_header "$2") + 1))" "$2" | od -An -v -t f4 -w4 >b.txt
    paste a.txt b.txt | awk -v limit="$3" '
        NF != 2 || $1 == "nan" || $2 == "nan" {bad = 1}
        {d = $1 - $2; if (d < 0) d = -d; if (d > limit) bad = 1}
        END {exit bad || NR == 0}'
}
