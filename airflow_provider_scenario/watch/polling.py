"""The requests of waiting: one poll, what the result needs at the end, and the loop that holds a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from airflow_provider_scenario import metrics
from airflow_provider_scenario.client.budget import WaitNotice
from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.errors import RequestRefusedError, ScenarioError, ServiceError
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.hooks.sharing import CurrentClients
from airflow_provider_scenario.links import is_model_page, model_page
from airflow_provider_scenario.watch.cancelling import is_anothers
from airflow_provider_scenario.watch.decision import FINAL_STATUSES, Outcome, Snapshot, TrainingWatch
from airflow_provider_scenario.watch.result import TrainingResult

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.hooks.scenario import ScenarioHook

PollAnswer: TypeAlias = Model | Job | ScenarioError
T = TypeVar("T")

LAST_POLL_GRACE = 5.0
"""Seconds after the deadline within which the turn of the last poll must come; else it is not sent."""


def poll(client: ScenarioClient, model_id: str | None, job_id: str | None) -> PollAnswer:
    """Poll one training; an error is an answer too."""
    try:
        return _read(client, model_id, job_id)
    except ScenarioError as error:
        return error


def _read(client: ScenarioClient, model_id: str | None, job_id: str | None) -> Model | Job:
    """Read the model where its id is known, else the job."""
    if model_id:
        model = client.get_model(model_id, only_status=True)
        if not is_anothers(model, job_id) and (model.status or not job_id):
            return model
    # Another job trains the model by now, or no status or no model is known: then the job has the end of its training.
    return client.get_job(job_id or "")


def read_models(client: ScenarioClient, model_ids: Iterable[str], *, only_status: bool) -> dict[str, Model]:
    """
    Read many models with one request for each 50; those that Scenario does not know are left out.

    :param only_status: see :meth:`ScenarioClient.get_models`.
    """
    return {model.id: model for model in client.get_models(model_ids, only_status=only_status)}


class Poller:
    """
    Polls with the credentials that the connection has today.

    :param hook: its own connection is read once, and again each time that Scenario refuses the credentials.
    """

    def __init__(self, hook: ScenarioHook) -> None:
        self._hook = hook
        # One try a poll: the next poll makes up for a failed one, after a growing pause.
        self._clients: CurrentClients[ScenarioClient] = CurrentClients(
            hook, poll=lambda: hook.connect(max_tries=1), result=hook.connect
        )
        self._closed = threading.Event()

    @property
    def client(self) -> ScenarioClient:
        """A client that tries each request once."""
        return self._clients.get("poll")

    def poll(
        self,
        model_id: str | None,
        job_id: str | None,
        *,
        max_wait: float = float("inf"),
        wait_notice: WaitNotice | None = None,
    ) -> PollAnswer | None:
        """
        Poll one training in its turn of the request budget, in which creating, starting and cancelling come first.

        :param max_wait: seconds to wait at most for the turn.
        :param wait_notice: logs that the turn is far away.
        :return: None if the turn did not come in time; then nothing was sent.
        """
        return self._poll_alone(model_id, job_id) if self._wait_for_turn(max_wait, wait_notice) else None

    def turn(self) -> float:
        """Take the next turn to poll; returns the seconds to wait for it."""
        return self._hook.budget.turn()

    @property
    def why_wait(self) -> str:
        """Why a turn is far away, for the log."""
        return self._hook.budget.why_wait

    def poll_many(self, trainings: Sequence[tuple[str | None, str | None]]) -> list[PollAnswer]:
        """
        Poll several trainings, 50 with one request; each answer is the one that a poll of that training alone returns.

        The first request is sent at once, because the caller has waited for its turn; each further one waits here.

        :param trainings: model id and job id of each.
        """
        ids = list(dict.fromkeys(model_id for model_id, _ in trainings if model_id))
        if len(ids) <= 1:
            first, *others = trainings
            return [self._poll_alone(*first), *(self._one_of({}, *other) for other in others)]
        models = self._send(lambda client: read_models(client, ids, only_status=True))
        if isinstance(models, ScenarioError):
            if not (isinstance(models, RequestRefusedError) and models.permanent):
                return [models] * len(trainings)
            models = {}  # one training may be the reason for the refusal; read alone, only that one gets the error
        return [self._one_of(models, model_id, job_id) for model_id, job_id in trainings]

    def snapshot_of(self, answer: PollAnswer) -> Snapshot | ScenarioError:
        """As :func:`snapshot_of`, with the address of the model's page where a person has to act there."""
        snapshot = snapshot_of(answer)
        if isinstance(snapshot, Snapshot) and snapshot.needs_person:
            return with_page(snapshot, self._hook.app_url)
        return snapshot

    def fetch_result(
        self,
        outcome: Outcome,
        answer: PollAnswer,
        model_id: str | None,
        job_id: str | None,
        wait_notice: WaitNotice | None = None,
    ) -> TrainingResult:
        """
        As :func:`fetch_result`, with more than one try, because no later poll makes up for a failed request.

        :param wait_notice: logs that the turn is far away.
        """
        if outcome in FINAL_STATUSES.values():
            # Wait for a turn: a thousand trainings that end together must not send their requests in one burst. After
            # a time-out do not wait, so that the training can be cancelled soon.
            self._wait_for_turn(wait_notice=wait_notice)
        client = self._clients.get("result")
        if outcome == "trained" and isinstance(answer, Model) and not (answer.epochs and answer.training_stats):
            # The answer to a request for many models may lack them.
            alone = poll(client, answer.id, job_id)
            answer = alone if isinstance(alone, Model) else answer
        return fetch_result(client, outcome, answer, model_id, job_id)

    def close(self) -> None:
        """Close the connections and stop waiting for turns."""
        self._closed.set()
        self._clients.close()

    def _one_of(self, models: Mapping[str, Model], model_id: str | None, job_id: str | None) -> PollAnswer:
        model = models.get(model_id or "")
        if model is None or not model.status or is_anothers(model, job_id):
            # A model that was deleted or never existed is missing in the answer; read alone, it is a 404.
            self._wait_for_turn()
            return self._poll_alone(model_id, job_id)
        return model

    def _wait_for_turn(self, max_wait: float = float("inf"), wait_notice: WaitNotice | None = None) -> bool:
        """Whether the turn has come in time; if it does not, this waits for ``max_wait`` only."""
        seconds, max_wait = self.turn(), max(0.0, max_wait)
        if wait_notice:
            wait_notice(seconds, self.why_wait)
        in_time = seconds <= max_wait + LAST_POLL_GRACE
        self._closed.wait(seconds if in_time else max_wait)
        return in_time

    def _poll_alone(self, model_id: str | None, job_id: str | None) -> PollAnswer:
        return self._send(lambda client: _read(client, model_id, job_id))

    def _send(self, request: Callable[[ScenarioClient], T]) -> T | ScenarioError:
        if self._closed.is_set():
            return ServiceError(f"The poller was closed. {NOTHING_SENT}", maybe_done=False)
        metrics.count("polls")
        return self._clients.send("poll", request)


