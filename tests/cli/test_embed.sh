# embed
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
TUWEN_MODEL=model.gguf
export TUWEN_MODEL

# Values: 1e-5 is what a float32 computation of these towers stays within.
run embed --pixels "$tiny/image_input.npy" --no-normalize -o pixels.npy
check "pixels give the expected features" npy_close pixels.npy "$tiny/unnorm_image_features.npy" 1e-5
run embed --ids "$tiny/input_ids.npy" --no-normalize -o ids.npy
check "ids give the expected features" npy_close ids.npy "$tiny/unnorm_text_features.npy" 1e-5
printf '%s\n' 杰尼龟 妙蛙种子 '{"text": "小火龙"}' 皮卡丘 'iPhone 13 Pro Max 手机壳' >texts.jsonl
run embed --texts texts.jsonl --no-normalize -o texts.npy
check "texts give the same as their ids" cmp -s texts.npy ids.npy

# Sources and their order.
run embed "$pictures" -o folder.npy
check "a folder" both 'status_is 0' '[ "$(npy_shape folder.npy)" = "8, 32" ]'
find "$pictures" -type f | sort >list
run embed --images list -o list.npy
check "a list of the same" cmp -s folder.npy list.npy
sed 's/$/\r/' list >crlf
run embed --images crlf -o crlf.npy
check "a list with Windows line ends" cmp -s folder.npy crlf.npy
"$TUWEN" embed --images - -o stdin.npy <list >out 2>err
check "a list from standard input" cmp -s folder.npy stdin.npy
xargs -d '\n' "$TUWEN" embed -o operands.npy <list >out 2>err
check "operands" cmp -s folder.npy operands.npy
(cd "$pictures" && tar -cf "$work/pictures.tar" -- *)
run embed pictures.tar -o tar.npy
check "a tar archive" cmp -s folder.npy tar.npy
for options in "-b 1" "-b 3" "-t 1" "-t 3 --batch 64"; do
    # shellcheck disable=SC2086
    run embed "$pictures" $options -o other.npy
    check "the same to the bit with $options" cmp -s folder.npy other.npy
done

# Sinks.
run embed --images list -o rows.jsonl
check "a line a picture" lines_are rows.jsonl 8
check "with its path" [ "$(grep -c '^{"image": ".*", "feature": \[[-0-9.e, ]*\]}$' rows.jsonl)" -eq 8 ]
check "Chinese names are whole" grep -q 粉色圆环.png rows.jsonl
run embed --texts texts.jsonl -o rows.jsonl
check "a line a text" grep -q '^{"text": "小火龙", "feature": \[' rows.jsonl
"$TUWEN" embed --texts texts.jsonl -o - >stdout.jsonl 2>err
check "- is JSONL on standard output" cmp -s rows.jsonl stdout.jsonl
run embed --ids "$tiny/input_ids.npy" -o numbered.jsonl
check "rows of arrays are numbered" grep -q '^{"index": 4, "feature": ' numbered.jsonl
run embed "$pictures" -o folder.npy --json
check "--json says what was used" prints '"rows": 8, "dim": 32, "skipped": 0.*"used": {.*"isa": ".*"threads": .*"resampler": "classic"'
check "so does standard error" says "cpu .*, f32, .* threads\{0,1\}, batch 8; .*resampler classic"
run embed "$pictures" -o 目录/向量.npy
check "an output folder that is not there" both 'status_is 1' '! [ -e 目录 ]'
mkdir "目录 一"
run embed "$pictures/粉色圆环.png" -o "目录 一/向量.npy"
check "Chinese paths with spaces" both 'status_is 0' '[ "$(npy_shape "目录 一/向量.npy")" = "1, 32" ]'

# None.
: >none
run embed --images none -o none.npy
check "an empty list" both 'status_is 0' '[ "$(npy_shape none.npy)" = "0, 32" ]'
mkdir void
run embed void -o none.npy
check "an empty folder is named" both 'status_is 0' 'says "void: no picture"'
run embed --texts none -o none.jsonl
check "no texts" both 'status_is 0' '[ -e none.jsonl ] && ! [ -s none.jsonl ]'

# Some bad.
head -c 300 "$pictures/red-circle.png" >cut.png
printf '%s\n' "$pictures/red-circle.png" cut.png missing.png . "$pictures/blue-star.png" >mixed
run embed --images mixed -o mixed.npy --errors errors.jsonl
check "some skipped is status 3" status_is 3
check "every one is named" [ "$(grep -c ': skipped ' err)" -eq 3 ]
check "and in the file" lines_are errors.jsonl 3
check "with its number" grep -q '^{"index": 2, "input": "missing.png", "status": "io"' errors.jsonl
check "the rows stay" [ "$(npy_shape mixed.npy)" = "5, 32" ]
check "the bad ones are NaN" [ "$(tail -c +129 mixed.npy | od -An -v -t f4 -w128 | grep -c nan)" -eq 3 ]
run embed --images mixed -o mixed.jsonl
check "or null" [ "$(grep -c null mixed.jsonl)" -eq 3 ]
refused "one bad picture" 1 "cut.png: " x.npy embed cut.png -o x.npy
run embed cut.png missing.png -o x.npy
check "nothing but bad ones" both 'status_is 1' 'absent x.npy'
refused "a missing list" 1 "missing.txt: No such file" x.npy embed --images missing.txt -o x.npy
refused "a text too long" 1 "tokens\|length" x.npy embed --texts texts.jsonl --context-length 4 --truncation error -o x.npy
run embed --texts texts.jsonl --context-length 4 --truncation flag -o x.npy
check "--truncation flag counts" says "3 of 5 texts were too long and were cut\|5 of 5 texts were too long and were cut"
head -c 200 "$tiny/image_input.npy" >cut.npy
refused "a truncated array" 1 "cut.npy" x.npy embed --pixels cut.npy -o x.npy
refused "pixels of another size" 1 "expected f32 \[n, 3, 32, 32\]" x.npy embed --pixels "$tiny/image_input_48.npy" -o x.npy
refused "ids that are none" 1 "expected i64" x.npy embed --ids "$tiny/image_input.npy" -o x.npy
refused "an array that is none" 1 "red-circle" x.npy embed --ids "$pictures/red-circle.png" -o x.npy

