#!/bin/sh
# The backend ascend on a stand-in for AscendCL, which computes with tuwen's engine on the model that
# the .om file names and ends the process at mistakes. No Ascend is needed, and none was there.
. "$TUWEN_SOURCE/tests/cli/lib.sh"
unset TUWEN_ASCEND
standin=$TUWEN_BUILD/tests/ascend
make_model
printf '一只猫\na photo of a dog, seen from the side\n猫\n' >texts
red=$pictures/red-circle.png

om() { "$TUWEN_BUILD/tests/make_om" "$1" "$2" "$work/model.gguf" ${3:+"$3"} || echo "Bail out! make_om $*"; }
om t.img.om img
om t.txt.om txt
ascend() { run "$@" --backend ascend --library "$standin"; }

run embed -m model.gguf "$pictures" -o cpu.npy --no-normalize
ascend embed -m model.gguf "$pictures" -o five.npy --graphs t --no-normalize --json
check "pictures on the stand-in" status_is 0
check "JSON names runtime, chip and batches" prints '"device": "Ascend910B4 0".*"runtime": "AscendCL 1.13.0", "detail": "pictures of 8 2 1"'
check "what is used is printed" says "ascend AscendCL 1.13.0 Ascend910B4 0, as compiled, pictures of 8 2 1"
check "features are the engine's" npy_close five.npy cpu.npy 0
om one.img.om img4
ascend embed -m model.gguf "$pictures" -o one.npy --graphs one.img.om --no-normalize --batch 1
check "a fixed batch, filled up; one file serves one tower" npy_close one.npy cpu.npy 0
ascend embed -m model.gguf "$pictures" -o two.npy --graphs t --no-normalize --device 0,1
check "two devices change nothing" npy_close two.npy cpu.npy 0
om half.img.fp16.om half
ascend embed -m model.gguf "$pictures" -o half.npy --graphs half --no-normalize
check "f16 in and out, named as the guide names it" both 'status_is 0' 'npy_close half.npy cpu.npy 0.02'
run embed -m model.gguf --texts texts -o cputexts.npy
ascend embed -m model.gguf --texts texts -o texts.npy --graphs t
check "texts, the last batch filled up" npy_close texts.npy cputexts.npy 0
ascend similarity -m model.gguf --text 猫 --text 狗 "$red" --graphs t --json
check "similarity: both towers on one device" status_is 0
ascend verify model.gguf --graphs t
check "verify agrees" status_is 0
TUWEN_ASCEND=$standin run doctor
check "doctor shows it" prints "^ascend  *AscendCL 1.13.0, 2 devices"
run doctor
check "doctor says how to get it" prints "^ascend  *libascendcl.so is not installed.*set_env.sh"

# what is missing or wrong, and has one line
ascend_refused() {
    what=$1 wanted=$2 pattern=$3
    shift 3
    refused "$what" "$wanted" "$pattern" x.npy embed -m model.gguf --backend ascend \
        --library "$standin" "$red" -o x.npy "$@"
}
ascend_refused "no compiled towers" 2 "needs --graphs"
ascend_refused "a file that is not there" 1 "none.img.om" --graphs none
ascend_refused "the other tower's file" 2 "not the graph of the image tower" --graphs t.txt.om
ascend_refused "a precision" 2 "were compiled for" --graphs t --precision f16
ascend_refused "a provider" 2 "no provider" --graphs t --provider cuda
ascend_refused "a device that is not there" 1 "device 2: AscendCL tells of 2" --graphs t --device 2
ascend_refused "no number of a device" 2 "expected up to 16 numbers" --graphs t --device NPU
for fault in "dynamic shapes of any size" "encrypted without encryption" \
    "inputs 3 inputs and 1 outputs, expected one tower" "aipp 'image' is u8"; do
    om bad.img.om img "${fault%% *}"
    ascend_refused "a file with the fault ${fault%% *}" 1 "${fault#* }" --graphs bad
done
om old.img.om img old
ascend embed -m model.gguf "$pictures" -o old.npy --graphs old --no-normalize
check "a file of an older atc" npy_close old.npy cpu.npy 0
head -c 700 t.img.om >cut.img.om
ascend_refused "a file that is cut off" 1 "cut.img.om: .* cut off" --graphs cut
head -c 5000 "$red" >not.img.om
ascend_refused "another file" 1 "not an .om file" --graphs not
om nan.img.om nan
ascend_refused "values that are not finite" 1 "not finite" --graphs nan
export STANDIN_FAIL STANDIN_VERSION STANDIN_FREE
STANDIN_FAIL=load
ascend_refused "a library that refuses the file" 1 "soc_version=Ascend910B4?: AscendCL's error 500002: EE1001: " --graphs t
STANDIN_FAIL=init
ascend_refused "a library that cannot begin" 1 "set_env.sh.*error 500000" --graphs t
STANDIN_FAIL=execute
ascend_refused "a library that does not compute" 1 "error 507011: EE1001: it was asked to refuse" --graphs t
STANDIN_FAIL='' STANDIN_VERSION=2
ascend_refused "another version" 1 "AscendCL 2.13.0, expected AscendCL 1.*set_env.sh" --graphs t
STANDIN_VERSION='' STANDIN_FREE=1000
ascend_refused "a device that is full" 1 "needs 1 MiB, device 0 has 0 of 32768 MiB free" --graphs t
STANDIN_FREE=''

library_refused() {
    refused "$1" 1 "$2" x.npy embed -m model.gguf --backend ascend --library "$3" --graphs t "$red" -o x.npy
}
library_refused "a folder without the library" "no libascendcl.so" .
library_refused "no such folder" "no such library" nowhere
mkdir other lacking
printf 'not for this machine, and no library at all: a text of more than sixty-four bytes' >other/libascendcl.so
library_refused "a library of another machine" "set_env.sh" other
cp "$TUWEN_BUILD/tests/sophon/libbmlib.so.0" lacking/libascendcl.so
library_refused "a library that lacks functions" "lacks aclInit.*set_env.sh" lacking
LD_LIBRARY_PATH=$work/other run embed -m model.gguf --backend ascend --graphs t "$red" -o x.npy
check "a library that the loader finds and cannot open" both 'status_is 1' 'says "libascendcl.so: .*set_env.sh"'
TUWEN_ASCEND=$standin run embed -m model.gguf "$red" -o x.npy --backend ascend --graphs t
check "the folder from the environment" status_is 0
finish
