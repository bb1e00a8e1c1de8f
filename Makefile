# Everything a person types. Cargo builds the library; CMake installs it and serves consumers.

SHELL := /bin/bash
.DEFAULT_GOAL := help
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
# What `make demo` counts.
CSV ?= examples-c/data/countries.csv
COLUMN ?= Subregion

# The outputs have fixed places, whatever the caller's environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target
LIBRARY := target/release/libmp.so
OUT := target/examples-c
WARNINGS := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror
# Linked with a path of their own, so that they run where they are.
LINK := -Ltarget/release -lmp -pthread -Wl,-rpath,'$$ORIGIN/../release'

# csv_pool is several files; every other example is one.
CSV_POOL := $(wildcard $(addprefix examples-c/,csv_*.c sha256.c progress.c tally.c))
EXAMPLES := $(patsubst examples-c/%.c,$(OUT)/%,$(filter-out $(CSV_POOL),$(wildcard examples-c/*.c)))
ifneq ($(filter %/csv_pool.c,$(CSV_POOL)),)
EXAMPLES += $(OUT)/csv_pool
endif

.PHONY: help
help:
	@echo 'make demo      build, and count a CSV file with a pool of processes (CSV=path COLUMN=name)'
	@echo 'make test      set up what the tests need, build, and run them all'
	@echo 'make build     the release library: include/mp.h, target/release/libmp.so and libmp.a'
	@echo 'make examples  the C programs of examples-c/, into $(OUT)/'
	@echo 'make bench     libmp beside its peers'
	@echo 'make lint      formatting and static checks only'
	@echo 'make format    format all sources'
	@echo 'make install   header, libraries, CMake and pkg-config files (PREFIX=$(PREFIX), DESTDIR=)'
	@echo 'make demo-path the path of the demo program'
	@echo 'make clean     remove everything that was built'

.PHONY: build
build:
	@scripts/need.sh cargo $(CC)
	@# The two libraries alone: only without a Rust library beside them are they optimised as a whole.
	cargo rustc --release --locked --lib --crate-type=cdylib,staticlib
	@ln -sf libmp.so target/release/libmp.so.0

.PHONY: examples
examples: build
	@$(MAKE) --no-print-directory compile-examples

# A second make, so that the programs are made anew only if something they are made of has changed.
.PHONY: compile-examples
compile-examples: $(EXAMPLES)

$(OUT)/csv_pool: $(CSV_POOL) $(wildcard examples-c/*.h) include/mp.h
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) $(CFLAGS) -Iinclude -o $@ $(CSV_POOL) $(LINK)

$(OUT)/%: examples-c/%.c include/mp.h
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) $(CFLAGS) -Iinclude -o $@ $< $(LINK)

.PHONY: demo
demo: examples
	@scripts/demo.sh $(OUT)/csv_pool '$(CSV)' '$(COLUMN)'

.PHONY: demo-path
demo-path:
	@echo $(CURDIR)/$(OUT)/csv_pool

.PHONY: test
test:
	@scripts/test.sh

.PHONY: lint
lint:
	@scripts/test.sh lint

.PHONY: format
format:
	cargo fmt
	cargo fmt --manifest-path benches/rust-peers/Cargo.toml
	find examples-c tests bindings benches \( -name '*.[ch]' -o -name '*.[ch]pp' \) -exec clang-format -i {} +
	gofmt -w bindings/go benches/go

.PHONY: bench
bench: build
	@benches/run

.PHONY: install
install: build
	@scripts/need.sh cmake
	cmake -S . -B target/cmake -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX='$(abspath $(PREFIX))'
	cmake --build target/cmake
	cmake --install target/cmake

.PHONY: clean
clean:
	rm -rf target
