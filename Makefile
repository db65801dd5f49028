# Everything a user or a developer does with a checkout. On a fresh Debian 12 with Python 3.11 nothing else is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types imports unit bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

install: $(READY) ## make .venv with edgepack and everything it needs, at locked versions

$(READY): requirements.lock pyproject.toml
	@echo "==> making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "==> installing the locked requirements (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## resolve pyproject.toml's ranges anew into requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group build --group test --group lint --generate-hashes \
	  --no-emit-index-url --no-header --python-version 3.11 --output-file requirements.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache htmlcov .coverage* edgepack-data
