#!/bin/sh
# What the documents say is so: links lead somewhere, command lines use verbs and options that exist,
# the tour of the README runs and prints what the README shows, and both READMEs say the same.
set -u
. "$TUWEN_SOURCE/tests/cli/lib.sh"
cd "$TUWEN_SOURCE" || exit 1

# block LANGUAGE FILE: the lines of FILE's fenced blocks in LANGUAGE.
block() { awk -v fence="\`\`\`$1" '/^```/ { inside = !inside && $0 == fence; next } inside' "$2"; }

# command_lines FILE: the tuwen commands of FILE's shell blocks, one a line.
command_lines() {
    { block sh "$1"; block console "$1" | sed -n 's/^\$ //p'; block shell-session "$1" | sed -n 's/^\$ //p'; } | grep '^tuwen '
}

begin "every relative link in a document leads to a file"
find . -name '*.md' ! -path './build*' ! -path './dev/venv/*' | while read -r file; do
    grep -o '](\([^)#: ]*\)[^):]*)' "$file" | sed 's/^](//; s/[#)].*//' | while read -r link; do
        [ -z "$link" ] || [ -e "$(dirname "$file")/$link" ] || echo "$file: $link"
    done
done >"$WORK/out"
[ ! -s "$WORK/out" ]
check $? "$WORK/out" /dev/null

begin "every link to a section leads to a heading"
for file in docs/*.md README.md README.zh-CN.md; do
    grep -o '](\([^): ]*#[^)]*\))' "$file" | sed 's/^](//; s/)$//' | while read -r link; do
        target=$(dirname "$file")/${link%%#*}
        [ -n "${link%%#*}" ] || target=$file
        sed -n 's/^##* //p' "$target" | tr '[:upper:] ' '[:lower:]-' | tr -d '.,:()`' | grep -q -x -- "${link#*#}" ||
            echo "$file: $link"
    done
done >"$WORK/out"
[ ! -s "$WORK/out" ]
check $? "$WORK/out" /dev/null

begin "the files and folders that the documents name exist"
# shellcheck disable=SC2016
grep -o -h '`[a-z_.]*/[A-Za-z0-9_./-]*[a-z]`' docs/*.md README.md README.zh-CN.md | tr -d '`' | sort -u | while read -r path; do
    case $path in
    build/* | dev/venv* | *VERB* | *PARSER* | *LAYER*) continue ;;
    esac
    [ -e "$path" ] || [ -e "src/$path" ] || echo "$path"
done >"$WORK/out"
[ ! -s "$WORK/out" ]
check $? "$WORK/out" /dev/null

for readme in README.md README.zh-CN.md; do
    begin "the command lines of $readme use verbs and options that exist"
    command_lines "$readme" | sed "s/'[^']*'/TEXT/g" | while read -r _ verb rest; do
        # shellcheck disable=SC2086
        set -- $rest
        [ "$verb" = eval ] && verb="eval $1" && shift
        # shellcheck disable=SC2086
        "$TUWEN" $verb --help >"$WORK/help" 2>/dev/null || echo "$readme: no verb $verb"
        for word in "$@"; do
            case $word in
            --*) grep -q -e "^ .*$word " "$WORK/help" || echo "$readme: tuwen $verb has no option $word" ;;
            -?) grep -q -e "^  $word, " "$WORK/help" || echo "$readme: tuwen $verb has no option $word" ;;
            esac
        done
    done >"$WORK/out"
    [ "$(command_lines "$readme" | wc -l)" -ge 10 ] && [ ! -s "$WORK/out" ]
    check $? "$WORK/out" /dev/null
done

begin "both READMEs have the same blocks of code and as many headings"
for readme in README.md README.zh-CN.md; do
    awk '/^```/ { inside = !inside; print; next } inside' "$readme" >"$WORK/$readme.code"
    sed -n 's/^\(##*\) .*/\1/p' "$readme" >"$WORK/$readme.headings"
done
{ diff "$WORK/README.md.code" "$WORK/README.zh-CN.md.code" &&
    diff "$WORK/README.md.headings" "$WORK/README.zh-CN.md.headings"; } >"$WORK/out"
check $? "$WORK/out" /dev/null

begin "the C of the READMEs is that of the examples"
block c README.md >"$WORK/c"
cat examples/*.c >"$WORK/examples"
grep -v -x -F -f "$WORK/examples" "$WORK/c" >"$WORK/out"
[ "$(wc -l <"$WORK/c")" -ge 10 ] && [ ! -s "$WORK/out" ]
check $? "$WORK/out" /dev/null

# The reference kernels print the same on every machine.
begin "the tour of README.md prints what it shows"
mkdir "$WORK/tour" && ln -s "$TUWEN_SOURCE/demo" "$WORK/tour/demo"
block console README.md >"$WORK/expected"
(
    cd "$WORK/tour" || exit 1
    TUWEN_CPU=ref
    export TUWEN_CPU
    unset TUWEN_MODEL
    # shellcheck disable=SC2317
    tuwen() { "$TUWEN" "$@"; }
    sed -n 's/^\$ //p' "$WORK/expected" | while read -r line; do
        echo "\$ $line"
        eval "$line" 2>"$WORK/err" || cat "$WORK/err"
    done
) >"$WORK/shown"
diff "$WORK/expected" "$WORK/shown" >"$WORK/out"
check $? "$WORK/out" "$WORK/err"

finish
