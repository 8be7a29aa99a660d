# setup  installs the command into .venv        run    analyses the bundled capture and prints its incidents
# test   runs every test and every check        bench  measures speed, memory and accuracy
# lint   runs the checks alone                  format rewrites the sources in the house style
# docs   writes the generated reference pages   lock   pins the newest versions of what is needed
# kafka  fetches a Kafka broker for the tests    console builds the web console (needs Node.js)
# site   builds the documentation as a site
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
CARGO ?= cargo
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
RUN_ENV := $(VENV)/.installed
DEV_ENV := $(VENV)/.installed-dev
CORE := $(VENV)/.built
CRATES := Cargo.toml Cargo.lock pyproject.toml $(shell find crates -name '*.rs' -o -name 'Cargo.toml')
SAMPLE := examples/sample.pcap.gz
REPORT := infraspectre-report

# Real captures for the tests: an unpacked folder given from outside, or the shared one unpacked here once.
SHARED_DATA := $(abspath ../shared/data)
TEST_DATA := $(abspath .cache/test-data)
export INFRASPECTRE_TEST_DATA ?= $(if $(wildcard $(SHARED_DATA)/unpack),$(TEST_DATA))

# A broker for the tests of what runs on Kafka, if there is one; they are skipped without it.
KAFKA := $(abspath .cache/kafka)
export INFRASPECTRE_TEST_KAFKA ?= $(wildcard $(KAFKA))

.PHONY: site kafka console test-console help setup run test bench lint format docs lock clean tools python-version test-data test-rust test-python

help:
	@sed -n '1,6s/^# //p' $(firstword $(MAKEFILE_LIST))

setup: $(CORE) console

# The console is built where Node.js is; without it all else works, and the server says that the console is missing.
NPM := $(shell command -v npm)
CONSOLE_PACKAGES := console/node_modules/.package-lock.json
CONSOLE := src/infraspectre/api/static/index.html
CONSOLE_SOURCES := $(shell find console -not -path '*/node_modules*' -type f)

console: $(if $(NPM),$(CONSOLE))
	@$(if $(NPM),true,echo "note: npm is missing, so the web console is not built; install it with: sudo apt-get install npm")

$(CONSOLE_PACKAGES): console/package-lock.json
	cd console && npm ci --silent --no-fund --no-audit
	@touch $@

$(CONSOLE): $(CONSOLE_PACKAGES) $(CONSOLE_SOURCES)
	cd console && npm run --silent build -- --logLevel warn
	@touch $@

test-console: console
	$(if $(NPM),cd console && npm run --silent check)

run: $(CORE)
	@$(BIN)/infraspectre analyze $(SAMPLE) --out $(REPORT)

test: test-rust lint test-console test-python

test-rust: tools test-data
	$(CARGO) test --locked --quiet --profile checks --workspace

test-python: $(CORE) $(DEV_ENV) test-data console
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup --quiet

bench: $(CORE) $(DEV_ENV)
	$(BIN)/python -m benches

lint: $(DEV_ENV) tools
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --quiet --workspace --all-targets -- -D warnings

format: $(DEV_ENV)
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .
	$(CARGO) fmt --all

docs: $(CORE) $(DEV_ENV)
	$(BIN)/python tools/reference.py
	PYTHONPATH=src $(BIN)/python tools/client.py
	$(if $(NPM),PYTHONPATH=src $(BIN)/python tools/console.py)

site: $(DEV_ENV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --clean

lock: $(DEV_ENV)
	$(BIN)/python tools/lock.py

kafka:
	@command -v mvn >/dev/null || { echo "Maven is missing; install it with: sudo apt-get install maven" >&2; exit 1; }
	mvn --quiet --batch-mode --file tools/kafka-pom.xml dependency:copy-dependencies -DoutputDirectory=$(KAFKA)

clean:
	rm -rf $(VENV) target $(REPORT) .cache site console/node_modules $(dir $(CONSOLE))

$(RUN_ENV): requirements.lock requirements-build.lock | python-version
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.lock -r requirements-build.lock
	@touch $@

$(DEV_ENV): requirements-dev.lock $(RUN_ENV)
	$(PIP) -r requirements-dev.lock
	@touch $@

$(CORE): $(RUN_ENV) $(CRATES) | tools
	. $(BIN)/activate && PIP_QUIET=1 maturin develop --release --locked --quiet
	$(BIN)/python -m compileall -q src
	@touch $@

test-data: | python-version
	@if [ "$(INFRASPECTRE_TEST_DATA)" = "$(TEST_DATA)" ]; then \
		"$(PYTHON)" $(SHARED_DATA)/unpack $(TEST_DATA) && \
		ln -sfn $(SHARED_DATA)/intel $(TEST_DATA)/intel; \
	elif [ -z "$(INFRASPECTRE_TEST_DATA)" ]; then \
		echo "note: INFRASPECTRE_TEST_DATA is not set; tests on real captures are skipped"; fi

python-version:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or later with venv is missing; install it with: \
	sudo apt-get install python3 python3-venv" >&2; exit 1; }

tools:
	@command -v cc >/dev/null || { echo "a C compiler is missing; install it with: \
	sudo apt-get install build-essential" >&2; exit 1; }
	@command -v $(CARGO) >/dev/null || { echo "Rust (cargo) is missing; install it with: \
	sudo apt-get install rustup && rustup default stable" >&2; exit 1; }
