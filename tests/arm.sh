#!/bin/sh
# The kernel tests on 64-bit Arm: cross-compiled into BUILD/arm and run by QEMU's user emulation on
# processors with more and with fewer instructions. On such a machine itself kind "kernels" runs them.
set -u
: "${TUWEN_BUILD:?the build folder}" "${TUWEN_SOURCE:?the root of the sources}"
build=$TUWEN_BUILD/arm
status=0

skip() {
    echo "ok - the kernels of 64-bit Arm # skip $1"
    exit 0
}
[ "$(uname -m)" != aarch64 ] || skip "this is one: kind kernels has run them"
for tool in aarch64-linux-gnu-gcc qemu-aarch64 cmake ninja; do
    command -v "$tool" >/dev/null || skip "no $tool here"
done

[ -f "$build/build.ninja" ] ||
    cmake -S "$TUWEN_SOURCE/tests/arm" -B "$build" -G Ninja -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
        -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc >"$build.log" 2>&1 || {
    cat "$build.log"
    rm -rf "$build"
    echo "not ok - configured for 64-bit Arm"
    exit 1
}
rm -f "$build.log"
if cmake --build "$build" >"$build.log" 2>&1 && ! grep 'warning:' "$build.log"; then
    echo "ok - built for 64-bit Arm"
else
    cat "$build.log"
    echo "not ok - built for 64-bit Arm, without a warning"
    exit 1
fi

# on PROCESSOR PROGRAM: its lines, with the processor's name.
on() {
    qemu-aarch64 -cpu "$1" "$build/$2" >"$build/$2.log" 2>&1
    result=$?
    sed -e "s/^\(not ok\|ok\)\(.*\)/\1\2, $1/" -e "s/^# instruction sets/& of $1/" "$build/$2.log"
    [ $result -eq 0 ] || status=1
    [ $result -eq 0 ] || grep -q '^not ok' "$build/$2.log" || echo "not ok - $2 on $1 ended with status $result"
}

# best PROCESSOR TABLES: what that processor is found to have.
best() {
    on "$1" test_dispatch
    if grep -q "^# this processor has: $2\$" "$build/test_dispatch.log"; then
        echo "ok - $1 has $2"
    else
        echo "not ok - $1 has $2"
        status=1
    fi
}

best cortex-a53 "ref neon"
best cortex-a76 "ref neon neondot"
best max "ref neon neondot neoni8mm"
for source in "$TUWEN_SOURCE"/tests/kernels/test_*.c; do
    name=$(basename "$source" .c)
    [ "$name" = test_dispatch ] || on max "$name"
done
exit $status
