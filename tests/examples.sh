#!/bin/sh
# The examples run on the demo; each stays under 40 lines; an installed copy of the library is
# usable by pkg-config and by CMake; the shared library needs and exports only what it should.
set -u
. "$TUWEN_SOURCE/tests/cli/lib.sh"
bin="$TUWEN_BUILD/examples"
demo="$TUWEN_SOURCE/demo"
model="$WORK/demo.gguf"

begin "example convert reads the demo checkpoint"
"$bin/example_convert" "$demo/clip_cn_demo-vit-ti-16.pt" "$model" >"$WORK/out" 2>"$WORK/err" &&
    grep -q '11[0-9]* parameters, features of 256 values' "$WORK/out"
check $? "$WORK/out" "$WORK/err"

begin "example embed_text gives the golden feature of a Chinese text"
"$bin/example_embed_text" "$model" 一张苹果的照片 >"$WORK/out" 2>"$WORK/err" &&
    grep -q '256 values, 0.0473 -0.0607 -0.0252' "$WORK/out"
check $? "$WORK/out" "$WORK/err"

begin "example similarity finds the red circle"
"$bin/example_similarity" "$model" "$demo/pictures/red-circle.png" 红色的圆形 蓝色的五角星 'a green triangle' \
    >"$WORK/out" 2>"$WORK/err" && sort -rn "$WORK/out" | head -n 1 | grep -q 红色的圆形
check $? "$WORK/out" "$WORK/err"

begin "example preprocess writes a PPM of the asked size"
"$bin/example_preprocess" "$demo/pictures/green-triangle.jpg" 96 "$WORK/p.ppm" >"$WORK/out" 2>"$WORK/err" &&
    [ "$(wc -c <"$WORK/p.ppm")" -eq $((96 * 96 * 3 + 13)) ]
check $? "$WORK/out" "$WORK/err"

begin "an example says what is wrong with a wrong file"
"$bin/example_embed_text" "$demo/labels.en.txt" hi >"$WORK/out" 2>"$WORK/err"
[ $? -eq 1 ] && [ "$(wc -l <"$WORK/err")" -eq 1 ]
check $? "$WORK/out" "$WORK/err"

begin "every example is under 40 lines"
long=$(for f in "$TUWEN_SOURCE"/examples/*.c; do [ "$(wc -l <"$f")" -lt 40 ] || echo "$f"; done)
[ -z "$long" ]
check $? /dev/null /dev/null

begin "the shared library needs libc, libm, jpeg, png, webp and utf8proc at most"
extra=$(readelf -d "$TUWEN_BUILD/libtuwen.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
    grep -v -E '^(libc|libm|libjpeg|libpng16|libwebp|libutf8proc|ld-linux-.*)\.so' || true)
echo "$extra" >"$WORK/out"
[ -z "$extra" ] && readelf -d "$TUWEN_BUILD/libtuwen.so" | grep -q 'SONAME.*libtuwen.so.0'
check $? "$WORK/out" /dev/null

begin "every exported symbol is a versioned tw_ symbol of the public headers"
readelf --dyn-syms -W "$TUWEN_BUILD/libtuwen.so" | awk '$7 != "UND" && $5 == "GLOBAL" {print $8}' |
    grep -v '^TUWEN_0$' >"$WORK/out"
bad=$(grep -v '^tw_[a-z0-9_]*@@TUWEN_0$' "$WORK/out" || true)
sed 's/@@.*//' "$WORK/out" | while read -r s; do
    grep -q -w "$s" "$TUWEN_SOURCE"/include/tuwen/*.h || echo "$s"
done >"$WORK/undeclared"
[ -z "$bad" ] && [ ! -s "$WORK/undeclared" ] && [ -s "$WORK/out" ]
check $? "$WORK/undeclared" /dev/null

begin "every public header compiles alone as C11 and as C++11"
status=0
for h in "$TUWEN_SOURCE"/include/tuwen/*.h; do
    echo "#include \"$h\"" >"$WORK/h.c"
    gcc -std=c11 -Wall -Wextra -Werror -pedantic -I "$TUWEN_SOURCE/include" -fsyntax-only "$WORK/h.c" 2>>"$WORK/err" || status=1
    if command -v g++ >/dev/null; then
        cp "$WORK/h.c" "$WORK/h.cc"
        g++ -std=c++11 -Wall -Wextra -Werror -pedantic -I "$TUWEN_SOURCE/include" -fsyntax-only "$WORK/h.cc" 2>>"$WORK/err" || status=1
    fi
done
check $status "$WORK/err" /dev/null

begin "an installed copy builds and runs a program by pkg-config"
# shellcheck disable=SC2086
cmake --install "$TUWEN_BUILD" --prefix "$WORK/prefix" >"$WORK/out" 2>"$WORK/err" &&
    pc=$(dirname "$(find "$WORK/prefix" -name tuwen.pc)") &&
    flags=$(PKG_CONFIG_PATH="$pc" pkg-config --cflags --libs tuwen) &&
    gcc -std=c11 "$TUWEN_SOURCE/examples/embed_text.c" $flags -o "$WORK/installed" 2>>"$WORK/err" &&
    LD_LIBRARY_PATH="$pc/.." "$WORK/installed" "$model" hello >"$WORK/out" 2>>"$WORK/err" &&
    grep -q '256 values' "$WORK/out"
check $? "$WORK/out" "$WORK/err"

begin "an installed copy builds and runs a program by find_package, shared and static"
mkdir -p "$WORK/project" && cat >"$WORK/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.21)
project(user C)
find_package(tuwen 0.1 REQUIRED)
foreach(kind shared static)
  add_executable(user_${kind} main.c)
  target_link_libraries(user_${kind} tuwen::${kind})
endforeach()
END
cp "$TUWEN_SOURCE/examples/embed_text.c" "$WORK/project/main.c"
cmake -S "$WORK/project" -B "$WORK/project/build" -DCMAKE_PREFIX_PATH="$WORK/prefix" >"$WORK/out" 2>"$WORK/err" &&
    cmake --build "$WORK/project/build" >>"$WORK/out" 2>>"$WORK/err" &&
    "$WORK/project/build/user_shared" "$model" hello >"$WORK/a" && "$WORK/project/build/user_static" "$model" hello >"$WORK/b" &&
    cmp "$WORK/a" "$WORK/b" && "$WORK/prefix/bin/tuwen" --version >"$WORK/out"
check $? "$WORK/out" "$WORK/err"
finish
