"""The data of the switches under ``/emulator``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from airflow_provider_scenario.emulator.limits import Limits

CENTURY = 100 * 365 * 24 * 3600.0
"""The longest duration, in seconds: Python has no dates after the year 9999."""


class Strict(BaseModel):
    """Refuses unknown fields: a misspelt setting must not pass for one that is set."""

    model_config = ConfigDict(extra="forbid")


class Settings(Strict):
    """How the emulated services behave."""

    training_seconds: float = Field(
        5.0, ge=0, le=CENTURY, description="How long a training lasts, from its start to its end."
    )
    training_seconds_by_model: dict[str, Annotated[float, Field(ge=0, le=CENTURY)]] = Field(
        default_factory=dict, description="Glob on a model's name or id → training_seconds; the first match counts."
    )
    pending_seconds: float = Field(
        0.0, ge=0, le=CENTURY, description="How long a training and its job stay pending before they are queued."
    )
    captcha_shown: bool = Field(
        True,
        description="true: a professional voice clone starts with its captcha (stage pending-captcha); false: it is "
        "ready-for-captcha until POST /emulator/captcha shows the captcha.",
    )
    captcha_seconds: float | None = Field(
        None,
        ge=0,
        le=CENTURY,
        description="Solve the captcha after so many seconds; null: on POST /emulator/captcha.",
    )
    copy_seconds: float = Field(0.0, ge=0, le=CENTURY, description="How long a copy of a model has the status copying.")
    soft_deletion_days: float | None = Field(
        None, ge=0, le=36500, description="Free plan: after how many days a model is deleted (softDeletionOn)."
    )
    unknown_fields: bool = Field(False, description="Whether every object of every answer has one undocumented field.")
    parallel_training: int | None = Field(None, ge=0, description="Plan ceiling: parallel trainings. 0: none.")
    train_model: float | None = Field(None, ge=0, description="Plan ceiling: creative units of all trainings together.")
    add_training_image: int = Field(50, ge=0, description="Plan ceiling: training images per model.")
    cooldown_seconds: float = Field(
        0.0, ge=0, le=CENTURY, description="How long after the start of a training the next start is refused."
    )
    limits: Limits = Field(
        default_factory=Limits,
        description="What to refuse where the vendor's sources disagree: strict or lenient, all or one by one.",
    )
    auth_status: Literal[401, 403] = Field(
        403, description="Status for wrong credentials: 403 (as the gateway) or 401 (as documented)."
    )
    api_secret: str | None = Field(None, description="A new secret, as after a rotation; null: that of the start.")
    pages: Literal["full", "short", "empty"] = Field(
        "full",
        description="short: pages of half the requested size; empty: every other page is empty, also the first.",
    )
    requests_per_minute: int | None = Field(None, ge=0, description="Answer 429 to more requests; null: no limit.")
    send_retry_after: bool = Field(False, description="Whether a 429 for the rate limit has Retry-After.")
    listing_seconds: float = Field(
        5.0, ge=0, le=CENTURY, description="Workshop: how long the listing of a synced file takes at least."
    )
    fetch_files: bool = Field(
        True,
        description="Workshop: fetch a synced file from its downloadUrl, and fail its listing if that fails or if the "
        "file does not match hash (as SHA-256) and sizeKb. false: list it without fetching.",
    )
    first_listing_status: Literal[0, 5] = Field(
        5,
        description="Workshop: the status that the first sync of a file returns. The vendor's page does not say it.",
    )
    workshop_data: Literal["object", "list"] = Field(
        "object",
        description="Workshop: one data object for all files, as on the vendor's page, or one per file.",
    )
    any_base_model: bool = Field(False, description="Workshop: accept a baseModel that is not on the vendor's page.")
    api_token: str = Field("demo", min_length=1, description="Workshop: the token of the only end user.")
    api_token_in: Literal["either", "body", "query"] = Field(
        "either", description="Workshop: where a sync must have the token. The vendor's page does not say."
    )
    workshop_refusal_status: int = Field(
        200, ge=200, le=599, description="Workshop: HTTP status of a refusal inside the envelope."
    )
    workshop_requests_per_minute: int | None = Field(
        None, ge=0, description="Workshop: throttle more requests; null: no limit."
    )
    gateway_clock_skew: float = Field(
        0.0,
        ge=-CENTURY / 10,
        le=CENTURY,
        description="Workshop: seconds by which its gateway's clock, and so its Date header, is ahead.",
    )
    callback_url: str | None = Field(
        None,
        pattern="^https?://",
        description="Workshop: POST an event there when a listing has ended. The real event is not published: "
        "name, body and signature are guesses. It is sent once and not repeated.",
    )
    url_seconds: float = Field(
        3600.0, gt=0, le=CENTURY, description="How long a signed URL is valid, rounded up to a minute."
    )
    workshop_unknown_fields: Literal["keep", "refuse"] = Field(
        "keep",
        description="Workshop: what to do with fields that the vendor's page does not list. It does not say.",
    )
    any_model_or_source_type: bool = Field(
        False, description="Workshop: accept a modelType or sourceType that the vendor's page does not list."
    )
    listing_status: int | None = Field(
        None, description="Workshop: report this status for every listing. null: the real one."
    )
    workshop_envelope: dict[str, Any] = Field(
        default_factory=dict, description='Workshop: changes to the envelope of every answer, e.g. {"startTime": 1}.'
    )
    workshop_extra_in_answers: bool = Field(
        False, description="Workshop: add an undocumented field to every object of every answer."
    )

    @field_validator("limits", mode="before")
    @classmethod
    def _all_limits_at_once(cls, given: Any) -> Any:
        return Limits.all(given) if given in ("strict", "lenient") else given

    def changed(self, changes: dict[str, Any]) -> Settings:
        """
        A copy with these changes. Settings and limits that are not given stay.

        :raises ValidationError: a setting does not exist or cannot have that value.
        """
        kept = self.model_dump()
        if isinstance(changes.get("limits"), dict):
            changes = {**changes, "limits": {**kept["limits"], **changes["limits"]}}
        return Settings.model_validate({**kept, **changes})


class Fault(Strict):
    """
    A failure of the requests that match.

    ``{"kind": "close", "when": "after", "method": "PUT", "route": "/models/*/train"}`` starts a training and drops
    the connection before the answer. In a route ``*`` matches one path segment, ``**`` any number of them. ``{"kind":
    "close", "times": null, "probability": 0.1, "seed": 7}`` drops one connection in ten.
    """

    kind: Literal["status", "429", "garbage", "close", "hang", "slow"] = Field(
        description="status: answer with this status; 429: throttle; garbage: answer what is not JSON; close: drop the "
        "connection; hang: the same after some seconds; slow: answer late."
    )
    method: str = Field("*", description="Glob on the HTTP method.")
    route: str = Field(
        "**", description="Glob on the path, without or with /v1 or /scc: /models/*/train, /v1/jobs/*, /scc/**."
    )
    model: str = Field("*", description="Glob on the name or id of a model in the request.")
    times: int | None = Field(1, ge=1, description="How often it is applied; null: always.")
    skip: int = Field(0, ge=0, description="Do not apply it to that many matching requests first.")
    probability: float = Field(1.0, ge=0, le=1, description="The share of matching requests that it is applied to.")
    seed: int | None = Field(
        None, description="Makes the choice repeatable. Give each fault a seed of its own. null: random."
    )
    when: Literal["before", "after"] | None = Field(
        None,
        description="before: the request has no effect; after: it has its effect, and its answer is lost or changed. "
        "A slow request always has its effect, and waits before or after it. Default: before; garbage: after.",
    )
    status: int = Field(500, ge=200, le=599, description="200 with a body imitates an error that HTTP calls a success.")
    body: Any = Field(None, description="The body of a status or 429 fault; null: a plain message.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of a status or 429 fault.")
    retry_after: float | None = Field(None, description="Retry-After of a 429 fault, in seconds; null: no such header.")
    garbage: Literal["html", "text", "truncated", "empty"] = Field(
        "html", description="What a garbage fault answers; truncated: half of the real answer."
    )
    seconds: float = Field(
        1.0, ge=0, le=CENTURY, description="How long a slow request waits, or a hanging one keeps the connection open."
    )

    @model_validator(mode="after")
    def _default_when(self) -> Fault:
        if self.when is None:
            self.when = "after" if self.kind == "garbage" else "before"
        return self


class Override(Strict):
    """
    Fields to show in place of a model's or job's own; objects are merged. Changes responses, not behaviour.

    ``{"model": "hero-*", "fields": {"privacy": "unlisted", "trainingProgress": {"stage": "some-new-stage"}}}``
    """

    of: Literal["model", "job"] = Field("model", description="What shows the fields.")
    model: str = Field("*", description="Glob on the model's name or id.")
    fields: dict[str, Any] = Field(description="The fields, in the service's spelling.")


class CaptchaAction(Strict):
    """What a user does about the captchas of the models that match."""

    action: Literal["solve", "reject", "show"] = Field(
        description="solve: the training continues; reject: the reading was wrong, and the third time the training "
        "fails; show: get a new picture of the text."
    )
    model: str = Field("*", description="Glob on the model's name or id.")
    error: str = Field("The captcha was rejected.", description="The message of a rejection.")


class Outcome(Strict):
    """
    How trainings or listings of the models that match end; applied when the training or listing starts.

    ``{"model": "hero-*", "fail_at": 0.5, "error": "CUDA out of memory", "hint": "Use fewer images", "times": 1}``
    """

    of: Literal["training", "listing"] = Field(
        "training", description="listing: of synced files; uses only fail_at, error, stall_at and times."
    )
    model: str = Field("*", description="Glob on the model's name or id.")
    times: int | None = Field(None, ge=1, description="For how many trainings; null: for all.")
    fail_at: float | None = Field(None, ge=0, le=1, description="Fail at this progress.")
    error: str = Field("Training failed: the trainer stopped unexpectedly.", description="The error of a failure.")
    hint: str | None = Field("Check the training images and try again.", description="The hint beside it.")
    stall_at: float | None = Field(None, ge=0, le=1, description="Stop at this progress and never end.")
    retryable_error: str | None = Field(None, description="An error after which the service retries by itself.")
    retry_count: int = Field(1, ge=0, description="How often it has retried by then.")
    retry_at: float = Field(0.3, ge=0, le=1, description="The progress from which retryable_error is shown.")
