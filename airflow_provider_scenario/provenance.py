"""
Which task has made a model: what the model's short description says of that, and what the task itself has sealed.

XComs prove nothing: whoever may write to a DAG in Airflow's REST API may write them, and the task state (3.3) too.
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
"""Key of the XCom in which a task says which model is its own, see :class:`Claim`."""


class Place(NamedTuple):
    """
    Tells a task instance from all others; the same for all its attempts.

    :param iteration: of the loop that the task is in (3.4); None outside a loop.
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
        """As a :class:`Marker` has it."""
        return digest([part for part in self if part is not None], 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    What a worker says of the model of its task.

    It is sealed with the API secret of the task's connection: who may write XComs, but cannot read connections, can
    neither make it up nor move it from one task to another.

    :param job_id: of the training, as soon as it has started.
    :param is_ours: whether the task has made the model or started the training; False: it only waits for it.
    """

    model_id: str
    job_id: str | None = None
    is_ours: bool = False

    def sealed(self, place: Place, secret: str) -> dict[str, Any]:
        """As JSON, with its seal."""
        return {**asdict(self), "seal": self._seal(place, secret)}

    @classmethod
    def read(cls, stored: Any, place: Place, secret: str) -> Claim | None:
        """Return the claim of this task; None for anything else."""
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
        said = json.dumps(["scenario model", *place, asdict(self)], sort_keys=True)
        return hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Marker:
    """
    Tells a task's model from all others, in the model's short description.

    :param task: the same for all attempts of one task instance, in one iteration of a loop, and for no other.
    :param clearing: the same for an attempt and its retries, another after a person has cleared the finished task.
    :param inputs: what the author asked for.
    """

    task: str
    clearing: str
    inputs: str

    @classmethod
    def of(cls, attempt: Attempt, task_id: str, inputs: Mapping[str, Any]) -> Marker:
        """
        Return the marker of an attempt.

        A clear raises ``max_tries``, or lets Airflow make the task instance anew, in another region (3.4).
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
    Tells what a model was made of, in its short description.

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
    """The description of a model for which its author has given none."""
    mapped = f"[{attempt.map_index}]" if attempt.map_index >= 0 else ""
    iteration = f", iteration {attempt.iteration}" if attempt.iteration is not None else ""
    return f"{_MADE_BY} {attempt.dag_id}, {attempt.task_id}{mapped}{iteration}, run {attempt.run_id}"


def authors_words(short_description: str | None) -> str:
    """The author's description, without our markers and without the line that we write where there is none."""
    text = short_description or ""
    for marker in (Marker.find(text), DatasetMarker.find(text)):
        text = text.replace(str(marker), "").strip()
    return "" if text.startswith(_MADE_BY) else text


def digest(value: Any, length: int) -> str:
    """A fingerprint of JSON, that many hexadecimal digits long."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
