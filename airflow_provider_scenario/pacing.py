"""
Pauses between polls, and the base class of all waits for the end of something remote.

``poke_interval`` is the pause while the end may be near. While the service reports that the end is far away, a pause is
a tenth of the time left; while a training queues, each pause is 1.5 times the one before. Both grow up to ten times
``poke_interval``, and at most to 300 s. Towards the expected end pauses shrink, down to a third of ``poke_interval``:
so fewer requests notice the end sooner. Each failed poll in a row doubles the pause, up to 300 s; a longer
``Retry-After`` is kept.

Nothing here knows a clock, HTTP or Airflow: times and answers are passed in.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Literal, TypeVar

from airflow_provider_scenario.client.defaults import LONGEST_POLL_PAUSE
from airflow_provider_scenario.client.errors import ScenarioError, ThrottledError

longest_pause = math.inf
"""Seconds that any pause lasts at most. The pytest plugin lowers it: the emulator's trainings end at once."""

_MAX_STRETCH = 10.0
_PART_OF_TIME_LEFT = 0.1
_GROWTH_IN_QUEUE = 1.5
_MIN_SHRINK = 1 / 3

A = TypeVar("A")
O = TypeVar("O", bound=str)  # noqa: E741 - the outcomes of one kind of waiting
EarlyOutcome = Literal["timed-out", "refused"]
"""``timed-out``: not over at the deadline; ``refused``: the service does not let us poll any more."""


class Pacing:
    """
    The pause after each poll.

    :param poke_interval: seconds between two polls while the end may be near.
    :param max_backoff: seconds that a pause after failed polls lasts at most, unless ``Retry-After`` is longer.
    """

    __slots__ = ("_max_backoff", "_poke_interval", "_polls_in_queue", "failures")

    def __init__(self, poke_interval: float, *, max_backoff: float = LONGEST_POLL_PAUSE) -> None:
        self.failures = 0
        self._poke_interval = poke_interval
        self._max_backoff = max_backoff
        self._polls_in_queue = 0

    def after_answer(self, *, seconds_left: float | None = None, is_queued: bool = False) -> float:
        """
        Return the seconds to pause after a poll that has succeeded.

        :param seconds_left: until the expected end, as far as the service reports it.
        :param is_queued: whether the training still waits for its start at the service.
        """
        self.failures = 0
        self._polls_in_queue = self._polls_in_queue + 1 if is_queued else 0
        interval = self._poke_interval
        longest = max(interval, min(interval * _MAX_STRETCH, LONGEST_POLL_PAUSE))
        if seconds_left:
            if seconds_left < interval:
                return max(seconds_left, interval * _MIN_SHRINK)
            return min(max(seconds_left * _PART_OF_TIME_LEFT, interval), longest)
        growth = _GROWTH_IN_QUEUE ** min(max(self._polls_in_queue - 1, 0), 10)
        return min(interval * growth, longest)

    def after_failure(self, error: Exception | None = None) -> float:
        """
        Return the seconds to pause after a poll that has failed.

        A pause that the service names (``Retry-After``) is kept. Where it does not throttle but fails, the pause is at
        most ``max_backoff``: a long maintenance window must not hide the end of a training for hours.
        """
        self.failures += 1
        backoff = min(self._poke_interval * 2.0 ** min(self.failures, 10), self._max_backoff)
        named = (error.retry_after or 0.0) if isinstance(error, ScenarioError) else 0.0
        if not isinstance(error, ThrottledError):
            named = min(named, self._max_backoff)
        return max(self._poke_interval, backoff, named)

    @property
    def is_failure_worth_a_line(self) -> bool:
        """Whether to log the last failure: the 1st, 2nd, 4th, 8th … in a row."""
        return self.failures & (self.failures - 1) == 0


class Watch(ABC, Generic[A, O]):
    """
    Decides, poll by poll, whether to keep waiting.

    After each call of :meth:`after`, ``log_line`` holds the line to log (None: nothing worth a line has changed) and
    ``pause`` the seconds until the next poll.

    :param label: how log lines name what is waited for.
    :param deadline: when to give up, as a Unix time in seconds; wall clock, because it crosses processes.
    :param poke_interval: seconds between two polls; pauses follow :mod:`.pacing`.
    """

    subject: ClassVar[str]
    """The first word of each log line, such as ``Training``."""

    def __init__(self, *, label: str, deadline: float, poke_interval: float) -> None:
        self.label = label
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.pause = min(poke_interval, longest_pause)
        self.log_line: str | None = None
        self._pacing = Pacing(poke_interval)

    def after(self, answer: A | ScenarioError, now: float) -> O | EarlyOutcome | None:
        """
        Return the outcome after this answer, or None to keep waiting.

        :param now: Unix time in seconds.
        """
        self.log_line = None
        outcome: O | EarlyOutcome | None
        outcome = self._after_error(answer) if isinstance(answer, ScenarioError) else self._after_answer(answer)
        if outcome is None and now >= self.deadline:
            outcome = "timed-out"
        self.pause = max(0.0, min(self.pause, longest_pause, self.deadline - now))
        return outcome

    @abstractmethod
    def _after_answer(self, answer: A) -> O | None:
        """Set ``pause`` and ``log_line``; return the outcome if the answer is final."""

    def _is_refusal(self, error: ScenarioError) -> bool:
        """Whether polling again cannot help."""
        return error.permanent

    def _after_error(self, error: ScenarioError) -> Literal["refused"] | None:
        if self._is_refusal(error):
            return "refused"
        self.pause = self._pacing.after_failure(error)
        if self._pacing.is_failure_worth_a_line:
            self.log_line = (
                f"{self.subject} {self.label}: the poll failed ({self._pacing.failures} in a row): {error} "
                f"The {self.subject.split()[0].lower()} is not affected; the next poll is in {self.pause:.0f} s."
            )
        return None
