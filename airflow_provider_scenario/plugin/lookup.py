"""
Polls of the trainings for the page: in bulk, for all viewers together, with the connections' own credentials.

A page does not wait for a slow service: after a moment it shows what is known, with its age. A final status is not
polled again. All of it is kept in this process only: each worker of the API server polls for itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_scenario.client.errors import NotFoundError, RequestRefusedError
from airflow_provider_scenario.client.scenario.models import BULK
from airflow_provider_scenario.plugin import proof
from airflow_provider_scenario.plugin.connection import PageConnection
from airflow_provider_scenario.plugin.page_requests import CONNECTION, POLL_INTERVAL, Key, PageRequests
from airflow_provider_scenario.plugin.quota import NotNowError
from airflow_provider_scenario.plugin.snapshots import Details, page_snapshot
from airflow_provider_scenario.plugin.thread_share import ThreadShare
from airflow_provider_scenario.plugin.values import cannot_show
from airflow_provider_scenario.watch.decision import Snapshot
from airflow_provider_scenario.watch.polling import read_models, with_page

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Job, Model
    from airflow_provider_scenario.plugin.page_requests import Trouble
    from airflow_provider_scenario.plugin.trainings import Training

RENEW_EVERY = 60.0
"""Seconds between two requests for new addresses of the same training's pictures; Scenario's are valid for longer."""

GONE_FOR = 60.0
"""Seconds without a request for a model that Scenario did not know."""

PATIENCE = 0.5
"""Seconds that a viewer waits for an answer at most; a later one is shown at the next refresh."""

THREADS, THREADS_EACH = 16, 4
"""For all connections together, and for one of them."""

KEPT_MODELS, KEPT_DETAILS = 20_000, 200

T = TypeVar("T")


class ScenarioLookup:
    """
    What Scenario knows of the trainings of one connection.

    :param conn_id: connection of type ``scenario``.
    :param threads: where requests are sent.
    :param clock: Unix time in seconds.
    """

    def __init__(self, conn_id: str, threads: Executor, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._connection = PageConnection(conn_id, clock, on_change=self._forget_all)
        self._requests = PageRequests(threads, self._connection.quota, clock)
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()
        self._details: OrderedDict[tuple[str, str | None], Details] = OrderedDict()

    def snapshots(self, jobs: Mapping[str, str | None], *, max_wait: float) -> dict[str, Snapshot]:
        """
        Return the latest snapshots, after polling those models that may have changed.

        :param jobs: model id → id of the job that trains it, as far as known.
        :param max_wait: seconds to wait for the answers.
        """
        with self._requests.lock:
            due = [id_ for id_, job_id in jobs.items() if not self._is_settled(id_, job_id)]
            due = [id_ for id_ in due if self._requests.is_due(("status", id_))]
            pause = self._requests.pause(("status", id_) for id_ in due)
            for start in range(0, len(due), BULK):
                chunk = due[start : start + BULK]
                self._requests.start([("status", id_) for id_ in chunk], partial(self._poll, chunk), pause)
        self._requests.wait({("status", id_) for id_ in jobs}, max_wait)
        with self._requests.lock:
            return {id_: self._snapshots[id_] for id_ in jobs if id_ in self._snapshots}

    def details(self, model_id: str, job_id: str | None, *, max_wait: float) -> Details | None:
        """Return all that is known of one training, after requesting what may have changed."""
        keys: list[Key] = [("details", model_id), ("status", model_id)]  # one answer for both
        with self._requests.lock:
            known = self._details.get((model_id, job_id))
            is_settled = known is not None and known.is_final and self._is_settled(model_id, job_id)
            if not is_settled and self._requests.is_due(keys[0]):
                request = partial(self._read_details, model_id, job_id)
                self._requests.start(keys, request, self._requests.pause(keys[:1]))
        self._requests.wait(keys[:1], max_wait)
        return self._details.get((model_id, job_id))

    def renew_addresses(self, refused: Details, job_id: str | None, *, max_wait: float) -> Details | None:
        """
        Return the details with new addresses of the pictures, after requesting them unless that was done just before.

        :param refused: the details whose addresses have expired.
        """
        model_id = refused.model.id
        keys: list[Key] = [("addresses", model_id), ("details", model_id), ("status", model_id)]  # one answer for all
        with self._requests.lock:
            if self._details.get((model_id, job_id)) is refused and self._requests.is_due(keys[0]):
                self._requests.start(keys, partial(self._read_details, model_id, job_id), RENEW_EVERY)
        self._requests.wait(keys[:1], max_wait)
        details = self._details.get((model_id, job_id))
        return None if details is refused else details

    def more_to_come(self, model_id: str, job_id: str | None) -> bool:
        """Whether a later request may show more of this training: its details are not final, and its model exists."""
        with self._requests.lock:
            known = self._details.get((model_id, job_id))
            return not (known is not None and known.is_final) and not self.is_gone(model_id)

    def is_gone(self, model_id: str) -> bool:
        """Whether Scenario has answered that it does not know the model."""
        snapshot = self._snapshots.get(model_id)
        return snapshot is not None and snapshot.status is None

    def client(self) -> ScenarioClient:
        """Return a client with short time-outs, for what a person wants done."""
        return self._connection.client("act")

    def secret(self, *, max_wait: float) -> str | None:
        """The connection's API secret, which seals what its tasks claim; None while it cannot be read."""
        with self._requests.lock:
            if self._connection.is_stale and self._requests.is_due(CONNECTION):
                self._requests.start([CONNECTION], self._read_connection, POLL_INTERVAL)
        self._requests.wait({CONNECTION}, max_wait)
        return self._connection.secret

    @property
    def verify(self) -> bool | str:
        """Which certificates are trusted."""
        return self._connection.verify

    @property
    def http_host(self) -> str | None:
        """The connection's host if it is reached without TLS, such as the emulator's."""
        return self._connection.http_host

    @property
    def is_polling(self) -> bool:
        """Whether an answer is on its way."""
        return self._requests.is_polling

    @property
    def trouble(self) -> Trouble | None:
        """Why there is nothing new; None if the last request has succeeded."""
        return self._requests.trouble

    def forget(self, model_id: str) -> None:
        """Drop what is known of a model that was changed just now, so that the next refresh requests it."""
        with self._requests.lock:
            self._requests.make_due([("status", model_id), ("details", model_id)])
            self._snapshots.pop(model_id, None)
            for key in [key for key in self._details if key[0] == model_id]:
                del self._details[key]

    def _forget_all(self) -> None:
        with self._requests.lock:
            self._snapshots.clear()
            self._details.clear()

    def _is_settled(self, model_id: str, job_id: str | None) -> bool:
        snapshot = self._snapshots.get(model_id)
        return snapshot is not None and snapshot.is_final and snapshot.is_of(job_id)

    def _read_connection(self) -> None:
        self._connection.client("read")

    def _snapshot(self, model: Model, at: float) -> Snapshot:
        return with_page(page_snapshot(model, at), self._connection.app_url)

    def _poll(self, model_ids: list[str]) -> None:
        models = read_models(self._connection.client("read"), model_ids, only_status=False)
        now = self._clock()
        snapshots = {}
        for model_id in model_ids:
            try:
                model = models.get(model_id)
                snapshots[model_id] = self._snapshot(model, now) if model else Snapshot(status=None, at=now)
            except Exception as problem:  # the others of the same answer must be shown all the same
                cannot_show(model_id, problem)
        with self._requests.lock:
            self._snapshots.update(snapshots)
            while len(self._snapshots) > KEPT_MODELS:
                self._snapshots.popitem(last=False)

    def _read_details(self, model_id: str, job_id: str | None) -> None:
        client, key = self._connection.client("read"), (model_id, job_id)
        before = self._details.get(key)
        try:
            model = client.get_model(model_id)
        except NotFoundError:
            with self._requests.lock:
                self._snapshots[model_id] = Snapshot(status=None, at=self._clock())
                self._details.pop(key, None)
                self._requests.postpone([("details", model_id)], GONE_FOR)
            return
        job, score, complete = _job_and_score(client, model, job_id or model.job_id, before)
        details = Details(at=self._clock(), model=model, job=job, score=score, complete=complete)
        with self._requests.lock:
            self._details[key] = details
            self._snapshots[model_id] = self._snapshot(model, details.at)
            while len(self._details) > KEPT_DETAILS:
                self._details.popitem(last=False)


