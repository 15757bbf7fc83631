"""A trained model as an Airflow asset, ``scenario://model/<name>``, which other DAGs can be scheduled on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

SCHEME = "scenario"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Bring the address of a model into its one form; Airflow calls this for every asset of our scheme.

    :raises ValueError: it is not ``scenario://model/<name>``.
    """
    name = unquote(uri.path.strip("/"))
    if uri.netloc != "model" or not name or "/" in name or uri.query or uri.fragment:
        raise ValueError(f"{uri.geturl()!r} is no model: an asset of Scenario is 'scenario://model/<name>'.")
    return uri._replace(path=f"/{quote(name, safe='')}")


def add_to_outlet_events(context: Context, outlets: list[Any], result: Mapping[str, Any]) -> None:
    """
    Give the events of a task's model outlets what a DAG that is scheduled on them needs.

    :param result: what the training operators return; ids, cost and epochs go into the event's ``extra``.
    """
    if result["status"] != "trained":
        return
    told = {key: result.get(key) for key in ("model_id", "job_id", "name", "type", "creative_units_cost", "epochs")}
    for outlet in outlets:
        if str(getattr(outlet, "uri", "")).startswith(f"{SCHEME}://"):
            context["outlet_events"][outlet].extra.update(told)
