"""A task that is ended in some way while it waits, and what becomes of its training."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import requests

from tests.harness.waiting import eventually

CANCELED = {"training-canceled": 1}
GOES_ON = {"training": 1}
TRAINED = {"trained": 1}
AGAIN = {"training-canceled": 1, "trained": 1}
NEVER_STARTED: dict[str, int] = {}

EVERY = "train deferred, train blocking, lora deferred, lora blocking"

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42"
    "mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

TOLD_TO_STOP, GONE = "the task shouldn't be running anymore. Terminating process", "Task killed!"
WATCHED, LOSES_ITS_WORKER = "queued-for-train", "The worker stops, the task is not ended by anybody"
FATE_IS_SAID = ("was cancelled", "could not be cancelled", "Nothing to cancel", "cannot tell why")
ON_KILL_MAY_TAKE = 5.0  # seconds, then comes SIGKILL

numbers = itertools.count(1)


class Case:
    """One run of a DAG with one task, and what the ledger says of its training."""

    def __init__(self, airflow: Any, emulator: Any, column: str, variant: str = "plain", name: str = "") -> None:
        self.airflow, self.emulator, self.column = airflow, emulator, column
        self.operator, self.mode = column.split()
        self.name = f"{re.sub('[^a-z]+', '-', name.lower())}-{next(numbers)}"
        self.dag = f"leak_{self.operator}_{self.mode}_{variant}"
        self.map_index = 0 if self.operator == "mapped" else -1
        self.model_id = self._model() if self.operator in ("train", "late", "sensor") else None
        self.run = ""

    @property
    def at(self) -> tuple[str, str, str, int]:
        return self.dag, self.run, "task", self.map_index

    @property
    def training_of(self) -> str:
        return f"{self.name}-0" if self.operator == "mapped" else self.name

    def start(self) -> Case:
        self.run = self.airflow.trigger(self.dag, {"name": self.name, "model_id": self.model_id})
        return self

    def train_as_a_person(self) -> None:
        self._call("PUT", f"models/{self.model_id}/train", {"parameters": {"nbEpochs": 1}})

    def is_waited_for(self, triggers: int = 1, try_number: int = 1) -> bool:
        """
        Somebody has looked at the training, so somebody is there to cancel it.

        :param triggers: which of the triggers that wait for a deferred task one after another.
        """
        lines = self.lines(try_number)
        if self.mode == "deferred":
            starts = [number for number, line in enumerate(lines) if " info trigger " in line and "starting" in line]
            lines = lines[starts[triggers - 1] :] if len(starts) >= triggers else []
        return any(WATCHED in line for line in lines)

    def lines(self, try_number: int = 1) -> list[str]:
        return self.log(try_number).splitlines()

    def triggers(self) -> int:
        return sum(" info trigger " in line and "starting" in line for line in self.lines())

    def waiting(self) -> Case:
        eventually(self.is_waited_for, f"{self.name}: waited for", 90)
        return self

    def state(self) -> str | None:
        return self.airflow.task_instance(*self.at)["state"]

    def try_number(self) -> int:
        return self.airflow.task_instance(*self.at)["try_number"]

    def clear(self) -> None:
        self.airflow.clear(*self.at)

    def log(self, try_number: int = 1) -> str:
        """Read from its files: a frozen triggerer would be asked for them too."""
        ti = f"dag_id={self.dag}/run_id={self.run}/task_id=task"
        folder = Path(self.airflow.home, "logs", ti, *([f"map_index={self.map_index}"] if self.map_index >= 0 else []))
        events = [
            f"{event['timestamp']} {event['level']} {event['event']} {event.get('error_detail', '')}"
            for path in folder.glob(f"attempt={try_number}.log*")
            for event in map(json.loads, re.findall(r"^{.*}$", path.read_text(encoding="utf-8"), re.MULTILINE))
        ]
        return "\n".join(sorted(events))

    def nobody_is_left(self, try_number: int = 1) -> bool:
        """The process or the trigger that waited has ended."""
        return (GONE if self.mode == "blocking" else "trigger completed") in self.log(try_number)

    def fate(self, name: str | None = None) -> dict[str, int]:
        wanted = name or self.training_of
        trainings = self.emulator.ledger()["trainings"]
        return dict(Counter(each["status"] for each in trainings if each["model_name"] == wanted))

    def faults_seen(self) -> int:
        faults = requests.get(f"{self.emulator.root}/emulator/faults", timeout=10).json()
        return sum(fault["hits"] for fault in faults if str(self.model_id) in fault["route"] + fault["model"])

    def on_kill_took(self) -> float | None:
        """Seconds from the decision to kill the process to the last word of its handler."""
        lines = self.lines()
        told = next((moment(line) for line in lines if TOLD_TO_STOP in line), None)
        ends = [moment(line) for line in lines if any(word in line for word in FATE_IS_SAID)]
        after = [end - told for end in ends if told is not None and end >= told]
        return min(after) if after else None

    def _model(self) -> str:
        model_id = self._call("POST", "models", {"name": self.name, "type": "flux.2-dev-lora"})["model"]["id"]
        for number in range(2):
            image = {"data": PIXEL, "name": f"{number}.png"}
            self._call("POST", f"models/{model_id}/training-images", image)
        return model_id

    def _call(self, method: str, path: str, body: Any) -> Any:
        url = f"{self.emulator.root}/v1/{path}"
        answer = requests.request(method, url, json=body, auth=self.emulator.auth, timeout=10)
        answer.raise_for_status()
        return answer.json()


class Result(NamedTuple):
    what: str
    column: str
    expected: dict[str, int]
    fate: dict[str, int]
    state: str | None
    took: float | None = None
    problems: tuple[str, ...] = ()


def conclude(table: list[Result], results: list[Result]) -> None:
    table += results
    wrong = [result for result in results if result.problems or result.fate != result.expected]
    assert not wrong, drawn(wrong) + "".join(
        f"\n\n{each.what}, {each.column}: " + "\n".join(each.problems) for each in wrong
    )


def drawn(results: list[Result]) -> str:
    lines = [f"\n\n{'what happens':40} {'task':16} {'trainings':34} {'task is':10} {'on_kill':>7}"]
    for each in results:
        right = not each.problems and each.fate == each.expected
        took = "" if each.took is None else f"{each.took:.1f} s"
        lines.append(
            f"{each.what:40} {each.column:16} {told(each.fate):34} {each.state!s:10} {took:>7}"
            + ("" if right else f"  WRONG, not {told(each.expected)}")
        )
    return "\n".join(lines)


def told(fate: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(fate.items())) or "none"


def moment(line: str) -> float:
    return datetime.fromisoformat(line.split()[0]).timestamp()
