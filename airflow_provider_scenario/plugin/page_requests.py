"""Requests of the page over one connection: when each may be sent, and in which thread."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import Literal

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.scenario.models import BULK
from airflow_provider_scenario.pacing import Pacing
from airflow_provider_scenario.plugin.quota import NotNowError, Quota

log = logging.getLogger(__name__)

POLL_INTERVAL = 4.0
"""Seconds between two polls of the same model, at least."""

AFTER_TROUBLE = 15.0
"""Seconds without a read after one that has failed, unless Scenario asks for more with ``Retry-After``."""

LONGEST_TROUBLE = 60.0
"""Seconds of that pause at most, whatever ``Retry-After`` says: a corrected connection must work again soon."""

MAX_KEYS = 20_000

Kind = Literal["status", "details", "addresses", "connection"]
"""``status``: many models with one request; ``details``: one training; ``addresses``: new ones of its pictures."""

Key = tuple[Kind, str]
"""What is requested, and the id of the model that it is about."""

CONNECTION: Key = ("connection", "")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is nothing new, since when, and when the next request is sent: Unix times in seconds."""

    text: str
    since: float
    again_at: float


class PageRequests:
    """
    Sends the page's requests in threads: each once at a time, and not before it is due again.

    :param threads: where requests are sent.
    :param quota: how many requests the page may send.
    :param clock: Unix time in seconds.

    ``lock`` makes several calls one step, such as :meth:`is_due` and then :meth:`start`.
    """

    def __init__(self, threads: Executor, quota: Quota, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.trouble: Trouble | None = None
        self._threads = threads
        self._quota = quota
        self._clock = clock
        self._next_at: dict[Key, float] = {}
        self._under_way: dict[Key, Future[None]] = {}
        self._pacing = Pacing(AFTER_TROUBLE, max_backoff=AFTER_TROUBLE)

    @property
    def is_polling(self) -> bool:
        """Whether an answer is on its way."""
        with self.lock:
            return any(not future.done() for future in self._under_way.values())

    def is_due(self, key: Key) -> bool:
        """Whether this may be requested now."""
        now, under_way = self._clock(), self._under_way.get(key)
        pauses = self.trouble is not None and now < self.trouble.again_at
        return not pauses and (under_way is None or under_way.done()) and self._next_at.get(key, 0.0) <= now

    def pause(self, keys: Iterable[Key]) -> float:
        """Return the seconds until these may be requested again, so that all that viewers see fits into the quota."""
        recently = self._clock() - 60
        watched = Counter(kind for kind, _ in {*keys, *(key for key, at in self._next_at.items() if at > recently)})
        requests = math.ceil(watched["status"] / BULK) + 2 * watched["details"]
        return max(POLL_INTERVAL, self._quota.seconds_between_reads * requests)

    def start(self, keys: Collection[Key], request: Callable[[], None], pause: float) -> None:
        """
        Send a request in a thread.

        :param keys: all that its answer shows; they are due again after the pause.
        """
        with self.lock:
            future, now = self._threads.submit(self._send, keys, request), self._clock()
            if len(self._next_at) > MAX_KEYS:
                self._next_at = {key: at for key, at in self._next_at.items() if at > now}
            for key in keys:
                self._next_at[key] = now + pause
                self._under_way[key] = future

    def wait(self, keys: Collection[Key], max_wait: float) -> None:
        """Wait for the answers to these, whichever viewer has caused the requests."""
        with self.lock:
            futures = {future for key, future in self._under_way.items() if key in keys}
        wait(futures, timeout=max_wait)
        with self.lock:
            self._under_way = {key: future for key, future in self._under_way.items() if not future.done()}

    def postpone(self, keys: Iterable[Key], seconds: float) -> None:
        """Let these be due after so many seconds."""
        with self.lock:
            self._next_at.update(dict.fromkeys(keys, self._clock() + seconds))

    def make_due(self, keys: Iterable[Key]) -> None:
        """Let these be due now."""
        with self.lock:
            for key in keys:
                self._next_at.pop(key, None)

    def _send(self, keys: Collection[Key], request: Callable[[], None]) -> None:
        try:
            request()
        except NotNowError as error:
            self.postpone(keys, error.retry_after or 0.0)
        except Exception as error:
            self._after_failure(error)
        else:
            if CONNECTION not in keys:  # reading the connection asks Airflow, not Scenario
                self._pacing.after_answer()
                self.trouble = None
                self._quota.resume_reads()

    def _after_failure(self, error: Exception) -> None:
        # Airflow's own errors, such as that of a connection that does not exist, are written for people too.
        is_for_people = isinstance(error, ScenarioError) or type(error).__module__.startswith("airflow")
        text = str(error) if is_for_people else type(error).__name__
        with self.lock:
            now = self._clock()
            pause = min(self._pacing.after_failure(error), LONGEST_TROUBLE)
            if self.trouble is None:
                log.warning("The Trainings page gets no answer from Scenario: %s", text)
            since = self.trouble.since if self.trouble else now
            self.trouble = Trouble(text, since, again_at=now + pause)
        self._quota.pause_reads(pause)
