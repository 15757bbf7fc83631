"""Buttons in the Airflow task view."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from airflow_provider_scenario.airflow_compat.xcom import stored_xcom
from airflow_provider_scenario.client.defaults import SCENARIO_APP_URL

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_scenario.airflow_compat.types import TaskInstanceKey

_MODEL_PAGE = re.compile(r"https?://[^\s?#\\]+/models/[^\s/?#\\]+")


def model_page(app_url: str, model_id: str) -> str:
    """
    Address of a model's page in Scenario's web app.

    :param app_url: of the web app; ``app_url`` in the connection's extra.
    """
    return f"{app_url.rstrip('/')}/models/{quote(model_id, safe='')}"


def is_model_page(address: str) -> bool:
    """Whether a browser may be sent there: neither the connection's extra nor an XCom may make it run a script."""
    return bool(_MODEL_PAGE.fullmatch(address))


class ScenarioModelLink(BaseOperatorLink):
    """Opens the model's page in Scenario's web app; there as soon as the model's id is known, also while it trains."""

    name = "Scenario model"

    def persist(self, context: Context, *, model_id: str, app_url: str = SCENARIO_APP_URL) -> None:
        """
        Store the address now, since Airflow itself stores links only when a task ends or defers.

        :param app_url: address of the web app; ``app_url`` in the connection's extra.
        """
        context["ti"].xcom_push(key=self.xcom_key, value=model_page(app_url, model_id))

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """
        Return what :meth:`persist` has stored, or nothing.

        Anybody who may write XComs may have stored something else. Airflow's UI reads the XCom by itself, without this.
        """
        stored = stored_xcom(ti_key, self.xcom_key)
        return stored if isinstance(stored, str) and is_model_page(stored) else ""
