"""A folder of this machine under ``/files``: the web server that a studio would have in front of its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp


def served_folder(folder: Path | None) -> ASGIApp:
    """
    Serve regular files below a folder, and nothing that a link in it leads to outside.

    :param folder: made if it is not there; only its owner may look into it then. None: nothing is served.
    """
    if folder is None:
        return PlainTextResponse("The emulator was started without a folder of files.\n", 404)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return StaticFiles(directory=folder, follow_symlink=False)
