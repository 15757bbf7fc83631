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

from airflow_provider_scenario.client.errors import ScenarioError, ThrottledError

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
    permanent (credentials, bad input …)  not tried again: it would be refused again
    throttled                             tried again after the pause the service asked for
    the answer of a paid call was lost    this package's operators look first, and are tried again; any other task is
                                          not: it would pay twice
    anything else                         as the task's ``retries`` and ``retry_delay`` say
    ====================================  ==========================================================================

    An error counts also when it is only the cause of another. The number of tries is the task's own ``retries``.
    """

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
        if error.permanent:
            return RetryDecision.fail(f"{type(error).__name__}: trying again cannot help.")
        if error.money == "unknown" and not _looks_first(context):
            return RetryDecision.fail("The answer was lost: look at Scenario first, trying again may pay twice.")
        if isinstance(error, ThrottledError) and error.retry_after is not None:
            pause = timedelta(seconds=error.retry_after)
            return RetryDecision.retry(pause, f"Scenario asks to wait {error.retry_after:g} s.")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ScenarioRetryPolicy:  # noqa: ARG003
        """As :meth:`serialize`."""
        return cls()


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
