# Thin: CMake builds, the scripts know how. `make` alone lists the targets.
# BUILD=DIR puts the build trees elsewhere, JOBS=N bounds the parallelism.
BUILD ?= build
JOBS ?= $(shell nproc)
export BUILD JOBS
RELEASE := $(BUILD)/release

.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo 'make TARGET:'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r target text; do printf '%-16s %s\n' "$$target" "$$text"; done

.PHONY: deps deps-test build install
deps: ## install what building needs from the system's packages
	@scripts/install-deps.sh build

deps-test:
	@scripts/install-deps.sh build test

build: deps ## build everything into build/release/bin
	@cmake --preset release -B $(RELEASE) >/dev/null
	@cmake --build $(RELEASE) -j $(JOBS)

install: build ## install the programs (DESTDIR and PREFIX as usual)
	@cmake --install $(RELEASE) $(if $(PREFIX),--prefix $(PREFIX))

.PHONY: demo
demo: deps ## real programs under limits they exceed, without and with Forestall
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build
	@$(RELEASE)/bin/forestall demo

.PHONY: test test-release test-asan test-clang test-tsan
test: deps-test ## all tests: the four below, one after the other
	@scripts/test.sh release asan clang tsan

test-release: deps-test ## every test on the release build, end-to-end included
	@scripts/test.sh release

test-asan: deps-test ## unit tests under AddressSanitizer and UBSan
	@scripts/test.sh asan

test-clang: deps-test ## unit tests built by clang, warnings are errors
	@scripts/test.sh clang

test-tsan: deps-test ## tests with threads under ThreadSanitizer
	@scripts/test.sh tsan

.PHONY: test-compose
test-compose: deps-test ## the compose deployment in containers, with all its examples and troubles (needs root or an engine)
	@$(MAKE) --no-print-directory build
	@FORESTALL_BIN=$(abspath $(RELEASE))/bin tests/deploy/run.sh $(ARGS)

.PHONY: collect
CORPUS ?= $(BUILD)/corpus
SECONDS ?= 3600
collect: build ## run real programs, store records to train from (CORPUS=DIR SECONDS=N ARGS=...)
	@scripts/install-deps.sh collect
	@python3 collect/collect.py --recorder $(RELEASE)/bin/forestall-record --out $(CORPUS) --seconds $(SECONDS) $(ARGS)

.PHONY: lint lint-changed format
lint: deps-test ## formatting, static analysis, stray paths; every file
	@scripts/install-deps.sh lint
	@scripts/lint.sh

lint-changed: deps-test ## the same for what differs from the upstream branch
	@scripts/install-deps.sh lint
	@scripts/lint.sh --changed

format: ## format the C sources in place
	@scripts/install-deps.sh lint
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

.PHONY: bench-latency
bench-latency: deps-test ## sample to new limit in the kernel, real broker; EXECUTIONS=200 PARTITIONS=1
	@$(MAKE) --no-print-directory build
	@FORESTALL_BIN=$(abspath $(RELEASE))/bin tests/support/python.sh bench/latency.py

.PHONY: bench-closed-loop
bench-closed-loop: deps-test ## held-out programs under limits they exceed, for real and replayed (root); RUNS=100 ARGS=...
	@scripts/install-deps.sh collect >&2
	@$(MAKE) --no-print-directory build >&2
	@FORESTALL_BIN=$(abspath $(RELEASE))/bin tests/support/python.sh bench/closed_loop.py --runs $(or $(RUNS),100) $(ARGS)

.PHONY: bench-learning
bench-learning: deps-test ## what executions 1, 2, 5, 10, 20 of new codes cost, replayed; CORPUS=DIR of make collect
	@$(MAKE) --no-print-directory build >&2
	@FORESTALL_BIN=$(abspath $(RELEASE))/bin tests/support/python.sh bench/learning_curve.py $(CORPUS) $(ARGS)

.PHONY: bench-policies
bench-policies: deps-test ## other policies and ours on the scenarios and the corpus; CORPUS=DIR SEEDS=N
	@$(MAKE) --no-print-directory build
	@FORESTALL_BIN=$(abspath $(RELEASE))/bin tests/support/python.sh bench/policies.py --corpus $(CORPUS) --seeds $(or $(SEEDS),3)

.PHONY: bench-model
bench-model: deps-test ## the model beside rules and trees on programs none of them saw; CORPUS=DIR SVG=FILE ARGS=...
	@$(MAKE) --no-print-directory build >&2
	@FORESTALL_BIN=$(abspath $(RELEASE))/bin tests/support/python.sh bench/model.py --corpus $(CORPUS) $(if $(SVG),--svg $(SVG)) $(ARGS)

.PHONY: bench-crossed
bench-crossed: deps-test ## the same, every program of the corpus held out once by models trained for it; CORPUS=DIR OUT=DIR ARGS=...
	@test -n "$(CORPUS)" -a -n "$(OUT)" || { echo 'bench-crossed: say where the records are and where models may stay: CORPUS=DIR OUT=DIR' >&2; exit 2; }
	@$(MAKE) --no-print-directory build >&2
	@FORESTALL_BIN=$(abspath $(RELEASE))/bin tests/support/python.sh bench/crossed.py --corpus $(CORPUS) --out $(OUT) $(ARGS)

.PHONY: bench-cmapss
bench-cmapss: ## train on public turbofan series, score on unseen engines; DATA=DIR of PM_*.txt
	@test -n "$(DATA)" || { echo 'bench-cmapss: say where PM_train.txt, PM_test.txt and PM_truth.txt are: DATA=DIR' >&2; exit 2; }
	@$(MAKE) --no-print-directory build >&2
	@$(RELEASE)/bench/bench-cmapss "$(DATA)"

.PHONY: bench-train
bench-train: ## steps a second of the trainer and of PyTorch on the CPU; TORCH=PYTHON that has it
	@$(MAKE) --no-print-directory build >&2
	@$(if $(TORCH),,scripts/install-deps.sh bench >&2 || true) # without it ours is printed alone, and that is said
	@python3 bench/train.py --ours $(RELEASE)/bench/bench-train $(if $(TORCH),--torch $(TORCH))

.PHONY: clean
clean: ## remove the build trees
	@cmake -E rm -rf $(BUILD)
