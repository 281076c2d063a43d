# Two commands do everything on a fresh Debian machine with Rust: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

DEMO_DIR ?= .quorate-dev
BIN := target/release
CARGO_DENY_VERSION := 0.20.2

.PHONY: help setup build demo down drill test lint deny doc bench clean-demo

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## installs what is needed and missing: m4 and a C compiler for GMP, and OpenSSH for the tests
	@deploy/setup.sh

build: setup ## release binaries: quorate, quorate-node, quorate-coordinator (with the dev primes, for the demo)
	cargo build --release --locked -p quorate-cli -p quorate-coordinator -p quorate-node --features dev

demo: build ## a cluster on this machine: keys in shares, a payment signed, two refused. Leaves it running
	$(BIN)/quorate --dir $(DEMO_DIR) demo

down: ## stops the demo cluster
	$(BIN)/quorate --dir $(DEMO_DIR) dev down

clean-demo: ## stops the demo cluster and deletes its directory, shares included
	$(BIN)/quorate --dir $(DEMO_DIR) dev down --wipe

drill: build ## the monthly recovery drill, on a cluster made for it and wiped again
	deploy/drill.sh $(BIN)

test: setup ## every test CI runs
	cargo test --workspace --locked
	cargo test -p quorate-cli --features spof --test export --locked

lint: setup ## formatting, clippy with warnings as errors, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p quorate-cli --features spof --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

deny: ## licences, sources, bans, and advisories wherever the database can be fetched
	CARGO_DENY_VERSION=$(CARGO_DENY_VERSION) deploy/deny.sh

bench: setup ## prints p50, p95 and p99; asserts nothing
	cargo build --release --locked --workspace --bins --examples
	for bench in commit_latency evaluate_latency reserve_latency foundation recovery load; do $(BIN)/examples/$$bench; done
