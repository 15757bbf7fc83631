"""
The page's own quota of requests over one connection; each request of the page counts, before it is sent.

It leaves most of the request budget to the tasks, however many people open the page.
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
"""Requests a minute at least, however small the connection's budget: showing a training takes three."""

MINUTE = 60.0


class NotNowError(ScenarioError):
    """
    The page has used up its requests, or pauses because Scenario did not answer. The request was not sent.

    :param retry_after: seconds after which a request may be sent again.
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
        """Set the request budget of the connection, of which the page uses a share."""
        self.per_minute = min(requests_per_minute, SCENARIO_REQUESTS_PER_MINUTE)

    @property
    def seconds_between_reads(self) -> float:
        """How far apart reads are on average."""
        return MINUTE / (SHARE_OF_READS * self.per_minute)

    def pause_reads(self, seconds: float) -> None:
        """Send no read for this many seconds, because Scenario did not answer."""
        with self._lock:
            self._paused_until = self._clock() + seconds

    def resume_reads(self) -> None:
        """End the pause, because Scenario has answered."""
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
                raise NotNowError("The Trainings page pauses, because Scenario did not answer.", wait)
            self._count(SHARE_OF_READS)

    def act(self) -> None:
        """
        Count a request that a person has triggered, before it is sent. A pause does not stop it.

        :raises NotNowError: it must not be sent now.
        """
        with self._lock:
            self._count(SHARE_WITH_ACTIONS)

    def _count(self, share: float) -> None:
        now, most = self._clock(), max(FEWEST, math.floor(share * self.per_minute))
        # Drop times in the future too: the clock was set back since.
        while self._sent and not now - MINUTE < self._sent[0] <= now:
            self._sent.popleft()
        if len(self._sent) >= most:
            wait = self._sent[len(self._sent) - most] + MINUTE - now
            reason = f"The Trainings page has sent {len(self._sent)} requests to Scenario in a minute, its limit."
            raise NotNowError(reason, wait)
        self._sent.append(now)


@dataclass(frozen=True, slots=True)
class Metered:
    """
    The connection's request budget; a request of the page uses it only if the page's own quota allows the request.

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
