#!/bin/sh
# The examples run on the demo; each stays under 40 lines; an installed copy of the library is
# usable by pkg-config and by CMake; the shared library needs and exports only what it should.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
bin=$TUWEN_BUILD/examples
demo=$TUWEN_SOURCE/demo
headers=$TUWEN_SOURCE/include
status=0
: >out
: >err

# try COMMAND…: like run, for any program.
try() {
    "$@" >out 2>err </dev/null
    status=$?
}

try "$bin/example_convert" "$demo/clip_cn_demo-vit-ti-16.pt" demo.gguf
check "example convert reads the demo checkpoint" grep -q '115[0-9]* parameters, features of 256 values' out

try "$bin/example_embed_text" demo.gguf 一张苹果的照片
check "example embed_text gives the golden feature of a Chinese text" grep -q '256 values, 0.0473 -0.0607 -0.0252' out

try "$bin/example_similarity" demo.gguf "$demo/pictures/red-circle.png" 红色的圆形 蓝色的五角星 'a green triangle'
sort -rn out | head -n 1 >best
check "example similarity finds the red circle" grep -q 红色的圆形 best

try "$bin/example_preprocess" "$demo/pictures/green-triangle.jpg" 96 p.ppm
check "example preprocess writes a PPM of the asked size" test "$(wc -c <p.ppm)" -eq $((96 * 96 * 3 + 13))

try "$bin/example_embed_text" "$demo/labels.en.txt" hi
check "an example ends with status 1 for a wrong file" test $status -eq 1
check "and says so in one line" test "$(wc -l <err)" -eq 1

for f in "$TUWEN_SOURCE"/examples/*.c; do
    [ "$(wc -l <"$f")" -lt 40 ] || echo "$f"
done >long
check "every example is under 40 lines" test ! -s long

readelf -d "$TUWEN_BUILD/libtuwen.so" >dynamic
sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' dynamic |
    grep -v -E '^(libc|libm|libjpeg|libpng16|libz|libwebp|libutf8proc|ld-linux-.*)\.so' >out
check "the shared library needs libc, libm, jpeg, png, webp and utf8proc at most" test ! -s out
check "the shared library has a soname with a version" grep -q 'SONAME.*libtuwen.so.0' dynamic

readelf --dyn-syms -W "$TUWEN_BUILD/libtuwen.so" |
    awk '$7 != "UND" && $5 == "GLOBAL" && $8 != "TUWEN_0" {print $8}' >symbols
grep -v '^tw_[a-z0-9_]*@@TUWEN_0$' symbols >out
check "every exported symbol is a versioned tw_ symbol" test -s symbols -a ! -s out
sed 's/@@.*//' symbols | while read -r s; do
    grep -q -w "$s" "$headers"/tuwen/*.h || echo "$s"
done >out
check "every exported symbol is in a public header" test ! -s out
sed -n 's/^TW_API .*[ *]\(tw_[a-z0-9_]*\)(.*/\1/p' "$headers"/tuwen/*.h | while read -r s; do
    grep -q "^$s@@" symbols || echo "$s"
done >out
check "every function of the public headers is exported" test ! -s out

: >err
for h in "$headers"/tuwen/*.h; do
    echo "#include \"$h\"" >h.c
    cp h.c h.cc
    gcc -std=c11 -Wall -Wextra -Werror -pedantic -I "$headers" -fsyntax-only h.c 2>>err
    if command -v g++ >/dev/null; then
        g++ -std=c++11 -Wall -Wextra -Werror -pedantic -I "$headers" -fsyntax-only h.cc 2>>err
    fi
done
check "every public header compiles alone as C11 and as C++11" test ! -s err

try cmake --install "$TUWEN_BUILD" --prefix "$PWD/prefix"
check "make install works into a prefix" test $status -eq 0
pc=$(dirname "$(find prefix -name tuwen.pc)")
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs tuwen)
# shellcheck disable=SC2086
gcc -std=c11 "$TUWEN_SOURCE/examples/embed_text.c" $flags -o installed 2>err
LD_LIBRARY_PATH=$pc/.. try ./installed demo.gguf hello
check "an installed copy builds and runs a program by pkg-config" grep -q '256 values' out

mkdir project
cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.21)
project(user C)
find_package(tuwen 0.1 REQUIRED)
foreach(kind shared static)
  add_executable(user_${kind} main.c)
  target_link_libraries(user_${kind} tuwen::${kind})
endforeach()
END
cp "$TUWEN_SOURCE/examples/embed_text.c" project/main.c
cmake -S project -B project/build -DCMAKE_PREFIX_PATH="$PWD/prefix" >out 2>err && cmake --build project/build >>out 2>>err
status=$?
check "a project with find_package(tuwen) builds" test $status -eq 0
try project/build/user_shared demo.gguf hello
cp out shared
try project/build/user_static demo.gguf hello
check "the shared and the static library give the same" cmp shared out
try prefix/bin/tuwen --version
check "the installed command runs" grep -q '^tuwen 0' out
finish