def snapshot_of(answer: PollAnswer) -> Snapshot | ScenarioError:
    """Return what the decision needs of an answer."""
    if isinstance(answer, ScenarioError):
        return answer
    return Snapshot.of_job(answer) if isinstance(answer, Job) else Snapshot.of_model(answer)


def with_page(snapshot: Snapshot, app_url: str) -> Snapshot:
    """Add the address of the model's page where a person has to act there, if a browser may be sent to it."""
    page = model_page(app_url, snapshot.model_id or "") if snapshot.needs_person else ""
    return replace(snapshot, page=page) if is_model_page(page) else snapshot


def fetch_result(
    client: ScenarioClient, outcome: Outcome, answer: PollAnswer, model_id: str | None, job_id: str | None
) -> TrainingResult:
    """
    Gather what a result or an error message needs, with one more request, for the job: its cost and its error.

    The outcome is known already, so that a failed request costs details only, never the result.
    """
    if isinstance(answer, ScenarioError):
        return TrainingResult(outcome=outcome, model_id=model_id, job_id=job_id, error=str(answer))
    if isinstance(answer, Job):
        return TrainingResult.of(outcome, None, answer, model_id=model_id)
    job = _job(client, answer.job_id or job_id)
    metrics.end_noticed(job.updated_at if job else None)
    return TrainingResult.of(outcome, answer, job, model_id=model_id)


def fetch_missed_end(client: ScenarioClient, model_id: str | None, job_id: str | None) -> TrainingResult | None:
    """Return how a training ended since the last poll; None if it has not ended or that is not known."""
    if not (model_id and job_id):  # without the job, the end of an earlier training could be taken for this one's
        return None
    answer = poll(client, model_id, job_id)
    snapshot = snapshot_of(answer)
    outcome = FINAL_STATUSES.get(snapshot.status or "") if isinstance(snapshot, Snapshot) else None
    return fetch_result(client, outcome, answer, model_id, job_id) if outcome in ("trained", "failed") else None


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

    :param log: gets a line whenever something has changed.
    :param warn: gets what a person must do. Default: ``log``.
    """
    poller, wait_notice = Poller(hook), WaitNotice(log)
    while True:
        answer = poller.poll(model_id, job_id, max_wait=watch.deadline - clock(), wait_notice=wait_notice)
        if answer is None:
            return TrainingResult(outcome="timed-out", model_id=model_id, job_id=job_id)
        outcome = watch.after(poller.snapshot_of(answer), clock())
        if watch.log_line:
            log(watch.log_line)
        if watch.warning:
            (warn or log)(watch.warning)
        if outcome:
            return poller.fetch_result(outcome, answer, model_id, job_id, wait_notice)
        sleep(watch.pause)


def _job(client: ScenarioClient, job_id: str | None) -> Job | None:
    try:
        return client.get_job(job_id) if job_id else None
    except ScenarioError:
        return None
