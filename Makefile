# The commands of this repository. `make` alone lists them. Each works from a fresh clone with Python 3.11 to 3.13:
# the environment is made first, and again only when requirements.lock or pyproject.toml changed.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help environment compiled run test check format docs bench lock clean

PATIENTS ?= 100000
SEED ?= 1
PORT ?= 8000
IDENTITY_PORT ?= 8010
DAGSTER_PORT ?= 3000
# opensearch: make run on a real OpenSearch node that it fetches and starts. Empty: what NCRS_INDEX says, else files.
INDEX ?=
OPENSEARCH_PORT ?= 9200
# Test processes at a time; 0 runs all in one.
JOBS ?= 2
# 1: every case of the tests that draw some of very many.
WHOLE ?=
PACKAGES := schemas quality assets pipelines search_api sandbox

BIN := .venv/bin

# List the commands.
help:
	@awk '/^# /{text=substr($$0,3)} /^[a-z]+:/{split($$1,name,":"); printf "  make %-12s %s\n", name[1], text} !/^# /{text=""}' Makefile

# Make .venv from requirements.lock and install the project into it.
environment:
	@.ci/environment

# Machine code for the matcher, where there is a C compiler: a third less processor time, the same answers.
compiled: environment
	@$(BIN)/ncrs compile

# Everything on this machine: population, ingest, publish, API, Dagster, sign-in. Ctrl-C stops it. PATIENTS, SEED, PORT, INDEX=opensearch
run: environment
	@exec $(BIN)/ncrs run --patients $(PATIENTS) --seed $(SEED) --port $(PORT) --identity-port $(IDENTITY_PORT) --dagster-port $(DAGSTER_PORT) $(if $(INDEX),--index $(INDEX) --opensearch-port $(OPENSEARCH_PORT))

# Every test, the fast ones first; the summary comes last. WHOLE=1 takes also the cases that a run draws from.
test: environment
	@$(if $(WHOLE),NCRS_TEST_WHOLE=$(WHOLE)) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Lint, format, types, import rules, drift. Changes nothing.
check: environment
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/drift

# Put the code into the house's format.
format: environment
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Write the generated pages of docs/reference anew.
docs: environment
	@$(BIN)/python -m pipelines.reference

# The performance suite and match quality at their full size; writes docs/performance.md and docs/match-quality.md.
bench: environment
	@$(BIN)/ncrs compile || echo "The matcher is measured as plain Python." >&2
	@$(BIN)/python -m tests.performance
	@$(BIN)/python -m tests.performance.quality

# Compile requirements.lock anew: hashes for every platform, no address of an index.
lock: environment
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

# Remove the environment and the caches; the data stays.
clean:
	@rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pytest_cache *.egg-info
