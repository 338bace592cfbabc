# help, --help and --version; verbs and options that do not exist.
. "$TUWEN_SOURCE/tests/cli/lib.sh"

fits_a_screen() { [ "$(wc -l <out)" -le 40 ] && [ "$(wc -L <out)" -le 100 ]; }
ends_with_example() { tail -n 1 out | grep -q "^Example: tuwen $1"; }

run --version
check "--version prints one line" both 'status_is 0' 'prints "^tuwen [0-9]*\.[0-9]*\.[0-9]*$"'
run --help
check "--help names every verb" prints "  doctor "
check "--help fits a screen" fits_a_screen
cp out overview
run help
check "help is --help" cmp -s out overview
run
check "no verb is wrong usage" status_is 2
check "no verb prints nothing on standard output" silent

for verb in pull convert info tokenize preprocess embed similarity classify "eval zeroshot" "eval features" "eval knn" "eval recall" "eval table" verify export build bench doctor; do
    # shellcheck disable=SC2086
    run $verb --help
    check "$verb --help is status 0" status_is 0
    check "$verb --help fits a screen" fits_a_screen
    check "$verb --help ends with an example" ends_with_example "$verb"
    check "$verb --help says nothing on standard error" [ ! -s err ]
    cp out page
    # shellcheck disable=SC2086
    run help $verb
    check "help $verb is $verb --help" cmp -s out page
done
run eval --help
check "eval --help names its verbs" both 'prints "^  eval zeroshot "' 'prints "^  eval recall "'

for verb in index search merge serve; do
    run "$verb" something
    check "$verb is not part of this version" fails_saying 2 "$verb: not part of this version"
done
for what in linear-probe; do
    run eval "$what"
    check "eval $what is not part of this version" fails_saying 2 "not part of this version"
done
run eval
check "eval alone is wrong usage" fails_saying 2 "see tuwen eval --help"

run embde
check "an unknown verb suggests the nearest" fails_saying 2 "unknown verb 'embde', did you mean embed? (see tuwen --help)"
run xyzzy
check "an unknown verb suggests --help" fails_saying 2 "tuwen --help"
run embed --imgaes list
check "an unknown option suggests the nearest" fails_saying 2 "unknown option '--imgaes', did you mean --images"
run embed --xyzzy
check "an unknown option suggests --help" fails_saying 2 "tuwen embed --help"
run embed -Q
check "an unknown letter suggests --help" fails_saying 2 "unknown option '-Q'"
run embed --threads
check "a missing value" fails_saying 2 "option '--threads' needs a value"
run embed --no-normalize=yes
check "a value too much" fails_saying 2 "takes no value"
run embed --threads many
check "a number that is none" fails_saying 2 "expected a whole number 0..1024, got 'many'"
run embed --threads 1025
check "a number out of range" fails_saying 2 "0..1024"
run embed --batch 1e3
check "numbers are whole" fails_saying 2 "1..4096"
run embed --batch ' 8'
check "numbers have no white space" fails_saying 2 "1..4096"
run embed --batch 99999999999999999999
check "numbers do not overflow" fails_saying 2 "1..4096"
run embed --resize-mode stretch
check "a word that is no choice" fails_saying 2 "expected squash|shortest|longest, got 'stretch'"
run embed --mean 0.5,0.5
check "a triple has three numbers" fails_saying 2 "three numbers"
run embed --mean 0.5,0.5,nan
check "a triple has numbers" fails_saying 2 "three numbers"
run embed --progress loud
check "a progress that is none" fails_saying 2 "auto|always|never|json"
run doctor extra
check "an operand too much" fails_saying 2 "no operand expected"
"$TUWEN" --help >/dev/full 2>err
status=$?
check "a full standard output is an error" fails_saying 1 "standard output: "
finish
