"""
When to try a task again after an error of Scenario: for ``retry_policy=`` of any task, Airflow 3.3 or newer.

.. code-block:: python

    @task(retries=5, retry_policy=SCENARIO_RETRY_POLICY)
    def names() -> list[str]:
        return [model.name for model in ScenarioHook().client.list_models()]
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.errors import InvalidInputError, PlanCeilingError, ScenarioError, ThrottledError

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError as error:
    raise ImportError("SCENARIO_RETRY_POLICY needs retry_policy, which tasks have from Airflow 3.3 on.") from error

if TYPE_CHECKING:
    from airflow.sdk import Context


class ScenarioRetryPolicy(RetryPolicy):
    """
    Decide by what the error says.

    ====================================  ==========================================================================
    throttled                             run again after the pause that the service asked for
    all training slots are taken          run again after the task's ``retry_delay``
    permanent (credentials, bad input …)  not tried again: it would be refused again
    the answer of a paid call was lost    this package's operators look first, and are tried again; any other task is
                                          not: it would pay twice
    anything else                         as the task's ``retries`` and ``retry_delay`` say
    ====================================  ==========================================================================

    An error counts also when it is only the cause of another. From Airflow 3.4 on, running again for one of the first
    two reasons uses none of the task's ``retries``; on 3.3 it does.

    :param reschedule_timeout: how long after it was first put off for one of these a try may be put off again; then it
        is tried again as ``retries`` says. Default: 12 hours, a few trainings after one another.
    """

    def __init__(self, reschedule_timeout: timedelta = timedelta(hours=12)) -> None:
        if reschedule_timeout <= timedelta(0):
            raise InvalidInputError(f"reschedule_timeout is {reschedule_timeout}; it must be longer than nothing.")
        self.reschedule_timeout = reschedule_timeout

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,
    ) -> RetryDecision:
        """Airflow asks this in the worker, with the very error."""
        error = next((cause for cause in _causes(exception) if isinstance(cause, ScenarioError)), None)
        if error is None:
            return RetryDecision.default()
        if isinstance(error, PlanCeilingError) and error.frees_up:
            return self._run_again(None, "All training slots of the plan are taken.")
        if isinstance(error, ThrottledError):
            if error.retry_after is None:
                return self._run_again(None, "Scenario is throttling.")
            return self._run_again(
                timedelta(seconds=error.retry_after), f"Scenario asks to wait {error.retry_after:g} s."
            )
        if error.permanent:
            return RetryDecision.fail(f"{type(error).__name__}: trying again cannot help.")
        if error.money == "unknown" and not _looks_first(context):
            return RetryDecision.fail("The answer was lost: look at Scenario first, trying again may pay twice.")
        return RetryDecision.default()

    def _run_again(self, pause: timedelta | None, reason: str) -> RetryDecision:
        """
        Without using one of the task's retries, where Airflow can do that.

        :param pause: None for the task's ``retry_delay``.
        """
        reschedule = getattr(RetryDecision, "reschedule", None)  # from Airflow 3.4 on
        if reschedule is None:
            return RetryDecision.retry(pause, reason)
        decision: RetryDecision = reschedule(pause, reschedule_timeout=self.reschedule_timeout, reason=reason)
        return decision

    def serialize(self) -> dict[str, Any]:
        """Its one setting, in seconds."""
        return {"reschedule_timeout": self.reschedule_timeout.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ScenarioRetryPolicy:
        """As :meth:`serialize`."""
        return cls(timedelta(seconds=data["reschedule_timeout"]))


SCENARIO_RETRY_POLICY = ScenarioRetryPolicy()


def _looks_first(context: Context | None) -> bool:
    from airflow_provider_scenario.operators.base import ScenarioOperator

    return context is not None and isinstance(context["task"], ScenarioOperator)


def _causes(exception: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = exception
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
