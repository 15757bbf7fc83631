"""An Airflow with FAB's auth manager, and users with rights per DAG."""

from __future__ import annotations

import contextlib
import html
import http.client
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / ".venv" / "fab"
"""
FAB's provider and its dependencies, only for this Airflow.

In the common environment they would cost every Airflow ten seconds of CPU: each command loads them, and ``db migrate``
creates their tables, whichever auth manager is set.
"""

PASSWORD = "password-of-the-tests"


@contextlib.contextmanager
def airflow_with_fab(home: Path, dags: Path, **options: Any) -> Iterator[AirflowUnderTest]:
    """
    Start an Airflow with its own database and only the user ``admin``.

    :param dags: folder of the DAG files.
    :param options: of :class:`AirflowUnderTest`.
    """
    if not PACKAGES.exists():
        raise FileNotFoundError(f"{PACKAGES} is missing: run `make .venv/fab`, as `make test-full` does.")
    config = {
        "core.auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "dag_processor.min_file_process_interval": "3600",
        "fab.auth_rate_limited": "False",
    }
    env = {"PYTHONPATH": str(PACKAGES)}
    with (
        own_database() as database,
        AirflowUnderTest(home, dags, sql_alchemy_conn=database, config=config, env=env, **options) as airflow,
    ):
        airflow.cli(*("users", "create", "--role", "Admin", "--username", airflow.username), *_names(airflow.password))
        yield airflow


def _names(password: str) -> Iterable[str]:
    return ("--password", password, "--firstname", "A", "--lastname", "B", "--email", "admin@example.com")


def add_user(admin: Person, name: str, rights: Iterable[tuple[str, str]] | str) -> Person:
    """
    Create a user and log in.

    :param rights: action and resource of each right, for a new role; or the name of an existing role.
    """
    role = rights
    if not isinstance(rights, str):
        role = f"role of {name}"
        actions = [{"action": {"name": action}, "resource": {"name": resource}} for action, resource in rights]
        admin.api("POST", "/auth/fab/v1/roles", {"name": role, "actions": actions})
    names = {"username": name, "first_name": name, "last_name": name, "email": f"{name}@example.com"}
    admin.api("POST", "/auth/fab/v1/users", {**names, "roles": [{"name": role}], "password": PASSWORD})
    return Person.logged_in(admin.url, name, PASSWORD)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: str
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    @property
    def all(self) -> str:
        """The whole response, unchanged and also with HTML's escapes resolved."""
        return f"{self.headers}\n{self.text}\n{html.unescape(self.text)}"


@dataclass(frozen=True)
class Person:
    """
    A user's HTTP client, which sends requests unchanged, byte by byte.

    :param cookie: of the login; None without one.
    """

    url: str
    name: str
    cookie: str | None = field(default=None, repr=False)

    @classmethod
    def logged_in(cls, url: str, name: str, password: str) -> Person:
        answer = requests.post(f"{url}/auth/token", json={"username": name, "password": password}, timeout=30)
        answer.raise_for_status()
        return cls(url, name, answer.json()["access_token"])

    def ask(
        self, method: str, target: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """
        Send one request and follow no redirection.

        :param target: path and query, sent unchanged.
        """
        sent = {"Cookie": f"_token={self.cookie}"} if self.cookie else {}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        with contextlib.closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)) as connection:
            connection.request(method, target, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, str(answer.headers), answer.read())

    def get(self, target: str) -> Answer:
        return self.ask("GET", target)

    def api(self, method: str, path: str, json: Any = None) -> Any:
        """
        One request to Airflow's own API.

        :raises requests.HTTPError: the status is not 2xx.
        """
        cookies = {"_token": self.cookie or ""}
        answer = requests.request(method, f"{self.url}{path}", json=json, cookies=cookies, timeout=60)
        if not answer.ok:
            raise requests.HTTPError(f"{self.name}: {method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None


def copy_dags(folder: Path) -> Path:
    """Copy the DAGs of these tests, and their datasets."""
    shutil.copytree(Path(__file__).parent / "dags", folder)
    shutil.copytree(ROOT / "example_dags" / "datasets", folder / "datasets")
    return folder
