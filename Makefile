# Every target sets up what it needs in .venv and can be run again and again.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: help demo test stress sanitize check bench bench-native bench-errors docs clean
.DEFAULT_GOAL := help

help:  ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/.installed  ## Train a small network on real pictures and show what it learned (about two minutes).
	$(BIN)/inception demo

test: .venv/.dev  ## Run the tests, two files at a time.
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0  # or a worker that dies hangs the rest

stress: .venv/.dev  ## Kill, stop and damage training as often as docs/guarantees.md says; writes stress.json.
	$(BIN)/python -m pytest --full -vv tests/test_strace.py tests/test_store_damage.py tests/test_kill.py tests/test_hostile_weights.py tests/test_hostile_pictures.py tests/test_predict_kill.py tests/test_runtimes.py tests/test_exports.py tests/test_native_layers.py tests/test_native_layers_operations.py tests/test_native_engine.py

sanitize: .venv/.dev  ## Run the native engine's tests on a build that notices wrong addresses and undefined behaviour.
	cmake -S native -B build/sanitized -DTORCHINCEPTION_SANITIZE=ON
	cmake --build build/sanitized --parallel 2 --target torchinception
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0 \
		TORCHINCEPTION_NATIVE=build/sanitized/libtorchinception.so $(BIN)/python -m pytest --full -k 'not matrix_product' \
		tests/test_native_layers.py tests/test_native_layers_operations.py  # but for the speed of a product

check: .venv/.dev  ## Lint, format, types, import rules, generated docs.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/make_docs.py --check

bench: .venv/.dev  ## Measure speeds as ratios; writes benchmarks/results/.
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/probe.py
	$(BIN)/python benchmarks/loading.py
	$(BIN)/python benchmarks/samples.py
	$(BIN)/python benchmarks/pictures.py
	$(BIN)/python benchmarks/torch_engine.py
	$(BIN)/python benchmarks/choice.py
	$(BIN)/python benchmarks/predict.py
	$(BIN)/python benchmarks/int8.py
	$(BIN)/python benchmarks/runtimes.py

bench-errors: .venv/.dev  ## Compare the native engine's answers with float64; writes benchmarks/results/native_errors.json.
	$(BIN)/python benchmarks/native_errors.py

bench-native: .venv/.dev  ## Measure the native engine beside the runtimes, and its memory; writes benchmarks/results/native*.
	$(BIN)/python benchmarks/native.py
	$(BIN)/python benchmarks/native_memory.py

docs: .venv/.dev  ## Write the generated pages of docs/ anew.
	$(BIN)/python tools/make_docs.py

clean:  ## Remove .venv, caches and build products; runs/ stays.
	rm -rf .venv build dist native/build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/.installed: pyproject.toml constraints.txt native/CMakeLists.txt $(wildcard native/include/* native/source/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.12")'
	@echo "Installing into .venv (some minutes the first time: PyTorch is large)"
	$(PYTHON) -m venv .venv
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

.venv/.dev: .venv/.installed
	$(PIP) install --constraint constraints.txt --editable '.[all,dev]'
	$(PIP) install --no-deps facenet-pytorch==2.6.0  # a peer of the tests; it would pin an old torch
	@touch $@
