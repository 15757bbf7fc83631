# From a fresh clone, with Python >= 3.11, pip and make: `make demo` shows it working, `make test` proves it.
# Everything is installed into .venv inside the clone. Another Python: make PYTHON=python3.13 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints-3.3.txt
PINS := pyproject.toml .ci/constraints-3.3.txt
# Options of the demo, for example: make demo ARGS="--training-seconds 60"
ARGS ?=

NOX := $(BIN)/nox --reuse-existing-virtualenvs --envdir $(VENV)/nox --session 3.1 3.2 3.4
# Importing Airflow writes a configuration file: not into the home of whoever runs the tests.
TESTING := AIRFLOW_HOME="$(CURDIR)/$(VENV)/airflow"

.DEFAULT_GOAL := help
.PHONY: help demo test test-full lint clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/demo ## Watch a real Airflow train LoRAs and publish one, against the emulator
	@exec $(BIN)/python -m airflow_provider_scenario.demo $(ARGS)

test: lint ## Check style, types and imports, then run the tests
	@# The system tests run also where a unit test has failed. Each of three processes has an Airflow of its own, and
	@# mostly waits for it.
	@failed=0; \
	$(TESTING) $(BIN)/python -m pytest -m "not full" -n 3 tests/unit tests/contract tests/security/unit || failed=1; \
	$(TESTING) $(BIN)/python -m pytest -m "not full" -n 3 --dist worksteal tests/system tests/security/system || failed=1; \
	exit $$failed

test-full: $(VENV)/test $(VENV)/fab ## Run the tests that need PostgreSQL, Redis, Chromium or many minutes, and other Airflows
	@# File by file: split over both processes, a file that has an Airflow of its own would start it twice.
	@$(TESTING) $(BIN)/python -m pytest -m "full and not alone" -n 2 --dist loadfile
	@# Those that run alone wait half of their time: unit tests on other Airflows take it. 3.3 is the one of all the rest.
	@timeout 45m nice -n 10 $(NOX) -- unit > $(VENV)/nox-unit.log 2>&1 & unit=$$!; failed=0; \
	$(TESTING) $(BIN)/python -m pytest -m "full and alone" || failed=1; \
	wait $$unit || failed=1; cat $(VENV)/nox-unit.log; exit $$failed
	@$(NOX) -- system

lint: $(VENV)/test ## Check style, types and who imports whom only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(TESTING) $(BIN)/mypy
	@$(TESTING) $(BIN)/lint-imports --no-cache --no-logo

clean: ## Remove what was installed and what the demo and the tests left behind
	rm -rf $(VENV) .demo build dist .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python >= 3.11 is needed, for example: make PYTHON=python3.12 demo" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@# Debian's Python comes without what puts pip into a new environment; its own pip can do it.
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }

$(VENV)/demo: $(PINS) | $(BIN)/python
	@echo "Installing Airflow and this provider into $(VENV), which takes a minute or two ..."
	@$(INSTALL) -e ".[demo]"
	@touch $@

$(VENV)/test: $(PINS) | $(BIN)/python
	@echo "Installing Airflow, this provider and the test tools into $(VENV), which takes a minute or two ..."
	@$(INSTALL) -e ".[test]"
	@touch $@ $(VENV)/demo

# FAB's auth manager, for the tests of rights per DAG only: see tests/security/system/fab.py.
$(VENV)/fab: .ci/fab-3.3.txt $(VENV)/test
	@echo "Installing FAB's auth manager into $@ ..."
	@rm -rf $@ $@.new
	@$(INSTALL) --no-deps --target $@.new -r .ci/fab-3.3.txt
	@mv $@.new $@
