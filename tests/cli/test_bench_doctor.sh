# bench and doctor
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model

number='[0-9]*\.[0-9][0-9]ms'
statistics="mean=$number, sd=$number, min=$number, max=$number, median=$number, 95p=$number, 99p=$number"
run bench -m model.gguf --n 5 --warmup 1 --batch 2
check "bench" status_is 0
check "the line of speed_benchmark for pictures" prints "^\[tuwen image inference speed (batch-size: 2):\] $statistics$"
check "and for texts" prints "^\[tuwen text inference speed (batch-size: 2):\] $statistics$"
check "the frame around them" both 'prints "^Begin the image feature extraction speed test\.\.\.$"' 'prints "^Done!$"'
check "the time of one picture, and how busy the processors were" \
    prints '^[0-9.]* ms per image, [0-9.]* per second (mean / batch-size), [0-9]*\.[0-9]* processors busy$'
check "start-up and memory" prints '^start-up [0-9.]* ms, peak memory [1-9][0-9.]* MB$'
run bench -m model.gguf --n 20 --batch 8 -t 1 --json
busy=$(sed -n 's/.*"image": {[^}]*"processors_busy": \([0-9.]*\).*/\1/p' out)
check "one thread keeps at most one processor busy" awk -v busy="$busy" 'BEGIN {exit !(busy > 0.05 && busy < 1.05)}'
check "JSON has them too" prints '"startup_ms": [0-9.]*, "peak_rss_bytes": [1-9]'
run bench -m model.gguf --n 3 --json --image "$pictures/red-circle.png" --text 猫
check "--json" both 'status_is 0' 'prints "^{\"image\": {\"mean_ms\": .*\"p99_ms\": .*\"ms_per_item\": .*\"text\": {.*\"batch_size\": 1, \"n\": 3, \"warmup\": 10, \"used\": {"'
check "work and its share of what the processor can do" prints '"gflop": [0-9.e-]*, "gflops": [0-9.]*, "peak_gflops": [1-9]'
run bench -m model.gguf --n 2 --warmup 1 --batches 1,3 --thread-counts 1,2 --stages --html 速度.html
check "a list is a table, a row for each tower, batch and number of threads" \
    both 'status_is 0' '[ "$(grep -c -E "^(image|text) +[12] +[13] +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+ % +[0-9.]+$" out)" -eq 8 ]'
check "stages of both towers, which are the whole" \
    awk '/median of each stage/ {if (n) bad = bad || s < 99 || s > 101; n++; s = 0} /%$/ && /^  / {s += $(NF - 1)} END {exit n != 2 || bad || s < 99 || s > 101}' out
check "the stages are MODEL.md's" both 'prints "visual.transformer.resblocks.1 "' 'prints "bert.encoder.layer.1 "'
check "the page has a bar for every row" [ "$(grep -c '<rect' 速度.html)" -eq $((8 + $(grep -c '^  .*ms' out))) ]
check "and all figures" [ "$(grep -c '<tr><td>' 速度.html)" -eq 8 ]
check "and fetches nothing" sh -c '! grep -E -i "https?:|src=|@import|url\(" 速度.html'
run bench -m model.gguf --n 2 --batches 1,3 --text-only --stages --json
check "JSON of a list" both 'prints "^{\"runs\": \[{\"tower\": \"text\", \"threads\": [0-9]*, \"batch_size\": 1, "' 'prints "\"stages\": \[{\"tower\": \"text\", \"name\": \"bert.embeddings\", \"median_ms\": "'
run bench -m model.gguf --batches 1,,2
check "a list that is none" fails_saying 2 "expected up to 64 numbers"
run bench -m model.gguf --thread-counts 0
check "no thread" fails_saying 2 "from 1 to 1024"
run bench -m model.gguf --batches 1,2 --batch 4
check "a list and a number" fails_saying 2 "a list and a single number"
refused "a page that cannot be written" 1 "no-such-folder" no-such-folder/x.html bench -m model.gguf --n 1 --html no-such-folder/x.html
run bench -m model.gguf --pipeline "$pictures" missing.png
check "the pipeline of one's own pictures" both 'status_is 0' 'prints "^8 pictures, "'
check "its parts and what was reached" awk '/^(decode|resize|both|encode|all allow|reached) +[0-9]/ {n++} END {exit n != 6}' out
check "a picture that cannot be read is named" says "missing.png"
run bench -m model.gguf --pipeline --fast-decode "$pictures" --json
check "JSON of the pipeline, the deviation by name" both 'prints "^{\"pipeline\": {\"pictures\": 8, .*\"reached_per_second\": [0-9]"' 'prints "\"fast_decode\": true"'
run bench -m model.gguf --pipeline
check "no pictures" fails_saying 2 "no pictures"
run bench -m model.gguf --pipeline --text-only "$pictures"
check "a pipeline of texts" fails_saying 2 "goes with"
run bench -m model.gguf --n 0
check "no run at all" fails_saying 2 "1..1000000"
run bench -m model.gguf --image missing.png
check "a missing picture" both 'status_is 1' 'says "missing.png"'
run bench -m model.gguf --pytorch-ckpt x.pt
check "the original's words" fails_saying 2 "tuwen convert"

