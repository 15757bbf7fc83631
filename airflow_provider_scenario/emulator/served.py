"""A folder of this machine under ``/files``, in place of the web server in front of a studio's storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp


def served_folder(folder: Path | None) -> ASGIApp:
    """
    Serve regular files below a folder; links that lead outside are not followed.

    :param folder: created if missing, readable for its owner only. None: nothing is served.
    """
    if folder is None:
        return PlainTextResponse("The emulator was started without a folder of files.\n", 404)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return StaticFiles(directory=folder, follow_symlink=False)
