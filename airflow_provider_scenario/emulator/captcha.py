"""
The captcha of a professional voice clone: the owner of the voice must read a text aloud before the training.

The order of the stages follows the vendor's SDK: ``ready-for-captcha``; after a request for the captcha
``pending-captcha``, with a picture of the text; then the queue. A rejected reading leads back to ``ready-for-captcha``.
Users do this in the vendor's web app, whose calls are not published, so the emulator has a switch for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from airflow_provider_scenario.emulator import pictures
from airflow_provider_scenario.emulator.records import Asset
from airflow_provider_scenario.emulator.trainers import VOICE

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.records import Model
    from airflow_provider_scenario.emulator.state import State

PENDING, READY = "pending-captcha", "ready-for-captcha"
MOST_FAILURES = 3
"""A guess: the SDK mentions a limit without a number."""


@dataclass(slots=True)
class Captcha:
    """
    :param stage: of the training while it waits.
    :param since: when that stage began.
    :param solved_at: ``inf``: not solved yet.
    :param failed_at: when the last allowed reading was rejected; ``inf``: that has not happened.
    """

    stage: str
    since: float
    image_id: str | None = None
    solved_at: float = inf
    failures: int = 0
    error: str | None = None
    failed_at: float = inf


def needs_captcha(model_type: str, parameters: dict[str, object]) -> bool:
    return model_type == VOICE and parameters.get("cloneType") == "professional"


def new_captcha(state: State, model: Model, since: float) -> Captcha:
    """:param since: when the training begins to wait for it."""
    captcha = Captcha(READY, since)
    if state.settings.captcha_shown:
        show(state, model, captcha, since)
    if state.settings.captcha_seconds is not None:
        captcha.solved_at = since + state.settings.captcha_seconds
    return captcha


def show(state: State, model: Model, captcha: Captcha, now: float) -> None:
    """Make a new picture of the text."""
    content, mime_type = pictures.captcha(f"My voice may be cloned. {captcha.failures + 1}")
    asset_id = state.new_id("asset_")
    state.assets[asset_id] = Asset(
        asset_id, "captcha.png", "image", mime_type, now, now, content=content, model_id=model.id
    )
    captcha.stage, captcha.since, captcha.image_id = PENDING, now, asset_id


def reject(captcha: Captcha, error: str, now: float) -> None:
    captcha.stage, captcha.since, captcha.image_id = READY, now, None
    captcha.failures += 1
    captcha.error = error
    if captcha.failures >= MOST_FAILURES:
        captcha.failed_at = now


def waiting(state: State, glob: str, now: float) -> list[tuple[Model, Captcha]]:
    """
    Models whose training waits for a captcha now.

    :param glob: on the name or id of the model.
    """
    return [
        (model, model.job.timeline.captcha)
        for model in state.models_named(glob)
        if model.status == "training"
        and model.job is not None
        and model.job.timeline.captcha is not None
        and model.job.timeline.at(now).stage in (PENDING, READY)
    ]
