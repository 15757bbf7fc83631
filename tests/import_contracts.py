"""A contract that import-linter does not come with: it sees what is imported from Airflow only as one package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph

AIRFLOW_MODULE = re.compile(r"\b(?:from|import)\s+(airflow(?:\.\w+)*)")


class OnlyPublicAirflow(Contract):
    """
    Only what Airflow documents as public is imported, except in the one folder that is there for the rest.

    :param public: modules of Airflow.
    :param door: the package that may import any.
    """

    public = fields.SetField(subfield=fields.StringField())
    door = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        found = [
            f"{detail['importer']}, line {detail['line_number']}: {detail['line_contents'].strip()}"
            for importer in sorted(graph.find_modules_that_directly_import("airflow"))
            if not f"{importer}.".startswith(f"{self.door}.")
            for detail in graph.get_import_details(importer=importer, imported="airflow")
            if not set(AIRFLOW_MODULE.findall(detail["line_contents"])) <= self.public
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["found"]:
            output.print_error(line, bold=False)
