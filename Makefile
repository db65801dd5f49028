# Everything a user or a developer does with a checkout. On a fresh Debian 12 with Python 3.11 nothing else is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
CLIENTS := .venvs/awscli/.installed .venvs/sagemaker/.installed
PEERS := .venvs/moto/.installed
PLOTS := .venvs/plots/.installed
FUZZER := .venvs/atheris/.installed
FUZZ_SECONDS := 60
RUN_FUZZER := PYTHONPATH=src:tests:fuzz .venvs/atheris/bin/python fuzz
FUZZ_OPTIONS = -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1024 -max_len=20000 -verbosity=0 \
  -print_final_stats=1 -artifact_prefix=.fuzz/
RUN_BENCHMARK := PYTHONPATH=tests $(BIN)/python benchmarks
PIP := -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := help
.PHONY: help install demo test check unit format bench bench-quick bench-memory bench-scale lock docs chaos fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

install: $(READY) ## make .venv with edgepack and everything it needs, at locked versions

$(READY): requirements.lock pyproject.toml
	@echo "==> making $(VENV) (1/3)"
	@$(PYTHON) -m venv $(VENV)
	@echo "==> installing the locked requirements, about a minute (2/3)"
	@$(BIN)/python $(PIP) --require-hashes -r requirements.lock
	@echo "==> installing edgepack (3/3)"
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

vpath %.lock tests/clients benchmarks fuzz
.venvs/%/.installed: %.lock
	@echo "==> installing $* into an environment of its own"
	@$(PYTHON) -m venv .venvs/$*
	@.venvs/$*/bin/python $(PIP) --require-hashes -r $<
	@touch $@

demo: $(READY) ## package a real model end to end: upload, compile, package, describe, verify, predict
	@$(BIN)/python scripts/demo.py

test: $(READY) $(CLIENTS) $(FUZZER) check ## everything that must hold: style, types, architecture, then the whole test suite
	@echo "==> tests"
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=90

check: $(READY) ## style, types, generated documentation and the house's rules
	@echo "==> ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo "==> mypy --strict"
	@$(BIN)/mypy
	@echo "==> generated documentation"
	@$(BIN)/python scripts/compatibility.py --check
	@echo "==> import-linter"
	@$(BIN)/lint-imports --no-cache > .import-linter.log || { cat .import-linter.log; exit 1; }

unit: $(READY) ## the tests that need no server and no other client: seconds
	@$(BIN)/pytest -m "not server and not clients and not fuzzers" -n 2

format: $(READY) ## format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

docs: $(READY) ## write the generated parts of the documentation anew
	@$(BIN)/python scripts/compatibility.py

bench: $(READY) $(PEERS) $(PLOTS) ## measure packaging, memory, jobs, Describe, scale: over an hour
	@$(RUN_BENCHMARK)/package.py
	@$(RUN_BENCHMARK)/memory.py
	@$(RUN_BENCHMARK)/job.py
	@$(RUN_BENCHMARK)/describe.py
	@$(RUN_BENCHMARK)/throughput.py
	@$(RUN_BENCHMARK)/scale.py

bench-quick: $(READY) $(PEERS) ## the same with small models and fewer rounds: about 3 minutes
	@$(RUN_BENCHMARK)/package.py --quick
	@$(RUN_BENCHMARK)/memory.py --quick
	@$(RUN_BENCHMARK)/job.py --quick
	@$(RUN_BENCHMARK)/describe.py --quick
	@$(RUN_BENCHMARK)/throughput.py --quick
	@$(RUN_BENCHMARK)/scale.py --quick

bench-memory: $(READY) $(PLOTS) ## of these, only memory, up to 8 GB (on 17 GB of disk) and 200,000 files; draws it
	@$(RUN_BENCHMARK)/memory.py

bench-scale: $(READY) ## of these, Describe and every form of List with up to a million jobs, on SQLite and PostgreSQL
	@$(RUN_BENCHMARK)/scale.py

chaos: $(READY) ## kill workers and PostgreSQL under hundreds of jobs, CHAOS_SEED (drawn) decides how: 12 minutes
	@PYTHONPATH=tests $(BIN)/python -m chaos $(if $(CHAOS_SEED),--seed $(CHAOS_SEED)) $(CHAOS_OPTIONS)

fuzz: $(FUZZER) ## look for archives and packages that break the reader and the verifier, FUZZ_SECONDS (60) each
	@mkdir -p .fuzz/archive .fuzz/package
	@echo "==> the archive reader"
	@$(RUN_FUZZER)/fuzz_archive.py $(FUZZ_OPTIONS) .fuzz/archive fuzz/corpus/archive
	@echo "==> the verifier"
	@$(RUN_FUZZER)/fuzz_package.py $(FUZZ_OPTIONS) .fuzz/package fuzz/corpus/package

lock: $(READY) ## resolve pyproject.toml's ranges anew into the lock files
	@$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group build --group test --group lint --generate-hashes \
	  --no-emit-index-url --no-header --python-version 3.11 --output-file requirements.lock
	@for in in tests/clients/*.in benchmarks/*.in fuzz/*.in; do $(BIN)/uv pip compile $$in --quiet --generate-hashes \
	  --no-emit-index-url --no-header --python-version 3.11 --output-file $${in%.in}.lock; done

clean: ## remove what the other targets made
	rm -rf $(VENV) .venvs .fuzz .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .import-linter.log htmlcov .coverage* edgepack-data
