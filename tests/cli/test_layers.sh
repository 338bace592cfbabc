#!/bin/sh
# Includes obey the table of docs/ARCHITECTURE.md: a folder includes itself, tuwen/ and the layers its
# row names; headers of other libraries only where the row names them; every file has a row.
. "$TUWEN_SOURCE/tests/cli/lib.sh"

status=0
: >err

# "FOLDER|layer layer …|header header …" for each row of a source folder.
awk -F ' *[|] *' '/^[|] `(src|include|cli)\// {
    folder = $2; layers = $4; outside = $5
    gsub(/`/, "", folder); gsub(/[,–]/, " ", layers); gsub(/[,–]/, " ", outside)
    print folder "|" layers "|" outside
}' "$TUWEN_SOURCE/docs/ARCHITECTURE.md" >rules

# "FILE INCLUDE" for each include, INCLUDE with its quotes or angle brackets; "FILE -" for each file.
(
    cd "$TUWEN_SOURCE" || exit 1
    find include src cli -name '*.[ch]' | sort | while read -r file; do
        sed -n 's/^ *# *include *\(["<][^">]*[">]\).*/\1/p' "$file" | sed "s|^|$file |"
        echo "$file -"
    done
) >includes

# Headers of libraries that are not libc.
outside='^<(jpeglib|jerror|turbojpeg|png|zlib|webp/.*|utf8proc|openssl/.*|curl/.*|pthread|immintrin|arm_neon)[.]h>$'

# judge INCLUDES: what breaks the rules, one line each, into out.
judge() {
    awk -v outside="$outside" '
    FILENAME == ARGV[1] {
        split($0, f, "|")
        layers[f[1]] = " " f[2] " "
        headers[f[1]] = " " f[3] " "
        next
    }
    {
        file = $1; row = ""
        for (folder in layers)
            if (index(file, folder) == 1 && length(folder) > length(row)) row = folder
        if (row == "" && $2 == "-") print file ": its folder has no row in the table"
        if (row == "" || $2 == "-") next
        name = substr($2, 2, length($2) - 2)
        if ($2 ~ /^</) {
            if ($2 ~ outside && index(headers[row], " " name " ") == 0)
                print file ": " $2 " is not in the row of " row
            next
        }
        if (split(name, path, "/") == 1) {
            if (row != "cli/") print file ": \"" name "\" is not spelled \"layer/file.h\""
            next
        }
        own = row
        sub(/^src\//, "", own)
        sub(/\/.*$/, "", own)
        if (path[1] != "tuwen" && path[1] != own && index(layers[row], " " path[1] " ") == 0)
            print file ": \"" name "\" is not allowed in " row
    }' rules "$1" >out
}

nothing_found() { ! [ -s out ]; }

cp rules out
check "the table names every layer" [ "$(wc -l <rules)" -ge 14 ]

judge includes
both_good() { [ -s includes ] && nothing_found; }
check "every include is allowed by the table" both_good

cat >wrong <<'END'
src/base/status.c "encode/encoder.h"
src/encode/images.c "kernels/kernels.h"
src/backend/backend.h "kernels/kernels.h"
src/model/model.c "model.h"
src/text/vocab.c <png.h>
src/nowhere/file.c -
END
judge wrong
check "an include that is not allowed is found" lines_are out 6

# Templates and generated tables are parts of files, not headers.
find "$TUWEN_SOURCE/src" "$TUWEN_SOURCE/cli" -name '*.h' ! -name '*.inc.h' ! -name 'selfcheck_*.h' >headers
: >out
while read -r header; do
    echo "#include \"$header\"" >header.c
    gcc -std=c11 -D_POSIX_C_SOURCE=200809L -I "$TUWEN_SOURCE/include" -I "$TUWEN_SOURCE/src" \
        -I "$TUWEN_SOURCE/cli" -fsyntax-only header.c 2>err || echo "$header" >>out
done <headers
all_compile() { [ -s headers ] && nothing_found; }
check "every header compiles on its own" all_compile

finish
