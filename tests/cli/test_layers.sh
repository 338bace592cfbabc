#!/bin/sh
# Includes obey the table of docs/ARCHITECTURE.md: a folder includes itself, tuwen/ and the layers its
# row names; headers of other libraries only where the row names them; every file has a row.
set -u
. "$TUWEN_SOURCE/tests/cli/lib.sh"
cd "$TUWEN_SOURCE" || exit 1

# "FOLDER|layer layer …|header header …" for each row of a source folder.
awk -F ' *[|] *' '/^[|] `(src|include|cli)\// {
    folder = $2; layers = $4; outside = $5
    gsub(/`/, "", folder); gsub(/[,–]/, " ", layers); gsub(/[,–]/, " ", outside)
    print folder "|" layers "|" outside
}' docs/ARCHITECTURE.md >"$WORK/rules"

# "FILE INCLUDE" for each include, INCLUDE with its quotes or angle brackets.
find include src cli -name '*.[ch]' | LC_ALL=C sort | while read -r file; do
    sed -n 's/^ *# *include *\(["<][^">]*[">]\).*/\1/p' "$file" | sed "s|^|$file |"
    echo "$file -"
done >"$WORK/includes"

# Headers of libraries that are not libc.
outside='^<(jpeglib|jerror|turbojpeg|png|pngstruct|zlib|webp/.*|utf8proc|openssl/.*|pthread|immintrin|arm_neon|x86intrin|getopt)[.]h>$'

judge() {
    awk -v outside="$outside" '
    function layer_of(path, n, parts) { # of an include: the folder it names
        n = split(path, parts, "/")
        return n > 1 ? parts[1] : ""
    }
    FILENAME == ARGV[1] {
        split($0, f, "|")
        layers[f[1]] = " " f[2] " "
        headers[f[1]] = " " f[3] " "
        next
    }
    {
        file = $1; include = $2; best = ""
        for (folder in layers)
            if (index(file, folder) == 1 && length(folder) > length(best)) best = folder
        if (best == "") {
            if (include == "-") print file ": its folder has no row in the table"
            next
        }
        if (include == "-") next
        if (include ~ /^</) {
            name = substr(include, 2, length(include) - 2)
            if (include !~ outside || name == "getopt.h" && best == "cli/") next
            if (index(headers[best], " " name " ") == 0) print file ": " include " is not in the row of " best
            next
        }
        name = substr(include, 2, length(include) - 2)
        target = layer_of(name)
        own = best
        sub(/^src\//, "", own); sub(/\/$/, "", own)
        if (target == "tuwen") next
        if (target == "") {
            if (best != "cli/") print file ": \"" name "\" is not spelled \"layer/file.h\""
            next
        }
        split(own, top, "/")
        if (target == top[1] || index(layers[best], " " target " ")) next
        print file ": \"" name "\" is not allowed in " best
    }' "$WORK/rules" "$1"
}

begin "the table names every layer"
[ "$(wc -l <"$WORK/rules")" -ge 14 ]
check $? "$WORK/rules" /dev/null

begin "every include is allowed by the table"
judge "$WORK/includes" >"$WORK/out"
[ -s "$WORK/includes" ] && [ ! -s "$WORK/out" ]
check $? "$WORK/out" /dev/null

begin "an include that is not allowed is found"
cat >"$WORK/wrong" <<'END'
src/base/status.c "encode/encoder.h"
src/encode/images.c "kernels/kernels.h"
src/backend/backend.h "kernels/kernels.h"
src/model/model.c "model.h"
src/text/vocab.c <png.h>
src/nowhere/file.c -
END
judge "$WORK/wrong" >"$WORK/out"
[ "$(wc -l <"$WORK/out")" -eq 6 ]
check $? "$WORK/out" /dev/null

begin "every header of src and cli compiles on its own"
find src cli -name '*.h' ! -name '*.inc.h' ! -name selfcheck_expected.h >"$WORK/headers"
: >"$WORK/err"
while read -r header; do
    echo "#include \"$TUWEN_SOURCE/$header\"" >"$WORK/header.c"
    gcc -std=c11 -D_POSIX_C_SOURCE=200809L -I include -I src -I cli -fsyntax-only "$WORK/header.c" 2>>"$WORK/err" ||
        echo "$header" >>"$WORK/err"
done <"$WORK/headers"
[ -s "$WORK/headers" ] && [ ! -s "$WORK/err" ]
check $? /dev/null "$WORK/err"

finish
