"""The contract of ``pyproject.toml`` that is our own; that the package keeps to it is for ``make lint`` to say."""

from __future__ import annotations

import pytest
from grimp import ImportGraph

from tests.import_contracts import OnlyPublicAirflow


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("from airflow.sdk import BaseOperator", True),
        ("    from airflow.sdk import (", True),
        ("from airflow.sdk.execution_time import task_runner", False),
        ("from airflow import settings", False),
        ("import airflow.models", False),
    ],
)
def test_only_what_is_public_may_be_imported(line, kept):
    assert is_kept("package.operators", line) is kept


def test_any_may_be_imported_in_the_one_folder_for_it():
    assert is_kept("package.door.tables", "from airflow.models import XCom")
    assert not is_kept("package.doors", "from airflow.models import XCom")


def is_kept(importer: str, line: str) -> bool:
    graph = ImportGraph()
    graph.add_module("airflow", is_squashed=True)
    graph.add_import(importer=importer, imported="airflow", line_number=1, line_contents=line)
    contract = OnlyPublicAirflow(
        name="", session_options={}, contract_options={"public": ["airflow.sdk"], "door": "package.door"}
    )
    return contract.check(graph, verbose=False).kept
