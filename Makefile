# `make` alone prints the targets. Everything runs in .venv, which `setup` builds once.

PYTHON ?= python3
JOBS   ?= 2
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
UNFINISHED := $(VENV)/.installing
# Compiled tests are kept, whatever the environment says: else each worker rewrites every file's asserts on every run.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(PY) -m pytest
PYTEST_N := $(PYTEST) -n $(JOBS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-accelerator check lint format format-check types layers coverage \
        ledger readme gallery bench clinic clean

help:  ## print this list
	@echo 'Limpid. make TARGET, where TARGET is one of:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## make .venv with everything in it (once; minutes on a fresh machine)
	@:

# The stamp is written last. An environment whose installation was interrupted is made anew, because a package that was
# half copied looks installed; what had been downloaded is still in pip's cache.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Limpid needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3 ...'; exit 1; }
	@echo 'Setting up $(VENV): the first time, this downloads PyTorch and takes some minutes.'
	@if [ -e $(UNFINISHED) ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --clear $(VENV) \
	    || { echo 'Could not make $(VENV): Python lacks its venv module (Debian, Ubuntu: python3-venv).'; exit 1; }; \
	fi
	@trap 'exit 130' INT TERM; touch $(UNFINISHED); \
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]' || { rm -f $(UNFINISHED); exit 1; }
	@rm -f $(UNFINISHED)
	@touch $@

demo: $(STAMP)  ## train a network on real handwritten digits, with score and report
	@$(VENV)/bin/limpid train digits

test: $(STAMP)  ## the fast tests
	@$(PYTEST_N)

test-slow: $(STAMP)  ## the slow tests (LIMPID_DATA=folder adds those on real data)
	@$(PYTEST) -m slow --timeout 1800

test-accelerator: $(STAMP)  ## the tests that need a GPU
	@$(PYTEST) -m accelerator

check: format-check lint types layers test  ## everything that must pass before a commit

lint: $(STAMP)  ## ruff's rules
	@$(PY) -m ruff check --output-format concise .

format: $(STAMP)  ## rewrite the sources in the house format
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix --quiet .

format-check: $(STAMP)  ## whether the sources are in the house format
	@$(PY) -m ruff format --check --quiet --output-format concise . || { echo 'Not in the house format: make format'; exit 1; }

types: $(STAMP)  ## mypy, strict on limpid/
	@$(PY) -m mypy

layers: $(STAMP)  ## who imports whom, file sizes and names
	@$(PYTEST) -q tests/test_layers.py

coverage: $(STAMP)  ## the fast tests with line coverage of the engine, the data and the record (at least 90 %)
	@$(PYTEST_N) --cov=limpid.training --cov=limpid.data --cov=limpid.record --cov-report=term-missing:skip-covered \
	  --cov-fail-under=90

ledger: $(STAMP)  ## which items of docs/LEDGER.tsv the tests prove
	@$(PY) -m tools.ledger

readme: $(STAMP)  ## rewrite README's tree from the first lines of the docstrings
	@$(PY) -m tools.readme_tree

gallery: $(STAMP)  ## rewrite docs/GALLERY.md from the catalogues
	@$(PY) -m tools.gallery

doctor-session: $(STAMP)  ## the doctor names planted faults at a terminal; rewrites docs/DOCTOR.md
	@$(PY) -m tools.doctor_session

bench: $(STAMP)  ## the speed table, peers included (their own environment in .bench)
	@$(PY) -m bench
	@$(PY) -m bench.w7
	@$(PY) -m bench.populations
	@$(PY) -m bench.searches

clinic: $(STAMP)  ## how often the doctor is right: sick runs, healthy runs and near misses, into docs/CLINIC.md
	@$(PY) -m clinic

clean:  ## remove caches and build results (the environments and runs/ stay)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* *.egg-info
	@find limpid tests tools bench clinic -name __pycache__ -type d -prune -exec rm -rf {} +
