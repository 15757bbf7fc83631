"""
Nothing goes on costing that nobody waits for, and nothing is cancelled that somebody still wants.

Each row ends a waiting task in some way; the emulator's ledger tells what became of its training.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import psutil
import pytest

from tests.harness.waiting import eventually
from tests.system.leak_cases import (
    AGAIN,
    CANCELED,
    EVERY,
    GOES_ON,
    LOSES_ITS_WORKER,
    NEVER_STARTED,
    ON_KILL_MAY_TAKE,
    TRAINED,
    Case,
    Result,
    conclude,
    drawn,
)

pytestmark = [pytest.mark.full, pytest.mark.alone]

# AirflowUnderTest runs four tasks at once; one place stays free for those that only come to defer.
BLOCKING_AT_ONCE, DEFERRED_AT_ONCE = 3, 4


def nothing(case: Case) -> None:
    """A time limit ends it."""


def marked(state: str) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        case.waiting()
        case.airflow.mark(case.dag, case.run, "task", state, case.map_index)

    return act


def run_marked_failed(case: Case) -> None:
    case.waiting()
    case.airflow.mark_run(case.dag, case.run, "failed")


def marked_as_it_starts(case: Case) -> None:
    """The training runs, the answer to its start is on its way."""
    eventually(case.fate, "a training", 60, pause=0.05)
    case.airflow.mark(*case.at[:3], "failed")


def marked_as_it_defers(case: Case) -> None:
    """It has asked Airflow for the last time; then Airflow refuses the deferral."""
    eventually(lambda: "Deferring" in case.log(), "it defers", 60, pause=0.05)
    case.airflow.mark(*case.at[:3], "failed")


def marked_in_the_middle_of_a_poll(case: Case) -> None:
    case.waiting()
    slow = {"kind": "slow", "seconds": 3, "times": 1}
    faulty((LOOK,), **slow)(case)
    # Where others wait in the same triggerer, one request asks for all of them.
    case.emulator.fault(method="POST", route="/models/get-bulk", model=case.model_id, **slow)
    eventually(case.faults_seen, "a poll that is slow")
    case.airflow.mark(*case.at[:3], "failed")


def marked_while(*routes: tuple[str, str], **fault: Any) -> Callable[[Case], None]:
    """Marked failed on a bad day."""

    def act(case: Case) -> None:
        case.waiting()
        faulty(routes, **fault)(case)
        case.airflow.mark(*case.at[:3], "failed")

    return act


def faulty(routes: Iterable[tuple[str, str]], **fault: Any) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        for method, route in routes:
            case.emulator.fault(method=method, route=f"/models/{case.model_id}{route}", **{"times": None, **fault})

    return act


LOOK, START, CANCEL = ("GET", ""), ("PUT", "/train"), ("POST", "/train/action")


class Row(NamedTuple):
    what: str
    act: Callable[[Case], None]
    fate: dict[str, int]
    state: str
    says: str = ""
    variant: str = "plain"
    columns: str = "train deferred, train blocking"
    before: Callable[[Case], None] = nothing


SENSORS = "sensor deferred, sensor blocking"
LATE = "late deferred, late deferred, late deferred"
CUT = "was cancelled. Scenario does not promise a refund"
KEPT = "could not be cancelled and may go on, and so may its cost"
THEIRS = "Somebody else has started it"
FAIL = marked("failed")
BY_A_PERSON = Case.train_as_a_person
SLOW_START = faulty((START,), kind="slow", when="after", seconds=50)

MATRIX = [
    Row("marked failed", FAIL, CANCELED, "failed", CUT, columns=EVERY),
    Row("marked success", marked("success"), CANCELED, "success", CUT, columns=EVERY),
    Row("one of two mapped marked failed", FAIL, CANCELED, "failed", CUT, columns="mapped deferred"),
    Row("DAG run marked failed", run_marked_failed, CANCELED, "failed", CUT),
    Row("DAG run's timeout", nothing, CANCELED, "skipped", CUT, "dagrun_timeout"),
    Row("execution_timeout", nothing, CANCELED, "failed", CUT, "execution_timeout"),
    Row("operator's timeout", nothing, CANCELED, "failed", CUT, "own_timeout", EVERY),
    Row("marked failed as it starts", marked_as_it_starts, CANCELED, "failed", CUT, before=SLOW_START),
    Row("marked failed as it defers", marked_as_it_defers, CANCELED, "failed", CUT, "defers", LATE),
    Row("marked failed in the middle of a poll", marked_in_the_middle_of_a_poll, CANCELED, "failed", CUT),
    Row(
        "marked failed, 0.8 s an answer", marked_while(LOOK, CANCEL, kind="slow", seconds=0.8), CANCELED, "failed", CUT
    ),
    Row("marked failed, a 503", marked_while(CANCEL, kind="status", status=503, times=1), CANCELED, "failed", CUT),
    Row("marked failed, Scenario hangs", marked_while(LOOK, kind="hang", seconds=60), GOES_ON, "failed", KEPT),
    Row("cancel_on_kill=False, marked failed", FAIL, GOES_ON, "failed", "", "keeps"),
    Row("a person's training, marked failed", FAIL, GOES_ON, "failed", THEIRS, before=BY_A_PERSON),
    Row("a person's training, timeout", nothing, GOES_ON, "failed", THEIRS, "own_timeout", before=BY_A_PERSON),
    Row("sensor marked failed", FAIL, GOES_ON, "failed", "", "plain", SENSORS, BY_A_PERSON),
    Row("sensor's timeout", nothing, GOES_ON, "failed", "", "own_timeout", SENSORS, BY_A_PERSON),
    Row("cancelling sensor marked failed", FAIL, CANCELED, "failed", CUT, "cancels", "sensor deferred", BY_A_PERSON),
]


@pytest.fixture(scope="module")
def table(airflow, pytestconfig) -> Iterator[list[Result]]:
    """All results, shown when the last is there."""
    results: list[Result] = []
    yield results
    pytestconfig.pluginmanager.getplugin("terminalreporter").write_line(drawn(results))
    assert airflow.import_errors() == []


def test_what_ends_a_task_ends_its_training_and_nothing_else_does(airflow, emulator, table):
    emulator.set(training_seconds=600)
    cells = [(row, column) for row in MATRIX for column in row.columns.split(", ")]
    # Those with a time limit first: later ones make the machine slow.
    cells.sort(key=lambda cell: cell[0].act is not nothing)
    with ThreadPoolExecutor(BLOCKING_AT_ONCE) as blocking, ThreadPoolExecutor(DEFERRED_AT_ONCE) as deferred:
        pools = {"blocking": blocking, "deferred": deferred}
        results = [
            pools[column.split()[1]].submit(result_of, row, Case(airflow, emulator, column, row.variant, row.what))
            for row, column in cells
        ]
    conclude(table, [each.result() for each in results])


def result_of(row: Row, case: Case) -> Result:
    problems = []
    try:
        row.before(case)
        case.start()
        row.act(case)
        eventually(lambda: case.state() == row.state, f"the task is {row.state}", 90)
        if row.fate != GOES_ON:
            # The first question of a triggerer to Airflow takes it ten seconds.
            eventually(lambda: case.fate() == row.fate, "the ledger is right", 90)
        elif row.act is not nothing:  # then nobody is left who could still cancel
            eventually(case.nobody_is_left, "its process or trigger is gone")
        if row.says:
            eventually(lambda: row.says in case.log(), f"the log says {row.says!r}", 90)
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
    if case.operator == "mapped":
        problems += sibling_goes_on(case)
    took = case.on_kill_took() if case.mode == "blocking" else None
    if took is not None and took >= ON_KILL_MAY_TAKE:
        problems.append(f"on_kill took {took:.1f} s")
    if problems:
        problems.append(case.log()[-1500:])
    return Result(row.what, case.column, row.fate, case.fate(), case.state(), took, tuple(problems))


def sibling_goes_on(case: Case) -> list[str]:
    """It may still be waiting for a worker."""
    sibling = f"{case.name}-1"
    try:
        eventually(lambda: case.fate(sibling), "its sibling is trained", 90)
    except AssertionError as error:
        return [str(error)]
    return [] if case.fate(sibling) == GOES_ON else [f"its sibling: {case.fate(sibling)}"]


def test_triggerers_that_come_and_go_cancel_nothing(airflow, emulator, table):
    emulator.set(training_seconds=600)
    cases = started(airflow, emulator, "train deferred, lora deferred, mapped deferred", "triggerers")
    results = []
    for event in (triggerer_restarted, triggerer_killed, triggerer_frozen_and_thawed):
        results += after(event, airflow, cases)
    emulator.advance(900)
    conclude(table, results + ended_well("all of this over", cases, TRAINED))


def triggerer_restarted(airflow: Any, cases: list[Case]) -> None:
    watched_anew(cases, lambda: airflow.restart("triggerer"))


def triggerer_killed(airflow: Any, cases: list[Case]) -> None:
    def act() -> None:
        airflow.kill("triggerer", signal.SIGKILL)
        airflow.restart("triggerer")

    watched_anew(cases, act)


def triggerer_frozen_and_thawed(airflow: Any, cases: list[Case]) -> None:
    """Its triggers move to another one; when it wakes up, Airflow 3.3.2 tells it that they were killed."""
    frozen = psutil.Process(airflow.parts["triggerer"].pid)
    frozen = [frozen, *frozen.children(recursive=True)]
    airflow.add_triggerer("triggerer-2")
    try:
        for process in frozen:
            process.suspend()
        watched_anew(cases, nothing_more)
        for process in frozen:
            process.resume()
        for case in cases:
            eventually(lambda case=case: "moved to another triggerer" in case.log(), "the thawed one was told to kill")
    finally:
        airflow.parts.pop("triggerer-2").stop()
        watched_anew(cases, lambda: airflow.restart("triggerer"))


def nothing_more() -> None:
    """Only time passes."""


def watched_anew(cases: list[Case], act: Callable[[], Any]) -> None:
    """Until another trigger of each has looked at its training."""
    before = [case.triggers() for case in cases]
    act()
    for case, times in zip(cases, before, strict=True):
        eventually(lambda case=case, times=times: case.is_waited_for(times + 1), f"{case.name}: waited for anew", 90)


def test_a_worker_told_to_stop_cancels_nothing(airflow, emulator, table):
    emulator.set(training_seconds=600)
    cases = started(airflow, emulator, "train blocking, lora blocking", "worker")
    results = after(task_process_terminated, airflow, cases) + after(worker_terminated, airflow, cases)
    emulator.advance(900)
    conclude(table, results + ended_well("all of this over", cases, TRAINED))


def worker_terminated(airflow: Any, cases: list[Case]) -> None:
    """A deploy; the worker hands the signal on to the task."""
    for case in cases:
        psutil.Process(pid_of(case)).parent().terminate()
        eventually(lambda case=case: heard(case) == 2, "the task has heard it again")


def task_process_terminated(airflow: Any, cases: list[Case]) -> None:
    for case in cases:
        psutil.Process(pid_of(case)).terminate()
        eventually(lambda case=case: heard(case) == 1, "the task has heard it")


def test_an_attempt_whose_heartbeat_was_missed_cancels_nothing(airflow, emulator, table):
    """A machine stands still for a while: Airflow tries again, then the old process wakes up and is told to end."""
    emulator.set(training_seconds=600)
    cases = started(airflow, emulator, "train blocking, lora blocking", "asleep", "retries")
    results = after(worker_asleep, airflow, cases)
    emulator.advance(900)
    conclude(table, results + ended_well("all of this over", cases, TRAINED))


def worker_asleep(airflow: Any, cases: list[Case]) -> None:
    sleepers = [psutil.Process(pid_of(case)) for case in cases]
    sleepers = [process for sleeper in sleepers for process in (sleeper.parent(), sleeper)]
    for process in sleepers:
        process.suspend()
    try:
        for case in cases:
            eventually(lambda case=case: case.is_waited_for(try_number=2), f"{case.name}: tried again", 120)
    finally:
        for process in sleepers:
            process.resume()
    for case in cases:
        eventually(lambda case=case: heard(case), f"{case.name}: the old process was told to end", 90)
        eventually(case.nobody_is_left, f"{case.name}: the old process has ended", 90)


def heard(case: Case) -> int:
    return sum(LOSES_ITS_WORKER in line for line in case.lines())


def pid_of(case: Case) -> int:
    return case.airflow.task_instance(*case.at)["pid"]


def test_restarts_of_api_server_and_scheduler_cancel_nothing(airflow, emulator, table):
    emulator.set(training_seconds=600)
    columns = "train deferred, lora deferred, train blocking, lora blocking"
    cases = started(airflow, emulator, columns, "restarts", "retries")
    results = after(api_server_restarted, airflow, cases) + after(scheduler_restarted, airflow, cases)
    emulator.advance(900)
    conclude(table, results + ended_well("all of this over", cases, TRAINED))


def api_server_restarted(airflow: Any, cases: list[Case]) -> None:
    airflow.restart("api-server")
    for case in cases:
        eventually(lambda case=case: case.state() in ("running", "deferred"), f"{case.name}: goes on", 90)


def scheduler_restarted(airflow: Any, cases: list[Case]) -> None:
    """The workers of a LocalExecutor go with it; what they ran is tried again once its heartbeat is missed."""
    blocking = [case for case in cases if case.mode == "blocking"]
    tries = [case.try_number() for case in blocking]
    airflow.restart("scheduler")
    for case, tried in zip(blocking, tries, strict=True):
        eventually(
            lambda case=case, tried=tried: case.is_waited_for(try_number=tried + 1), f"{case.name}: tried again", 120
        )


def test_without_a_triggerer_nothing_goes_on(airflow, emulator, table):
    emulator.set(training_seconds=600)
    cleared_cases = started(airflow, emulator, "train deferred, lora deferred", "cleared-unwatched")
    stop_triggerer(airflow)
    try:
        for case in cleared_cases:
            case.clear()
        timed_out = [
            Case(airflow, emulator, column, "own_timeout", "unwatched").start()
            for column in ("train deferred", "lora deferred")
        ]
        results = ended_well("deferral timeout, no triggerer", timed_out, CANCELED, "failed", CUT)
        for case in cleared_cases:
            airflow.wait_for_task(*case.at[:3], ["deferred"])
    finally:
        airflow.restart("triggerer")
    for case in cleared_cases:
        eventually(lambda case=case: case.is_waited_for(try_number=2), f"{case.name}: waited for again", 90)
    emulator.advance(900)
    train, lora = cleared_cases
    results += ended_well("cleared without a triggerer", [train], TRAINED)
    results += ended_well("cleared without a triggerer", [lora], AGAIN)
    conclude(table, results)


def stop_triggerer(airflow: Any) -> None:
    airflow.kill("triggerer")
    airflow.parts["triggerer"].wait()


def test_who_is_ended_while_it_waits_for_a_slot_starts_nothing_later(airflow, emulator, table):
    emulator.set(training_seconds=600, parallel_training=1)
    Case(airflow, emulator, "train deferred", name="holds the slot").train_as_a_person()
    cases = [Case(airflow, emulator, f"train {mode}", name="slot").start() for mode in ("deferred", "blocking")]
    results = []
    for case in cases:
        problems = []
        try:
            eventually(lambda case=case: "Waiting for a slot" in case.log(), "waits for a slot", 90)
            eventually(lambda case=case: case.mode == "blocking" or case.triggers(), "its trigger has started")
            case.airflow.mark(*case.at[:3], "failed")
            eventually(case.nobody_is_left, "its process or trigger is gone")
        except Exception as error:
            problems += [f"{type(error).__name__}: {error}", case.log()[-2500:]]
        results.append((case, tuple(problems)))
    emulator.advance(900)  # the slot is free
    what = "marked failed, waits for a slot"
    conclude(
        table,
        [Result(what, case.column, NEVER_STARTED, case.fate(), case.state(), None, found) for case, found in results],
    )


class Clearing(NamedTuple):
    what: str
    act: Callable[[Case], None]
    fates: tuple[dict[str, int], ...]
    variant: str = "plain"
    columns: str = EVERY


def cleared(case: Case) -> None:
    case.waiting()
    case.clear()


def cleared_with_a_slow_cancellation(case: Case) -> None:
    """The next attempt adopts the training before it is cancelled."""
    case.waiting()
    faulty((CANCEL,), kind="slow", seconds=3.5, times=1)(case)
    case.clear()


def cleared_when_done(case: Case) -> None:
    assert case.airflow.wait_for_run(case.dag, case.run) == "success"
    case.clear()


TRAINS = "train deferred, train deferred, train blocking"
LORAS = "lora deferred, lora deferred, lora blocking"

CLEARINGS = [
    # Whichever wins: the next attempt waits for the training of the one before, or for a new one.
    Clearing("cleared while running", cleared, (AGAIN, TRAINED), columns=TRAINS),
    Clearing("cleared while running", cleared, (AGAIN,), columns=LORAS),
    Clearing("cleared, cancelled late", cleared_with_a_slow_cancellation, (AGAIN, TRAINED), columns=TRAINS),
    Clearing("cleared when done", cleared_when_done, ({"trained": 2},)),
    Clearing("reattach, cleared when done", cleared_when_done, (TRAINED,), "reattaches"),
]


def test_a_cleared_task_ends_with_one_training(airflow, emulator, table):
    """On other minors: test_every_minor."""
    seconds = Seconds(emulator)
    cells = [
        (clearing, Case(airflow, emulator, column, clearing.variant, clearing.what))
        for clearing in CLEARINGS
        for column in clearing.columns.split(", ")
    ]
    with ThreadPoolExecutor(BLOCKING_AT_ONCE) as blocking, ThreadPoolExecutor(DEFERRED_AT_ONCE) as deferred:
        pools = {"blocking": blocking, "deferred": deferred}
        acts = [pools[case.mode].submit(clear_and_settle, clearing, case, seconds) for clearing, case in cells]
    emulator.advance(900)
    conclude(table, [cleared_result(*cell, act.result()) for cell, act in zip(cells, acts, strict=True)])


class Seconds:
    """How long the trainings of each model take that start from now on."""

    def __init__(self, emulator: Any) -> None:
        self._emulator, self._seconds, self._lock = emulator, {}, threading.Lock()

    def of(self, case: Case, seconds: float) -> None:
        with self._lock:
            self._seconds[case.name] = seconds
            self._emulator.set(training_seconds_by_model=self._seconds)


def clear_and_settle(clearing: Clearing, case: Case, seconds: Seconds) -> list[str]:
    """Until the second attempt has ended, or waits and nobody is left of the first."""
    try:
        seconds.of(case, 3 if clearing.act is cleared_when_done else 600)
        case.start()
        eventually(case.fate, "a training", 90)
        seconds.of(case, 3)
        clearing.act(case)
        eventually(lambda: case.try_number() == 2, "a second try", 120)
        eventually(
            lambda: case.state() == "success" or (case.nobody_is_left() and case.is_waited_for(try_number=2)),
            "the second try has come so far",
            150,
        )
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []


def cleared_result(clearing: Clearing, case: Case, problems: list[str]) -> Result:
    try:
        eventually(lambda: case.state() == "success", "the task has succeeded", 90)
        eventually(lambda: case.fate() in clearing.fates, "the ledger is right", 90)
    except Exception as error:
        problems += [f"{type(error).__name__}: {error}", case.log()[-2500:], case.log(2)[-2500:]]
    fate = case.fate()
    expected = fate if fate in clearing.fates else clearing.fates[0]
    return Result(clearing.what, case.column, expected, fate, case.state(), None, tuple(problems))


def started(airflow: Any, emulator: Any, columns: str, name: str, variant: str = "plain") -> list[Case]:
    cases = [Case(airflow, emulator, column, variant, name).start() for column in columns.split(", ")]
    return [case.waiting() for case in cases]


def after(event: Callable[[Any, list[Case]], None], airflow: Any, cases: list[Case]) -> list[Result]:
    """Nothing may have been cancelled."""
    problems = []
    try:
        event(airflow, cases)
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
    what = event.__name__.replace("_", " ")
    return [Result(what, case.column, GOES_ON, case.fate(), case.state(), None, tuple(problems)) for case in cases]


def ended_well(
    what: str, cases: list[Case], fate: dict[str, int], state: str = "success", says: str = ""
) -> list[Result]:
    results = []
    for case in cases:
        problems = []
        try:
            eventually(lambda case=case: case.state() == state, f"{case.name} is {state}", 90)
            eventually(lambda case=case: case.fate() == fate, "the ledger is right", 90)
            assert says in case.log(), f"not said: {says}"
        except Exception as error:
            problems += [f"{type(error).__name__}: {error}", case.log()[-2500:], case.log(2)[-1500:]]
        results.append(Result(what, case.column, fate, case.fate(), case.state(), None, tuple(problems)))
    return results
