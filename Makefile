# In a fresh clone, with Python >= 3.11, pip and make: `make demo` runs the demo, `make test` runs the tests.
# Everything is installed into .venv inside the clone. To use another Python: make PYTHON=python3.13 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints-3.3.txt
PINS := pyproject.toml .ci/constraints-3.3.txt
# Options of the demo, for example: make demo ARGS="--training-seconds 60"
ARGS ?=
# Tests of what coverage leaves out.
UNMEASURED := tests/contract tests/unit/demo tests/unit/emulator \
	tests/security/unit/test_demo_files.py tests/security/unit/test_emulator.py
DIST ?= dist

NOX := $(BIN)/nox --reuse-existing-virtualenvs --envdir $(VENV)/nox --session 3.1 3.2 3.4
# Importing Airflow writes a configuration file; this keeps it out of the user's home.
TESTING := AIRFLOW_HOME="$(CURDIR)/$(VENV)/airflow"

.DEFAULT_GOAL := help
.PHONY: help demo test test-full coverage mutation lint docs dist clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/demo ## Train LoRAs and publish one with a real Airflow, against the emulator
	@exec $(BIN)/python -m airflow_provider_scenario.demo $(ARGS)

test: lint ## Check style, types and imports, then run the tests
	@# The system tests run even if a unit test has failed. Each of the three processes has its own Airflow, and mostly
	@# waits for it.
	@failed=0; \
	$(TESTING) $(BIN)/python -m pytest -m "not full" -n 3 tests/contract tests/unit tests/security/unit || failed=1; \
	$(TESTING) $(BIN)/python -m pytest -m "not full" -n 3 --dist worksteal tests/system tests/security/system || failed=1; \
	exit $$failed

test-full: $(VENV)/test $(VENV)/fab ## Run the tests that need PostgreSQL, Redis, Chromium or many minutes, and those on other Airflows
	@# loadfile: a file whose tests share an Airflow would start it twice if both processes ran parts of it.
	@$(TESTING) $(BIN)/python -m pytest -m "full and not alone" -n 2 --dist loadfile
	@# Tests that run alone leave half of the CPU idle, so unit tests on other Airflows run beside them.
	@timeout 45m nice -n 10 $(NOX) -- unit > $(VENV)/nox-unit.log 2>&1 & unit=$$!; failed=0; \
	$(TESTING) $(BIN)/python -m pytest -m "full and alone" || failed=1; \
	wait $$unit || failed=1; cat $(VENV)/nox-unit.log; exit $$failed
	@$(NOX) -- system

coverage: $(VENV)/test ## Print how much of the product the unit tests cover; less than 92 % of lines and branches is an error
	@# Not a part of `make test`, because measuring slows the tests.
	@$(TESTING) $(BIN)/python -m pytest -m "not full" -n 3 --cov --cov-report=term --cov-fail-under=92 \
		$(addprefix --ignore=,$(UNMEASURED)) tests/unit tests/security/unit

mutation: $(VENV)/test ## Change the code that decides on retries and money, and see whether a unit test fails; takes an hour
	@$(BIN)/nox --envdir $(VENV)/nox --reuse-existing-virtualenvs --session mutation

lint: $(VENV)/test ## Check only style, types, imports and workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(TESTING) $(BIN)/mypy
	@$(TESTING) $(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/zizmor --offline --pedantic --quiet .github .pre-commit-config.yaml

dist: $(VENV)/test ## Build and check the sdist and the wheel for a release
	@rm -rf $(DIST)
	@# The wheel is built from the sdist.
	@$(BIN)/python -m build --installer uv --outdir $(DIST) .
	@$(BIN)/twine check --strict $(DIST)/*
	@$(BIN)/check-wheel-contents $(DIST)/*.whl

docs: $(VENV)/docs ## Build the docs site into build/docs; a warning is an error
	@# -E: without it, a page that has not changed since its warning would pass.
	@$(TESTING) $(BIN)/python -m sphinx --quiet -E -W --keep-going -j 2 -d build/doctrees docs build/docs
	@echo "The site is in build/docs/index.html"

clean: ## Remove everything that was installed, and the files of demo and tests
	rm -rf $(VENV) .coverage .demo build dist mutants .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python >= 3.11 is needed, for example: make PYTHON=python3.12 demo" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@# Debian's Python has no ensurepip, so its own pip installs pip into the new environment.
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

$(VENV)/docs: $(PINS) | $(BIN)/python
	@echo "Installing Airflow, this provider and Sphinx into $(VENV), which takes a minute or two ..."
	@$(INSTALL) -e ".[docs]"
	@touch $@

# FAB's auth manager, only for the tests of rights per DAG: see tests/security/system/fab.py.
$(VENV)/fab: .ci/fab-3.3.txt $(VENV)/test
	@echo "Installing FAB's auth manager into $@ ..."
	@rm -rf $@ $@.new
	@$(INSTALL) --no-deps --target $@.new -r .ci/fab-3.3.txt
	@mv $@.new $@
