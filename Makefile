# Every target sets up .venv first. `make demo` runs the whole chain; `make test` proves it.
SHELL := bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test lint types accuracy bench wheel clean

setup: $(VENV)/.ready

# The constraints are exact, so an equal file means an equal environment.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	examples/demo.sh $(DEMO)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python sim/lint.py

types: setup
	$(BIN)/mypy

accuracy: setup
	$(BIN)/python examples/accuracy.py

# ONLY: names of benchmarks, all by default; SEEDS: of place and route.
bench: setup
	$(BIN)/python examples/benchmarks $(ONLY)

wheel: setup
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
