# All a newcomer types: make run, make test. CONTRIBUTING.md says more.

BUILD     ?= build-release
CHECKED   ?= build-checked
JOBS      ?= $(shell nproc)
PACKAGES  := gcc clang clang-format clang-tidy libclang-rt-14-dev make meson ninja-build pkg-config \
             libuv1-dev libssl-dev libnghttp2-dev libcurl4-openssl-dev libpcre2-dev zlib1g-dev \
             libcmocka-dev python3 python3-pytest python3-consul python3-dnspython \
             curl bind9-dnsutils iproute2 ca-certificates
BENCH_PACKAGES := wrk dnsperf
SUDO      := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: run build test deps bench bench-cluster bench-deps fuzz sim torture tsan format tidy clean install

run: build
	./build/consul agent -dev

# The release binary: build/consul.
build: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) -Dbuildtype=release -Db_lto=true \
	    -Dstrip=true -Dhardened=true -Dtests=false >/dev/null
	ninja -C $(BUILD) -j $(JOBS)
	@mkdir -p build && cp -f $(BUILD)/src/consul build/consul

# Everything CI runs: the checked build (ASan + UBSan) with its tests, the release binary under real clients,
# the threaded parts under TSan, a build with clang.
test: deps
	tests/run-all

# Debian packages, when one is missing.
deps:
	@sh tests/install-packages $(PACKAGES)

bench-deps:
	@sh tests/install-packages $(BENCH_PACKAGES)

# Figures of docs/performance.md; REFERENCE=/path/to/another/consul measures that one beside ours.
bench: build bench-deps
	python3 tests/bench/bench.py --binary build/consul $(if $(REFERENCE),--reference $(REFERENCE))

# A cluster of three: load, and the time without a leader.
bench-cluster: build bench-deps
	python3 tests/bench/bench_cluster.py --binary build/consul $(if $(REFERENCE),--reference $(REFERENCE))
	python3 tests/cluster/failover.py --binary build/consul $(if $(REFERENCE),--reference $(REFERENCE))

# Every fuzz target for FUZZ_SECONDS each.
FUZZ_SECONDS ?= 60
fuzz: deps
	tests/fuzz/run $(FUZZ_SECONDS)

# Many seeds of the simulation.
SEEDS ?= 10000
sim: deps
	tests/sim/run $(SEEDS)

# Servers killed, paused and cut off under load, each in so many ways so often; TORTURE="-k kill" picks some.
ROUNDS ?= 200
torture: build
	/usr/bin/python3 -m pytest -q -x -p no:cacheprovider tests/cluster -m torture --binary build/consul --rounds $(ROUNDS) $(TORTURE)

tsan: deps
	tests/run-tsan

# Every finding of clang-tidy is an error; .clang-tidy says which checks are left out and why.
TIDY_DIRS ?= src
tidy: deps
	@[ -f build-clang/build.ninja ] || CC=clang meson setup build-clang -Dbuildtype=debug >/dev/null
	git ls-files '$(TIDY_DIRS)/**.c' | xargs -P $(JOBS) -n 4 clang-tidy -p build-clang --quiet

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

install: build
	install -D -m 755 build/consul $(DESTDIR)/usr/local/bin/consul

clean:
	rm -rf build build-*
