# The front door. Every target does its own set-up; CMake presets hold the real build (CMakePresets.json).
PRESET ?= release
BUILD := build/$(PRESET)
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 20
PREFIX ?= /usr/local
DESTDIR ?=
PYTEST := /usr/bin/python3 -m pytest
SOURCES = $(shell git ls-files --cached --others --exclude-standard '*.cpp' '*.hpp')

.DEFAULT_GOAL := help
.PHONY: help setup build test conformance check demo bench fuzz asan tsan coverage format tidy install uninstall clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup:  ## install Debian packages for build, demo and tests
	@tools/setup build demo test

build:  ## programs into build/release/bin
	@tools/setup build
	@tools/build $(PRESET)

test: setup build  ## everything: unit tests, style, end to end, conformance
	@tools/test --preset $(PRESET)

conformance: build  ## the suites of the OCI runtime, on crun and runc as well, counted side by side: here, and in a guest with cgroup v2
	@tools/setup test
	@BERTH_OCI_RUNTIMES=berth-oci,crun,runc BERTH_BIN=$(CURDIR)/$(BUILD)/bin $(PYTEST) tests/conformance/oci tests/conformance/test_oci_v2.py -rP

check: build  ## the quick part: unit tests and style
	@tools/setup test
	@tools/test --preset $(PRESET) --quick

demo:  ## the same image in every unit this machine can host
	@tools/demo

bench: build  ## SPEC.md's figures, each beside its peer
	@tools/setup bench
	@bench/run

fuzz:  ## each fuzzer for FUZZ_SECONDS
	@tools/setup build fuzz
	@tools/build fuzz
	@tools/fuzz $(FUZZ_SECONDS)

asan:  ## unit tests under AddressSanitizer and UBSan
	@tools/setup build
	@tools/build asan
	@ctest --test-dir build/asan --output-on-failure -j $(JOBS)

tsan:  ## unit tests under ThreadSanitizer
	@tools/setup build
	@tools/build tsan
	@ctest --test-dir build/tsan --output-on-failure -j $(JOBS)

coverage:  ## line coverage of the unit tests
	@tools/setup build
	@tools/build coverage
	@ctest --test-dir build/coverage -j $(JOBS) >/dev/null; tools/coverage build/coverage

format:  ## clang-format over the sources
	@tools/setup lint
	@clang-format-14 -i $(SOURCES)

tidy: build  ## clang-tidy over the sources
	@tools/setup lint
	@run-clang-tidy-16 -quiet -p $(BUILD) '$(CURDIR)/src/.*'

install: build  ## programs, man page, completions below DESTDIR/PREFIX
	@cmake --install $(BUILD) --prefix $(DESTDIR)$(PREFIX) --strip
	@tools/install-docs $(BUILD)/bin/berth $(DESTDIR)$(PREFIX)

clean:  ## forget everything built (caches of test images too)
	@rm -rf build
