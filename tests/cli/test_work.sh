#!/bin/sh
# Instructions that encoding four pictures or texts of the tiny model takes with AVX2 on one thread, by
# Valgrind: the difference of two runs, so that start-up cancels. They depend on the compiler and not on
# the machine. More than 10 % above the record fails; far below is noted, so that the record is renewed.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
cache=$TUWEN_BUILD/CMakeCache.txt
of_cache() { sed -n "s/^$1:[A-Z]*=//p" "$cache"; }
cannot() {
    skip "instructions of an encoding" "$1"
    finish
}
command -v valgrind >/dev/null || cannot "no valgrind here"
grep -q -w avx2 /proc/cpuinfo || cannot "no AVX2 here"
[ -z "$(of_cache TUWEN_SANITIZE)" ] || cannot "a build with sanitizers"
case $(of_cache CMAKE_BUILD_TYPE) in
'' | Release | RelWithDebInfo) ;;
*) cannot "not an optimised build" ;;
esac
case $("$(of_cache CMAKE_C_COMPILER)" --version | head -n 1) in
*[Cc][Cc]*' 12.'*) ;;
*) cannot "the record is of GCC 12" ;;
esac
make_model
status=0
: >err

# collected ISA TOWER PRECISION N: instructions of the whole process.
collected() {
    TUWEN_CPU=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file=log \
        "$TUWEN_BUILD/tests/encode_n" model.gguf "$2" "$3" "$4" >>err 2>&1
    sed -n 's/.*Collected : //p' log
}
# a_call ISA TOWER PRECISION: of one call.
a_call() { echo $((($(collected "$1" "$2" "$3" 12) - $(collected "$1" "$2" "$3" 2)) / 10)); }
# work TOWER PRECISION RECORD (instructions with GCC 12.2)
work() {
    n=$(a_call avx2 "$1" "$2")
    echo "$1 $2: $n instructions a call, the record $3" >out
    sed 's/^/# /' out
    [ $((n * 10)) -gt $(($3 * 9)) ] || echo "# far below: put the new figure in tests/cli/test_work.sh"
    check "$1 in $2: no more than 10 % above the record" [ "$n" -gt 0 -a $((n * 10)) -le $(($3 * 11)) ]
}
work image f32 2125540
work image int8 2073662
work text f32 503329
work text int8 555538
check "slower code is seen: plain C is far above" [ "$(a_call ref text f32)" -gt 1000000 ]
finish
