# All that one does with a checkout; `make` lists it. Needs Python 3.11 or newer, and for some of
# the tests Chromium, which `make setup` installs where it can (as root, on Debian and its like).

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt
RUN_STAMP := $(VENV)/run.stamp
STAMP := $(VENV)/setup.stamp

.DEFAULT_GOAL := help
.PHONY: help setup run serve check test bench chaos rebuilt clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv with all that is needed, tests included; nothing when up to date
	@:

# A .venv that works is kept and brought up to date; one whose Python is gone is made anew.
$(RUN_STAMP): pyproject.toml constraints.txt
	@if ! $(PY) -c '' 2>/dev/null; then \
		$(PYTHON) -c '' 2>/dev/null || { \
			echo "make: '$(PYTHON)' does not start. Name a Python 3.11 or newer:" \
				"make setup PYTHON=python3.12" >&2; exit 1; }; \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "make: Python 3.11 or newer is needed, but '$(PYTHON)' is" \
				"$$($(PYTHON) -V 2>&1). Name another: make setup PYTHON=python3.12" >&2; \
			exit 1; }; \
		echo "Making $(VENV) ..."; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: Python 3.11 or newer is needed, but $(VENV) has $$($(PY) -V 2>&1)." \
			"Remove it (make clean), then: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	@echo "Installing what bookended needs, in the versions of constraints.txt ..."
	@$(INSTALL) hatchling
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

# Checks and tests need more than a user does: tools, a real Kafka and PostgreSQL, both clients, a
# browser.
$(STAMP): $(RUN_STAMP)
	@echo "Installing what its checks and tests need ..."
	@# A source package (0.5 GB): built apart, so that it brings what it is built with; and not
	@# compressed, which takes half of the time and is undone at once.
	@$(INSTALL) --config-settings=--build-option=--compression=stored pyspark
	@$(INSTALL) --no-build-isolation --editable '.[test,dev,local,librdkafka,spark]'
	@$(PY) -m tests.explore.browser.chromium
	@touch $@

run: $(RUN_STAMP) ## the demo: sample sessions over HTTP, and the rows that come of them
	@$(VENV)/bin/bookended demo

serve: $(RUN_STAMP) ## collector, processor, /explore on 127.0.0.1:8080, data in ./bookended-data
	@$(VENV)/bin/bookended run

check: setup ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy --num-workers auto

# Several workers at once, each with whole files; the longest files go first (tests/workers.py). A
# test that hangs is ended after so many seconds and says where it stood. Compiled code is kept: the
# tests start hundreds of programs, and what chaos and bench measure is an installed one.
test bench chaos rebuilt: export PYTHONDONTWRITEBYTECODE :=
test: check ## check, then all tests, several at once (one: ARGS='-n 0')
	$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder --timeout 600 $(ARGS)

bench: setup ## measure speed and size: a table and JSON (a part: ARGS='--only fold')
	$(PY) -m tests.bench.run $(ARGS)

chaos: setup ## production under 60 faults, ten minutes: is every figure right? (ARGS='--seed 7')
	$(PY) -m tests.simulation.chaos $(ARGS)

rebuilt: setup ## live rows = rebuilt rows, 100,000 sessions? (ARGS='--sessions 5000')
	$(PY) -m tests.simulation.rebuilt $(ARGS)

clean: ## remove .venv, caches and builds (never data)
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
