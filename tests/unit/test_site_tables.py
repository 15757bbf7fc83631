"""
The tables of the kill matrix and of the leak matrix on the docs site are those of the system tests.

``python -m tests.unit.test_site_tables`` writes ``docs/tables/kill_matrix.md`` and ``docs/tables/leak_matrix.md``. A
page of ``docs/`` shows one, sentences and table without a heading, with::

    ```{include} tables/kill_matrix.md
    ```
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.system import kill_cells
from tests.system import test_kill_matrix as kills
from tests.system import test_kill_matrix_repeats as repeated_kills
from tests.system import test_leak_matrix as leaks
from tests.system import test_leak_matrix_loops as leaks_in_loops

TABLES = Path(__file__).parents[2] / "docs" / "tables"

REQUESTS = {
    kill_cells.CREATE: "creates the model",
    kill_cells.SECOND_IMAGE: "uploads an image",
    kill_cells.TRAIN: "starts the training",
    kill_cells.DESCRIBE: "sets the description",
}
POINTS = {
    kill_cells.BEFORE: "before the request is sent",
    kill_cells.LOST: "Scenario has acted, the answer is lost",
    kill_cells.UNRECORDED: "the answer has arrived, nothing is recorded",
    kill_cells.RECORDED: "the answer is recorded",
    kill_cells.WAITING: "it waits for the training",
    kill_cells.DEFERRING: "it hands over to the triggerer",
    kill_cells.FINISHING: "the training has ended, the result is not stored",
    kill_cells.RETURNED: "the result is stored, the task has not ended",
}
FOUND = {"nothing": "none", "running": "one that runs", "ended": "one that has ended"}
TASKS = {
    "create": "`CreateModel`",
    "images": "`AddTrainingImages`",
    "train": "`TrainModel`",
    "late": "`TrainModel`",
    "lora": "`TrainLora`",
    "mapped": "one of two mapped `TrainLora`",
    "sensor": "`ScenarioTrainingSensor`",
}
MODES = {"": "", "sync": "blocking", "deferrable": "deferred", "resumed": "deferred, ends on a worker"}
TRAININGS = {"training-canceled": "cancelled", "training": "continues", "trained": "trained"}
LEGEND = "`TrainLora` stands for `ScenarioTrainLoraOperator`, and so on; *blocking* is `deferrable=False`."


def kill_matrix() -> Iterator[str]:
    yield from comment("kill_matrix.md")
    cleared = sum(map(len, repeated_kills.WHEN_CLEARED.values()))
    loop = len(repeated_kills.IN_ONE_ITERATION)
    yield f"The process of a task is killed (`kill -9`) in {len(kills.MATRIX)} ways. Each time the retry must succeed"
    yield "with the right result, and the emulator's ledger must hold one model, each image once, and one training,"
    yield f"billed once. {cleared} more ways kill a task that was cleared, {loop} one iteration of a loop (3.4)."
    yield "Other tests kill the scheduler, the triggerer and the API server while trainings start and while they run."
    yield ""
    yield LEGEND
    yield ""
    yield "| the task | is killed when | operators | training that the retry finds |"
    yield "| --- | --- | --- | --- |"
    rows: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for cell in sorted(kills.MATRIX, key=order):
        steps = ", then ".join(dict.fromkeys(REQUESTS.get(request, "ends") for request, _ in cell.kills))
        points = ", then: ".join(dict.fromkeys(POINTS[point] for _, point in cell.kills))
        found = FOUND[cell.expected_found] if cell.operator in ("train", "lora") else FOUND["nothing"]
        rows.setdefault((steps, points, found), []).append((TASKS[cell.operator], MODES[cell.mode]))
    for (steps, points, found), tasks in rows.items():
        yield f"| {steps} | {points} | {grouped(tasks)} | {found} |"
    yield ""
    yield "From `tests/system/test_kill_matrix.py` and `test_kill_matrix_repeats.py`, run by `make test-full`."


def leak_matrix() -> Iterator[str]:
    yield from comment("leak_matrix.md")
    ended, cleared, loop = (
        sum(row.columns.count(",") + 1 for row in rows)
        for rows in (leaks.MATRIX, leaks.CLEARINGS, leaks_in_loops.ITERATIONS)
    )
    yield f"A waiting task is ended in {ended} runs and cleared in {cleared}. In {loop} more it is the second of three"
    yield "iterations of a loop (Airflow 3.4). The emulator's ledger must show what has become of its training. Other"
    yield "tests restart, kill and freeze the triggerer, the worker, the scheduler and the API server: that cancels no"
    yield "training."
    yield ""
    yield LEGEND
    yield ""
    yield "| what happens to the task | operators | its training | the task is |"
    yield "| --- | --- | --- | --- |"
    for row in leaks.MATRIX:
        yield f"| {row.what} | {columns(row.columns)} | {trainings([row.trainings])} | {row.state} |"
    for clearing in leaks.CLEARINGS:
        yield f"| {clearing.what} | {columns(clearing.columns)} | {trainings(clearing.trainings)} | success |"
    for iteration in leaks_in_loops.ITERATIONS:
        what = f"an iteration of three {iteration.what}"
        yield f"| {what} | {columns(iteration.columns)} | {trainings(iteration.trainings)} | {iteration.state} |"
    yield ""
    yield "*Or*: both outcomes are right. From `tests/system/test_leak_matrix.py` and `test_leak_matrix_loops.py`, run"
    yield "by `make test-full`."


def order(cell: kill_cells.Cell) -> tuple[int, int, int]:
    """Cells in the order in which a task reaches them; those with two kills at the end."""
    request, point = cell.kills[0]
    return len(cell.kills), [*REQUESTS, ""].index(request), list(POINTS).index(point)


def comment(name: str) -> Iterator[str]:
    yield "<!-- Written by `python -m tests.unit.test_site_tables`. A page of docs/ shows it with"
    yield f"```{{include}} tables/{name}"
    yield "``` -->"
    yield ""


def grouped(tasks: Iterable[tuple[str, str]]) -> str:
    """Tasks with their modes, each task once."""
    modes: dict[str, dict[str, None]] = {}
    for task, mode in tasks:
        modes.setdefault(task, {})[mode] = None
    return "; ".join(f"{task} {', '.join(each)}".rstrip() for task, each in modes.items())


def columns(text: str) -> str:
    return grouped((TASKS[operator], mode) for operator, mode in map(str.split, text.split(", ")))


def trainings(outcomes: Sequence[dict[str, int]]) -> str:
    counts = any(sum(outcome.values()) > 1 for outcome in outcomes)
    return ", or ".join(
        " + ".join(f"{number} {TRAININGS[status]}" if counts else TRAININGS[status] for status, number in each.items())
        for each in outcomes
    )


@pytest.mark.parametrize("table", [kill_matrix, leak_matrix], ids=lambda each: each.__name__)
def test_the_table_is_generated_from_the_system_tests(table):
    written = (TABLES / f"{table.__name__}.md").read_text(encoding="utf-8")
    assert written == as_file(table()), "Run: python -m tests.unit.test_site_tables"


def as_file(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for each in (kill_matrix, leak_matrix):
        (TABLES / f"{each.__name__}.md").write_text(as_file(each()), encoding="utf-8")
        sys.stdout.write(f"{TABLES / each.__name__}.md\n")
