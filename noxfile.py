"""
Run the tests on each minor version of Airflow, in its own environment: ``.venv/bin/nox -l`` lists them,
``.venv/bin/nox -s 3.4`` runs one, ``.venv/bin/nox -s 3.4 -- tests/unit/plugin`` runs pytest with these arguments.

``.ci/constraints-<minor>.txt`` pins all versions. Each file was made in two steps: ``uv pip compile`` of
``apache-airflow==<version>`` with ``--exclude-newer`` a day soon after its release, because an old Airflow does not
start with later packages; then of this package's extra ``minors``, constrained by the first. ``make test`` runs on 3.3.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True

ONLY_WITH_MAKE_TEST = (
    "tests/unit/client",
    "tests/unit/datasets/test_any_value.py",
    "tests/unit/datasets/test_folder.py",
    "tests/unit/demo",
    "tests/unit/emulator",
    "tests/unit/lineage/test_events.py",  # with OpenLineage's provider, which only `make test` installs
    "tests/unit/operators/test_soak.py",
    "tests/unit/publishing",
    "tests/unit/test_code_blocks.py",  # with packages of executors and tools that only `make test` installs
    "tests/unit/test_documentation.py",
    "tests/unit/test_error_catalogue.py",
    "tests/unit/test_example_dags.py",  # as test_code_blocks.py
    "tests/unit/test_import_contracts.py",
    "tests/unit/test_package.py",
    "tests/unit/test_site.py",
    "tests/unit/test_site_tables.py",
    "tests/unit/test_workflows.py",
    "tests/unit/watch",
    *map(str, sorted(Path("tests/security/unit").glob("test_client_*.py"))),
    "tests/security/unit/test_datasets_files.py",
    "tests/security/unit/test_datasets_hostile.py",
    "tests/security/unit/test_demo_files.py",
    "tests/security/unit/test_emulator.py",
    "tests/security/unit/test_hostile_service.py",
    "tests/security/unit/test_listing_events.py",
    "tests/security/unit/test_page_slow_service.py",
    "tests/security/unit/test_publishing.py",
)
"""Unit tests of code that does not use Airflow, or uses it only in ways that the other unit tests cover."""

ALMOST_ALL = ("tests/unit", "tests/security/unit", *(f"--ignore={path}" for path in ONLY_WITH_MAKE_TEST))
CLOSEST_TO_AIRFLOW = tuple(f"tests/unit/{part}" for part in ("airflow_compat", "cli", "plugin", "sensors", "triggers"))

NOTHING_TO_RUN = 5
"""Pytest's exit code when it selects no test: below 3.3 none of the long tests applies."""

MINORS = sorted(Path(".ci").glob("constraints-*.txt"))

for path in MINORS:

    @nox.session(name=path.stem.removeprefix("constraints-"))
    def one_minor(session: nox.Session, constraints: Path = path) -> None:
        """
        Unit tests and system tests on one minor of Airflow; ``-- unit`` and ``-- system`` run one of the two.

        The lowest and the newest run most tests. Those between run the unit tests closest to Airflow, and one DAG.
        """
        session.install("--editable", ".[minors]", "--constraint", str(constraints))
        # Importing Airflow writes a configuration file; the path must be absolute.
        home = {"AIRFLOW_HOME": str(Path(session.create_tmp()).resolve())}
        pytest = partial(session.run, "python", "-m", "pytest", "-p", "no:cacheprovider", env=home)
        if session.posargs not in ([], ["unit"], ["system"]):
            pytest(*session.posargs)
            return
        between = constraints not in (MINORS[0], MINORS[-1])
        if session.posargs != ["system"]:
            pytest("-m", "not full", "-n", "3", *(CLOSEST_TO_AIRFLOW if between else ALMOST_ALL))
        if session.posargs == ["unit"]:
            return
        if between:
            pytest("-k", "pages", "tests/system/test_every_minor.py")
            return
        folders = ("tests/system", "tests/security/system")
        pytest("-m", "every_minor and not alone", "-n", "3", "--dist", "worksteal", *folders)
        pytest("-m", "every_minor and alone", "tests/system", success_codes=(0, NOTHING_TO_RUN))


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """
    Change the code that decides on retries and money, a mutant at a time, and run its unit tests on each.

    ``[tool.mutmut]`` in ``pyproject.toml`` names both; ``-- 'airflow_provider_scenario.pacing*'`` runs one module.
    """
    session.install("--editable", ".[minors]", "mutmut==3.8.1", "--constraint", ".ci/constraints-3.3.txt")
    home = {"AIRFLOW_HOME": str(Path(session.create_tmp()).resolve())}
    shutil.rmtree("mutants", ignore_errors=True)  # mutmut would keep its results although tests have changed
    # One process: a mutant counts as killed if its tests take much longer than usual, as they do on a busy machine.
    session.run("mutmut", "run", "--max-children", "1", *session.posargs, env=home)
    session.run("mutmut", "results", env=home)
