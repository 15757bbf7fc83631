"""What every operator of this package is made of."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.links import ScenarioModelLink

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import BaseOperatorLink, Context


class ScenarioOperator(BaseOperator):
    """
    Base of the operators that act on one model.

    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (ScenarioModelLink(),)

    def __init__(self, *, scenario_conn_id: str = ScenarioHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario_conn_id = scenario_conn_id

    @cached_property
    def hook(self) -> ScenarioHook:
        """One hook, and so one connection look-up and one HTTP session, for the life of the task."""
        return ScenarioHook(self.scenario_conn_id)

    def show_model(self, context: Context, model_id: str, *, is_ours: bool = False) -> None:
        """
        Make the model known at once, before anything else can go wrong: XCom ``model_id``, the link button, the page.

        :param is_ours: whether this task has made the model.
        """
        context["ti"].xcom_push(key="model_id", value=model_id)
        self.hook.show_model(context, model_id, is_ours=is_ours)
        # Airflow would read what is stored now, and store it again.
        self.operator_extra_links = tuple(
            link for link in self.operator_extra_links if not isinstance(link, ScenarioModelLink)
        )
