# pull: names, and downloads from a server on the loopback that behaves as badly as it is asked to.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
unset HF_ENDPOINT HF_TOKEN TUWEN_CACHE XDG_CACHE_HOME http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
no_proxy='*'
export no_proxy

server() { # server NAME [PEER]: starts one, its port in the file NAME.
    "$TUWEN_BUILD/tests/hostile_server" "$work/root" "$work/log" "${2:-0}" >"$1" &
    servers="$servers $!"
    for _ in $(seq 1 100); do
        [ -s "$1" ] && break
        sleep 0.05
    done
}
servers=
# shellcheck disable=SC2086
trap 'kill $servers 2>/dev/null; rm -rf "$work"' EXIT
mkdir root
cp "$tiny/clip_cn_tiny-vit.pt" root/t.pt
size=$(wc -c <root/t.pt)
sha=$(sha256sum root/t.pt | cut -d ' ' -f 1)
other=$(echo "$sha" | tr 0123456789abcdef 123456789abcdef0)
server peer
server port "$(cat peer)"
port=$(cat port)
host=http://127.0.0.1:$port

# get MODE ARGS…: t.pt in that mode, into the folder d, emptied before.
get() {
    mode=$1
    shift
    rm -rf d
    run pull --url "$host/$mode/t.pt" --folder d --no-convert --progress never "$@"
}
got=d/127.0.0.1/t.pt
whole() { status_is 0 && cmp -s root/t.pt $got && [ ! -e $got.part ]; }
nothing_kept() { [ ! -e $got ] && [ ! -e $got.part ] && [ ! -e $got.pull ]; }
fails_clean() { status_is 1 && says "$1" && nothing_kept; }
asked() { grep -q -e "$1" log; }

# ---------------------------------------------------------------------------------- names
run pull --list
check "--list names the three families" both 'status_is 0' 'prints "^chinese-clip/RN50 " && prints "^openai/ViT-B/32 *40d36571 " && prints "^open_clip/ViT-B-32/laion2b_s34b_b79k "'
run pull --list --json
check "--list --json is one object" both 'lines_are out 1' 'prints "\"name\": \"openai/RN50\""'
check "it has the published digests" prints '"sha256": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"'
check "it has null for what nobody publishes" prints '"sha256": null, "bytes": null'
run pull RN50
check "an ambiguous name" fails_saying 2 "several: chinese-clip/RN50, openai/RN50"
run pull ViT-B-32
check "a wrong name lists near ones" fails_saying 2 "unknown name 'ViT-B-32', near ones are openai/ViT-B/32, open_clip/ViT-B-32"
run pull xyzzy
check "a name like none" fails_saying 2 "unknown name 'xyzzy' (see tuwen pull --list)"
run pull
check "no name" fails_saying 2 "expected one name"
run pull clip_cn_vit-b-16.pt
check "so does a file's name" fails_saying 2 "near ones are chinese-clip/ViT-B-16, openai/ViT-B/16 (see"
run pull openai/RN50 openai/RN101
check "two names" fails_saying 2 "got 2"
run pull openai/RN50 --hub modelscope --folder d
check "a hub that has it not" fails_saying 2 "modelscope"
run pull openai/RN50 --sha256 "$other" --folder d
check "another digest than the published one" fails_saying 2 "is published with afeb0e10"
run pull openai/RN50 --sha256 123 --folder d
check "a digest that is none" fails_saying 2 "64 hexadecimal digits"
for url in ftp://127.0.0.1/x file:///etc/passwd 127.0.0.1/x 'http://user@127.0.0.1/x' 'http://127.0.0.1/x y' http:///x \
    http://127.0.0.1:99999/x http://127.0.0.1/; do
    run pull --url "$url" --folder d
    check "no address: $url" fails_saying 2 "address '"
done
run pull openai/RN50 --folder d -o nowhere/m.gguf
check "an output that cannot be written is said first" both 'fails_saying 1 "nowhere/m.gguf"' '[ ! -e d ]'
HF_TOKEN=hf_secret HF_ENDPOINT=http://example.org "$TUWEN" pull ViT-B-16 --folder d --no-convert >out 2>err
status=$?
check "a token is not sent in the open" fails_saying 2 "HF_TOKEN is sent over https alone"
run pull --url http://127.0.0.1:1/x --folder d --retries 0
check "nobody listens" both 'status_is 1' 'says "127.0.0.1: Failed to connect"'
run pull --url http://host.invalid/x --folder d --retries 1
check "a host that is none, twice" both 'status_is 1 && says "trying again"' '[ "$(grep -c "Could not resolve" err)" -eq 2 ]'
run pull --url "https://127.0.0.1:$port/plain/t.pt" --folder d --retries 0
check "https is https" both 'status_is 1 && says "127.0.0.1: .*\(SSL\|TLS\)"' '[ ! -e $got ]'

