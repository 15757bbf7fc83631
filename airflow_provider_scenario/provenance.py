"""
Evidence which task has created a model: a marker in the model's short description, and a sealed claim in an XCom.

An XCom without a seal proves nothing: every user who may edit a DAG's runs can write XComs and the task state (3.3)
through Airflow's REST API.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.attempt import Attempt

_MADE_BY = "Made by Airflow:"

SEALED = "scenario_model"
"""Key of the XCom with the task's sealed :class:`Claim`."""


class Place(NamedTuple):
    """
    Identifies a task instance; the same for all its attempts.

    :param iteration: of the loop that contains the task (3.4); None outside a loop.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    iteration: int | None = None

    @classmethod
    def of(cls, attempt: Attempt) -> Place:
        return cls(attempt.dag_id, attempt.run_id, attempt.task_id, attempt.map_index, attempt.iteration)

    @property
    def digest(self) -> str:
        """The fingerprint that a :class:`Marker` contains."""
        return digest([part for part in self if part is not None], 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    What a task claims about its model.

    Sealed with the API secret of the task's connection: a user who may write XComs but cannot read connections can
    neither forge a claim nor copy it to another task.

    :param job_id: job of the training; None until it has started.
    :param is_ours: whether the task has created the model or started the training; False: it only waits for it.
    """

    model_id: str
    job_id: str | None = None
    is_ours: bool = False

    def sealed(self, place: Place, secret: str) -> dict[str, Any]:
        """Return the claim as JSON, with its seal."""
        return {**asdict(self), "seal": self._seal(place, secret)}

    @classmethod
    def read(cls, stored: Any, place: Place, secret: str) -> Claim | None:
        """Return the claim that this task has sealed; None for anything else."""
        match stored:
            case {
                "model_id": str(model_id),
                "job_id": str() | None as job_id,
                "is_ours": bool(is_ours),
                "seal": str(seal),
            }:
                claim = cls(model_id=model_id, job_id=job_id, is_ours=is_ours)
                expected = claim._seal(place, secret)
                return claim if hmac.compare_digest(seal.encode(errors="replace"), expected.encode()) else None
        return None

    def _seal(self, place: Place, secret: str) -> str:
        content = json.dumps(["scenario model", *place, asdict(self)], sort_keys=True)
        return hmac.new(secret.encode(), content.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Marker:
    """
    Identifies the task that has created a model; part of the model's short description.

    :param task: fingerprint of the task instance, see :class:`Place`.
    :param clearing: the same for an attempt and its retries; changes when a person clears the finished task.
    :param inputs: fingerprint of what the author gave.
    """

    task: str
    clearing: str
    inputs: str

    @classmethod
    def of(cls, attempt: Attempt, task_id: str, inputs: Mapping[str, Any]) -> Marker:
        """
        Return the marker of an attempt.

        A clear raises ``max_tries``, or makes Airflow create the task instance again, in another region (3.4).
        """
        place = Place.of(attempt)._replace(task_id=task_id)
        region = f"-{digest(attempt.region_id, 6)}" if attempt.region_id else ""
        return cls(task=place.digest, clearing=f"{attempt.max_tries}{region}", inputs=digest(inputs, 8))

    @classmethod
    def find(cls, text: str | None) -> Marker | None:
        """The marker that a text holds."""
        found = re.search(r"\[airflow ([0-9a-f]{16})\.(\d+(?:-[0-9a-f]{6})?)\.([0-9a-f]{8})\]", text or "")
        return cls(task=found[1], clearing=found[2], inputs=found[3]) if found else None

    def __str__(self) -> str:
        return f"[airflow {self.task}.{self.clearing}.{self.inputs}]"


@dataclass(frozen=True, slots=True)
class DatasetMarker:
    """
    Identifies the dataset that a model learns from; part of the model's short description.

    :param fingerprint: 16 hexadecimal digits, the same for the same dataset and model type.
    """

    fingerprint: str

    @classmethod
    def find(cls, text: str | None) -> DatasetMarker | None:
        """The marker that a text holds."""
        found = re.search(r"\[dataset ([0-9a-f]{16})\]", text or "")
        return cls(found[1]) if found else None

    def __str__(self) -> str:
        return f"[dataset {self.fingerprint}]"


def made_by(attempt: Attempt) -> str:
    """Return the description of a model whose author has given none."""
    mapped = f"[{attempt.map_index}]" if attempt.map_index >= 0 else ""
    iteration = f", iteration {attempt.iteration}" if attempt.iteration is not None else ""
    return f"{_MADE_BY} {attempt.dag_id}, {attempt.task_id}{mapped}{iteration}, run {attempt.run_id}"


def authors_words(short_description: str | None) -> str:
    """Return the author's description, without our markers; empty if we have written the whole description."""
    text = short_description or ""
    for marker in (Marker.find(text), DatasetMarker.find(text)):
        text = text.replace(str(marker), "").strip()
    return "" if text.startswith(_MADE_BY) else text


def digest(value: Any, length: int) -> str:
    """
    Return a fingerprint of a JSON value.

    :param length: hexadecimal digits.
    """
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