# 4096 pictures of 128 x 128 are 805 MB in f32.
"$TUWEN" convert "$TUWEN_SOURCE/demo/clip_cn_demo-vit-ti-16.pt" -o demo.gguf >/dev/null 2>&1
(ulimit -v 600000 && exec "$TUWEN" bench -m demo.gguf -t 1 --batch 4096 --n 1 --warmup 0) >out 2>err </dev/null
status=$?
check "a batch too large for memory is one line" both 'status_is 1' \
    '[ "$(grep -c "out of memory: " err)" -eq 1 ] && ! says "[Kk]illed\|[Aa]bort\|fault"'
refused "a batch larger than there may be" 2 "4096" none bench -m demo.gguf --batch 100000000

run doctor
check "doctor" status_is 0
for word in version "instruction set" TUWEN_CPU processors threads "libjpeg" "libpng" "classic, 12.1, 12.2, 13" "ok "; do
    check "doctor shows $word" prints "$word"
done
check "runtimes that are missing say how to get them" prints "^openvino  *libopenvino_c.so is not installed; .*PyPI"
check "so do compilers" prints "^build ascend  *atc is not in PATH (the CANN toolkit"
mkdir bin
printf '#!/bin/sh\n' >bin/model_transform.py
chmod +x bin/model_transform.py
PATH=$PWD/bin:$PATH "$TUWEN" doctor >out 2>err
check "the first that is missing is named" prints "^build sophon  *model_deploy.py is not in PATH"
cp bin/model_transform.py bin/model_deploy.py
PATH=$PWD/bin:$PATH "$TUWEN" doctor --json >out 2>err
check "what is there has its place" prints "\"sophon\": {\"usable\": true, \"program\": \"[^\"]*/bin/model_transform.py\"}"
run doctor
check "no check fails" both 'prints "self-check"' '! prints FAILED'
run doctor --json
check "--json is one object" both 'lines_are out 1' 'prints "\"ok\": true}$"'
check "it lists what the cpu backend computes in" prints '"backend": "cpu", "precision": "f32", "precisions": \["f32", "bf16", "int8"\], '
TUWEN_CPU=ref "$TUWEN" doctor >out 2>err
status=$?
check "TUWEN_CPU=ref is obeyed, checked and shown" both 'status_is 0' 'prints "ref (best here"'
TUWEN_CPU=pentium "$TUWEN" doctor >out 2>err
check "a wrong TUWEN_CPU is named" prints "pentium: none of ref"
TUWEN_LIBHEIF=/nowhere/heif.so TUWEN_LIBAVIF=/nowhere/avif.so "$TUWEN" doctor >out 2>err
status=$?
check "what HEIC and AVIF lack is shown" both 'status_is 0' 'prints "^heif  *HEIC needs libheif 1.x (/nowhere/heif.so)"' 'prints "^avif  *AVIF needs libavif .*(/nowhere/avif.so)"'
TUWEN_LIBHEIF=/nowhere/heif.so "$TUWEN" doctor --json >out 2>err
check "--json says so" prints '"heif": {"usable": false, "reason": "HEIC needs libheif'
finish
