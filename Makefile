# make          build/tuwen, build/libtuwen.a, build/libtuwen.so
# make demo     the above, then the main job on real input
# make check    every test; ends in "N passed, N failed, N skipped"
# make sanitize unit, golden and kernel tests and the fuzz corpora under ASan + UBSan
# make fuzz     every libFuzzer target for RUNS inputs (a million)
# make bench-peers  speed beside ONNX Runtime, OpenVINO and PyTorch, fetched from PyPI (730 MB): MODEL=file.gguf,
#               THREADS=2,1, CPU=avx2, ARGS="other options of dev/bench_peers.py"
# make bench-targets  every target of speed, start-up and memory, reached or missed, beside the same:
#               MODEL=file.gguf, ARGS="--rows start,memory" (dev/bench_targets.py)
# make magicmind  build/libtuwen_magicmind.so with Cambricon's headers (NEUWARE_HOME=/usr/local/neuware)
# make sophon   the demo model compiled for SOPHON's BM1684X, on its emulator (minutes; python3.10)
# make install  PREFIX=/usr/local, DESTDIR respected
#
# What a target needs is installed from Debian's packages first (tools/deps.sh); nothing is
# downloaded otherwise. A second run rebuilds nothing.
BUILD ?= build
PREFIX ?= /usr/local
RUNS ?= 1000000
CMAKE_FLAGS ?=
NEUWARE_HOME ?= /usr/local/neuware

.PHONY: all demo check sanitize fuzz bench bench-peers bench-targets magicmind sophon install clean deps test-deps configure

all: deps configure
	@cmake --build $(BUILD)

deps:
	@tools/deps.sh build

test-deps:
	@tools/deps.sh build test

configure:
	@test -f $(BUILD)/build.ninja || cmake -S . -B $(BUILD) -G Ninja -DTUWEN_TESTS=OFF $(CMAKE_FLAGS) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }; rm -f $(BUILD).log

demo: all
	@tools/demo.sh $(BUILD)

check: test-deps
	@cmake -S . -B $(BUILD) -G Ninja -DTUWEN_TESTS=ON $(CMAKE_FLAGS) >/dev/null
	@cmake --build $(BUILD)
	@tests/run $(BUILD)

sanitize: test-deps
	@cmake -S . -B $(BUILD)/sanitize -G Ninja -DTUWEN_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DTUWEN_SANITIZE=address,undefined >/dev/null
	@cmake --build $(BUILD)/sanitize
	@tests/run $(BUILD)/sanitize unit golden kernels fuzz

fuzz:
	@tools/deps.sh build fuzz
	@tools/fuzz.sh $(BUILD)/fuzz $(RUNS)

bench: all
	@cmake -S . -B $(BUILD) -DTUWEN_BENCH=ON >/dev/null
	@cmake --build $(BUILD)

bench-peers: all
	@tools/deps.sh dev
	@sh dev/bench_peers.sh bench_peers.py $(BUILD) $(MODEL) $(if $(THREADS),--threads $(THREADS)) $(if $(CPU),--cpu $(CPU)) $(ARGS)

bench-targets: all
	@tools/deps.sh dev
	@sh dev/bench_peers.sh bench_targets.py $(BUILD) $(MODEL) $(if $(THREADS),--threads $(THREADS)) $(ARGS)

# The only C++: a layer over a library that has no other interface; nothing else needs it.
magicmind:
	@test -f $(NEUWARE_HOME)/include/mm_runtime.h || { echo "make magicmind: no $(NEUWARE_HOME)/include/mm_runtime.h; NEUWARE_HOME names the folder of Cambricon's toolkit" >&2; exit 1; }
	@mkdir -p $(BUILD)
	$(CXX) -std=c++11 -O2 -fPIC -shared -fvisibility=hidden $(CXXFLAGS) -Isrc -isystem $(NEUWARE_HOME)/include \
	  src/backend/magicmind/shim.cpp -o $(BUILD)/libtuwen_magicmind.so -Wl,--no-undefined \
	  -L$(NEUWARE_HOME)/lib64 -lmagicmind_runtime -lcnrt -Wl,-rpath,$(NEUWARE_HOME)/lib64

sophon: all
	@tools/sophon.sh $(BUILD)

install: all
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf $(BUILD)
