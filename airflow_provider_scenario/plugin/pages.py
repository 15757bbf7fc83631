"""Renders the pages: templates that escape everything, and formats of numbers and times."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.scenario.secret_parameters import without_secrets
from airflow_provider_scenario.client.values import duration_text
from airflow_provider_scenario.plugin import values as safe
from airflow_provider_scenario.plugin.actions import can_choose_epoch
from airflow_provider_scenario.plugin.page_requests import POLL_INTERVAL
from airflow_provider_scenario.plugin.status import TrainingStatus
from airflow_provider_scenario.watch.cancelling import is_anothers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Model
    from airflow_provider_scenario.plugin.page_requests import Trouble
    from airflow_provider_scenario.plugin.snapshots import Details
    from airflow_provider_scenario.plugin.trainings import Training

REFRESH, SOON = POLL_INTERVAL + 1, 1.0
"""Seconds between two refreshes of an open page; the second while an answer of Scenario is on its way."""

MOST_SHOWN = 500
"""Images, epochs, prompts, parameters, warnings or statuses of a training. Scenario trains with up to some hundred."""

_REASONS = {
    400: "This page cannot be shown",
    401: "You are not logged in",
    403: "You may not do this",
    404: "Not found",
}
_ADVICE = {
    401: "Log in to Airflow, then open this page again.",
    403: "You may not see or change this DAG, or it does not exist. Ask your Airflow administrator.",
}


class ScenarioState(TypedDict):
    """What the page can show of Scenario now, for all templates; see ``parts.html``."""

    troubles: list[Trouble]
    refresh_soon: bool
    calls_scenario: bool


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

    def render(self, template: str, code: int = 200, *, refresh_soon: bool = False, **values: Any) -> HTMLResponse:
        """
        Render a page.

        :param code: HTTP status of the answer.
        :param refresh_soon: whether an answer of Scenario is on its way.
        """
        values |= {"now": time.time(), "refresh": SOON if refresh_soon else REFRESH}
        page = self._templates.get_template(template).render(values)
        return HTMLResponse(page.encode(errors="replace"), code)

    def _row(self, status: TrainingStatus, now: float, *, with_dag: bool) -> Markup:
        """Render a row of the table. If that fails, the row says so, and the other rows are shown."""
        parts: Any = self._templates.get_template("parts.html").module
        training, row = status.training, None
        try:
            if not training.unreadable:
                row = parts.row(status, now, with_dag)
        except Exception as problem:
            safe.cannot_show(training.address, problem)
        found: Markup = row or parts.bad_row(status.task, training.dag_id, training.run_id, with_dag)
        return found

    def training(self, status: TrainingStatus, details: Details | None, **values: Any) -> HTMLResponse:
        """Render the page of one training. If Scenario's answers cannot be rendered, the page is shown without them."""
        try:
            return self._training(status, details, **values)
        except Exception as problem:
            if details is None:
                raise
            safe.cannot_show(status.training.address, problem)
            return self._training(status, None, **{**values, "unreadable": True})

    def _training(self, status: TrainingStatus, details: Details | None, **values: Any) -> HTMLResponse:
        model = details.model if details else None
        given = model.parameters if model and model.parameters else status.training.parameters
        parameters = dict(islice(without_secrets(given).items(), MOST_SHOWN))
        prompts = parameters.pop("samplePrompts", None) or parameters.pop("sample_prompts", None) or []
        job = details.job if details else None
        cost = safe.amount(job.billing.cu_cost if job and job.billing else status.training.cost)
        values.setdefault("unreadable", status.training.unreadable)
        return self.render(
            "training.html",
            status=status,
            training=status.training,
            model=model,
            trained_again=model is not None and is_anothers(model, status.training.job_id),
            job=job,
            cost=cost,
            billed=replace(status.training, cost=cost).billed,
            images=sorted(model.training_images, key=lambda image: safe.by_name(image.name)) if model else [],
            epoch_in_use=epoch_in_use(model) if model and status.state == "trained" else None,
            parameters=parameters,
            prompts=[text for text in prompts[:MOST_SHOWN] if isinstance(text, str)]
            if isinstance(prompts, list)
            else [],
            warnings=dataset_warnings(details.score if details else None),
            can_choose_epoch=can_choose_epoch(status.type) and status.state == "trained",
            **values,
        )

    def publication(self, training: Training, *, may_see_xcoms: bool) -> HTMLResponse:
        """Render what one task has published. No request is sent: the page shows the task's XCom as text."""
        task = TrainingStatus(training, None, time.time()).task
        published = training.published if may_see_xcoms else ()
        return self.render(
            "publication.html", training=training, published=published, task=task, may_see_xcoms=may_see_xcoms
        )

    def outcome(self, training: Training, act: Callable[[], str]) -> HTMLResponse:
        """Act, and render the result or the error."""
        try:
            return self.render("outcome.html", training=training, text=act(), failed=False)
        except ScenarioError as error:
            return self.render("outcome.html", 409, training=training, text=str(error), failed=True)

    def error(self, code: int, text: str) -> HTMLResponse:
        """Render why there is no page, and what to do."""
        title = _REASONS.get(code, "Something went wrong")
        is_from_airflow = code == 401 or text in ("Forbidden", "Unauthorized", "Invalid JWT token")
        advice = _ADVICE.get(code, text) if is_from_airflow else text
        return self.render("error.html", code, title=title, text=advice)


