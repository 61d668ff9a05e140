# Each target prepares what it needs in .venv, once, and again when the pins or the project's metadata change.
#
#   make test PYTHON=python3.12 ARGS="-k expired -x"

PYTHON ?= python3

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
OLDEST := $(shell sed -n 's/^requires-python = ">=\(.*\)"$$/\1/p' pyproject.toml)

# A Python for which the newest releases no longer exist has pins of its own.
PINS := $(wildcard constraints*.txt)
VERSION = $(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
CONSTRAINTS = $(or $(filter constraints-$(VERSION).txt,$(PINS)),constraints.txt)

.PHONY: demo test lint collector victorialogs logql support alerts alerts-replay bench clean

demo: .venv/.demo
	@$(BIN)/python examples/demo/run.py $(ARGS)

test: .venv/.dev
	@$(BIN)/python -m pytest --numprocesses auto $(ARGS)

lint: .venv/.dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

# What tests run beside the product, in a cache outside the repository; `make test` asks for each, too: a Collector,
# VictoriaLogs with vmalert, and Loki's grammar.
collector victorialogs logql:
	@$(PYTHON) collector-config/build.py $@

# The table in the README, from what the tests see with the oldest and with the newest releases.
support: .venv/.dev
	@rm -rf .support
	@SUPPORT_REPORT=$(CURDIR)/.support $(BIN)/nox -s libraries
	@SUPPORT_REPORT=$(CURDIR)/.support $(BIN)/python -m pytest --numprocesses auto tests/integrations
	@$(BIN)/python tests/support_table.py .support

# Alerts of every engine, from the rules in collector-config/alerts/rules.
alerts: .venv/.dev
	@$(BIN)/python -m tools.alerts

# Planted misuse, and what only looks like it, in every engine that runs here; ends with what each has found.
alerts-replay: .venv/.dev
	@$(BIN)/python -m pytest -q tests/review/replay tests/review/test_planted.py $(ARGS)

bench: .venv/.dev
	@$(BIN)/python benchmarks/decode.py $(ARGS)
	@$(BIN)/python benchmarks/journal.py $(ARGS)
	@$(BIN)/python benchmarks/review.py $(ARGS)

clean:
	rm -rf .venv .nox .support dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: name an interpreter with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; tuple(map(int, "$(OLDEST)".split("."))) <= sys.version_info or sys.exit( \
		"Python $(OLDEST) or newer is needed, $(PYTHON) is %s: name another with PYTHON=…" % sys.version.split()[0])'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

# The demo starts fast: it brings its own few packages and none of the tools.
.venv/.demo: .venv/.python pyproject.toml $(PINS)
	@echo "Installing the demo …"
	@$(PIP) install --constraint $(CONSTRAINTS) --editable '.[demo]'
	@touch $@

# Holds the demo's packages too, so that `make demo` afterwards has nothing to install.
# The pip of older Pythons does not know dependency groups.
.venv/.dev: .venv/.python pyproject.toml $(PINS)
	@echo "Installing the development tools …"
	@$(PIP) install --constraint $(CONSTRAINTS) pip
	@$(PIP) install --constraint $(CONSTRAINTS) --editable '.[demo]' --group dev
	@touch .venv/.demo $@
