#!/bin/sh
# What the documents say is so: links lead somewhere, command lines use verbs and options that exist,
# the tour of the README runs and prints what the README shows, and both READMEs say the same.
. "$TUWEN_SOURCE/tests/cli/lib.sh"

status=0
: >err
nothing_found() { ! [ -s out ]; }

# block LANGUAGE FILE: the lines of FILE's fenced blocks in LANGUAGE.
block() {
    awk -v fence="\`\`\`$1" '/^```/ { inside = !inside && $0 == fence; next } inside' "$TUWEN_SOURCE/$2"
}

# command_lines FILE: the tuwen commands of FILE's shell blocks, one a line.
command_lines() {
    {
        block sh "$1"
        block console "$1" | sed -n 's/^\$ //p'
        block shell-session "$1" | sed -n 's/^\$ //p'
    } | grep '^tuwen '
}

(
    cd "$TUWEN_SOURCE" || exit 1
    find . -name '*.md' ! -path './build*' ! -path './dev/venv/*' | while read -r file; do
        grep -o '](\([^)#: ]*\)[^):]*)' "$file" | sed 's/^](//; s/[#)].*//' | while read -r link; do
            [ -z "$link" ] || [ -e "$(dirname "$file")/$link" ] || echo "$file: $link"
        done
    done
) >out
check "every relative link in a document leads to a file" nothing_found

# What GitHub makes of a heading: lower case, hyphens for spaces, no punctuation.
(
    cd "$TUWEN_SOURCE" || exit 1
    for file in docs/*.md README.md README.zh-CN.md; do
        grep -o '](\([^): ]*#[^)]*\))' "$file" | sed 's/^](//; s/)$//' | while read -r link; do
            target=$(dirname "$file")/${link%%#*}
            [ -n "${link%%#*}" ] || target=$file
            sed -n 's/^##* //p' "$target" | tr '[:upper:] ' '[:lower:]-' | tr -d '.,:()`' |
                grep -q -x -- "${link#*#}" || echo "$file: $link"
        done
    done
) >out
check "every link to a section leads to a heading" nothing_found

(
    cd "$TUWEN_SOURCE" || exit 1
    grep -o -h '`[a-z_.]*/[A-Za-z0-9_./-]*[a-z]`' docs/*.md README.md README.zh-CN.md | tr -d '`' |
        sort -u | while read -r path; do
        case $path in
        build/* | dev/venv* | *VERB* | *PARSER* | *LAYER*) continue ;;
        esac
        [ -e "$path" ] || [ -e "src/$path" ] || echo "$path"
    done
) >out
check "the files and folders that the documents name exist" nothing_found

for readme in README.md README.zh-CN.md; do
    command_lines "$readme" | sed "s/'[^']*'/TEXT/g" >commands
    while read -r _ verb rest; do
        # shellcheck disable=SC2086
        set -- $rest
        [ "$verb" = eval ] && verb="eval $1" && shift
        # shellcheck disable=SC2086
        "$TUWEN" $verb --help >help 2>err || echo "no verb $verb"
        for word in "$@"; do
            case $word in
            --*) grep -q -e "^ .*$word " help || echo "tuwen $verb has no option $word" ;;
            -?) grep -q -e "^  $word, " help || echo "tuwen $verb has no option $word" ;;
            esac
        done
    done <commands >out
    good_lines() { [ "$(wc -l <commands)" -ge 10 ] && nothing_found; }
    check "the command lines of $readme use verbs and options that exist" good_lines
done

for readme in README.md README.zh-CN.md; do
    awk '/^```/ { inside = !inside; print; next } inside' "$TUWEN_SOURCE/$readme" >"$readme.code"
    sed -n 's/^\(##*\) .*/\1/p' "$TUWEN_SOURCE/$readme" >"$readme.headings"
done
{
    diff README.md.code README.zh-CN.md.code
    diff README.md.headings README.zh-CN.md.headings
} >out
check "both READMEs have the same blocks of code and as many headings" nothing_found

block c README.md >readme.c
cat "$TUWEN_SOURCE"/examples/*.c >examples.c
grep -v -x -F -f examples.c readme.c >out
good_c() { [ "$(wc -l <readme.c)" -ge 10 ] && nothing_found; }
check "the C of the READMEs is that of the examples" good_c

# The reference kernels print the same on every machine.
mkdir tour && ln -s "$TUWEN_SOURCE/demo" tour/demo
block console README.md >expected
(
    cd tour || exit 1
    TUWEN_CPU=ref
    export TUWEN_CPU
    tuwen() { "$TUWEN" "$@"; }
    sed -n 's/^\$ //p' ../expected | while read -r line; do
        echo "\$ $line"
        eval "$line" 2>../err || cat ../err
    done
) >shown
diff expected shown >out
check "the tour of README.md prints what it shows" nothing_found

finish
