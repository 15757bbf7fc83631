"""The leak matrix in a loop: ending the second of three iterations cancels its own training and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.harness.waiting import eventually
from tests.system.leak_cases import EVERY, Case, Result, as_table, conclude
from tests.system.loops import Loop

pytestmark = [pytest.mark.full, pytest.mark.alone, pytest.mark.every_minor, pytest.mark.since("3.4")]


class Row(NamedTuple):
    """What happens to the second of three iterations while it waits, and all trainings afterwards."""

    what: str
    act: Callable[[Loop], None]
    trainings: tuple[dict[str, int], ...]
    state: str
    columns: str = EVERY


def iteration_marked(state: str) -> Callable[[Loop], None]:
    return lambda loop: loop.mark(1, state)


def iteration_cleared(*, keep_task_state: bool) -> Callable[[Loop], None]:
    return lambda loop: loop.clear(1, keep_task_state=keep_task_state, include_later_loop_iterations=True)


ALL_THREE = {"trained": 3}
ALL_THREE_AGAIN = {"training-canceled": 1, "trained": 3}

ITERATIONS = [
    Row("marked failed", iteration_marked("failed"), ({"training-canceled": 1, "trained": 1},), "failed"),
    Row("marked success", iteration_marked("success"), ({"training-canceled": 1, "trained": 2},), "success"),
    *(
        Row(f"cleared, {what}", iteration_cleared(keep_task_state=keeps), expected, "success", columns)
        for what, keeps in {"state kept": True, "state discarded": False}.items()
        # As for CLEARINGS, two outcomes are right.
        for columns, expected in {
            "train deferred, train blocking": (ALL_THREE_AGAIN, ALL_THREE),
            "lora deferred, lora blocking": (ALL_THREE_AGAIN,),
        }.items()
    ),
]


def test_ending_an_iteration_cancels_its_own_training(airflow, emulator, capsys):
    cells = [(each, column) for each in ITERATIONS for column in each.columns.split(", ")]
    deferred = [cell for cell in cells if "deferred" in cell[1]]
    blocking = [cell for cell in cells if "blocking" in cell[1]]  # AirflowUnderTest runs four tasks at once
    groups = [deferred, *(blocking[first : first + 4] for first in range(0, len(blocking), 4))]
    results = [result for group in groups for result in iterations_ended(airflow, emulator, group)]
    with capsys.disabled():
        print(as_table(results))  # noqa: T201 - worth seeing
    conclude([], results)


def iterations_ended(airflow: Any, emulator: Any, cells: list[tuple[Row, str]]) -> list[Result]:
    emulator.set(training_seconds=600)
    cases = [Case(airflow, emulator, column, "loop", each.what).start() for each, column in cells]
    loops = [Loop(airflow, case.dag, case.run, "task") for case in cases]
    for number in (0, 1):
        for case, loop in zip(cases, loops, strict=True):
            eventually(lambda loop=loop, number=number: loop.has_polled(number), f"{case.name} {number}", 120)
        if number == 0:
            emulator.advance(900)
    emulator.set(training_seconds=3)
    before = [attempts(loop) for loop in loops]
    for (each, _), loop in zip(cells, loops, strict=True):
        each.act(loop)
    problems = [settled(case, loop, attempt) for case, loop, attempt in zip(cases, loops, before, strict=True)]
    emulator.advance(900)
    return [iteration_result(each, case, found) for (each, _), case, found in zip(cells, cases, problems, strict=True)]


def attempts(loop: Loop) -> list[tuple[str, int]]:
    """Attempts of the second iteration. Airflow may create its task again after a clear."""
    return [(task["id"], task["try_number"]) for task in loop.tasks() if task["region_index"] == 1]


def settled(case: Case, loop: Loop, attempt: list[tuple[str, int]]) -> list[str]:
    """Wait until its training is cancelled, or another attempt waits for it."""

    def is_so() -> bool:
        adopted = case.operator == "train" and attempts(loop) != attempt and loop.has_polled(1)
        return "training-canceled" in case.trainings() or adopted

    try:
        eventually(is_so, "the second iteration has come so far", 150)
    except AssertionError as error:
        return [str(error)]
    return []


def iteration_result(each: Row, case: Case, problems: list[str]) -> Result:
    state = None
    try:
        state = case.airflow.wait_for_run(case.dag, case.run, timeout=240)
        assert state == each.state, f"the run is {state}"
        eventually(lambda: case.trainings() in each.trainings, "the ledger is right", 90)
    except Exception as error:
        problems = [*problems, f"{type(error).__name__}: {error}"]
    trainings = case.trainings()
    expected = trainings if trainings in each.trainings else each.trainings[0]
    return Result(each.what, case.column, expected, trainings, state, None, tuple(problems))
