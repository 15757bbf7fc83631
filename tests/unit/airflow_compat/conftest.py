from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner


class FakeSupervisor:
    """Takes the messages that a task or a trigger sends, and answers them by their type."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        self.received: list[Any] = []

    def send(self, msg: Any) -> Any:
        self.received.append(msg)
        return self._answers.get(type(msg).__name__)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeSupervisor]:
    """Put a supervisor in the place of Airflow's; its messages are the real ones of this Airflow."""

    def start(**answers: Any) -> FakeSupervisor:
        fake = FakeSupervisor(answers)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
        return fake

    return start
