"""
Scenario's API: one method for each endpoint, with typed arguments and results.

Nothing here decides or waits. Each method documents what a call costs, whether it may be sent twice and what a lost
answer means. Requests are sent by :mod:`~airflow_provider_scenario.client.transport`; objects are in :mod:`.schemas`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from airflow_provider_scenario.client.defaults import SCENARIO_URL, TIMEOUT, TRIES
from airflow_provider_scenario.client.scenario.dialect import ScenarioDialect
from airflow_provider_scenario.client.scenario.downloads import Downloads
from airflow_provider_scenario.client.scenario.models import UNSET
from airflow_provider_scenario.client.scenario.refusals import CREDENTIALS
from airflow_provider_scenario.client.scenario.schemas import Project
from airflow_provider_scenario.client.scenario.training import Trainings
from airflow_provider_scenario.client.scenario.training_images import Datasets
from airflow_provider_scenario.client.scenario.uploads import Uploads
from airflow_provider_scenario.client.transport import Transport, path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from airflow_provider_scenario.client.budget import Budget

__all__ = ["UNSET", "ScenarioClient"]


class ScenarioClient(Trainings, Datasets, Uploads, Downloads):
    """
    Scenario's API for one project. Safe to use from several threads.

    :param transport: sends the requests.
    """

    @classmethod
    def connect(
        cls,
        *,
        api_key: str,
        api_secret: str,
        base_url: str = SCENARIO_URL,
        project_id: str | None = None,
        timeout: tuple[float, float] | float = TIMEOUT,
        verify: bool | str = True,
        pool_size: int = 10,
        max_tries: int = TRIES,
        session: requests.Session | None = None,
        budget: Budget | None = None,
        credentials: str = CREDENTIALS,
    ) -> Self:
        """
        Make a client with a transport of its own. What is not listed is as for :class:`.Transport`.

        :param credentials: what the message tells the user to check when key or secret are wrong, such as ``login and
            password of connection 'scenario_default'``.
        """
        return cls(
            Transport(
                base_url,
                api_key,
                api_secret,
                dialect=partial(ScenarioDialect, credentials=credentials),
                project_id=project_id,
                timeout=timeout,
                verify=verify,
                pool_size=pool_size,
                max_tries=max_tries,
                session=session,
                budget=budget,
            )
        )

    def list_projects(self) -> Iterator[Project]:
        """List the projects that the key may read."""
        return self._pages(Project, path("projects"), "projects", action="list projects", in_project=False)

    def get_project(self, project_id: str) -> Project:
        """Read a project."""
        action = f"read project {project_id}"
        answer = self._transport.request(
            "GET", path("projects", project_id), action=action, repeatable=True, in_project=False
        )
        return self._read(Project, answer, "project", action)
