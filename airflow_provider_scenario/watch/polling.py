"""The requests of waiting: one poll, the last look at the end, and the blocking loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from airflow_provider_scenario import metrics
from airflow_provider_scenario.client.budget import WaitNotice
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    InvalidInputError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
)
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.links import model_page
from airflow_provider_scenario.watch.cancelling import is_anothers
from airflow_provider_scenario.watch.decision import FINAL_STATUSES, Outcome, Snapshot, TrainingWatch
from airflow_provider_scenario.watch.result import TrainingResult

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.hooks.scenario import ScenarioHook

PollAnswer: TypeAlias = Model | Job | ScenarioError
T = TypeVar("T")

LAST_LOOK = 5.0
"""Seconds after the deadline within which the turn of the last look must come."""


def poll(client: ScenarioClient, model_id: str | None, job_id: str | None) -> PollAnswer:
    """One request: the model where its id is known, else the job. Trouble is an answer too."""
    try:
        if model_id:
            model = client.get_model(model_id, only_status=True)
            if not is_anothers(model, job_id) and (model.status or not job_id):
                return model
        # The model is by now trained by another job, is not known, or tells no status: the job tells how its own
        # training ended.
        return client.get_job(job_id or "")
    except ScenarioError as error:
        return error


class Poller:
    """
    Polls with the connection's credentials of today: a key that was rotated meanwhile is picked up.

    :param hook: its own connection is looked up once, and again each time the service refuses the credentials.
    """

    def __init__(self, hook: ScenarioHook) -> None:
        self._hook = hook
        self._client: ScenarioClient | None = None
        self._patient: ScenarioClient | None = None
        self._closed = threading.Event()

    @property
    def client(self) -> ScenarioClient:
        """One try a poll: who waits goes on asking, ever more slowly."""
        if self._client is None:
            self._client = self._hook.connect(max_tries=1)
        return self._client

    def poll(
        self,
        model_id: str | None,
        job_id: str | None,
        *,
        patience: float = float("inf"),
        line: WaitNotice | None = None,
    ) -> PollAnswer | None:
        """
        As :func:`poll`, when the budget has room; what creates, starts and cancels goes first.

        :param patience: seconds to wait at most for its turn.
        :param line: says so in the log where the turn is not near.
        :return: None where its turn did not come in time. Nothing was sent.
        """
        return self._alone(model_id, job_id) if self._wait_for_turn(patience, line) else None

    def turn(self) -> float:
        """Take the next turn to poll; returns the seconds to wait for it."""
        return self._hook.budget.turn()

    @property
    def why_wait(self) -> str:
        """What a turn is waited for."""
        return self._hook.budget.why_wait

    def poll_all(self, wanted: Sequence[tuple[str | None, str | None]]) -> list[PollAnswer]:
        """
        Look at several trainings, at 50 with one request: each is told what it would be told alone.

        The first request is sent at once: its turn is for the caller to wait for. If more are needed they wait here.

        :param wanted: model and job id of each.
        """
        ids = list(dict.fromkeys(model_id for model_id, _ in wanted if model_id))
        if len(ids) <= 1:
            first, *others = wanted
            return [self._alone(*first), *(self._one_of({}, *other) for other in others)]
        models = self._ask(lambda: self._models(ids))
        if isinstance(models, ScenarioError):
            if not (isinstance(models, RequestRefusedError) and models.permanent):
                return [models] * len(wanted)
            models = {}  # A refusal may be for one of them only: it is not the others' fault.
        return [self._one_of(models, model_id, job_id) for model_id, job_id in wanted]

    def sighting(self, seen: PollAnswer) -> Snapshot | ScenarioError:
        """As :func:`sighting`, with the address of the model's page where a person has to go there."""
        found = sighting(seen)
        if isinstance(found, Snapshot) and found.needs_person and found.model_id:
            return replace(found, page=model_page(self._hook.app_url, found.model_id))
        return found

    def fetch_result(
        self,
        outcome: Outcome,
        seen: PollAnswer,
        model_id: str | None,
        job_id: str | None,
        line: WaitNotice | None = None,
    ) -> TrainingResult:
        """
        As :func:`fetch_result`, with more than one try: there is no later poll to make up for it.

        :param line: says so in the log where the turn is not near.
        """
        if outcome in FINAL_STATUSES.values():
            # A thousand that end together must not be told of in one burst. Who gave up goes first: it may cancel.
            self._wait_for_turn(line=line)
        # Share one client: each new one reloads the CA bundle (20 ms of CPU).
        client = self._patient = self._patient or self._hook.connect()
        if outcome == "trained" and isinstance(seen, Model) and not (seen.epochs and seen.training_stats):
            # Read among others, it may show less.
            alone = poll(client, seen.id, job_id)
            seen = alone if isinstance(alone, Model) else seen
        return fetch_result(client, outcome, seen, model_id, job_id)

    def close(self) -> None:
        """Close the connections, and end the waiting for a turn: nobody wants an answer any more."""
        self._closed.set()
        self._disconnect()

    def _disconnect(self) -> None:
        for client in (self._client, self._patient):
            if client is not None:
                client.close()
        self._client = self._patient = None

    def _models(self, ids: list[str]) -> dict[str, Model] | ScenarioError:
        try:
            return {model.id: model for model in self.client.get_models(ids, only_status=True)}
        except ScenarioError as error:
            return error

    def _one_of(self, models: Mapping[str, Model], model_id: str | None, job_id: str | None) -> PollAnswer:
        model = models.get(model_id or "")
        if model is None or not model.status or is_anothers(model, job_id):
            # Not in the answer: deleted, perhaps, or never there. Asked for by itself it says so.
            self._wait_for_turn()
            return self._alone(model_id, job_id)
        return model

    def _wait_for_turn(self, patience: float = float("inf"), line: WaitNotice | None = None) -> bool:
        """Whether it has come in time; where it does not, only the patience is waited for."""
        seconds, patience = self.turn(), max(0.0, patience)
        if line:
            line(seconds, self.why_wait)
        in_time = seconds <= patience + LAST_LOOK
        self._closed.wait(seconds if in_time else patience)
        return in_time

    def _alone(self, model_id: str | None, job_id: str | None) -> PollAnswer:
        return self._ask(lambda: poll(self.client, model_id, job_id))

    def _ask(self, ask: Callable[[], T | ScenarioError]) -> T | ScenarioError:
        if self._closed.is_set():
            return ServiceError("Nobody waits for the answer any more. Nothing was sent.", maybe_done=False)
        metrics.count("polls")
        return self._with_todays_key(ask)

    def _with_todays_key(self, ask: Callable[[], T | ScenarioError]) -> T | ScenarioError:
        seen = ask()
        if not isinstance(seen, AuthenticationError):
            return seen
        try:
            if not self._hook.renew():
                return seen
        except InvalidInputError as error:
            return error
        self._disconnect()
        return ask()


