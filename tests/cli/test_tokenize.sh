# tokenize
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model

expect() { printf '%s\n' "$1" | cmp -s - out; }

run tokenize --tokenizer wordpiece --json --text 杰尼龟 --text "Hello World!"
check "ids from [CLS] to [SEP]" expect '{"ids": [101, 3345, 2225, 7991, 102]}
{"ids": [101, 8701, 8572, 106, 102]}'
cp out expected
printf '杰尼龟\r\n{"text_id": 1, "text": "Hello World!"}\n' >texts.jsonl
run tokenize -m model.gguf --json texts.jsonl
check "plain and JSON lines, the model's tokenizer" cmp -s out expected
"$TUWEN" tokenize -m model.gguf --json - <texts.jsonl >out 2>err
check "standard input" cmp -s out expected
run tokenize -m model.gguf texts.jsonl
check "a table for people" prints '\[CLS\]   杰   尼   龟 \[SEP\]'
run tokenize --tokenizer wordpiece --json --text 杰尼龟 --pad --context-length 8
check "--pad prints the zeros" expect '{"ids": [101, 3345, 2225, 7991, 102, 0, 0, 0]}'
run tokenize --tokenizer wordpiece --json --text 杰尼龟 --context-length 4
check "longer texts are cut before [SEP]" expect '{"ids": [101, 3345, 2225, 102]}'
run tokenize --tokenizer wordpiece --json --text 杰尼龟 --context-length 4 --truncation flag
check "--truncation flag tells" expect '{"ids": [101, 3345, 2225, 102], "truncated": true}'
run tokenize --tokenizer wordpiece --json --text ok --text 杰尼龟 --context-length 4 --truncation error
check "--truncation error refuses" both 'status_is 1' 'says "text 2: "'
run tokenize --tokenizer wordpiece --json --text 杰尼龟 --context-length 4 --truncate
check "--truncate cuts" both 'status_is 0' 'expect "{\"ids\": [101, 3345, 2225, 102]}"'
run tokenize --tokenizer wordpiece --json --text '“A”'
check "curly quotes are unknown" expect '{"ids": [101, 100, 143, 100, 102]}'
run tokenize --tokenizer wordpiece --json --text '“A”' --eval-quotes
check "--eval-quotes makes them straight" expect '{"ids": [101, 107, 143, 107, 102]}'
run tokenize --tokenizer bpe --json --text "a diagram" --text "caf&eacute; “déjà vu”"
check "bpe: OpenAI's ids, repaired text" expect '{"ids": [49406, 320, 22697, 49407]}
{"ids": [49406, 15304, 257, 25466, 73, 21259, 13230, 257, 49407]}'
run tokenize --tokenizer open-clip --json --text "<start_of_text>A_Cat" --clean canonicalize
check "open-clip: --clean canonicalize" expect '{"ids": [49406, 1572, 539, 2056, 1397, 2368, 49407]}'
run tokenize --tokenizer open-clip --json --text "<end_of_text>"
check "open-clip: a special in the text" expect '{"ids": [49406, 49407, 49407]}'
run tokenize --tokenizer bpe --json --text "a b c d" --context-length 4
check "bpe refuses longer texts" fails_saying 1 "too long for context length 4"
run tokenize --tokenizer bpe --json --text "a b c d" --context-length 4 --truncate
check "bpe --truncate cuts" expect '{"ids": [49406, 320, 321, 49407]}'
run tokenize --tokenizer open-clip --json --text "a b c d" --context-length 4
check "open-clip cuts" expect '{"ids": [49406, 320, 321, 49407]}'
run tokenize --tokenizer bpe --json --text "Ｃａｔ" --no-repair
check "bpe --no-repair leaves full width" expect '{"ids": [49406, 171, 121, 225, 171, 121, 223, 171, 121, 498, 49407]}'
: >empty
run tokenize --tokenizer wordpiece --json empty
check "no text, no line" both 'status_is 0' silent
printf '\n\n' >blank
run tokenize --tokenizer wordpiece --json blank
check "an empty line is an empty text" expect '{"ids": [101, 102]}
{"ids": [101, 102]}'
printf '{"text": 3}\n{"text": "x"\n{}\n' >odd.jsonl
run tokenize --tokenizer wordpiece --json odd.jsonl
check "what is not JSON with a text is a text" both 'status_is 0' 'lines_are out 3'
printf '\377\376 cat\0dog\n' >bytes
run tokenize --tokenizer wordpiece --json bytes
check "bytes that are no UTF-8 do no harm" both 'status_is 0' 'lines_are out 1'

run tokenize --tokenizer wordpiece
check "no text" fails_saying 2 "no texts"
run tokenize --json --text a
check "no tokenizer" fails_saying 2 "no model"
run tokenize --tokenizer unigram --text a
check "another tokenizer" fails_saying 2 "wordpiece|bpe|open-clip"
run tokenize --tokenizer wordpiece --text a --clean lower
check "--clean goes with byte pairs" fails_saying 2 "open-clip"
run tokenize --tokenizer bpe --text a --eval-quotes
check "--eval-quotes goes with WordPiece" fails_saying 2 "wordpiece"
run tokenize --tokenizer wordpiece --text a --context-length 1
check "a context of 1" fails_saying 2 "2..512"
run tokenize --tokenizer wordpiece missing.txt
check "a missing file" fails_saying 1 "missing.txt: No such file"
run tokenize --tokenizer wordpiece .
check "a folder" fails_saying 1 "is a directory"
printf 'cat\ndog\n' >short.txt
run tokenize --tokenizer wordpiece --vocab short.txt --text a
check "a vocabulary without [CLS]" fails_saying 1 "short.txt"
run tokenize --tokenizer wordpiece --vocab empty --text a
check "an empty vocabulary" fails_saying 1 "empty"
finish
