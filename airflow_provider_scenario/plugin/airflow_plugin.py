"""What Airflow is told of the page. Every Airflow process imports this, so it is cheap: only a web server builds it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

PREFIX = "scenario"
"""Of all addresses; none of Airflow's own begins with it."""

OUR_FIELDS = ("scenario_conn_id", "ai_creation_workshop_conn_id")
"""
Template fields of which each of our operators, and so its subclasses, has one.

Their link to a model would fit better, but Airflow 3.4.0b2 tells the UI of no task's ``extra_links``.
"""

_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"


class Pages:
    """The ASGI application, built when it is first asked for."""

    def __init__(self) -> None:
        self._app: Any = None
        self._building = threading.Lock()

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        if self._app is None:
            await asyncio.to_thread(self._build)  # it takes most of a second, which is not the event loop's
        await self._app(scope, receive, send)

    def _build(self) -> None:
        from airflow_provider_scenario.plugin.app import create_app

        with self._building:
            self._app = self._app or create_app()


def _view(destination: str, url_route: str, page: str) -> dict[str, Any]:
    # Without a leading slash an address also holds where Airflow is served below a path of its own.
    return {
        "name": "Trainings" if destination != "task_instance" else "Training",
        "href": f"{PREFIX}/{page}",
        "destination": destination,
        "url_route": url_route,
        "icon": f"{PREFIX}/static/icon.svg",
        "icon_dark_mode": f"{PREFIX}/static/icon-dark.svg",
    }


class ScenarioPlugin(AirflowPlugin):
    """
    A page in three places.

    The tab of a task is on tasks of our operators. Only Airflow 3.4 knows ``applies_to``: before, it is on every task.
    """

    name = "scenario"
    fastapi_apps = [{"app": Pages(), "url_prefix": f"/{PREFIX}", "name": "Scenario trainings"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {**_view("nav", "scenario-trainings", "trainings"), "category": "browse"},
        _view("dag_run", "scenario-run", "run?dag_id={DAG_ID}&run_id={RUN_ID}"),
        {
            **_view("task_instance", "scenario-training", f"training?{_TASK}"),
            "applies_to": {"task.template_fields": list(OUR_FIELDS)},
        },
    ]
