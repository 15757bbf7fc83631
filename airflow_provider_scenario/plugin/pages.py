"""From what is known to HTML: templates that escape everything, and the words for numbers."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.trainers import without_secrets
from airflow_provider_scenario.plugin.actions import can_choose_epoch
from airflow_provider_scenario.plugin.lookup import EVERY
from airflow_provider_scenario.watch.cancelling import is_anothers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_scenario.client.schemas import DatasetScore
    from airflow_provider_scenario.plugin.lookup import Details
    from airflow_provider_scenario.plugin.standing import Standing
    from airflow_provider_scenario.plugin.trainings import Training

REFRESH, SOON = EVERY + 1, 1.0
"""Seconds between two looks of an open page; while an answer is on its way."""

_REASONS = {
    400: "This page cannot be shown",
    401: "You are not logged in",
    403: "You may not do this",
    404: "There is nothing here",
}
_ADVICE = {
    401: "Log in to Airflow, then open this page again.",
    403: "You may not see or change this DAG, or there is no such DAG. Ask whoever looks after your Airflow.",
}


class Pages:
    """The templates."""

    @cached_property
    def _templates(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "address": address,
            "ago": ago,
            "duration": duration,
            "log_address": log_address,
            "moment": moment,
            "number": number,
            "percent": percent,
            "plain": plain,
        }
        return environment

    def render(self, template: str, status: int = 200, *, asking: bool = False, **values: Any) -> HTMLResponse:
        """
        A page.

        :param asking: whether an answer is on its way.
        """
        values |= {"now": time.time(), "refresh": SOON if asking else REFRESH}
        return HTMLResponse(self._templates.get_template(template).render(values), status)

    def training(self, standing: Standing, details: Details | None, **values: Any) -> HTMLResponse:
        """The page of one training."""
        model = details.model if details else None
        given = model.parameters if model and model.parameters else standing.training.parameters
        parameters = without_secrets(given)
        prompts = parameters.pop("samplePrompts", None) or parameters.pop("sample_prompts", None) or []
        job = details.job if details else None
        return self.render(
            "training.html",
            standing=standing,
            training=standing.training,
            model=model,
            trained_again=model is not None and is_anothers(model, standing.training.job_id),
            job=job,
            cost=job.billing.cu_cost if job and job.billing else standing.training.cost,
            parameters=parameters,
            prompts=[text for text in prompts if isinstance(text, str)] if isinstance(prompts, list) else [],
            warnings=dataset_warnings(details.score if details else None),
            can_choose_epoch=can_choose_epoch(standing.type) and standing.state == "trained",
            **values,
        )

    def outcome(self, training: Training, act: Callable[[], str]) -> HTMLResponse:
        """Do something, and say what became of it."""
        try:
            return self.render("outcome.html", training=training, text=act(), failed=False)
        except ScenarioError as error:
            return self.render("outcome.html", 409, training=training, text=str(error), failed=True)

    def error(self, status: int, text: str) -> HTMLResponse:
        """Why there is no page, and what to do."""
        title = _REASONS.get(status, "Something went wrong")
        airflows_own = status == 401 or text in ("Forbidden", "Unauthorized", "Invalid JWT token")
        advice = _ADVICE.get(status, text) if airflows_own else text
        return self.render("error.html", status, title=title, text=advice)


def dataset_warnings(score: DatasetScore | None) -> Mapping[str, Sequence[str]]:
    """What Scenario holds against the dataset: warning → the images it is about."""
    found: dict[str, list[str]] = {}
    if score:
        for warning in score.assets_warnings:
            for message in warning.message:
                found.setdefault(message, []).append(warning.asset_id or "")
        for couple in score.asset_couples_warnings:
            for message in couple.message:
                found.setdefault(message, []).extend(couple.couple)
    return found


def address(training: Training, page: str, **more: str) -> str:
    """Where a page of this training is, from another of our pages."""
    return f"{page}?{urlencode({**training.address, **more}, quote_via=quote)}"


def log_address(training: Training) -> str:
    """Where Airflow's own API has the task's log; it asks whether the viewer may read it."""
    dag_id, run_id, task_id = (quote(part, safe="") for part in (training.dag_id, training.run_id, training.task_id))
    task = f"../api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    place = training.region or {"map_index": str(training.map_index)}
    return f"{task}/logs/{max(1, training.try_number)}?{urlencode(place)}"


def ago(then: float, now: float) -> str:
    """How long ago that was."""
    return f"{duration(max(0.0, now - then))} ago"


def duration(seconds: float | None) -> str:
    """Such as ``40 s``, ``12 min``, ``2 h 5 min``."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def moment(when: datetime | None) -> Markup:
    """A time that the script puts into the viewer's zone; in UTC without it."""
    if when is None:
        return Markup("–")
    when = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds").replace("+00:00", "Z"), when.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def number(value: float | None) -> str:
    """Creative units."""
    return "–" if value is None else f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def percent(share: float) -> str:
    """Whole percents, and 100 only for what is complete."""
    return f"{min(int(share * 100), 99 if share < 1 else 100)} %"


def plain(value: Any) -> str:
    """A parameter as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
