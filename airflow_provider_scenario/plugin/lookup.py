"""
What Scenario says of the trainings: asked in bulk, for all viewers together, with the connection's own credentials.

Nobody waits for a slow service: whoever looks gets what is known after a moment, with its age. What is final is never
asked again. All of it is kept in this process only: each worker of the API server asks for itself.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider_scenario.client.errors import NotFoundError, RequestRefusedError, ScenarioError
from airflow_provider_scenario.client.scenario.models import BULK
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.links import is_model_page, model_page
from airflow_provider_scenario.plugin import proof
from airflow_provider_scenario.plugin.quota import Metered, NotNowError, Quota
from airflow_provider_scenario.plugin.values import SHORT, cannot_show, number, text
from airflow_provider_scenario.provenance import Marker
from airflow_provider_scenario.watch.decision import CAPTCHA_STAGES, FINAL_STATUSES

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Job, Model
    from airflow_provider_scenario.plugin.trainings import Training

log = logging.getLogger(__name__)

EVERY = 4.0
"""Seconds between two questions about the same model."""

AFTER_TROUBLE = 15.0
"""Seconds without a question after one that went wrong."""

RENEW_EVERY = 60.0
"""Seconds between two requests for new addresses of the same training's pictures; Scenario's last for longer."""

GONE_FOR = 60.0
"""Seconds without a question about a model that Scenario did not know."""

PATIENCE = 0.5
"""Seconds that a viewer waits for an answer at most; what comes later is there at the next look."""

TIMEOUT = (2.0, 8.0)
THREADS, THREADS_EACH = 16, 4
"""For all connections, and of those for one: a service that hangs leaves the rest to the others."""

KEPT_MODELS, KEPT_DETAILS = 20_000, 200
READ_CONNECTION_EVERY = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSnapshot:
    """
    One model as it was seen.

    :param at: when, as a Unix time in seconds.
    :param status: None where Scenario does not know the model.
    :param stage: of the training, while it runs.
    :param position: trainings in the queue before it.
    :param seconds_left: from ``at`` on.
    :param page: the model's, in Scenario's web app; only where a person has to do something there.
    :param made_by: the task that the model says has made it, as a :class:`Marker` has it.
    """

    at: float
    status: str | None = None
    name: str | None = None
    type: str | None = None
    job_id: str | None = None
    stage: str | None = None
    progress: float | None = None
    position: int | None = None
    seconds_left: float | None = None
    trouble: str | None = None
    made_by: str | None = None
    page: str | None = None

    @classmethod
    def of(cls, model: Model, at: float) -> ModelSnapshot:
        marker = Marker.find(text(model.short_description))
        progress = model.training_progress
        running = progress if model.status == "training" else None
        left = number(running.remaining_time_ms) if running else None
        position = number(running.position) if running else None
        return cls(
            at=at,
            status=model.status,
            name=text(model.name, SHORT),
            type=text(model.type, SHORT),
            job_id=model.job_id,
            stage=text(running.stage, SHORT) if running else None,
            progress=number(running.progress) if running else None,
            position=int(position) if position is not None else None,
            seconds_left=left / 1000 if left is not None else None,
            trouble=text(running.retryable_error) if running else None,
            made_by=marker.task if marker else None,
        )

    def is_of(self, job_id: str | None) -> bool:
        """Whether it shows this training, not an earlier or later one of the same model."""
        return job_id is None or self.job_id is None or job_id == self.job_id

    @property
    def final(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def needs_person(self) -> bool:
        """Whether the training cannot go on until a person has solved a captcha."""
        return self.status == "training" and self.stage in CAPTCHA_STAGES

    def with_page(self, app_url: str, model_id: str) -> ModelSnapshot:
        """The same with the model's page, if a browser may be sent there."""
        page = model_page(app_url, model_id)
        return replace(self, page=page if is_model_page(page) else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """All that Scenario says of one training."""

    at: float
    model: Model
    job: Job | None = None
    score: DatasetScore | None = None
    complete: bool = True
    """False where the page had no request left for the job or the score."""

    @property
    def final(self) -> bool:
        return self.complete and self.model.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is nothing new, since when, and when it is tried again: Unix times in seconds."""

    text: str
    since: float
    again_at: float


_Key = tuple[str, str]
_BULK, _ONE, _RENEWED = "in bulk", "one", "renewed"
_CONNECTION: _Key = ("connection", "")
T = TypeVar("T")


class ScenarioLookup:
    """
    The line to Scenario over one connection.

    :param conn_id: of type ``scenario``.
    :param threads: where questions are asked.
    :param clock: Unix time in seconds.
    """

    def __init__(self, conn_id: str, threads: Executor, *, clock: Callable[[], float] = time.time) -> None:
        self._hook = ScenarioHook(conn_id)
        self._threads = threads
        self._clock = clock
        self._sights: OrderedDict[str, ModelSnapshot] = OrderedDict()
        self._details: OrderedDict[tuple[str, str | None], Details] = OrderedDict()
        self._next: dict[_Key, float] = {}
        self._under_way: dict[_Key, Future[None]] = {}
        self._lock, self._connecting = threading.Lock(), threading.Lock()
        self._clients: tuple[ScenarioClient, ScenarioClient] | None = None
        self._read_connection_at = 0.0
        self._quota = Quota(clock)
        self.trouble: Trouble | None = None

    def sights(self, jobs: Mapping[str, str | None], *, patience: float) -> dict[str, ModelSnapshot]:
        """
        The models as they were last seen, after asking for those that may have changed.

        :param jobs: model id → id of the job that trains it, as far as known.
        :param patience: seconds to wait for the answers.
        """
        with self._lock:
            due = [
                id_ for id_, job_id in jobs.items() if not self._is_settled(id_, job_id) and self._is_due((_BULK, id_))
            ]
            pause = self._pause((_BULK, id_) for id_ in due)
            for start in range(0, len(due), BULK):
                chunk = due[start : start + BULK]
                self._begin([(_BULK, model_id) for model_id in chunk], partial(self._see, chunk), pause)
        self._wait({(_BULK, model_id) for model_id in jobs}, patience)
        with self._lock:
            return {model_id: self._sights[model_id] for model_id in jobs if model_id in self._sights}

    def details(self, model_id: str, job_id: str | None, *, patience: float) -> Details | None:
        """All that is known of one training, after asking for what may have changed."""
        keys = [(_ONE, model_id), (_BULK, model_id)]  # one answer for both
        with self._lock:
            known = self._details.get((model_id, job_id))
            settled = known is not None and known.final and self._is_settled(model_id, job_id)
            if not settled and self._is_due(keys[0]):
                self._begin(keys, partial(self._read, model_id, job_id), self._pause(keys[:1]))
        self._wait(keys[:1], patience)
        return self._details.get((model_id, job_id))

    def has_told_all(self, model_id: str, job_id: str | None) -> bool:
        """Whether the details are those of the end, or the model is gone: no later look shows more of this training."""
        with self._lock:
            known, sight = self._details.get((model_id, job_id)), self._sights.get(model_id)
        return (known is not None and known.final) or (sight is not None and sight.status is None)

    def renewed(self, refused: Details, job_id: str | None, *, patience: float) -> Details | None:
        """
        The details with other addresses of the pictures, after asking for them if nobody has done so lately.

        :param refused: the details whose addresses are not accepted any more.
        """
        model_id = refused.model.id
        keys = [(_RENEWED, model_id), (_ONE, model_id), (_BULK, model_id)]  # one answer for all
        with self._lock:
            if self._details.get((model_id, job_id)) is refused and self._is_due(keys[0]):
                self._begin(keys, partial(self._read, model_id, job_id), RENEW_EVERY)
        self._wait(keys[:1], patience)
        details = self._details.get((model_id, job_id))
        return None if details is refused else details

    def is_gone(self, model_id: str) -> bool:
        """Whether Scenario has said that it does not know the model."""
        sight = self._sights.get(model_id)
        return sight is not None and sight.status is None

    def client(self) -> ScenarioClient:
        """A client with short time-outs for what people want done; a new one where the connection has changed."""
        return self._connected()[1]

    def _connected(self) -> tuple[ScenarioClient, ScenarioClient]:
        """Two clients, one to look and one to act: each asks the page's quota before every request."""
        with self._connecting:  # a lock of its own: whoever only looks does not wait for it
            now = self._clock()
            if self._clients is None or now - self._read_connection_at > READ_CONNECTION_EVERY:
                if self._clients is None or self._hook.renew():
                    self._clients = self._connect(self._quota.read), self._connect(self._quota.act)
                    self._quota.allow(self._hook.settings["requests_per_minute"])
                    with self._lock:
                        self._sights.clear()
                        self._details.clear()
                self._read_connection_at = now
            return self._clients

    def _connect(self, allow: Callable[[], None]) -> ScenarioClient:
        return self._hook.connect(timeout=TIMEOUT, max_tries=1, budget=Metered(self._hook.budget, allow))

    def secret(self, *, patience: float) -> str | None:
        """The connection's API secret, which seals what its tasks claim; None while it cannot be read."""
        with self._lock:
            stale = self._clock() - self._read_connection_at > READ_CONNECTION_EVERY
            if (self._clients is None or stale) and self._is_due(_CONNECTION):
                self._begin([_CONNECTION], self._read_connection, EVERY)
        self._wait({_CONNECTION}, patience)
        return str(self._hook.settings["api_secret"]) if self._clients else None

    @property
    def verify(self) -> bool | str:
        """Which certificates are trusted."""
        verify: bool | str = self._hook.settings["verify"]
        return verify

    @property
    def http_host(self) -> str | None:
        """The host of the connection where it is reached without TLS, such as the emulator's."""
        base = urlsplit(self._hook.settings.get("base_url", ""))
        return base.hostname if base.scheme == "http" else None

    @property
    def asking(self) -> bool:
        """Whether an answer is on its way."""
        with self._lock:
            return any(not future.done() for future in self._under_way.values())

    def forget(self, model_id: str) -> None:
        """Ask for the model at the next look: it was changed just now."""
        with self._lock:
            for key in ((_BULK, model_id), (_ONE, model_id)):
                self._next.pop(key, None)
            self._sights.pop(model_id, None)
            for of in [of for of in self._details if of[0] == model_id]:
                del self._details[of]

    def _is_settled(self, model_id: str, job_id: str | None) -> bool:
        sight = self._sights.get(model_id)
        return sight is not None and sight.final and sight.is_of(job_id)

    def _is_due(self, key: _Key) -> bool:
        now = self._clock()
        quiet = self.trouble is not None and now < self.trouble.again_at
        asked = self._under_way.get(key)
        return not quiet and (asked is None or asked.done()) and self._next.get(key, 0.0) <= now

    def _pause(self, asked: Iterable[_Key]) -> float:
        """Seconds until these may be asked for again, in turn with all else that is looked at."""
        recently = self._clock() - 60
        watched = Counter(kind for kind, _ in {*asked, *(key for key, at in self._next.items() if at > recently)})
        return max(EVERY, self._quota.seconds_between_reads * (math.ceil(watched[_BULK] / BULK) + 2 * watched[_ONE]))

    def _read_connection(self) -> None:
        self._connected()

    def _begin(self, keys: Collection[_Key], question: Callable[[], None], pause: float) -> None:
        future, now = self._threads.submit(self._try, keys, question), self._clock()
        if len(self._next) > KEPT_MODELS:
            self._next = {key: at for key, at in self._next.items() if at > now}
        for key in keys:
            self._next[key] = now + pause
            self._under_way[key] = future

    def _wait(self, keys: Collection[_Key], patience: float) -> None:
        """For the answers to these questions, whoever has asked them."""
        with self._lock:
            futures = {future for key, future in self._under_way.items() if key in keys}
        wait(futures, timeout=patience)
        with self._lock:
            self._under_way = {key: future for key, future in self._under_way.items() if not future.done()}

    def _try(self, keys: Collection[_Key], question: Callable[[], None]) -> None:
        try:
            question()
        except NotNowError as refused:
            again_at = self._clock() + (refused.retry_after or 0.0)
            with self._lock:
                self._next.update(dict.fromkeys(keys, again_at))
        except Exception as problem:
            # Airflow's own errors, such as of a connection that is not there, are for people too.
            for_people = isinstance(problem, ScenarioError) or type(problem).__module__.startswith("airflow")
            text = str(problem) if for_people else type(problem).__name__
            now = self._clock()
            with self._lock:
                since = self.trouble.since if self.trouble else now
                if self.trouble is None:
                    log.warning("The Trainings page cannot ask Scenario: %s", text)
                self.trouble = Trouble(text, since, again_at=now + AFTER_TROUBLE)
            self._quota.pause_reads(AFTER_TROUBLE)
        else:
            if question != self._read_connection:  # which asks Airflow, not Scenario
                self.trouble = None
                self._quota.resume_reads()

    def _sight(self, model: Model, at: float) -> ModelSnapshot:
        sight = ModelSnapshot.of(model, at)
        return sight.with_page(self._hook.app_url, model.id) if sight.needs_person else sight

    def _see(self, model_ids: list[str]) -> None:
        models = self._connected()[0].get_models(model_ids)
        now = self._clock()
        seen = {model_id: ModelSnapshot(at=now) for model_id in model_ids}
        for model in models:
            if model.id in seen:
                try:
                    seen[model.id] = self._sight(model, now)
                except Exception as problem:  # one odd model must not keep the others away
                    cannot_show(model.id, problem)
                    del seen[model.id]
        with self._lock:
            self._sights.update(seen)
            while len(self._sights) > KEPT_MODELS:
                self._sights.popitem(last=False)

    def _read(self, model_id: str, job_id: str | None) -> None:
        client, of = self._connected()[0], (model_id, job_id)
        before = self._details.get(of)
        try:
            model = client.get_model(model_id)
        except NotFoundError:
            with self._lock:
                self._sights[model_id] = ModelSnapshot(at=self._clock())
                self._details.pop(of, None)
                self._next[_ONE, model_id] = self._clock() + GONE_FOR
            return
        job_id = job_id or model.job_id
        job, score = (before.job, before.score) if before else (None, None)
        if job and job.job_id != job_id:  # of an earlier training of the same model
            job = None
        try:
            if score is None and model.training_images:
                score = _unless_refused(lambda: client.get_dataset_score(model_id))
            if job_id:
                job = _unless_refused(lambda: client.get_job(job_id))
        except NotNowError:
            complete = False
        else:
            complete = True
        details = Details(at=self._clock(), model=model, job=job, score=score, complete=complete)
        with self._lock:
            self._details[of] = details
            self._sights[model_id] = self._sight(model, details.at)
            while len(self._details) > KEPT_DETAILS:
                self._details.popitem(last=False)


def _unless_refused(question: Callable[[], T]) -> T | None:
    """What is only good to know must not keep the rest away."""
    try:
        return question()
    except (NotFoundError, RequestRefusedError):
        return None


class Share(Executor):
    """
    Some of the threads of a pool.

    :param pool: that others use, too.
    :param most: threads that are used at once; what is submitted beyond waits.
    """

    def __init__(self, pool: Executor, most: int) -> None:
        self._pool, self._free = pool, most
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, partial(fn, *args, **kwargs)))
            if not self._free:
                return future
            self._free -= 1
        self._pool.submit(self._work)
        return future

    def _work(self) -> None:
        """Do one thing, then queue up again behind the others who use the pool."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            future, work = self._waiting.popleft()
        try:
            future.set_result(work())
        except BaseException as problem:  # as the pool itself does
            future.set_exception(problem)
        self._pool.submit(self._work)


class Lookups:
    """
    One line for each connection, for the life of the process.

    :param calls: False for an API server that must not or cannot reach Scenario: then nothing is asked.
    """

    def __init__(self, *, calls: bool = True) -> None:
        self.calls = calls
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="scenario-page")
        self._lines: dict[str, ScenarioLookup] = {}

    def __getitem__(self, conn_id: str) -> ScenarioLookup:
        return self._lines.setdefault(conn_id, ScenarioLookup(conn_id, Share(self._threads, THREADS_EACH)))

    def prove(self, trainings: Iterable[Training]) -> list[Training]:
        """
        Let each training have its model where that is proven to be its own; every look at a model comes after this.

        Where Airflow proves nothing the model is asked for, in bulk, which task has made it.
        """
        found = list(trainings)
        if not self.calls:
            return [proof.by_airflow(training, None) for training in found]
        connections = {training.conn_id for training in found if training.sealed}
        secrets = {conn_id: self[conn_id].secret(patience=PATIENCE / len(connections)) for conn_id in connections}
        found = [proof.by_airflow(training, secrets.get(training.conn_id)) for training in found]
        unproven = [replace(each, model_id=each.pushed_model_id, status=None) for each in found if not each.model_id]
        sights = self.sights(unproven)
        return [proof.by_marker(each, sights.get((each.conn_id, each.pushed_model_id or ""))) for each in found]

    def sights(self, trainings: Iterable[Training]) -> dict[tuple[str, str], ModelSnapshot]:
        """What is known of these trainings, by connection and model; what a task has returned is not asked for."""
        wanted: dict[str, dict[str, str | None]] = {}
        for training in trainings if self.calls else ():
            if training.model_id and training.status is None:
                wanted.setdefault(training.conn_id, {})[training.model_id] = training.job_id
        return {
            (conn_id, model_id): sight
            for conn_id, jobs in wanted.items()
            for model_id, sight in self[conn_id].sights(jobs, patience=PATIENCE / len(wanted)).items()
        }

    def details(self, training: Training) -> Details | None:
        """All that is known of one training."""
        if not (self.calls and training.model_id):
            return None
        return self[training.conn_id].details(training.model_id, training.job_id, patience=PATIENCE)

    def has_told_all(self, training: Training) -> bool:
        """Whether no later look shows more of this training."""
        return not (self.calls and training.model_id) or self[training.conn_id].has_told_all(
            training.model_id, training.job_id
        )

    @property
    def asking(self) -> bool:
        """Whether an answer is on its way, so that it is worth looking again soon."""
        return any(line.asking for line in list(self._lines.values()))

    def troubles(self, trainings: Iterable[Training]) -> list[Trouble]:
        """What keeps the connections of these trainings from telling anything new."""
        lines = [self[conn_id] for conn_id in sorted({training.conn_id for training in trainings})]
        return [line.trouble for line in lines if line.trouble]