def epoch_in_use(model: Model) -> str | None:
    """Return the chosen epoch, else the latest: Scenario names the epoch only if one was chosen."""
    return model.epoch or max((each.epoch for each in model.epochs), key=safe.by_name, default=None)


def dataset_warnings(score: DatasetScore | None) -> Mapping[str, Sequence[str]]:
    """Return Scenario's warnings about the dataset: warning → ids of the images that it is about."""
    found: dict[str, list[str]] = {}
    if score:
        for warning in score.assets_warnings[:MOST_SHOWN]:
            for message in warning.message[:MOST_SHOWN]:
                found.setdefault(message, []).append(warning.asset_id or "")
        for couple in score.asset_couples_warnings[:MOST_SHOWN]:
            for message in couple.message[:MOST_SHOWN]:
                found.setdefault(message, []).extend(couple.couple)
    # An image may be in several couples.
    return {message: list(dict.fromkeys(images)) for message, images in islice(found.items(), MOST_SHOWN)}


def address(training: Training, page: str, **more: str) -> Markup:
    """Return the address of a page of this training, relative to our other pages."""
    fields = {name: safe.text(value, safe.SHORT) or "" for name, value in {**training.address, **more}.items()}
    return escape(f"{page}?{urlencode(fields, quote_via=quote)}")


def log_address(training: Training) -> str:
    """Return the address of the task's log in Airflow's API, which checks that the viewer may read it."""
    parts = (training.dag_id, training.run_id, training.task_id)
    dag_id, run_id, task_id = (quote(part, safe="", errors="replace") for part in parts)
    task = f"../api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    place = training.region or {"map_index": str(training.map_index)}
    return f"{task}/logs/{max(1, training.try_number)}?{urlencode(place)}"


def ago(then: float, now: float) -> str:
    """Format how long ago that was."""
    return f"{duration(max(0.0, now - then))} ago"


def duration(seconds: float | None) -> str:
    """Format seconds, such as ``40 s``, ``12 min``, ``2 h 5 min``."""
    seconds = safe.number(seconds)
    return "–" if seconds is None else duration_text(seconds)


def moment(when: datetime | None) -> Markup:
    """Format a time in UTC; the page's script converts it to the viewer's time zone."""
    when = safe.moment(when)
    if when is None:
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds").replace("+00:00", "Z"), when.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def number(value: float | None) -> str:
    """Format creative units."""
    value = safe.number(value)
    return "–" if value is None else f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def size(kilobytes: float) -> str:
    """Format the size of a file."""
    return f"{kilobytes:,.1f} KB" if kilobytes < 1000 else f"{kilobytes / 1000:,.1f} MB"


def percent(share: float) -> str:
    """Format a share in whole percents; 100 only if it is complete."""
    share = safe.number(share) or 0.0
    return f"{min(int(share * 100), 99 if share < 1 else 100)} %"


def plain(value: Any) -> str:
    """Format a parameter."""
    return value if isinstance(value, str) else safe.as_json(value)


def _clean(value: Any) -> Any:
    """Clean every text that a template prints. Markup is left: it was made of texts that were cleaned before."""
    return safe.text(value) if isinstance(value, str) and not isinstance(value, Markup) else value
