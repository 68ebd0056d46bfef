PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-numbers lint install clean

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## create .venv and install everything into it

# uv resolves and installs the full stack in half a minute, pip in five. Versions are those in constraints.txt.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "emms needs Python 3.11 or later; say which with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install  ## rank real networks on a real dataset
	@$(BIN)/emms demo

test: install  ## run the tests
	$(BIN)/python -m pytest

# What must not depend on how a processor rounds. OpenBLAS has kernels for each of these, which any AVX2 machine runs.
NUMERIC := tests/estimators tests/moments tests/evaluation tests/labels/test_width.py tests/results/test_uncertainty.py
CORES := Prescott Haswell $(if $(shell grep -sw avx512f /proc/cpuinfo),SkylakeX)

test-numbers: install  ## run the numeric tests as on other processors, and with one thread
	for core in $(CORES); do echo "on $$core"; OPENBLAS_CORETYPE=$$core $(BIN)/python -m pytest $(NUMERIC) || exit 1; done
	echo "with one thread"; OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest $(NUMERIC)

lint: install  ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## remove what was built, cached and computed
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis artifacts runs dist build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
