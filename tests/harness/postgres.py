"""An empty database on the PostgreSQL server of this machine, for one local Airflow. Needs ``psycopg2``."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

import psycopg2

SERVER = "postgres@127.0.0.1:5432"


@contextlib.contextmanager
def own_database(server: str = SERVER) -> Iterator[str]:
    """
    Create an empty database; drop it at the end, even if clients are still connected.

    :param server: user, host and port of a PostgreSQL server that needs no password from this user.
    :return: its address, for ``AirflowUnderTest(sql_alchemy_conn=…)``.
    """
    name = f"airflow_{secrets.token_hex(6)}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield f"postgresql+psycopg2://{server}/{name}"
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: str, statement: str) -> None:
    connection = psycopg2.connect(f"postgresql://{server}/postgres")
    connection.autocommit = True  # PostgreSQL runs neither statement inside a transaction
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()
