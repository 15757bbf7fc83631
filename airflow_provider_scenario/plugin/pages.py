"""From what is known to HTML: templates that escape everything, and the words for numbers."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.scenario.trainers import without_secrets
from airflow_provider_scenario.plugin import values as safe
from airflow_provider_scenario.plugin.actions import can_choose_epoch
from airflow_provider_scenario.plugin.page_requests import POLL_INTERVAL
from airflow_provider_scenario.plugin.status import TrainingStatus
from airflow_provider_scenario.watch.cancelling import is_anothers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Model
    from airflow_provider_scenario.plugin.snapshots import Details
    from airflow_provider_scenario.plugin.trainings import Training

REFRESH, SOON = POLL_INTERVAL + 1, 1.0
"""Seconds between two looks of an open page; while an answer is on its way."""

MOST_SHOWN = 500
"""Images, epochs, prompts, parameters, warnings or statuses of a training. Scenario trains with up to some hundred."""

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
            finalize=_clean,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "address": address,
            "ago": ago,
            "duration": duration,
            "epoch": safe.epoch_number,
            "log_address": log_address,
            "moment": moment,
            "number": number,
            "percent": percent,
            "plain": plain,
            "row": self._row,
            "size": size,
        }
        environment.globals |= {"most": MOST_SHOWN}
        return environment

    def render(self, template: str, status: int = 200, *, asking: bool = False, **values: Any) -> HTMLResponse:
        """
        A page.

        :param asking: whether an answer is on its way.
        """
        values |= {"now": time.time(), "refresh": SOON if asking else REFRESH}
        page = self._templates.get_template(template).render(values)
        return HTMLResponse(page.encode(errors="replace"), status)

    def _row(self, standing: TrainingStatus, now: float, *, with_dag: bool) -> Markup:
        """A row of the table; where it cannot be shown one that says so, for the sake of the others."""
        parts: Any = self._templates.get_template("parts.html").module
        training, row = standing.training, None
        try:
            if not training.unreadable:
                row = parts.row(standing, now, with_dag)
        except Exception as problem:
            safe.cannot_show(training.address, problem)
        found: Markup = row or parts.bad_row(standing.task, training.dag_id, training.run_id, with_dag)
        return found

    def training(self, standing: TrainingStatus, details: Details | None, **values: Any) -> HTMLResponse:
        """The page of one training; where what Scenario says of it cannot be shown, without that."""
        try:
            return self._training(standing, details, **values)
        except Exception as problem:
            if details is None:
                raise
            safe.cannot_show(standing.training.address, problem)
            return self._training(standing, None, **{**values, "unreadable": True})

    def _training(self, standing: TrainingStatus, details: Details | None, **values: Any) -> HTMLResponse:
        model = details.model if details else None
        given = model.parameters if model and model.parameters else standing.training.parameters
        parameters = dict(islice(without_secrets(given).items(), MOST_SHOWN))
        prompts = parameters.pop("samplePrompts", None) or parameters.pop("sample_prompts", None) or []
        job = details.job if details else None
        cost = safe.amount(job.billing.cu_cost if job and job.billing else standing.training.cost)
        values.setdefault("unreadable", standing.training.unreadable)
        return self.render(
            "training.html",
            standing=standing,
            training=standing.training,
            model=model,
            trained_again=model is not None and is_anothers(model, standing.training.job_id),
            job=job,
            cost=cost,
            paid=replace(standing.training, cost=cost).paid,
            images=sorted(model.training_images, key=lambda image: safe.by_name(image.name)) if model else [],
            epoch_in_use=epoch_in_use(model) if model and standing.state == "trained" else None,
            parameters=parameters,
            prompts=[text for text in prompts[:MOST_SHOWN] if isinstance(text, str)]
            if isinstance(prompts, list)
            else [],
            warnings=dataset_warnings(details.score if details else None),
            can_choose_epoch=can_choose_epoch(standing.type) and standing.state == "trained",
            **values,
        )

    def publication(self, training: Training, *, may_see_xcoms: bool) -> HTMLResponse:
        """What one task has published. No request is sent: the page shows the task's XCom as text."""
        task = TrainingStatus(training, None, time.time()).task
        published = training.published if may_see_xcoms else ()
        return self.render(
            "publication.html", training=training, published=published, task=task, may_see_xcoms=may_see_xcoms
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


def epoch_in_use(model: Model) -> str | None:
    """The epoch that was chosen, else the latest: Scenario says which only where one was chosen."""
    return model.epoch or max((each.epoch for each in model.epochs), key=safe.by_name, default=None)


def dataset_warnings(score: DatasetScore | None) -> Mapping[str, Sequence[str]]:
    """What Scenario holds against the dataset: warning → the images it is about."""
    found: dict[str, list[str]] = {}
    if score:
        for warning in score.assets_warnings[:MOST_SHOWN]:
            for message in warning.message[:MOST_SHOWN]:
                found.setdefault(message, []).append(warning.asset_id or "")
        for couple in score.asset_couples_warnings[:MOST_SHOWN]:
            for message in couple.message[:MOST_SHOWN]:
                found.setdefault(message, []).extend(couple.couple)
    # An image may be one of several couples.
    return {message: list(dict.fromkeys(images)) for message, images in islice(found.items(), MOST_SHOWN)}


def address(training: Training, page: str, **more: str) -> Markup:
    """Where a page of this training is, from another of our pages."""
    fields = {name: safe.text(value, safe.SHORT) or "" for name, value in {**training.address, **more}.items()}
    return escape(f"{page}?{urlencode(fields, quote_via=quote)}")


def log_address(training: Training) -> str:
    """Where Airflow's own API has the task's log; it asks whether the viewer may read it."""
    parts = (training.dag_id, training.run_id, training.task_id)
    dag_id, run_id, task_id = (quote(part, safe="", errors="replace") for part in parts)
    task = f"../api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    place = training.region or {"map_index": str(training.map_index)}
    return f"{task}/logs/{max(1, training.try_number)}?{urlencode(place)}"


def ago(then: float, now: float) -> str:
    """How long ago that was."""
    return f"{duration(max(0.0, now - then))} ago"


def duration(seconds: float | None) -> str:
    """Such as ``40 s``, ``12 min``, ``2 h 5 min``."""
    seconds = safe.number(seconds)
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def moment(when: datetime | None) -> Markup:
    """A time that the script puts into the viewer's zone; in UTC without it."""
    when = safe.moment(when)
    if when is None:
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds").replace("+00:00", "Z"), when.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def number(value: float | None) -> str:
    """Creative units."""
    value = safe.number(value)
    return "–" if value is None else f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def size(kilobytes: float) -> str:
    """Of a file."""
    return f"{kilobytes:,.1f} KB" if kilobytes < 1000 else f"{kilobytes / 1000:,.1f} MB"


def percent(share: float) -> str:
    """Whole percents, and 100 only for what is complete."""
    share = safe.number(share) or 0.0
    return f"{min(int(share * 100), 99 if share < 1 else 100)} %"


def plain(value: Any) -> str:
    """A parameter as text."""
    return value if isinstance(value, str) else safe.as_json(value)


def _clean(value: Any) -> Any:
    """Whatever a template puts out: text is cut and cleaned; markup is made of what came through here before."""
    return safe.text(value) if isinstance(value, str) and not isinstance(value, Markup) else value