# Output.
printf old >x.npy
(ulimit -f 1 && "$TUWEN" embed --texts "$TUWEN_SOURCE/README.md" -o x.npy) >out 2>err
status=$?
check "a full disk is an error" both 'status_is 1' 'says "x.npy"'
check "and leaves the old file" both '[ "$(cat x.npy)" = old ]' '[ -z "$(find . -name "*.part")" ]'
ln -s /dev/full full.npy
run embed "$pictures" -o full.npy
check "/dev/full is an error" both 'status_is 1' 'says "No space left"'
run embed "$pictures" -o out.txt
check "an ending nobody knows" both 'status_is 2' 'says "ending in .npy or .jsonl"'

# Usage.
run embed -o x.npy
check "no input" fails_saying 2 "no input"
run embed a.png --texts b.txt -o x.npy
check "two kinds of input" fails_saying 2 "one kind of input"
run embed a.png
check "no output" fails_saying 2 "no output"
run embed a.png -o - --json
check "two things on standard output" fails_saying 2 "standard output"
run embed a.png -o x.npy --backend cuda
check "another backend" fails_saying 2 "not part of this version"
run embed a.png -o x.npy --device cuda:0
check "another device" fails_saying 2 "backend cpu has the device cpu"
run embed a.png -o x.npy --precision f16
check "another precision" fails_saying 2 "backend cpu computes in f32"
run embed a.png -o x.npy --extract-image-feats
check "the original tool's words" fails_saying 2 "give pictures as operands"
# one file a picture
run embed --npy_path each --src-path "$pictures"
check "--npy-path: a file each" [ "$(find each -name '*.npy' | wc -l)" -eq "$(find "$pictures" -type f | wc -l)" ]
run embed "$pictures/red-circle.png" -o alone.npy
check "the row it would have had" both '[ "$(npy_shape each/red-circle.npy)" = "$(npy_shape alone.npy)" ]' "npy_close each/red-circle.npy alone.npy 0"
mkdir broken && head -c 300 "$pictures/red-circle.png" >broken/b.png && cp "$pictures/red-circle.png" broken/a.png
run embed --npy-path others broken --json
check "what cannot be read has no file" both 'status_is 3' '[ -s others/a.npy ] && absent others/b.npy'
check "--json names the folder" prints '"output": "others", "rows": 2'
cp broken/a.png broken/a.jpg
refused "two pictures of one name" 2 "same/a.npy: two pictures of this name" same/a.npy embed --npy-path same broken
refused "-o and --npy-path" 2 "exclude each other" x.npy embed --npy-path same -o x.npy broken
refused "texts have no names" 2 "a file a picture" x.npy embed --npy-path same --texts "$TUWEN_SOURCE/demo/labels.zh.txt"
unset TUWEN_MODEL
run embed a.png -o x.npy
check "no model" fails_saying 2 "no model: give -m FILE or set TUWEN_MODEL"
TUWEN_CPU=pentium "$TUWEN" embed -m model.gguf "$pictures" -o x.npy >out 2>err
status=$?
check "an instruction set nobody knows is named" both 'status_is 0' 'says "TUWEN_CPU=pentium"'
TUWEN_CPU=ref "$TUWEN" embed -m model.gguf "$pictures" -o ref.npy >out 2>err
check "TUWEN_CPU=ref is used" says "cpu ref"
check "and agrees" npy_close ref.npy folder.npy 1e-5
check "being there, it is no matter of complaint" eval '! says TUWEN_CPU'

# More than the machine has.
case $(uname -m) in aarch64 | arm64) lacked=avx2 ;; *) lacked=neondot ;; esac
TUWEN_CPU=$lacked "$TUWEN" embed -m model.gguf "$pictures" -o x.npy >out 2>err
status=$?
check "an instruction set that the processor lacks: what is used instead" \
    both 'status_is 0' 'says "TUWEN_CPU=$lacked: this processor lacks it, ref is used$"'
run embed -m model.gguf "$pictures" -o x.npy -t 1000
check "more threads than processors is said" both 'status_is 0' \
    'says "-t 1000: this process may use [0-9]* processors\{0,1\}, which take turns at 1000 threads$"'
check "and changes nothing" cmp -s x.npy folder.npy
refused "more threads than there may be" 2 "expected a whole number 0..1024, got '100000'" x.npy \
    embed -m model.gguf "$pictures" -o x.npy -t 100000
refused "a batch larger than there may be" 2 "expected a whole number 1..4096, got '100000000'" x.npy \
    embed -m model.gguf "$pictures" -o x.npy -b 100000000
run embed -m model.gguf "$pictures" -o x.npy -b 4096
check "a batch larger than the pictures" both 'status_is 0' 'cmp -s x.npy folder.npy'
finish
