"""A trained model as an Airflow asset, ``scenario://model/<name>``, which other DAGs can be scheduled on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Asset, Context
    from openlineage.client.event_v2 import Dataset

SCHEME = "scenario"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Return the one spelling of a model's address; Airflow calls this for every asset with the scheme ``scenario``.

    :raises ValueError: the address is not ``scenario://model/<name>``.
    """
    name = unquote(uri.path.strip("/"))
    if uri.netloc != "model" or not name or "/" in name or uri.query or uri.fragment:
        raise ValueError(f"{uri.geturl()!r} is not a Scenario model; an asset of one is 'scenario://model/<name>'.")
    return uri._replace(path=f"/{quote(name, safe='')}")


def to_open_lineage(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001
    """Name a model's asset in OpenLineage. Airflow calls this for inlets and outlets, if OpenLineage is installed."""
    from openlineage.client.event_v2 import Dataset

    return Dataset(*open_lineage_name(asset.uri))


def open_lineage_name(uri: str) -> tuple[str, str]:
    """Return namespace and name of a model's asset, such as ``scenario`` and ``model/knight``."""
    scheme, _, name = uri.partition("://")
    return scheme, name


def is_model(outlet: object) -> bool:
    """Whether an outlet of a task is the asset of a model."""
    return str(getattr(outlet, "uri", "")).startswith(f"{SCHEME}://")


def add_to_outlet_events(context: Context, outlets: list[Any], result: Mapping[str, Any]) -> None:
    """
    Add the trained model to the events of a task's model outlets, for DAGs that are scheduled on these assets.

    :param result: what a training operator returns; ids, cost and epochs become part of the event's ``extra``.
    """
    if result["status"] != "trained":
        return
    extra = {key: result.get(key) for key in ("model_id", "job_id", "name", "type", "creative_units_cost", "epochs")}
    for outlet in outlets:
        if is_model(outlet):
            context["outlet_events"][outlet].extra.update(extra)