# ------------------------------------------------------------------------- download, convert, embed
repository=root/OFA-Sys/chinese-clip-vit-base-patch16/resolve/main
modelscope=root/api/v1/models/AI-ModelScope/chinese-clip-vit-base-patch16/repo
mkdir -p $repository $modelscope
cp root/t.pt $repository/clip_cn_vit-b-16.pt
cp root/t.pt $modelscope/clip_cn_vit-b-16.pt
arch=$tiny/tiny-vit.json,$tiny/tiny-bert.json
"$TUWEN" convert $repository/clip_cn_vit-b-16.pt --arch "$arch" -o direct.gguf >/dev/null 2>&1
run pull ViT-B-16 --base-url "$host/once=5000" --folder d --arch "$arch" -o model.gguf
check "a name is downloaded and converted" both 'status_is 0' 'cmp -s direct.gguf model.gguf'
check "it says what it wrote" both 'prints "^wrote *model.gguf"' 'prints "^SHA-256 *$sha"'
check "it continued a connection that broke" both 'asked "range=bytes=5000- if-range=\"v1\""' 'says "trying again"'
run embed -m direct.gguf "$pictures/red-circle.png" -o direct.npy
run embed -m model.gguf "$pictures/red-circle.png" -o a.npy
check "the model embeds" both 'status_is 0' 'cmp -s direct.npy a.npy'
checkpoint=d/OFA-Sys/chinese-clip-vit-base-patch16/clip_cn_vit-b-16.pt
: >log
run pull chinese-clip/ViT-B-16@RoBERTa-wwm-ext-base-chinese --base-url "$host/once=5000" --folder d --arch "$arch" -o model.gguf --json
check "what is there is used, after a look" both 'status_is 0 && prints "\"reused\": true"' '[ ! -s log ] && prints "\"compared_with\": \"an earlier download\""'
printf x >>$checkpoint
run pull ViT-B-16 --base-url "$host/once=5000" --folder d --no-convert
check "what is there and damaged is downloaded again" both 'status_is 0 && says "downloading it again"' 'cmp -s root/t.pt $checkpoint'
run pull ViT-B-16 --base-url "$host/plain" --folder d --no-convert
check "what another address gave is not trusted" both 'status_is 0 && says "nothing says whether it is complete"' 'asked "/plain/OFA-Sys"'
run pull ViT-B-16 --hub modelscope --base-url "$host/plain/" --folder d --arch "$arch" -o m.gguf
check "the same from ModelScope" both 'status_is 0 && cmp -s direct.gguf m.gguf' '[ -s d/AI-ModelScope/chinese-clip-vit-base-patch16/clip_cn_vit-b-16.pt ]'
HF_ENDPOINT=$host/plain TUWEN_CACHE=cache "$TUWEN" pull ViT-B-16 --no-convert >out 2>err
status=$?
check "HF_ENDPOINT and TUWEN_CACHE" both 'status_is 0' '[ -s cache/OFA-Sys/chinese-clip-vit-base-patch16/clip_cn_vit-b-16.pt ]'
run pull ViT-B-16 --base-url "$host/plain" --folder d
check "what does not fit its name is not converted" both 'status_is 1 && says "clip_cn_vit-b-16.pt"' '[ ! -e d/OFA-Sys/chinese-clip-vit-base-patch16/clip_cn_vit-b-16.gguf ]'

