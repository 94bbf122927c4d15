# candlemill. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
TOOLS := .venv/tools
LOCKED := --quiet --universal --generate-hashes --no-header --python-version 3.11

.PHONY: help setup run demo watch test test-faults test-timescale test-pgbouncer test-pages test-ray test-mutations fuzz bench bench-full profile flamegraph memray parity lint format typecheck lock docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with all that running takes, from requirements.lock (targets do it where needed)

# $(1): a lock file. What pip says goes to standard error, as results go to standard output.
define install
	@test -x $(BIN)/python || { echo "making .venv with $$($(PYTHON) --version)" >&2; $(PYTHON) -m venv .venv; }
	@echo "installing $(1) into .venv, once" >&2
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement $(1) \
		| { grep --line-buffered -v -e '^Requirement already' -e '^Ignoring' || true; } >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . >&2
	@$(BIN)/python -m compileall -q pipeline indicators
	@echo ".venv is ready: $$(du -sh .venv | cut -f1)" >&2
	@touch $@
endef

# An installation has a copy of the two modules of `pipeline` that `python -m pipeline` needs elsewhere.
$(READY): requirements.lock pyproject.toml pipeline/__init__.py pipeline/__main__.py
	$(call install,requirements.lock)

# The same and the tools of a developer.
$(TOOLS): requirements-dev.lock pyproject.toml pipeline/__init__.py pipeline/__main__.py
	$(call install,requirements-dev.lock)
	@touch $(READY)

run: $(READY) ## the main job: against DATABASE_URL where it is set (or in .env), else the embedded demo market
	@exec $(BIN)/candlemill run-or-demo

demo: $(READY) ## the main job on the embedded demo market
	@exec $(BIN)/candlemill demo

watch: $(READY) ## live operation against DATABASE_URL; it stays up
	@exec $(BIN)/candlemill watch

test: $(TOOLS) ## the whole test suite
	@$(BIN)/python -m pytest -n auto --dist loadfile

test-faults: $(TOOLS) ## what it promises under kills, full disks, hostile input, careless hands (a quarter of an hour)
	@$(BIN)/python -m pytest tests/attack tests/faults tests/long -n auto --dist loadfile

test-timescale: $(TOOLS) tests/timescale/node_modules/.package-lock.json ## against TimescaleDB in WebAssembly (needs Node and npm)
	@$(BIN)/python -m pytest tests/timescale -n 2

tests/timescale/node_modules/.package-lock.json: tests/timescale/package-lock.json
	@npm ci --silent --no-audit --no-fund --prefix tests/timescale
	@touch $@

test-pgbouncer: $(TOOLS) ## every command behind PgBouncer, which has to be installed (Debian: apt-get install pgbouncer)
	@$(BIN)/python -m pytest tests/pgbouncer -n 2

test-pages: $(TOOLS) ## the HTML pages in a headless Chromium, which has to be installed (Debian: apt-get install chromium)
	@$(BIN)/python -m pytest tests/pages -n 2 --dist loadfile

# Ray comes beside what is there; the server of S3 gets an environment of its own.
.venv/ray: $(TOOLS) tests/ray/ray.lock tests/ray/s3.lock
	@echo "installing Ray and a server of S3, once"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/ray/ray.lock
	@$(PYTHON) -m venv .venv/s3
	@.venv/s3/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement tests/ray/s3.lock
	@touch $@

test-ray: .venv/ray ## a backfill on Ray and into S3, while 20 of its processes and nodes are killed (two minutes)
	@$(BIN)/python -m pytest tests/ray

test-mutations: $(TOOLS) ## whether the tests notice wrong edits of the code: two fixed samples, each in a copy (an hour and a half)
	@$(BIN)/python -m tests.mutations
	@$(BIN)/python -m tests.mutations --oracles

fuzz: $(TOOLS) ## random damage to random bars, random result databases, random passwords in URLs, ten minutes each
	@CANDLEMILL_FUZZ_SECONDS=$${CANDLEMILL_FUZZ_SECONDS:-600} $(BIN)/python -m pytest tests/faults/test_fuzz.py \
		tests/faults/test_fuzz_sqlite.py tests/faults/test_fuzz_urls.py

bench: $(TOOLS) ## 30 symbols x 7 intervals, medians against the floor
	@$(BIN)/python -m bench 30x7

bench-full: $(TOOLS) ## all scales and states and the growth, into docs/performance.md (some 20 minutes)
	@$(BIN)/python -m bench 4x2 30x7 200x7 600x7 --filled --scaling --json bench-full.json
	@$(BIN)/python -m bench --report docs/performance.md bench-full.json

profile: $(TOOLS) ## cProfile of a whole run: top functions of reading, computing, writing, publishing
	@$(BIN)/python -m bench.profiling cprofile

flamegraph: $(TOOLS) ## py-spy's flame graph of a whole run
	@$(BIN)/python -m bench.profiling flamegraph

memray: $(TOOLS) ## memory over a whole run, and who allocates it
	@$(BIN)/python -m bench.profiling memray

parity: $(READY) ## compare two result databases: make parity A=old.db B=new.db
	@exec $(BIN)/candlemill parity $(A) $(B)

lint: $(TOOLS) ## ruff: rules and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(TOOLS) ## put the code into its format
	@$(BIN)/ruff check --fix --exit-zero . && $(BIN)/ruff format .

typecheck: $(TOOLS) ## mypy, strict
	@$(BIN)/mypy

lock: $(TOOLS) ## write all locks from pyproject.toml, keeping what they pin where that fits
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile $(LOCKED) --extra dev --extra peers pyproject.toml --output-file requirements-dev.lock
	@$(BIN)/uv pip compile $(LOCKED) --extra build --extra demo --extra history --extra plot \
		--constraint requirements-dev.lock \
		pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile $(LOCKED) --extra ray --constraint requirements.lock \
		pyproject.toml --output-file tests/ray/ray.lock
	@$(BIN)/uv pip compile $(LOCKED) tests/ray/s3.in --output-file tests/ray/s3.lock

docs: $(TOOLS) ## write docs/indicators.md, settings.md, corrected.md, .env.example and what shells complete, from the code
	@$(BIN)/python -m candlemill.pipeline.documents.indicators > docs/indicators.md
	@$(BIN)/python -m candlemill.pipeline.documents.settings > docs/settings.md
	@$(BIN)/python -m candlemill.pipeline.documents.environment > .env.example
	@$(BIN)/python -m tests.effects > docs/corrected.md
	@$(BIN)/python -m candlemill.pipeline.commands.declared > pipeline/commands/completions.json

.PHONY: pictures
pictures: $(TOOLS) ## draw docs/pictures, of the sample market (needs Chromium, as make test-pages does)
	@$(BIN)/python -m candlemill.pipeline.documents.pictures
	@$(BIN)/python -m tests.pages.picture

clean: ## remove .venv, caches, and what the demo and the profiles left; the files of real runs stay
	@rm -rf .venv data/demo data/profile dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
