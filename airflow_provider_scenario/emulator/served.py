"""A folder of this machine under ``/files``: the web server that a studio would have in front of its storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_provider_scenario.emulator.state import State


def served_folder(state: State) -> ASGIApp:
    """Serve the folder that the settings name at the time."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        folder = Path(state.settings.files_folder)
        folder.mkdir(parents=True, exist_ok=True)
        await StaticFiles(directory=folder)(scope, receive, send)

    return serve