repository=root/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/main
open_clip=$TUWEN_SOURCE/tests/data/checkpoints/tiny_openclip_gelu
mkdir -p $repository
cp "$open_clip/open_clip_config.json" $repository/
cp "$open_clip/open_clip_model.safetensors" $repository/open_clip_pytorch_model.bin
run pull ViT-B-32/laion2b_s34b_b79k --base-url "$host/plain" --folder d -o oc.gguf
check "open_clip's come with their configuration" status_is 0
run info oc.gguf
check "the configuration is heard" both 'prints "gelu, norm eps"' '! prints quick_gelu'
mkdir -p root/clip/models/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af
cp root/t.pt root/clip/models/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt
repository=root/laion/CLIP-ViT-L-14-laion2B-s32B-b82K/resolve/main
mkdir -p $repository
cp "$open_clip/open_clip_config.json" $repository/
cp "$open_clip/open_clip_model.safetensors" $repository/open_clip_pytorch_model.bin
run pull ViT-L-14/laion2b_s32b_b82k --base-url "$host/plain" --folder d -o half.gguf
"$TUWEN" info half.gguf >out 2>>err
check "a release's own mean and deviation, the rest by its configuration" both 'prints "shortest 32 bicubic" && prints "mean 0.5 0.5 0.5"' 'prints "std 0.5 0.5 0.5"'
run pull openai/ViT-B/32 --base-url "$host/plain" --folder d
check "a published digest is compared" both 'status_is 1 && says "SHA-256 expected 40d36571.* (the published one), got $sha"' '[ -z "$(find d/openai -type f)" ]'

# ------------------------------------------------------------------------------- a bad network
get plain --sha256 "$sha"
check "a file" whole
get plain --sha256 "$other"
check "a wrong digest keeps nothing" fails_clean "SHA-256 expected $other (--sha256), got $sha; nothing is kept"
get cut=500000 --retries 5
check "every connection breaks" whole
get cut=100000 --retries 1
check "the retries come to an end" both 'status_is 1 && says "200000 bytes are kept in .*t.pt.part"' '[ "$(wc -c <$got.part)" -eq 200000 ]'
run pull --url "$host/cut=100000/t.pt" --folder d --no-convert --retries 20 --json
check "the same command continues" both whole 'prints "\"resumed_at\": 200000"'
get version=1000
check "another version begins anew" whole
get etag206=1000 --retries 1
check "a part of another version is not joined" fails_clean "continues another version"
get badrange=1000 --retries 1
check "a range that was not asked for" fails_clean "from byte 1000 with another"
get badtotal=1000 --retries 1
check "a length that changes" fails_clean "stated $size before"
get norange=1000
check "a server without ranges begins anew" whole
get novalidator=1000
check "a server without validators begins anew" both whole '! asked "novalidator.*range=bytes"'
get modified=1000
check "Last-Modified is a validator" both whole 'asked "modified.*if-range=Sat, 01 Jan 2022 00:00:00 GMT"'
get busy=503
check "503 with Retry-After" both whole 'says "HTTP 503; trying again in 1.0 s"'
get busy=429
check "429 with Retry-After" whole
get later=5000
check "a pause too long" fails_clean "asks to come back in 5000 s"
get status=500 --retries 1
check "500" fails_clean "answers HTTP 500"
get status=404
check "404" fails_clean "has no /status=404/t.pt (HTTP 404)"
get status=403
check "403 names HF_TOKEN" fails_clean "set HF_TOKEN"
get page --retries 0
check "an error page without end" fails_clean "HTTP 500"
get chunked
check "chunks" whole
get chunked=1000 --retries 0
check "chunks that break off" fails_clean "127.0.0.1: "
get nolength
check "neither length nor digest" fails_clean "give --sha256"
get nolength --sha256 "$sha"
check "a digest instead of a length" whole
get nolength=500 --sha256 "$sha"
check "a file cut without a length" fails_clean "SHA-256 expected"
get short --retries 0
check "a length too large" both 'status_is 1' '[ ! -e $got ]'
get long
check "more than stated is not read" whole
get less=1000 --sha256 "$sha"
check "a length too small" fails_clean "SHA-256 expected"
get lengths
check "two lengths" fails_clean "Content-Length"
get wrong --sha256 "$sha"
check "a wrong byte" fails_clean "SHA-256 expected"
get gzip
check "an encoding nobody asked for" fails_clean "Content-Encoding"
get garbage
check "no HTTP" fails_clean "127.0.0.1: "
get heads
check "a head without end" fails_clean "head of the answer: more than"
get longhead
check "a line of the head without end" fails_clean "above 100 kB"
get endless --max-bytes 1000000
check "a body without end" fails_clean "more than 1000000 bytes"
get plain --max-bytes 1000
check "a file above the limit" fails_clean "states $size bytes, the limit is 1000"
get huge --max-bytes 9000000000000000000
check "a file larger than the disk" fails_clean "the disk has"
get crawl=10 --timeout 1 --retries 0
check "a standstill" both 'status_is 1 && says "too slow"' '[ ! -e $got ]'
(ulimit -f 100 && "$TUWEN" pull --url "$host/plain/t.pt" --folder full --no-convert) >out 2>err
status=$?
check "a disk that is full keeps what came" both 'status_is 1 && says "t.pt.part: write" && says "continues there"' '[ ! -e full/127.0.0.1/t.pt ]'
run pull --url "$host/plain/t.pt" --folder full --no-convert --sha256 "$sha"
check "and continues when there is room" both 'status_is 0' 'cmp -s root/t.pt full/127.0.0.1/t.pt'
mkdir -p d/127.0.0.1/x.pt.part
run pull --url "$host/plain/x.pt" --folder d --no-convert
check "a part that is a folder" fails_saying 1 "x.pt.part: "
mkdir -p e/127.0.0.1 && ln -s "$work/precious" e/127.0.0.1/t.pt.part
run pull --url "$host/plain/t.pt" --folder e --no-convert
check "a part that is a link" both 'fails_saying 1 "t.pt.part: "' '[ ! -e precious ]'

