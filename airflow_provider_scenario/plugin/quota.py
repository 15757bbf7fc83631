"""
How many requests the page may send over one connection: asked before each of them, whatever it is sent for.

The page must leave Scenario's quota to the tasks, however many people look and whatever addresses they call.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_scenario.client.defaults import SCENARIO_REQUESTS_PER_MINUTE
from airflow_provider_scenario.client.errors import ScenarioError

if TYPE_CHECKING:
    from airflow_provider_scenario.client.budget import Budget

SHARE_OF_READS = 0.5
"""Of the connection's ``requests_per_minute``, or of the default where that is less: the tasks need the rest."""

SHARE_WITH_ACTIONS = 0.625
"""Reads and actions together. Reads leave the difference to people who cancel a training or choose an epoch."""

FEWEST = 3
"""Requests a minute at least, however small the connection's budget: one look at a training takes three."""

MINUTE = 60.0


class NotNowError(ScenarioError):
    """
    The page has used up its requests, or pauses because Scenario could not be asked. The request was not sent.

    :param retry_after: seconds after which it is worth trying again.
    """

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(f"{reason} This request was not sent. Try again in {math.ceil(retry_after)} s.")
        self.retry_after = retry_after


class Quota:
    """
    The requests of the last minute over one connection, and whether one more may be sent.

    :param clock: Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self._paused_until = 0.0
        self.per_minute = SCENARIO_REQUESTS_PER_MINUTE

    def allow(self, requests_per_minute: float) -> None:
        """Take over what the connection allows to all who use it."""
        self.per_minute = min(requests_per_minute, SCENARIO_REQUESTS_PER_MINUTE)

    @property
    def seconds_between_reads(self) -> float:
        """On average."""
        return MINUTE / (SHARE_OF_READS * self.per_minute)

    def pause_reads(self, seconds: float) -> None:
        """Send no read for so long: Scenario could not be asked."""
        with self._lock:
            self._paused_until = self._clock() + seconds

    def resume_reads(self) -> None:
        """Scenario has answered."""
        with self._lock:
            self._paused_until = 0.0

    def read(self) -> None:
        """
        Count a read that is about to be sent.

        :raises NotNowError: it must not be sent now.
        """
        with self._lock:
            wait = self._paused_until - self._clock()
            if wait > 0:
                raise NotNowError("The Trainings page pauses, because Scenario could not be asked.", wait)
            self._count(SHARE_OF_READS)

    def act(self) -> None:
        """
        Count a request that is about to be sent because a person wants something done. No pause holds it up.

        :raises NotNowError: it must not be sent now.
        """
        with self._lock:
            self._count(SHARE_WITH_ACTIONS)

    def _count(self, share: float) -> None:
        now, most = self._clock(), max(FEWEST, math.floor(share * self.per_minute))
        # A time in the future was noted before the clock was set back.
        while self._sent and not now - MINUTE < self._sent[0] <= now:
            self._sent.popleft()
        if len(self._sent) >= most:
            wait = self._sent[len(self._sent) - most] + MINUTE - now
            reason = (
                f"The Trainings page has sent {len(self._sent)} requests to Scenario in a minute: as many as it may."
            )
            raise NotNowError(reason, wait)
        self._sent.append(now)


@dataclass(frozen=True, slots=True)
class Metered:
    """
    The connection's budget, of which each request of the page is taken only after the page's own quota allows it.

    :param allow: counts one request of the page, or raises :class:`NotNowError`.
    """

    shared: Budget
    allow: Callable[[], None]

    def spend(self) -> None:
        self.allow()
        self.shared.spend()

    def turn(self) -> float:
        return self.shared.turn()

    def throttled(self, wait: float | None) -> None:
        self.shared.throttled(wait)
