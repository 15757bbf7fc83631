"""What the switches under ``/emulator`` can set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A switch that was misspelt must not pass for one that was set."""

    model_config = ConfigDict(extra="forbid")


class Settings(Strict):
    """How the emulated service behaves until told otherwise."""

    training_seconds: float = Field(5.0, ge=0, description="How long a training lasts, from its start to its end.")
    training_seconds_by_model: dict[str, float] = Field(
        default_factory=dict, description="The same for models whose name or id matches a glob; the first match counts."
    )
    parallel_training: int | None = Field(None, ge=0, description="Plan ceiling: trainings at a time. 0: none at all.")
    train_model: float | None = Field(None, ge=0, description="Plan ceiling: creative units that trainings may cost.")
    add_training_image: int = Field(50, ge=0, description="Plan ceiling: training images a model.")
    cooldown_seconds: float = Field(0.0, ge=0, description="How long after a launch the next one is refused.")
    auth_status: Literal[401, 403] = Field(
        403, description="What a wrong key gets: 403 (the gateway) or 401 (the docs)."
    )
    api_secret: str | None = Field(None, description="Another secret than that of the start: the key was rotated.")
    pages: Literal["full", "short", "empty"] = Field(
        "full", description="short: half of what was asked for; empty: every other page, the first included, is empty."
    )
    requests_per_minute: int | None = Field(None, ge=0, description="Answer 429 beyond that many; none: no limit.")
    send_retry_after: bool = Field(False, description="Whether a rate-limit 429 carries Retry-After.")
    url_seconds: float = Field(3600.0, gt=0, description="How long a signed URL is good for, to the next minute.")


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
        None, description="Whether the request acts before it goes wrong. Default: before; garbage: after."
    )
    status: int = Field(500, ge=400, le=599)
    body: Any = Field(None, description="What a status fault answers; null: {reason}.")
    headers: dict[str, str] = Field(default_factory=dict)
    retry_after: float | None = Field(None, description="Seconds for the Retry-After of a 429; null: no such header.")
    garbage: Literal["html", "text", "truncated", "empty"] = "html"
    seconds: float = Field(
        1.0, ge=0, description="How long a slow answer takes, or a hanging one leaves the line open."
    )

    @model_validator(mode="after")
    def _lose_garbled_answers_after_acting(self) -> Fault:
        if self.when is None:
            self.when = "after" if self.kind == "garbage" else "before"
        return self


class Outcome(Strict):
    """
    How trainings of the models it matches go; decided when the training starts.

    ``{"model": "hero-*", "fail_at": 0.5, "error": "CUDA out of memory", "hint": "Use fewer images", "times": 1}``
    """

    model: str = Field("*", description="Glob on the model's name or id.")
    times: int | None = Field(None, ge=1, description="For how many trainings; null: for ever.")
    fail_at: float | None = Field(None, ge=0, le=1, description="Fail at this progress.")
    error: str = "Training failed: the trainer stopped unexpectedly."
    hint: str | None = "Check the training images and try again."
    stall_at: float | None = Field(None, ge=0, le=1, description="Never get past this progress.")
    retryable_error: str | None = Field(None, description="A hiccup that the service gets over by itself.")
    retry_count: int = Field(1, ge=0, description="How often it has tried again by then.")
    retry_at: float = Field(0.3, ge=0, le=1, description="The progress at which the hiccup shows.")
