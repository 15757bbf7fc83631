"""Blocking calls from the event loop of a triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """
    Run what waits for an answer, of the service or of Airflow's supervisor, without blocking the event loop.

    Not by ``asyncio.to_thread``: on Airflow 3.1 the supervisor can only be asked from threads that know the loop they
    come from.

    Shielded, because a cancellation that reaches asgiref comes out as another one: without the message by which Airflow
    knows that it was a person, and then nobody is told of the kill.
    """
    return await asyncio.shield(asyncio.ensure_future(sync_to_async(function, thread_sensitive=False)(*arguments)))
