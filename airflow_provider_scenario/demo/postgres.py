"""A database of its own for a local Airflow, on the PostgreSQL of this machine; needs ``psycopg2``."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import psycopg2  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "postgres@127.0.0.1:5432"


@contextlib.contextmanager
def own_database(server: str = SERVER) -> Iterator[str]:
    """
    Make a new, empty database; drop it in the end, whoever may still be connected to it.

    :param server: user, host and port of a PostgreSQL that asks this user for no password.
    :return: its address, for ``LocalAirflow(sql_alchemy_conn=…)``.
    """
    name = f"airflow_{secrets.token_hex(6)}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield f"postgresql+psycopg2://{server}/{name}"
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: str, statement: str) -> None:
    connection = psycopg2.connect(f"postgresql://{server}/postgres")
    connection.autocommit = True  # neither statement runs inside a transaction
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()
