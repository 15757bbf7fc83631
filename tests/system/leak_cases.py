"""A waiting task that is ended in some way, and what happens to its training."""

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
CONTINUES = {"training": 1}
TRAINED = {"trained": 1}
RETRAINED = {"training-canceled": 1, "trained": 1}
NEVER_STARTED: dict[str, int] = {}

EVERY = "train deferred, train blocking, lora deferred, lora blocking"

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42"
    "mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

SUPERVISOR_KILLS, PROCESS_KILLED = "the task shouldn't be running anymore. Terminating process", "Task killed!"
POLLED, LOSES_ITS_WORKER = "queued-for-train", "Only this worker stops: the task was not ended"
OUTCOME_IS_LOGGED = ("was cancelled", "could not be cancelled", "Nothing to cancel", "state cannot be read")
ON_KILL_MAY_TAKE = 5.0  # seconds; then Airflow sends SIGKILL

numbers = itertools.count(1)


class Case:
    """One run of a DAG with one task, and the trainings in the ledger."""

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

    def train_as_a_user(self) -> None:
        self._call("PUT", f"models/{self.model_id}/train", {"parameters": {"nbEpochs": 1}})

    def is_polled(self, triggers: int = 1, try_number: int = 1) -> bool:
        """
        Whether a process or trigger has polled the training: then it can also cancel it.

        :param triggers: the number of the trigger, if several wait for the task one after another.
        """
        lines = self.lines(try_number)
        if self.mode == "deferred":
            starts = [number for number, line in enumerate(lines) if " info trigger " in line and "starting" in line]
            lines = lines[starts[triggers - 1] :] if len(starts) >= triggers else []
        return any(POLLED in line for line in lines)

    def lines(self, try_number: int = 1) -> list[str]:
        return self.log(try_number).splitlines()

    def triggers(self) -> int:
        return sum(" info trigger " in line and "starting" in line for line in self.lines())

    def wait_for_poll(self) -> Case:
        eventually(self.is_polled, f"{self.name}: polled", 90)
        return self

    def state(self) -> str | None:
        return self.airflow.task_instance(*self.at)["state"]

    def try_number(self) -> int:
        return self.airflow.task_instance(*self.at)["try_number"]

    def clear(self) -> None:
        self.airflow.clear(*self.at)

    def log(self, try_number: int = 1) -> str:
        """The log, read from its files: Airflow's API would also ask a frozen triggerer for it."""
        ti = f"dag_id={self.dag}/run_id={self.run}/task_id=task"
        folder = Path(self.airflow.home, "logs", ti, *([f"map_index={self.map_index}"] if self.map_index >= 0 else []))
        events = [
            f"{event['timestamp']} {event['level']} {event['event']} {event.get('error_detail', '')}"
            for path in folder.glob(f"attempt={try_number}.log*")
            for event in map(json.loads, re.findall(r"^{.*}$", path.read_text(encoding="utf-8"), re.MULTILINE))
        ]
        return "\n".join(sorted(events))

    def has_stopped_waiting(self, try_number: int = 1) -> bool:
        """Whether the process or trigger that waited has ended."""
        return (PROCESS_KILLED if self.mode == "blocking" else "trigger completed") in self.log(try_number)

    def trainings(self, name: str | None = None) -> dict[str, int]:
        """Status → number of the trainings of the task's model, or of another model of this name."""
        wanted = name or self.training_of
        trainings = self.emulator.ledger()["trainings"]
        return dict(Counter(each["status"] for each in trainings if each["model_name"] == wanted))

    def hits(self) -> int:
        faults = requests.get(f"{self.emulator.root}/emulator/faults", timeout=10).json()
        return sum(fault["hits"] for fault in faults if str(self.model_id) in fault["route"] + fault["model"])

    def on_kill_took(self) -> float | None:
        """Seconds from the supervisor's decision to kill the process to the last log line of its handler."""
        lines = self.lines()
        decided = next((moment(line) for line in lines if SUPERVISOR_KILLS in line), None)
        ends = [moment(line) for line in lines if any(word in line for word in OUTCOME_IS_LOGGED)]
        after = [end - decided for end in ends if decided is not None and end >= decided]
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
    trainings: dict[str, int]
    state: str | None
    took: float | None = None
    problems: tuple[str, ...] = ()


def conclude(table: list[Result], results: list[Result]) -> None:
    table += results
    wrong = [result for result in results if result.problems or result.trainings != result.expected]
    assert not wrong, as_table(wrong) + "".join(
        f"\n\n{each.what}, {each.column}: " + "\n".join(each.problems) for each in wrong
    )


def as_table(results: list[Result]) -> str:
    lines = [f"\n\n{'what happens':40} {'task':16} {'trainings':34} {'task is':10} {'on_kill':>7}"]
    for each in results:
        right = not each.problems and each.trainings == each.expected
        took = "" if each.took is None else f"{each.took:.1f} s"
        lines.append(
            f"{each.what:40} {each.column:16} {as_text(each.trainings):34} {each.state!s:10} {took:>7}"
            + ("" if right else f"  WRONG, not {as_text(each.expected)}")
        )
    return "\n".join(lines)


def as_text(trainings: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(trainings.items())) or "none"


def moment(line: str) -> float:
    return datetime.fromisoformat(line.split()[0]).timestamp()
