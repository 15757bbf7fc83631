"""The options of the command. Standard library only: each ``airflow`` command imports this module."""

from __future__ import annotations

import os
from typing import Any

DEFAULT = "demo"
"""Default key, secret and token."""


def _from_environment(name: str, what: str = "") -> dict[str, Any]:
    """An option whose value can come from the environment: other users of this machine can read command lines."""
    variable = f"SCENARIO_EMULATOR_{name}"
    return {
        "default": os.environ.get(variable, DEFAULT),
        "help": f"{what}safer in {variable} (default: {DEFAULT})",
    }


def options() -> dict[str, dict[str, Any]]:
    """Return option → the arguments of ``argparse`` for it."""
    return {
        "--host": {"default": "127.0.0.1", "help": "address to listen on (default: %(default)s)"},
        "--allowed-host": {
            "action": "append",
            "default": [],
            "metavar": "NAME",
            "help": "a further host name that clients use for it, such as that of its container; may be repeated",
        },
        "--port": {"type": int, "default": 8321, "help": "0: any free port (default: %(default)s)"},
        "--training-seconds": {"type": float, "default": 5.0, "help": "how long a training lasts (default: 5)"},
        "--api-key": _from_environment("API_KEY"),
        "--api-secret": _from_environment("API_SECRET"),
        "--api-token": _from_environment("API_TOKEN", "of AI Creation Workshop; "),
        # Below the home folder, because another user of this machine could create a known name in ``/tmp`` first.
        "--files": {
            "default": "~/.cache/scenario-emulator-files",
            "help": "folder to serve without credentials under /files, for the workshop to fetch from "
            "(default: %(default)s)",
        },
    }
