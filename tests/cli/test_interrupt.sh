# Signals: a first one stops cleanly, nothing is left behind; a closed pipe is quiet.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
make_model
TUWEN_MODEL=model.gguf
export TUWEN_MODEL
yes "$pictures/red-circle.png" | head -n 200000 >many

# stop SIGNAL ARGS…: starts the command, waits until it has an output open, sends the signal.
# A shell's background jobs ignore SIGINT, so the command is started through env.
stop() {
    signal=$1
    shift
    env --default-signal=INT "$TUWEN" "$@" >out 2>err </dev/null &
    pid=$!
    for _ in $(seq 1 200); do
        [ -n "$(find . -name '*.part')" ] && break
        sleep 0.05
    done
    kill -s "$signal" "$pid"
    wait "$pid"
    status=$?
}

printf old >features.npy
stop INT embed --images many -o features.npy
check "Ctrl-C is status 130" status_is 130
check "it says so" says "stopped by Ctrl-C"
check "no temporary file is left" [ -z "$(find . -name '*.part')" ]
check "the old output is as it was" [ "$(cat features.npy)" = old ]
stop TERM embed --images many -o other.npy
check "SIGTERM is status 143" both 'status_is 143' 'absent other.npy'
stop INT preprocess --images many -o pixels.npy
check "preprocess stops too" both 'status_is 130' 'absent pixels.npy'
mkdir -p data/0 data/1
cp "$pictures/red-circle.png" data/0/
printf 'a\nb\n' >labels.txt
for i in $(seq 1 3000); do ln -s ../0/red-circle.png "data/1/$i.png"; done
stop INT eval zeroshot --data data --labels labels.txt --predictions p.jsonl
check "eval stops too" both 'status_is 130' 'absent p.jsonl'

# Waiting for input is no work: the first Ctrl-C ends it.
mkfifo pipe
env --default-signal=INT "$TUWEN" tokenize --tokenizer wordpiece - >out 2>err <pipe &
pid=$!
exec 3>pipe
sleep 0.3
kill -s INT "$pid"
wait "$pid"
status=$?
exec 3>&-
check "Ctrl-C while waiting for standard input" status_is 130

# A reader that goes away.
{ "$TUWEN" classify --label a --label b --images many --json 2>err; echo $? >code; } | head -n 1 >out
status=$(cat code)
check "a closed pipe ends quietly" both 'status_is 141' '! grep -q -i -e pipe -e error err'

# Progress.
head -n 500 many >some
run embed --images some -o x.npy --progress json
check "--progress json ends with everything done" says '^{"progress": {"stage": "images", "done": 500, "total": 500, '
run embed --images some -o x.npy --progress never
check "--progress never" both 'status_is 0' '! says "%"'
finish
