"""The Airflow plugin. Every Airflow process imports this module, so it imports nothing heavy; see :class:`Pages`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "scenario"
"""First part of every address of the page; no address of Airflow begins with it."""

OUR_FIELDS = ("scenario_conn_id", "ai_creation_workshop_conn_id")
"""
Each of our operators has one of these template fields, and so have their subclasses.

``extra_links`` would say it better, but Airflow 3.4.0b2 does not give them to the UI.
"""

_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"


class Pages:
    """The ASGI application, built at the first request: only an API server gets one."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._building = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if app is None:
            app = await asyncio.to_thread(self._build)  # takes most of a second: would block the event loop
        await app(scope, receive, send)

    def _build(self) -> ASGIApp:
        from airflow_provider_scenario.plugin.app import create_app

        with self._building:
            if self._app is None:
                self._app = create_app()
            return self._app


def _view(destination: str, url_route: str, page: str) -> dict[str, object]:
    # Without a leading slash, so that the address is also right where Airflow is served below a path.
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
    The Trainings page: in the menu, as a tab of a run and as a tab of a task.

    The tab of a task is on tasks of our operators only. Before Airflow 3.4, which has ``applies_to``, it is on every
    task.
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
