"""
Sends a request again: after which errors, how often and after which pause. Cancelling in a hurry
(``watch/cancelling.py``) and waiting for a slot have loops of their own.

Importing it costs nothing; tenacity is imported with the first :class:`Retrying`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_scenario.client.defaults import FIRST_PAUSE, LONGEST_PAUSE, LONGEST_RETRY_AFTER, TRIES
from airflow_provider_scenario.client.errors import ScenarioError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


def backoff(failures: int, *, longest: float = LONGEST_PAUSE) -> float:
    """
    Return the seconds to pause after failures in a row: each pause is twice the one before.

    :param failures: how many, at least 1.
    :param longest: seconds at which doubling ends.
    """
    return float(min(longest, FIRST_PAUSE * 2 ** min(failures - 1, 30)))


def is_resendable(error: ScenarioError) -> bool:
    """Whether the same request may be sent again, as the transport has found."""
    return error.resendable


class Retrying:
    """
    Calls a function again when it raises a :class:`.ScenarioError` that may pass. Safe to use from several threads.

    A pause is what ``Retry-After`` says, otherwise it doubles from 0.5 to 8 s. A ``Retry-After`` above 60 s is not
    waited for: the error is raised at once.

    :param tries: how often the function is called at most.
    :param may_retry: whether it may be called again after an error. Default: where the transport allows it.
    :param turn: seconds until the request budget has a place for the next try; called before each further try.
    :param on_retry: is given the error and the seconds of the pause, before each pause.
    :param sleep: waits some seconds.
    :param jitter: a number from 0 to 1 for each pause, so that many tasks do not come back at the same moment.
    """

    def __init__(
        self,
        *,
        tries: int = TRIES,
        may_retry: Callable[[ScenarioError], bool] = is_resendable,
        turn: Callable[[ScenarioError], float] = lambda _: 0.0,
        on_retry: Callable[[ScenarioError, float], object] = lambda *_: None,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        import tenacity

        def is_worth_another_try(error: BaseException) -> bool:
            return (
                isinstance(error, ScenarioError)
                and may_retry(error)
                and (error.retry_after or 0) <= LONGEST_RETRY_AFTER
            )

        def pause(state: RetryCallState) -> float:
            error = _error(state)
            if state.attempt_number >= tries or not isinstance(error, ScenarioError):
                return 0.0  # tenacity computes the pause before it gives up
            if error.retry_after is not None:
                seconds = error.retry_after + FIRST_PAUSE * jitter()
            else:
                seconds = backoff(state.attempt_number) * (1 - jitter() / 4)
            return max(seconds, turn(error))

        def before_pause(state: RetryCallState) -> None:
            error = _error(state)
            if isinstance(error, ScenarioError) and state.next_action:
                on_retry(error, state.next_action.sleep)

        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(max(1, tries)),
            retry=tenacity.retry_if_exception(is_worth_another_try),
            wait=pause,
            before_sleep=before_pause,
            sleep=sleep,  # type: ignore[arg-type]  # what it returns is not used
            reraise=True,
        )

    def __call__(self, send: Callable[[], T]) -> T:
        """
        Call the function until it returns, and return what it returns.

        :param send: makes one try a call.
        :raises ScenarioError: of the last try.
        """
        return self._retrying(send)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
