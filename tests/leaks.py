"""Find secrets, in every spelling, in all files and tables of an Airflow."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy import create_engine, inspect

SIGNED = re.compile(rb"(?:[Ss]ignature|Credential|Security-Token)(?:=|%3[Dd]|%253[Dd])[\w%+/-]{8}")
"""The signature of a signed address; a masked one does not match."""


def spellings(secret: str) -> set[bytes]:
    """All spellings of a secret in logs, addresses, headers, pages and tables."""
    once = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    encoded = {*once, *(quote(each, safe="") for each in once)}
    lower = {re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), each) for each in encoded}
    in_json = json.dumps(secret)[1:-1]
    quoted = {in_json, json.dumps(in_json)[1:-1], repr(secret)[1:-1], repr(repr(secret)[1:-1])[1:-1]}
    # Python's html and Jinja escape quotes differently.
    shown = {html.escape(secret), html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")}
    raw = secret.encode()
    return {each.encode() for each in {secret, raw.hex()} | encoded | lower | quoted | shown} | set(_base64(raw))


def _base64(raw: bytes) -> Iterator[bytes]:
    """Base64 of the secret in a longer text: at each of three offsets, without the edges that depend on the text."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(before) + raw)
            yield text[(0, 2, 3)[before] : len(text) // 4 * 4 - 4]


def leaks(
    home: Path,
    secrets: Mapping[str, str],
    *,
    allowed: Iterable[tuple[str, str]] = (),
    pages: Mapping[str, str] = {},
    postgres: str | None = None,
) -> dict[tuple[str, str], bytes]:
    """
    Search everything that an Airflow has written: logs of parts and tasks, database, other files.

    :param home: ``AIRFLOW_HOME``, with an SQLite database or none. The database's rows are searched as well as its
        file, because the file splits long values.
    :param secrets: name → secret. Signed addresses are searched too.
    :param allowed: place and name of secrets that are allowed there.
    :param pages: name → text of a page.
    :param postgres: address of the database if it is not SQLite.
    :return: place and name of each secret found → the text around its first occurrence.
    """
    needles = {name: [re.escape(each) for each in spellings(secret)] for name, secret in secrets.items()}
    patterns = {name: re.compile(b"|".join(spelled)) for name, spelled in needles.items()} | {"signed address": SIGNED}
    found = {}
    for place, content in (*_contents(home, pages), *_tables(postgres)):
        for name, pattern in patterns.items():
            if (place, name) not in set(allowed) and (match := pattern.search(content)):
                found[place, name] = content[max(0, match.start() - 150) : match.end() + 20]
    return found


def _contents(home: Path, pages: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for path in home.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(home)), path.read_bytes()
    for name, text in pages.items():
        yield f"page {name}", text.encode()
    if (home / "airflow.db").exists():
        with contextlib.closing(sqlite3.connect(home / "airflow.db", timeout=30)) as database:
            database.text_factory = bytes
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                rows = database.execute(f'SELECT * FROM "{name.decode()}"')
                yield f"table {name.decode()}", b"\n".join(b"\t".join(map(_cell, row)) for row in rows)


def _tables(postgres: str | None) -> Iterator[tuple[str, bytes]]:
    if postgres is None:
        return
    engine = create_engine(postgres)
    with engine.connect() as connection:
        for name in inspect(engine).get_table_names():
            rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"')
            yield f"table {name}", b"\n".join(b"\t".join(map(_cell, row)) for row in rows)
    engine.dispose()


def _cell(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
