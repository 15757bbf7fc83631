"""Which task has made a model: what the model's short description says of that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.attempt import Attempt

_MADE_BY = "Made by Airflow:"


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
        place: list[Any] = [attempt.dag_id, attempt.run_id, task_id, attempt.map_index]
        if attempt.iteration is not None:
            place.append(attempt.iteration)
        region = f"-{digest(attempt.region_id, 6)}" if attempt.region_id else ""
        return cls(task=digest(place, 16), clearing=f"{attempt.max_tries}{region}", inputs=digest(inputs, 8))

    @classmethod
    def find(cls, text: str | None) -> Marker | None:
        """The marker that a text holds."""
        found = re.search(r"\[airflow ([0-9a-f]{16})\.(\d+(?:-[0-9a-f]{6})?)\.([0-9a-f]{8})\]", text or "")
        return cls(task=found[1], clearing=found[2], inputs=found[3]) if found else None

    def __str__(self) -> str:
        return f"[airflow {self.task}.{self.clearing}.{self.inputs}]"


def made_by(attempt: Attempt) -> str:
    """The description of a model for which its author has given none."""
    mapped = f"[{attempt.map_index}]" if attempt.map_index >= 0 else ""
    iteration = f", iteration {attempt.iteration}" if attempt.iteration is not None else ""
    return f"{_MADE_BY} {attempt.dag_id}, {attempt.task_id}{mapped}{iteration}, run {attempt.run_id}"


def authors_words(short_description: str | None) -> str:
    """The author's description, without our marker and without the line that we write where there is none."""
    text = (short_description or "").replace(str(Marker.find(short_description)), "").strip()
    return "" if text.startswith(_MADE_BY) else text


def digest(value: Any, length: int) -> str:
    """A fingerprint of JSON, that many hexadecimal digits long."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
