"""``airflow scenario emulator``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace


def emulator(options: Namespace) -> None:
    """Serve the emulator until a signal comes."""
    from airflow_provider_scenario.emulator.__main__ import run

    run(options)
