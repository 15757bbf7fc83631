"""
A training is cancelled if its task is ended, and only then.

Each row ends a waiting task in some way; the emulator's ledger shows what happened to its training.
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
    CANCELED,
    CONTINUES,
    EVERY,
    LOSES_ITS_WORKER,
    NEVER_STARTED,
    ON_KILL_MAY_TAKE,
    RETRAINED,
    TRAINED,
    Case,
    Result,
    as_table,
    conclude,
)

pytestmark = [pytest.mark.full, pytest.mark.alone]

# AirflowUnderTest runs four tasks at once; one slot stays free for tasks that start and defer.
BLOCKING_AT_ONCE, DEFERRED_AT_ONCE = 3, 4


def nothing(case: Case) -> None:
    """Wait: a time limit ends the task."""


def marked(state: str) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        case.wait_for_poll()
        case.airflow.mark(case.dag, case.run, "task", state, case.map_index)

    return act


def run_marked_failed(case: Case) -> None:
    case.wait_for_poll()
    case.airflow.mark_run(case.dag, case.run, "failed")


def marked_as_it_starts(case: Case) -> None:
    """The training has started, and the response is still on its way."""
    eventually(case.trainings, "a training", 60, pause=0.05)
    case.airflow.mark(*case.at[:3], "failed")


def marked_as_it_defers(case: Case) -> None:
    """The task has checked its state for the last time; then Airflow ignores its deferral."""
    eventually(lambda: "Deferring" in case.log(), "it defers", 60, pause=0.05)
    case.airflow.mark(*case.at[:3], "failed")


def marked_in_the_middle_of_a_poll(case: Case) -> None:
    case.wait_for_poll()
    slow = {"kind": "slow", "seconds": 3, "times": 1}
    faulty((POLL,), **slow)(case)
    # If others wait in the same triggerer, one request polls all of them.
    case.emulator.fault(method="POST", route="/models/get-bulk", model=case.model_id, **slow)
    eventually(case.hits, "a poll that is slow")
    case.airflow.mark(*case.at[:3], "failed")


def marked_while(*routes: tuple[str, str], **fault: Any) -> Callable[[Case], None]:
    """Mark the task failed while requests fail."""

    def act(case: Case) -> None:
        case.wait_for_poll()
        faulty(routes, **fault)(case)
        case.airflow.mark(*case.at[:3], "failed")

    return act


def faulty(routes: Iterable[tuple[str, str]], **fault: Any) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        for method, route in routes:
            case.emulator.fault(method=method, route=f"/models/{case.model_id}{route}", **{"times": None, **fault})

    return act


POLL, START, CANCEL = ("GET", ""), ("PUT", "/train"), ("POST", "/train/action")


class Row(NamedTuple):
    what: str
    act: Callable[[Case], None]
    trainings: dict[str, int]
    state: str
    logged: str = ""
    variant: str = "plain"
    columns: str = "train deferred, train blocking"
    before: Callable[[Case], None] = nothing


SENSORS = "sensor deferred, sensor blocking"
LATE = "late deferred, late deferred, late deferred"
CUT = "was cancelled. Scenario does not promise a refund"
KEPT = "could not be cancelled. The training may continue and be billed"
THEIRS = "This task did not start it"
FAIL = marked("failed")
BY_A_USER = Case.train_as_a_user
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
        "marked failed, 0.8 s an answer", marked_while(POLL, CANCEL, kind="slow", seconds=0.8), CANCELED, "failed", CUT
    ),
    Row("marked failed, a 503", marked_while(CANCEL, kind="status", status=503, times=1), CANCELED, "failed", CUT),
    Row("marked failed, Scenario hangs", marked_while(POLL, kind="hang", seconds=60), CONTINUES, "failed", KEPT),
    Row("cancel_on_kill=False, marked failed", FAIL, CONTINUES, "failed", "", "keeps"),
    Row("a person's training, marked failed", FAIL, CONTINUES, "failed", THEIRS, before=BY_A_USER),
    Row("a person's training, timeout", nothing, CONTINUES, "failed", THEIRS, "own_timeout", before=BY_A_USER),
    Row("sensor marked failed", FAIL, CONTINUES, "failed", "", "plain", SENSORS, BY_A_USER),
    Row("sensor's timeout", nothing, CONTINUES, "failed", "", "own_timeout", SENSORS, BY_A_USER),
    Row("cancelling sensor marked failed", FAIL, CANCELED, "failed", CUT, "cancels", "sensor deferred", BY_A_USER),
]


@pytest.fixture(scope="module")
def table(airflow, pytestconfig) -> Iterator[list[Result]]:
    """All results, shown at the end."""
    results: list[Result] = []
    yield results
    pytestconfig.pluginmanager.getplugin("terminalreporter").write_line(as_table(results))
    assert airflow.import_errors() == []


def test_ending_a_task_cancels_its_training_and_no_other(airflow, emulator, table):
    emulator.set(training_seconds=600)
    cells = [(row, column) for row in MATRIX for column in row.columns.split(", ")]
    # Those with a time limit first, while the machine is not busy yet.
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
        if row.trainings != CONTINUES:
            # The first request of a triggerer to Airflow takes ten seconds.
            eventually(lambda: case.trainings() == row.trainings, "the ledger is right", 90)
        elif row.act is not nothing:  # then nothing can cancel the training any more
            eventually(case.has_stopped_waiting, "its process or trigger is gone")
        if row.logged:
            eventually(lambda: row.logged in case.log(), f"the log logged {row.logged!r}", 90)
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
    if case.operator == "mapped":
        problems += sibling_continues(case)
    took = case.on_kill_took() if case.mode == "blocking" else None
    if took is not None and took >= ON_KILL_MAY_TAKE:
        problems.append(f"on_kill took {took:.1f} s")
    if problems:
        problems.append(case.log()[-1500:])
    return Result(row.what, case.column, row.trainings, case.trainings(), case.state(), took, tuple(problems))


def sibling_continues(case: Case) -> list[str]:
    """The other mapped task may still wait for a worker."""
    sibling = f"{case.name}-1"
    try:
        eventually(lambda: case.trainings(sibling), "its sibling is trained", 90)
    except AssertionError as error:
        return [str(error)]
    return [] if case.trainings(sibling) == CONTINUES else [f"its sibling: {case.trainings(sibling)}"]


def test_restarted_killed_and_frozen_triggerers_cancel_nothing(airflow, emulator, table):
    emulator.set(training_seconds=600)
    cases = started(airflow, emulator, "train deferred, lora deferred, mapped deferred", "triggerers")
    results = []
    for event in (triggerer_restarted, triggerer_killed, triggerer_frozen_and_thawed):
        results += after(event, airflow, cases)
    emulator.advance(900)
    conclude(table, results + ended_well("all of this over", cases, TRAINED))


def triggerer_restarted(airflow: Any, cases: list[Case]) -> None:
    polled_again(cases, lambda: airflow.restart("triggerer"))


def triggerer_killed(airflow: Any, cases: list[Case]) -> None:
    def act() -> None:
        airflow.kill("triggerer", signal.SIGKILL)
        airflow.restart("triggerer")

    polled_again(cases, act)


def triggerer_frozen_and_thawed(airflow: Any, cases: list[Case]) -> None:
    """Its triggers move to another triggerer; when it continues, Airflow 3.3.2 reports them to it as killed."""
    frozen = psutil.Process(airflow.parts["triggerer"].pid)
    frozen = [frozen, *frozen.children(recursive=True)]
    airflow.add_triggerer("triggerer-2")
    try:
        for process in frozen:
            process.suspend()
        polled_again(cases, nothing_more)
        for process in frozen:
            process.resume()
        for case in cases:
            eventually(
                lambda case=case: "moved to another triggerer" in case.log(),
                "its log has the move",
            )
    finally:
        airflow.parts.pop("triggerer-2").stop()
        polled_again(cases, lambda: airflow.restart("triggerer"))


def nothing_more() -> None:
    """Do nothing: time passes."""


def polled_again(cases: list[Case], act: Callable[[], Any]) -> None:
    """Act, and wait until another trigger of each task has polled its training."""
    before = [case.triggers() for case in cases]
    act()
    for case, times in zip(cases, before, strict=True):
        eventually(lambda case=case, times=times: case.is_polled(times + 1), f"{case.name}: polled again", 90)


def test_a_worker_that_is_terminated_cancels_nothing(airflow, emulator, table):
    emulator.set(training_seconds=600)
    cases = started(airflow, emulator, "train blocking, lora blocking", "worker")
    results = after(task_process_terminated, airflow, cases) + after(worker_terminated, airflow, cases)
    emulator.advance(900)
    conclude(table, results + ended_well("all of this over", cases, TRAINED))


def worker_terminated(airflow: Any, cases: list[Case]) -> None:
    """As in a deployment: the worker passes the signal on to the task."""
    for case in cases:
        psutil.Process(pid_of(case)).parent().terminate()
        eventually(lambda case=case: sigterms(case) == 2, "the task has received the second signal")


def task_process_terminated(airflow: Any, cases: list[Case]) -> None:
    for case in cases:
        psutil.Process(pid_of(case)).terminate()
        eventually(lambda case=case: sigterms(case) == 1, "the task has received the signal")


def test_an_attempt_whose_heartbeat_was_missed_cancels_nothing(airflow, emulator, table):
    """A machine freezes for a while: Airflow starts a retry, then the old process continues and is killed."""
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
            eventually(lambda case=case: case.is_polled(try_number=2), f"{case.name}: tried again", 120)
    finally:
        for process in sleepers:
            process.resume()
    for case in cases:
        eventually(lambda case=case: sigterms(case), f"{case.name}: the old process has received a signal", 90)
        eventually(case.has_stopped_waiting, f"{case.name}: the old process has ended", 90)


def sigterms(case: Case) -> int:
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
        eventually(lambda case=case: case.state() in ("running", "deferred"), f"{case.name}: continues", 90)


def scheduler_restarted(airflow: Any, cases: list[Case]) -> None:
    """The workers of a LocalExecutor end with it; their tasks are retried once their heartbeats are missing."""
    blocking = [case for case in cases if case.mode == "blocking"]
    tries = [case.try_number() for case in blocking]
    airflow.restart("scheduler")
    for case, tried in zip(blocking, tries, strict=True):
        eventually(
            lambda case=case, tried=tried: case.is_polled(try_number=tried + 1), f"{case.name}: tried again", 120
        )


def test_without_a_triggerer_no_training_continues_after_its_task(airflow, emulator, table):
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
        eventually(lambda case=case: case.is_polled(try_number=2), f"{case.name}: polled again", 90)
    emulator.advance(900)
    train, lora = cleared_cases
    results += ended_well("cleared without a triggerer", [train], TRAINED)
    results += ended_well("cleared without a triggerer", [lora], RETRAINED)
    conclude(table, results)


def stop_triggerer(airflow: Any) -> None:
    airflow.kill("triggerer")
    airflow.parts["triggerer"].wait()


def test_a_task_that_is_ended_while_it_waits_for_a_slot_starts_no_training_later(airflow, emulator, table):
    emulator.set(training_seconds=600, parallel_training=1)
    Case(airflow, emulator, "train deferred", name="holds the slot").train_as_a_user()
    cases = [Case(airflow, emulator, f"train {mode}", name="slot").start() for mode in ("deferred", "blocking")]
    results = []
    for case in cases:
        problems = []
        try:
            eventually(lambda case=case: "Waiting for a slot" in case.log(), "waits for a slot", 90)
            eventually(lambda case=case: case.mode == "blocking" or case.triggers(), "its trigger has started")
            case.airflow.mark(*case.at[:3], "failed")
            eventually(case.has_stopped_waiting, "its process or trigger is gone")
        except Exception as error:
            problems += [f"{type(error).__name__}: {error}", case.log()[-2500:]]
        results.append((case, tuple(problems)))
    emulator.advance(900)  # the slot is free
    what = "marked failed, waits for a slot"
    conclude(
        table,
        [
            Result(what, case.column, NEVER_STARTED, case.trainings(), case.state(), None, found)
            for case, found in results
        ],
    )


class Clearing(NamedTuple):
    what: str
    act: Callable[[Case], None]
    trainings: tuple[dict[str, int], ...]
    variant: str = "plain"
    columns: str = EVERY


def cleared(case: Case) -> None:
    case.wait_for_poll()
    case.clear()


def cleared_with_a_slow_cancellation(case: Case) -> None:
    """The next attempt adopts the training before it is cancelled."""
    case.wait_for_poll()
    faulty((CANCEL,), kind="slow", seconds=3.5, times=1)(case)
    case.clear()


def cleared_when_done(case: Case) -> None:
    assert case.airflow.wait_for_run(case.dag, case.run) == "success"
    case.clear()


TRAINS = "train deferred, train deferred, train blocking"
LORAS = "lora deferred, lora deferred, lora blocking"

CLEARINGS = [
    # Two outcomes are right: the next attempt waits for the training of the earlier one, or for a new one.
    Clearing("cleared while running", cleared, (RETRAINED, TRAINED), columns=TRAINS),
    Clearing("cleared while running", cleared, (RETRAINED,), columns=LORAS),
    Clearing("cleared, cancelled late", cleared_with_a_slow_cancellation, (RETRAINED, TRAINED), columns=TRAINS),
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
    """Sets the duration of later trainings, for each model."""

    def __init__(self, emulator: Any) -> None:
        self._emulator, self._seconds, self._lock = emulator, {}, threading.Lock()

    def of(self, case: Case, seconds: float) -> None:
        with self._lock:
            self._seconds[case.name] = seconds
            self._emulator.set(training_seconds_by_model=self._seconds)


def clear_and_settle(clearing: Clearing, case: Case, seconds: Seconds) -> list[str]:
    """Wait until the second attempt has ended, or waits while the first has stopped."""
    try:
        seconds.of(case, 3 if clearing.act is cleared_when_done else 600)
        case.start()
        eventually(case.trainings, "a training", 90)
        seconds.of(case, 3)
        clearing.act(case)
        eventually(lambda: case.try_number() == 2, "a second try", 120)
        eventually(
            lambda: case.state() == "success" or (case.has_stopped_waiting() and case.is_polled(try_number=2)),
            "the second try has come so far",
            150,
        )
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []


def cleared_result(clearing: Clearing, case: Case, problems: list[str]) -> Result:
    try:
        eventually(lambda: case.state() == "success", "the task has succeeded", 90)
        eventually(lambda: case.trainings() in clearing.trainings, "the ledger is right", 90)
    except Exception as error:
        problems += [f"{type(error).__name__}: {error}", case.log()[-2500:], case.log(2)[-2500:]]
    trainings = case.trainings()
    expected = trainings if trainings in clearing.trainings else clearing.trainings[0]
    return Result(clearing.what, case.column, expected, trainings, case.state(), None, tuple(problems))


def started(airflow: Any, emulator: Any, columns: str, name: str, variant: str = "plain") -> list[Case]:
    cases = [Case(airflow, emulator, column, variant, name).start() for column in columns.split(", ")]
    return [case.wait_for_poll() for case in cases]


def after(event: Callable[[Any, list[Case]], None], airflow: Any, cases: list[Case]) -> list[Result]:
    """Results of cases whose trainings must all continue."""
    problems = []
    try:
        event(airflow, cases)
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
    what = event.__name__.replace("_", " ")
    return [
        Result(what, case.column, CONTINUES, case.trainings(), case.state(), None, tuple(problems)) for case in cases
    ]


def ended_well(
    what: str, cases: list[Case], trainings: dict[str, int], state: str = "success", logged: str = ""
) -> list[Result]:
    results = []
    for case in cases:
        problems = []
        try:
            eventually(lambda case=case: case.state() == state, f"{case.name} is {state}", 90)
            eventually(lambda case=case: case.trainings() == trainings, "the ledger is right", 90)
            assert logged in case.log(), f"not in the log: {logged}"
        except Exception as error:
            problems += [f"{type(error).__name__}: {error}", case.log()[-2500:], case.log(2)[-1500:]]
        results.append(Result(what, case.column, trainings, case.trainings(), case.state(), None, tuple(problems)))
    return results