def _job_and_score(
    client: ScenarioClient, model: Model, job_id: str | None, before: Details | None
) -> tuple[Job | None, DatasetScore | None, bool]:
    """Return both, and False where the quota allowed no further request: then what was known before is kept."""
    job, score = (before.job, before.score) if before else (None, None)
    if job and job.job_id != job_id:  # the job of an earlier training of the same model
        job = None
    try:
        if score is None and model.training_images:
            score = _unless_refused(lambda: client.get_dataset_score(model.id))
        if job_id:
            job = _unless_refused(lambda: client.get_job(job_id))
    except NotNowError:
        return job, score, False
    return job, score, True


def _unless_refused(request: Callable[[], T]) -> T | None:
    """Return None if Scenario refuses: the page shows the rest without this part."""
    try:
        return request()
    except (NotFoundError, RequestRefusedError):
        return None


class Lookups:
    """
    One lookup for each connection, for the life of the process.

    :param calls: False for an API server that must not or cannot reach Scenario: then no request is sent.
    """

    def __init__(self, *, calls: bool = True) -> None:
        self.calls = calls
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="scenario-page")
        self._by_connection: dict[str, ScenarioLookup] = {}

    def __getitem__(self, conn_id: str) -> ScenarioLookup:
        new = ScenarioLookup(conn_id, ThreadShare(self._threads, THREADS_EACH))
        return self._by_connection.setdefault(conn_id, new)

    def prove(self, trainings: Iterable[Training]) -> list[Training]:
        """
        Give each training its model where that is proven to be its own. Call this before all that polls a model.

        Where Airflow proves nothing, the models are polled in bulk for their markers.
        """
        found = list(trainings)
        if not self.calls:
            return [proof.by_airflow(training, None) for training in found]
        connections = {training.conn_id for training in found if training.sealed}
        secrets = {conn_id: self[conn_id].secret(max_wait=PATIENCE / len(connections)) for conn_id in connections}
        found = [proof.by_airflow(training, secrets.get(training.conn_id)) for training in found]
        unproven = [replace(each, model_id=each.pushed_model_id, status=None) for each in found if not each.model_id]
        snapshots = self.snapshots(unproven)
        return [proof.by_marker(each, snapshots.get((each.conn_id, each.pushed_model_id or ""))) for each in found]

    def snapshots(self, trainings: Iterable[Training]) -> dict[tuple[str, str], Snapshot]:
        """Return the latest snapshots of these trainings, by connection and model; finished tasks are not polled."""
        wanted: dict[str, dict[str, str | None]] = {}
        for training in trainings if self.calls else ():
            if training.model_id and training.status is None:
                wanted.setdefault(training.conn_id, {})[training.model_id] = training.job_id
        return {
            (conn_id, model_id): snapshot
            for conn_id, jobs in wanted.items()
            for model_id, snapshot in self[conn_id].snapshots(jobs, max_wait=PATIENCE / len(wanted)).items()
        }

    def details(self, training: Training) -> Details | None:
        """Return all that is known of one training."""
        if not (self.calls and training.model_id):
            return None
        return self[training.conn_id].details(training.model_id, training.job_id, max_wait=PATIENCE)

    def more_to_come(self, training: Training) -> bool:
        """Whether a later request may show more of this training."""
        if not (self.calls and training.model_id):
            return False
        return self[training.conn_id].more_to_come(training.model_id, training.job_id)

    @property
    def is_polling(self) -> bool:
        """Whether an answer is on its way, so that the page refreshes soon."""
        return any(lookup.is_polling for lookup in list(self._by_connection.values()))

    def troubles(self, trainings: Iterable[Training]) -> list[Trouble]:
        """Return why the connections of these trainings show nothing new."""
        lookups = [self[conn_id] for conn_id in sorted({training.conn_id for training in trainings})]
        return [lookup.trouble for lookup in lookups if lookup.trouble]
