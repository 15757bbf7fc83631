"""The command: runs all checks and prints what they have found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_scenario.cli.doctor import installation
from airflow_provider_scenario.cli.doctor.findings import Finding, run_check
from airflow_provider_scenario.cli.doctor.services import ConnectionChecks, scenario_checks, workshop_checks
from airflow_provider_scenario.cli.output import print_rows
from airflow_provider_scenario.cli.running import FAILED, command

if TYPE_CHECKING:
    from argparse import Namespace

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "not checked": "dim"}


@command
def doctor(options: Namespace) -> None:
    """Run all checks; the exit code is 1 if one has failed."""
    findings = list(_findings(options))
    print_rows([asdict(finding) for finding in findings], options.output, empty="", styles=STYLES)
    if any(finding.status == "failed" for finding in findings):
        sys.exit(FAILED)


def _findings(options: Namespace) -> Iterator[Finding]:
    yield from run_check(("Airflow version",), installation.check_version)
    yield from run_check(("plugin",), installation.check_plugin)
    yield from _of_connection(scenario_checks(options.conn_id))
    if options.workshop_conn_id:
        yield from _of_connection(workshop_checks(options.workshop_conn_id))
    yield from run_check(installation.DATABASE_CHECKS, partial(installation.check_database, options.pool))
    yield from run_check(("page",), installation.check_page)


def _of_connection(checks: ConnectionChecks) -> Iterator[Finding]:
    findings = list(run_check(checks.names, checks))
    try:
        masked = checks.scrub.masked
    except Exception:  # the connection cannot be read, so nothing of it can be in the findings
        yield from findings
        return
    for each in findings:
        yield Finding(each.check, each.status, masked(each.found), masked(each.advice))
