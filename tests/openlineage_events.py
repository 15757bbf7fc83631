"""OpenLineage events checked against its own schemas, and against those of this provider's facets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

SPEC = Path(__file__).parent / "openlineage_spec"
OURS = files("airflow_provider_scenario.lineage") / "schemas"
AIRFLOW = "https://raw.githubusercontent.com/apache/airflow/"
RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


def check_event(event: Mapping[str, Any]) -> None:
    """Check an event as a whole, then each of its facets by the schema that the facet names; Airflow's own excepted."""
    _check(RUN_EVENT, event)
    for facet in facets_of(event):
        if not facet["_schemaURL"].startswith(AIRFLOW) and "BaseFacet" not in facet["_schemaURL"]:
            _check(facet["_schemaURL"], facet)


def facets_of(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All facets of an event: of its run, its job and its datasets."""
    owners = [event["run"], event["job"], *event.get("inputs", ()), *event.get("outputs", ())]
    for owner in owners:
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from owner.get(kind, {}).values()


def _check(url: str, value: Any) -> None:
    Draft202012Validator({"$ref": url}, registry=_registry(), format_checker=FormatChecker()).validate(value)


@cache
def _registry() -> Registry[Any]:
    schemas = [json.loads(path.read_text()) for folder in (SPEC, OURS) for path in folder.iterdir() if _is_json(path)]
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas)


def _is_json(path: Any) -> bool:
    return str(path.name).endswith(".json")
