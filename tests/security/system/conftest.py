"""Attacks on a real Airflow, with the processes and fixtures of the system tests."""

from tests.system.conftest import (  # noqa: F401
    airflow,
    browser,
    connection,
    database,
    emulator,
    emulator_process,
    served,
    statistics,
    visit,
)
