"""
Scenario's API: one method an endpoint, typed in and out.

Nothing here decides or waits. What a call costs, whether it may be sent twice and what a lost answer means is said
where the call is made; all about the wire is in :mod:`.transport`, what travels is in :mod:`.schemas`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from airflow_provider_scenario.client.datasets import Datasets
from airflow_provider_scenario.client.endpoints import given
from airflow_provider_scenario.client.models import UNSET, Models
from airflow_provider_scenario.client.schemas import Download, Project
from airflow_provider_scenario.client.training import Trainings
from airflow_provider_scenario.client.transport import Transport, path
from airflow_provider_scenario.client.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

__all__ = ["DEFAULT_BASE_URL", "UNSET", "ScenarioClient"]

DEFAULT_BASE_URL = "https://api.cloud.scenario.com/v1"


class ScenarioClient(Models, Datasets, Uploads, Trainings):
    """
    Scenario's API for one project. Safe to use from several threads.

    :param transport: the way to the service.
    """

    @classmethod
    def connect(
        cls,
        *,
        api_key: str,
        api_secret: str,
        base_url: str = DEFAULT_BASE_URL,
        project_id: str | None = None,
        timeout: tuple[float, float] | float = 60.0,
        verify: bool | str = True,
        pool_size: int = 10,
        max_tries: int = 4,
        session: requests.Session | None = None,
    ) -> Self:
        """Make a client with a transport of its own; the parameters are those of :class:`.Transport`."""
        return cls(
            Transport(
                base_url,
                api_key,
                api_secret,
                project_id=project_id,
                timeout=timeout,
                verify=verify,
                pool_size=pool_size,
                max_tries=max_tries,
                session=session,
            )
        )

    def __repr__(self) -> str:
        return f"ScenarioClient({self._transport!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def download_model(self, model_id: str, *, epoch: str | None = None) -> str:
        """
        Ask for an archive of a trained model and return the id of the job that makes it. Never sent twice.

        :param epoch: which checkpoint; default: the selected one, or the latest.
        """
        asked = f"prepare the download of model {model_id}"
        answer = self._transport.request(
            "POST",
            path("models", model_id, "download"),
            json=given(modelEpoch=epoch),
            asked=asked,
            repeatable=False,
            if_lost="An archive may be on its way; asking again would make another one.",
        )
        return Download.read(answer.json, asked=asked, maybe_done=True, answer=answer).job_id

    def get_download(self, job_id: str) -> Download:
        """Read how far a download is, and its address when it is ready."""
        asked = f"read download {job_id}"
        answer = self._transport.request("GET", path("assets", "download", job_id), asked=asked, repeatable=True)
        return Download.read(answer.json, asked=asked, answer=answer)

    def list_projects(self) -> Iterator[Project]:
        """List the projects the key can see."""
        return self._pages(Project, path("projects"), "projects", asked="list projects", in_project=False)

    def get_project(self, project_id: str) -> Project:
        """Read a project."""
        asked = f"read project {project_id}"
        answer = self._transport.request(
            "GET", path("projects", project_id), asked=asked, repeatable=True, in_project=False
        )
        return self._read(Project, answer, "project", asked)
