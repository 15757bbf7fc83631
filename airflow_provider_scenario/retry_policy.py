"""
A retry policy for tasks that call Scenario: ``retry_policy=`` of any task, from Airflow 3.3 on.

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
    Decides by the error whether and when Airflow runs the task again.

    ====================================  ==========================================================================
    throttled                             run again after the pause that Scenario names
    all training slots are taken          run again after the task's ``retry_delay``
    permanent (credentials, bad input …)  not retried: Scenario would refuse it again
    the answer of a paid request is lost  this package's operators are retried, because a retry finds the training; any
                                          other task is not: it could pay twice
    any other error                       by the task's ``retries`` and ``retry_delay``
    ====================================  ==========================================================================

    An error also counts if it is the cause of another one. From Airflow 3.4 on, a run for one of the first two reasons
    uses none of the task's ``retries``; on 3.3 it does.

    :param reschedule_timeout: how long such runs continue after the first one; then ``retries`` counts again. Default:
        12 hours, the time of a few trainings one after another.
    """

    def __init__(self, reschedule_timeout: timedelta = timedelta(hours=12)) -> None:
        if reschedule_timeout <= timedelta(0):
            raise InvalidInputError(
                f"reschedule_timeout is {reschedule_timeout}; give a timedelta above 0, such as timedelta(hours=12)."
            )
        self.reschedule_timeout = reschedule_timeout

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,
    ) -> RetryDecision:
        """Return the decision; Airflow calls this on the worker, with the error object itself."""
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
            return RetryDecision.fail(f"{type(error).__name__}: a retry would fail again.")
        if error.money == "unknown" and not _finds_earlier_training(context):
            return RetryDecision.fail(
                "The response to a paid request was lost, and a retry may pay twice. Check in Scenario what was "
                "started, then clear the task."
            )
        return RetryDecision.default()

    def _run_again(self, pause: timedelta | None, reason: str) -> RetryDecision:
        """
        Return the decision to run the task again; from Airflow 3.4 on it uses none of the task's retries.

        :param pause: before the next run. None: the task's ``retry_delay``.
        """
        reschedule = getattr(RetryDecision, "reschedule", None)  # from Airflow 3.4 on
        if reschedule is None:
            return RetryDecision.retry(pause, reason)
        decision: RetryDecision = reschedule(pause, reschedule_timeout=self.reschedule_timeout, reason=reason)
        return decision

    def serialize(self) -> dict[str, Any]:
        """Return the timeout in seconds, for Airflow's database."""
        return {"reschedule_timeout": self.reschedule_timeout.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ScenarioRetryPolicy:
        """Return the policy that :meth:`serialize` has stored."""
        return cls(timedelta(seconds=data["reschedule_timeout"]))


SCENARIO_RETRY_POLICY = ScenarioRetryPolicy()


def _finds_earlier_training(context: Context | None) -> bool:
    from airflow_provider_scenario.operators.base import ScenarioOperator

    return context is not None and isinstance(context["task"], ScenarioOperator)


def _causes(exception: BaseException) -> Iterator[BaseException]:
    visited: set[int] = set()
    cause: BaseException | None = exception
    while cause is not None and id(cause) not in visited:
        visited.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
