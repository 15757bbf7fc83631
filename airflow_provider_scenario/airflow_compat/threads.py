"""Blocking calls from the event loop of a triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")


async def run_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """
    Run what waits for Scenario or for Airflow's supervisor, without blocking the event loop.

    Not with ``asyncio.to_thread``: on Airflow 3.1 the supervisor answers only threads that know their event loop.

    Shielded: asgiref replaces a cancellation by one without message. By that message Airflow recognises a kill, and
    without it Airflow would not call ``on_kill``.
    """
    return await asyncio.shield(asyncio.ensure_future(sync_to_async(function, thread_sensitive=False)(*arguments)))
