"""What the switches under ``/emulator`` can set."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from airflow_provider_scenario.emulator.limits import Limits

CENTURY = 100 * 365 * 24 * 3600.0
"""Seconds; the longest that anything takes. Dates beyond the year 9999 cannot be written."""


class Strict(BaseModel):
    """A switch that was misspelt must not pass for one that was set."""

    model_config = ConfigDict(extra="forbid")


class Settings(Strict):
    """How the emulated service behaves until told otherwise."""

    training_seconds: float = Field(
        5.0, ge=0, le=CENTURY, description="How long a training lasts, from its start to its end."
    )
    training_seconds_by_model: dict[str, Annotated[float, Field(ge=0, le=CENTURY)]] = Field(
        default_factory=dict, description="The same for models whose name or id matches a glob; the first match counts."
    )
    pending_seconds: float = Field(
        0.0, ge=0, le=CENTURY, description="How long a training and its job are pending before they are queued."
    )
    captcha_shown: bool = Field(
        True,
        description="Whether the captcha of a professional voice clone is there by itself (stage pending-captcha), or "
        "once POST /emulator/captcha asks for it (ready-for-captcha until then).",
    )
    captcha_seconds: float | None = Field(
        None, ge=0, le=CENTURY, description="How long a person takes to solve it; null: until POST /emulator/captcha."
    )
    copy_seconds: float = Field(0.0, ge=0, le=CENTURY, description="How long a copy of a model is copying.")
    soft_deletion_days: float | None = Field(
        None, ge=0, le=36500, description="Free plan: after how many days a model is deleted (softDeletionOn)."
    )
    unknown_fields: bool = Field(
        False, description="Whether every object of every answer has a field that no description mentions."
    )
    parallel_training: int | None = Field(None, ge=0, description="Plan ceiling: trainings at a time. 0: none at all.")
    train_model: float | None = Field(None, ge=0, description="Plan ceiling: creative units that trainings may cost.")
    add_training_image: int = Field(50, ge=0, description="Plan ceiling: training images a model.")
    cooldown_seconds: float = Field(
        0.0, ge=0, le=CENTURY, description="How long after a launch the next one is refused."
    )
    limits: Limits = Field(
        default_factory=Limits, description="What to refuse where the sources disagree: strict or lenient, all or each."
    )
    auth_status: Literal[401, 403] = Field(
        403, description="What a wrong key gets: 403 (the gateway) or 401 (the docs)."
    )
    api_secret: str | None = Field(None, description="Another secret than that of the start: the key was rotated.")
    pages: Literal["full", "short", "empty"] = Field(
        "full", description="short: half of what was asked for; empty: every other page, the first included, is empty."
    )
    requests_per_minute: int | None = Field(None, ge=0, description="Answer 429 beyond that many; none: no limit.")
    send_retry_after: bool = Field(False, description="Whether a rate-limit 429 carries Retry-After.")
    listing_seconds: float = Field(
        5.0, ge=0, le=CENTURY, description="Workshop: how long listing a synced file takes at least."
    )
    fetch_files: bool = Field(
        True,
        description="Workshop: fetch a synced file from its downloadUrl, and fail its listing if it cannot be had or "
        "is not what hash (as SHA-256) and sizeKb say. false: believe it.",
    )
    first_listing_status: Literal[0, 5] = Field(
        5, description="Workshop: what the sync that starts a listing answers. The vendor does not say which."
    )
    workshop_data: Literal["object", "list"] = Field(
        "object", description="Workshop: one data object for all files, as the vendor's page has it, or one a file."
    )
    any_base_model: bool = Field(False, description="Workshop: take a baseModel that the vendor's page does not list.")
    api_token: str = Field("demo", min_length=1, description="Workshop: the token of the one end user there is.")
    api_token_in: Literal["either", "body", "query"] = Field(
        "either", description="Workshop: where a sync must carry it. The vendor's page does not say."
    )
    workshop_refusal_status: int = Field(
        200, ge=200, le=599, description="Workshop: HTTP status of a refusal inside the envelope."
    )
    workshop_requests_per_minute: int | None = Field(None, ge=0, description="Workshop: throttle beyond that many.")
    gateway_clock_skew: float = Field(
        0.0,
        ge=-CENTURY / 10,
        le=CENTURY,
        description="Workshop: seconds by which its gateway's clock is ahead. Its Date says so.",
    )
    callback_url: str | None = Field(
        None,
        pattern="^https?://",
        description="Workshop: POST an event there when a listing has ended. What the real one looks like is not "
        "published: name, body, signature are guesses. Sent once, never again.",
    )
    url_seconds: float = Field(
        3600.0, gt=0, le=CENTURY, description="How long a signed URL is good for, to the next minute."
    )
    workshop_unknown_fields: Literal["keep", "refuse"] = Field(
        "keep", description="Workshop: what becomes of fields that the vendor's page does not list; it does not say."
    )
    any_model_or_source_type: bool = Field(
        False, description="Workshop: take a modelType or sourceType that the vendor's page does not list."
    )
    listing_status: int | None = Field(
        None, description="Workshop: the status that every listing answers, whatever it is. null: its own."
    )
    workshop_envelope: dict[str, Any] = Field(
        default_factory=dict, description='Workshop: changes to the envelope of every answer, e.g. {"startTime": 1}.'
    )
    workshop_extra_in_answers: bool = Field(
        False, description="Workshop: put a field that no page lists into every object of every answer."
    )

    @field_validator("limits", mode="before")
    @classmethod
    def _all_limits_at_once(cls, given: Any) -> Any:
        return Limits.all(given) if given in ("strict", "lenient") else given

    def changed(self, changes: dict[str, Any]) -> Settings:
        """
        These settings with some others; of the limits, too, those that are not given stay.

        :raises ValidationError: there is no such setting, or it cannot have that value.
        """
        kept = self.model_dump()
        if isinstance(changes.get("limits"), dict):
            changes = {**changes, "limits": {**kept["limits"], **changes["limits"]}}
        return Settings.model_validate({**kept, **changes})


class Fault(Strict):
    """
    Something that goes wrong with the requests it matches.

    ``{"kind": "close", "when": "after", "method": "PUT", "route": "/models/*/train"}`` starts a training and loses
    the answer. ``*`` in a route stands for one path segment, ``**`` for any number. ``{"kind": "close", "times": null,
    "probability": 0.1, "seed": 7}`` drops one request in ten.
    """

    kind: Literal["status", "429", "garbage", "close", "hang", "slow"]
    method: str = "*"
    route: str = "**"
    model: str = Field("*", description="Glob on the name or id of a model that the request is about.")
    times: int | None = Field(1, ge=1, description="How often; null: for ever.")
    skip: int = Field(0, ge=0, description="Let that many matching requests pass first.")
    probability: float = Field(1.0, ge=0, le=1, description="The share of the matching requests that it happens to.")
    seed: int | None = Field(
        None, description="Which of them: the same seed, the same ones. Another for each fault; null: any."
    )
    when: Literal["before", "after"] | None = Field(
        None,
        description="Whether the fault happens before the request acts or after it has acted. A slow request always "
        "acts, and waits before or after that. Default: before; garbage: after.",
    )
    status: int = Field(500, ge=200, le=599, description="200 with a body: what is a success only to HTTP.")
    body: Any = Field(None, description="What a status fault answers; null: {reason}.")
    headers: dict[str, str] = Field(default_factory=dict)
    retry_after: float | None = Field(None, description="Seconds for the Retry-After of a 429; null: no such header.")
    garbage: Literal["html", "text", "truncated", "empty"] = "html"
    seconds: float = Field(
        1.0, ge=0, le=CENTURY, description="How long a slow answer takes, or a hanging one leaves the line open."
    )

    @model_validator(mode="after")
    def _lose_garbled_answers_after_acting(self) -> Fault:
        if self.when is None:
            self.when = "after" if self.kind == "garbage" else "before"
        return self


class Override(Strict):
    """
    Other fields than a model or its job has; objects in them are merged. Changes what is shown, not what happens.

    ``{"model": "hero-*", "fields": {"privacy": "unlisted", "trainingProgress": {"stage": "some-new-stage"}}}``
    """

    of: Literal["model", "job"] = "model"
    model: str = Field("*", description="Glob on the model's name or id.")
    fields: dict[str, Any]


class CaptchaAction(Strict):
    """What a person does about the captchas of the models it matches."""

    action: Literal["solve", "reject", "show"] = Field(
        description="solve: the training goes on; reject: it was read wrongly, which fails the training the third "
        "time; show: get a new picture of the text."
    )
    model: str = Field("*", description="Glob on the model's name or id.")
    error: str = Field("The captcha was rejected.", description="What a rejection says.")


class Outcome(Strict):
    """
    How trainings of the models it matches go, or listings in the workshop; decided when the training starts.

    ``{"model": "hero-*", "fail_at": 0.5, "error": "CUDA out of memory", "hint": "Use fewer images", "times": 1}``
    """

    of: Literal["training", "listing"] = Field(
        "training", description="listing: of synced files; only fail_at, error, stall_at and times mean anything."
    )
    model: str = Field("*", description="Glob on the model's name or id.")
    times: int | None = Field(None, ge=1, description="For how many trainings; null: for ever.")
    fail_at: float | None = Field(None, ge=0, le=1, description="Fail at this progress.")
    error: str = "Training failed: the trainer stopped unexpectedly."
    hint: str | None = "Check the training images and try again."
    stall_at: float | None = Field(None, ge=0, le=1, description="Never get past this progress.")
    retryable_error: str | None = Field(None, description="A hiccup that the service gets over by itself.")
    retry_count: int = Field(1, ge=0, description="How often it has tried again by then.")
    retry_at: float = Field(0.3, ge=0, le=1, description="The progress at which the hiccup shows.")