def sighting(seen: PollAnswer) -> Snapshot | ScenarioError:
    """What the decision needs of an answer."""
    if isinstance(seen, ScenarioError):
        return seen
    return Snapshot.of_job(seen) if isinstance(seen, Job) else Snapshot.of_model(seen)


def fetch_result(
    client: ScenarioClient, outcome: Outcome, seen: PollAnswer, model_id: str | None, job_id: str | None
) -> TrainingResult:
    """
    Gather what a result or an error message needs; asks once more, for the job: cost and the vendor's reason.

    The outcome is known already, so an answer that does not come costs details, never the result.
    """
    if isinstance(seen, ScenarioError):
        return TrainingResult(outcome=outcome, model_id=model_id, job_id=job_id, error=str(seen))
    if isinstance(seen, Job):
        return TrainingResult.of(outcome, None, seen, model_id=model_id)
    job = _job(client, seen.job_id or job_id)
    metrics.end_noticed(job.updated_at if job else None)
    return TrainingResult.of(outcome, seen, job, model_id=model_id)


def ended_unseen(client: ScenarioClient, model_id: str | None, job_id: str | None) -> TrainingResult | None:
    """Return the end of a training that has ended while nobody could look; None where that is not known."""
    if not (model_id and job_id):  # without the job, a training before it could be taken for it
        return None
    seen = poll(client, model_id, job_id)
    found = sighting(seen)
    outcome = FINAL_STATUSES.get(found.status) if isinstance(found, Snapshot) else None
    return fetch_result(client, outcome, seen, model_id, job_id) if outcome in ("trained", "failed") else None


def wait_for_training(
    hook: ScenarioHook,
    watch: TrainingWatch,
    *,
    model_id: str | None,
    job_id: str | None,
    log: Callable[[str], None],
    warn: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> TrainingResult:
    """
    Hold the worker until the training has ended or the watch gives up.

    :param log: is told what has changed.
    :param warn: is told what a person must do. Default: ``log``.
    """
    poller, line = Poller(hook), WaitNotice(log)
    while True:
        seen = poller.poll(model_id, job_id, patience=watch.deadline - clock(), line=line)
        if seen is None:
            return TrainingResult(outcome="timed-out", model_id=model_id, job_id=job_id)
        outcome = watch.after(poller.sighting(seen), clock())
        if watch.log_line:
            log(watch.log_line)
        if watch.warning:
            (warn or log)(watch.warning)
        if outcome:
            return poller.fetch_result(outcome, seen, model_id, job_id, line)
        sleep(watch.pause)


def _job(client: ScenarioClient, job_id: str | None) -> Job | None:
    try:
        return client.get_job(job_id) if job_id else None
    except ScenarioError:
        return None