# A note that says anything.
for note in '' '{' '[]' '{"url": 1}' "{\"url\": \"$host/once=9/t.pt\", \"validator\": \"\\\"v1\\\"\", \"length\": 5}" \
    "{\"url\": \"$host/once=9/t.pt\", \"validator\": \"\\\"v1\\\"\", \"length\": -1}"; do
    rm -rf d
    mkdir -p d/127.0.0.1
    printf '%s' "$note" >$got.pull
    printf 'not what it should be' >$got.part
    run pull --url "$host/once=9/t.pt" --folder d --no-convert
    check "a note of: ${note:-nothing}" whole
done

# ---------------------------------------------------------------------------- redirects and the token
get moved
check "a redirect to a path" whole
get away
check "a redirect to another host and back" whole
get loop
check "redirects without end" fails_clean "more than 10 redirects"
get tofile
check "a redirect to a file" fails_clean "redirected: address 'file:///etc/passwd'"
get toftp
check "a redirect to ftp" fails_clean "redirected: address 'ftp:"
get "hub=$sha"
check "what the hub states is compared" both whole 'prints "compared with *what the hub states"'
get "hub=$other"
check "and must be so" fails_clean "(what the hub states), got $sha"
HF_TOKEN=hf_secret HF_ENDPOINT=$host/away
export HF_TOKEN HF_ENDPOINT
: >log
run pull ViT-B-16 --folder d2 --no-convert
check "a gated file, redirected away and back" both 'status_is 0' 'lines_are log 3'
check "the hub gets the token" asked "^$port /away/.*authorization=Bearer hf_secret"
check "nobody else does, nor the hub after another" [ "$(grep -c hf_secret log)" -eq 1 ]
: >log
HF_ENDPOINT=http://127.0.0.1:$(cat peer)
run pull ViT-B-16 --folder d3 --no-convert --base-url "$host/plain"
check "a mirror does not get the token" both 'status_is 0' '! asked hf_secret'
unset HF_ENDPOINT
run pull --url "$host/plain/t.pt" --folder d4 --no-convert
check "an address does not get the token" both 'status_is 0' '! asked hf_secret'
unset HF_TOKEN

# -------------------------------------------------------------------------- signals, two at once
slow() { # slow MODE: starts a download that waits after 100000 bytes.
    rm -rf d
    env --default-signal=INT "$TUWEN" pull --url "$host/$1/t.pt" --folder d --no-convert >out 2>err </dev/null &
    pid=$!
    for _ in $(seq 1 100); do
        [ "$(wc -c <$got.part 2>/dev/null || echo 0)" -ge 100000 ] && break
        sleep 0.05
    done
}
for signal in INT KILL; do
    slow "drip=10000$((signal_number = ${signal_number:-0} + 1))"
    if [ $signal = INT ]; then
        "$TUWEN" pull --url "$host/plain/t.pt" --folder d --no-convert >out2 2>err2
        second=$?
        cp err2 second_says
    fi
    kill -s $signal $pid
    wait $pid 2>/dev/null
    status=$?
    if [ $signal = INT ]; then
        check "a second pull of the same file" both '[ $second -eq 1 ]' 'grep -q "another tuwen pull is downloading it" second_says'
        check "Ctrl-C is status 130 and says how to go on" both 'status_is 130' 'says "the same command continues there"'
    fi
    check "$signal keeps what came" [ -s $got.part ]
    run pull --url "$host/drip=10000$signal_number/t.pt" --folder d --no-convert
    check "after $signal the same command continues" both whole "asked 'drip=10000$signal_number.*range=bytes=10000'"
done
finish
