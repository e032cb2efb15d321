# What can be done here: make help
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PORT ?= 8321
VENV ?= .venv
PYTHON ?= python3.13 python3.12 python3.11 python3
ARGS ?=

bin := $(VENV)/bin
pip := PIP_DISABLE_PIP_VERSION_CHECK=1 $(bin)/python -m pip install

.PHONY: help setup check test browser run demo docs wheel bench format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Serve on PORT (8321), filled with real traces, until Ctrl-C
	@exec $(bin)/driftline demo --port $(PORT) $(ARGS)

test: $(VENV)/.dev ## Run all tests; ARGS are pytest's
	@.ci/ensure-chromium
	@$(bin)/python -m pytest $(ARGS)

setup: $(VENV)/.dev ## Make .venv with everything that development needs

check: $(VENV)/.dev ## Check format, style, types and the floors
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/pyright --pythonpath $(bin)/python
	$(bin)/lint-imports

format: $(VENV)/.dev ## Bring the code into the house's format
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

browser: $(VENV)/.dev ## Run the browser tests alone
	@.ci/ensure-chromium
	@$(bin)/python -m pytest -m browser $(ARGS)

run: $(VENV)/.demo ## Serve on PORT (8321) with the data of this user
	@exec $(bin)/driftline serve --port $(PORT) $(ARGS)

docs: $(VENV)/.dev ## Print into docs/ what is listed from code
	$(bin)/python docs/printing.py

wheel: $(VENV)/.dev ## Build dist/*.whl and try it in an empty environment
	@PYTHONPATH=. $(bin)/python .ci/try_wheel.py

bench: $(VENV)/.dev ## Measure, and write bench/RESULTS.md
	@$(bin)/python -m bench $(ARGS)

clean: ## Remove what make made here
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# A stamp per set of dependencies, so that a second call is quick.
$(VENV)/.demo: pyproject.toml | $(bin)/python
	@echo "Installing Driftline with its demo into $(VENV) (a few minutes, once) ..."
	@$(pip) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(bin)/python
	@echo "Installing Driftline with its tools into $(VENV) (a few minutes, once) ..."
	@$(pip) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(bin)/python:
	@for each in $(PYTHON); do \
	  if "$$each" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$each" -m venv $(VENV); \
	  fi; \
	done; \
	echo "Driftline needs Python 3.11, 3.12 or 3.13 with its venv module:" \
	  "install one (Debian: apt install python3-venv), or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1
