"""Which task has made a model: what the model's short description says of that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

_MADE_BY = "Made by Airflow:"


@dataclass(frozen=True, slots=True)
class Marker:
    """
    Tells a task's model from all others, in the model's short description.

    :param task: the same for all tries of one task instance, and for no other.
    :param clearing: another after a person has cleared the finished task: Airflow raises ``max_tries`` then, and leaves
        it alone for a retry.
    :param asked: what the author asked for.
    """

    task: str
    clearing: int
    asked: str

    @classmethod
    def of(cls, context: Context, task_id: str, asked: Mapping[str, Any]) -> Marker:
        """The marker of this try."""
        ti = context["ti"]
        task = digest([ti.dag_id, ti.run_id, task_id, ti.map_index], 16)
        return cls(task=task, clearing=ti.max_tries, asked=digest(asked, 8))

    @classmethod
    def find(cls, text: str | None) -> Marker | None:
        """The marker that a text holds."""
        found = re.search(r"\[airflow ([0-9a-f]{16})\.(\d+)\.([0-9a-f]{8})\]", text or "")
        return cls(task=found[1], clearing=int(found[2]), asked=found[3]) if found else None

    def __str__(self) -> str:
        return f"[airflow {self.task}.{self.clearing}.{self.asked}]"


def made_by(context: Context) -> str:
    """The description of a model for which its author has given none."""
    ti = context["ti"]
    mapped = f"[{ti.map_index}]" if ti.map_index not in (None, -1) else ""
    return f"{_MADE_BY} {ti.dag_id}, {ti.task_id}{mapped}, run {ti.run_id}"


def authors_words(short_description: str | None) -> str:
    """What of a model's description is meant for people outside: not our marker, nor the line we write without one."""
    text = (short_description or "").replace(str(Marker.find(short_description)), "").strip()
    return "" if text.startswith(_MADE_BY) else text


def digest(value: Any, length: int) -> str:
    """A fingerprint of JSON, that many hexadecimal digits long."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
