# Each target calls one script or cargo; the scripts say what they do, and name their logs when they fail.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/herdctl
export CARGO_TARGET_DIR ?= $(CACHE)/target
NODES ?= 1

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make demo knows: CONTEXT=… REGISTRY=…   a cluster of yours, and where to push the images for it'
	@echo '                   ANTHROPIC_API_KEY=…    the real Messages API instead of the scripted one'
	@echo '                   NAT=1                  a way out of the local cluster, which a real key needs'

.PHONY: demo demo-down install
demo: ## Set everything up and run a first Job, on a local cluster or yours
	@deploy/demo/up
demo-down: ## Remove all that the demo set up, also after one that was killed
	@deploy/demo/down

install: ## Install herdctl for yourself, in cargo's folder of programs; also as "kubectl herd"
	@deploy/prerequisites rust
	@cargo install --locked --no-default-features --features operator --path . --bin herdctl
	@ln -sfn herdctl $(or $(CARGO_INSTALL_ROOT),$(CARGO_HOME),$(HOME)/.cargo)/bin/kubectl-herd

.PHONY: test lint unit simulate connect chart chart-live e2e soak readme cleanup bench crds images
test: lint unit simulate connect chart chart-live e2e readme cleanup ## Set everything up and pass all tests
lint: ## Formatting, clippy, licences and sources, shellcheck
	@deploy/lint
unit: ## Unit, golden and property tests: those that need no cluster
	@deploy/prerequisites rust
	@cargo test --locked
	@tests/steps
simulate: ## Simulate the controller in a world that goes wrong: SEEDS=…
	@deploy/prerequisites rust
	@# One test at a time: those that take long use all cores themselves.
	@SEEDS=$(or $(SEEDS),10000) cargo test --locked --profile simulation --test simulation -- --nocapture --test-threads=1
connect: ## Compare with kubectl how herdctl connects
	@tests/connect/run
chart: ## Tests of the Helm chart, without a cluster
	@deploy/prerequisites cluster
	@deploy/local/build
	@PATH=$(CACHE)/bin:$$PATH tests/chart
chart-live: ## What an install, an upgrade and an uninstall leave on a fresh local cluster
	@tests/chart-live
e2e: ## Tests on a fresh local cluster
	@tests/e2e/run
soak: ## Many Jobs and many faults on a fresh local cluster: SOAK_JOBS=300 SOAK_FAULTS=200 SOAK_SEED=…
	@# A kubelet whose containerd is killed as a pod leaves may hold the pod for its whole grace.
	@DRAIN_TIMEOUT=20s tests/e2e/run --ignored --nocapture soak::
readme: ## Type what the README says, after a demo of its own
	@tests/readme
cleanup: ## Test that a local cluster leaves nothing behind
	@tests/cluster-cleanup
bench: ## Measure what docs/performance.md tells
	@benches/run
crds: ## Write crds/ from the Rust types
	@cargo run --locked --quiet --bin herd-operator -- crds --to crds --to charts/herdctl/files/crds
images: ## Build the images: REGISTRY=… pushes them
	@deploy/images/build

.PHONY: cluster-up cluster-down
cluster-up: ## Start a local cluster: NAME=… NODES=…
	@deploy/prerequisites cluster images
	@deploy/local/up $(NODES)
cluster-down: ## Stop and remove it: NAME=…
	@deploy/local/down
