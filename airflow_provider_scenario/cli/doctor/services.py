"""Checks of a connection and its service: fields, reachability, credentials, project, clock, request budget."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_scenario.airflow_compat.exceptions import AirflowNotFoundException
from airflow_provider_scenario.cli.doctor.findings import Finding, not_checked
from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.defaults import TEST_TIMEOUT
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    NotFoundError,
    ScenarioError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.http_session import new_session
from airflow_provider_scenario.client.texts import Scrubber, plain
from airflow_provider_scenario.exceptions import ConnectionMissingError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.scenario import ScenarioHook

if TYPE_CHECKING:
    import requests

    from airflow_provider_scenario.hooks.base import ConnectionHook

LARGEST_SKEW = 60.0
"""Seconds by which the clocks may differ. Deadlines, signatures and the search for an earlier attempt's model use
times of both sides."""

DOCUMENTED_REQUESTS_PER_MINUTE = 100.0
"""What Scenario documents for a project."""

FEW_REQUESTS_PER_MINUTE = 10.0
"""Below this, uploads and polls wait for each other."""


class _Clock:
    """Measures how far ahead this machine's clock is, by the ``Date`` header of answers."""

    def __init__(self) -> None:
        self.ahead: float | None = None

    def read(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Read the ``Date`` of an answer, whatever its status; a hook of requests."""
        if "age" in response.headers:  # from a cache: the date is an old one
            return
        try:
            # The header has whole seconds; the answer was made about half-way between request and now.
            theirs = parsedate_to_datetime(response.headers.get("date", "")).timestamp() + 0.5
        except (TypeError, ValueError, OverflowError):
            return
        self.ahead = time.time() - response.elapsed.total_seconds() / 2 - theirs


class ConnectionChecks(ABC):
    """
    The checks of one connection.

    :param hook: reads the connection.
    """

    prefix: ClassVar[str] = ""
    names: ClassVar[tuple[str, ...]]
    service: ClassVar[str]

    def __init__(self, hook: ConnectionHook[Any]) -> None:
        self.hook: Any = hook
        self.clock = _Clock()

    def __call__(self) -> Iterator[Finding]:
        """Run the checks: first what needs no request, then what one request tells."""
        connection = self._connection()
        yield connection
        if connection.status == "failed":
            yield from (not_checked(name, "The connection is not usable.") for name in self.names[1:])
            return
        yield self._request_budget()
        yield from self._requests()
        yield self._check_clock()

    @property
    def scrub(self) -> Scrubber:
        """Masks the secrets of the connection."""
        secret_fields = [field.name for field in self.hook.form.extra_fields if field.is_secret]
        settings = self.hook.settings
        return Scrubber(str(settings[name]) for name in (*self.hook.key_names, *secret_fields))

    def _name(self, check: str) -> str:
        return f"{self.prefix}{check}"

    def _connection(self) -> Finding:
        name, conn_id = self._name("connection"), plain(self.hook.conn_id)
        try:
            settings = self.hook.settings
            self._connect().close()
        except ConnectionMissingError:
            return Finding(
                name,
                "failed",
                f"Connection {conn_id!r} does not exist.",
                f"Add one of type {self.hook.conn_type!r} in Airflow under Admin → Connections, or set the "
                f"environment variable AIRFLOW_CONN_{conn_id.upper()}.",
            )
        except AirflowNotFoundException:
            return Finding(
                name,
                "failed",
                f"Connection {conn_id!r} cannot be read: Airflow's database or a secrets backend has failed.",
                "Check the database and the secrets backend.",
            )
        except ScenarioError as error:
            text = str(error).removesuffix(NOTHING_SENT).rstrip()
            return Finding(name, "failed", text, f"Change connection {conn_id!r} in Airflow.")
        base_url = settings.get("base_url")
        where = f"at {plain(base_url)}" if base_url else "at the public address"
        return Finding(name, "ok", f"Connection {conn_id!r} is complete; its service is {where}.")

    def _connect(self) -> Any:
        """Make a client that notes the times of the answers and sends each request once."""
        session = new_session(1)
        session.hooks["response"].append(self.clock.read)
        return self.hook.connect(timeout=TEST_TIMEOUT, max_tries=1, session=session)

    def _request_budget(self) -> Finding:
        name, budget = self._name("request budget"), float(self.hook.settings["requests_per_minute"])
        found = f"requests_per_minute is {budget:g}."
        if budget < FEW_REQUESTS_PER_MINUTE:
            return Finding(
                name,
                "warning",
                f"{found} So few make uploads and polls wait for each other.",
                "Raise requests_per_minute in the connection's extra, unless many machines share it.",
            )
        return self._check_budget(name, found, budget)

    def _check_budget(self, name: str, found: str, budget: float) -> Finding:  # noqa: ARG002
        return Finding(name, "ok", found)

    @abstractmethod
    def _requests(self) -> Iterator[Finding]:
        """Make one cheap request and say what it tells."""

    def _unreachable(self, error: ServiceError) -> Finding:
        base_url = plain(self.hook.settings.get("base_url") or "")
        if error.status is None:
            advice = "Check the network, the proxy and the connection's host."
            if base_url.startswith("https"):
                advice += " For a private certificate authority set 'verify' in the connection's extra."
        else:
            advice = (
                f"Try again later; if it stays so, check that the connection's host is the base URL of {self.service}."
            )
        return Finding(self._name("service"), "failed", str(error), advice)

    def _check_clock(self) -> Finding:
        name, ahead = self._name("clock"), self.clock.ahead
        if ahead is None:
            return not_checked(name, f"{self.service} has sent no answer with a date.")
        if abs(ahead) <= LARGEST_SKEW:
            return Finding(name, "ok", f"This machine's clock and the service's differ by {abs(ahead):.0f} s.")
        direction = "ahead of" if ahead > 0 else "behind"
        return Finding(
            name,
            "failed",
            f"This machine's clock is {abs(ahead):.0f} s {direction} the service's. Deadlines are then wrong, signed "
            "requests may be refused, and a retry may not find the model that it has created before.",
            "Set the clock, for example by NTP.",
        )


class ScenarioChecks(ConnectionChecks):
    """The checks of a connection of type ``scenario``."""

    names = ("connection", "request budget", "service", "credentials", "project", "clock")
    service = "Scenario"

    def _check_budget(self, name: str, found: str, budget: float) -> Finding:
        if budget > DOCUMENTED_REQUESTS_PER_MINUTE:
            return Finding(
                name,
                "warning",
                f"{found} Scenario documents {DOCUMENTED_REQUESTS_PER_MINUTE:g} for a project and throttles more.",
                "Leave requests_per_minute empty (80), and divide it if several machines run tasks.",
            )
        return Finding(name, "ok", found)

    def _requests(self) -> Iterator[Finding]:
        with self._connect() as client:
            try:
                project = self.hook.answering_project(client)
            except (AuthenticationError, NotFoundError) as error:
                yield Finding("service", "ok", "Scenario answers.")
                yield from self._refused(client, error)
            except ServiceError as error:
                yield self._unreachable(error)
                yield from (not_checked(name, "Scenario gives no answer.") for name in ("credentials", "project"))
            except ThrottledError as error:
                advice = "Try again in a minute. If it stays so, lower requests_per_minute, or find what else uses it."
                yield Finding("service", "warning", str(error), advice)
                yield from (not_checked(name, "Scenario throttles.") for name in ("credentials", "project"))
            except ScenarioError as error:
                yield Finding("service", "failed", str(error), "Check that the connection's host is Scenario's.")
                yield from (not_checked(name, "Scenario refuses the check.") for name in ("credentials", "project"))
            else:
                yield Finding("service", "ok", "Scenario answers.")
                yield Finding("credentials", "ok", "Scenario accepts the API key and the secret.")
                yield Finding("project", "ok", f"Project {project}.")

    def _refused(self, client: Any, error: ScenarioError) -> Iterator[Finding]:
        """Tell wrong credentials from a wrong project: the service refuses both with 403."""
        project_id = self.hook.settings["project_id"]
        refused: ScenarioError | None = error
        if project_id:
            try:
                next(client.list_projects(), None)  # needs the key and the secret alone
            except ScenarioError as other:
                refused = other
            else:
                refused = None
        if refused is None:
            yield Finding("credentials", "ok", "Scenario accepts the API key and the secret.")
            yield Finding(
                "project",
                "failed",
                f"The API key has no access to the project {plain(project_id)!r}: {error}",
                "Correct project_id in the connection's extra, or give the key a role in that project.",
            )
        elif isinstance(refused, AuthenticationError):
            advice = f"Make a key at {self.hook.keys_from}; login is the key, password the secret."
            yield Finding("credentials", "failed", str(refused), advice)
            yield not_checked("project", "The credentials are refused.")
        else:
            yield not_checked("credentials", f"Scenario does not say: {refused}")
            yield Finding("project", "failed", str(error), "Correct project_id in the connection's extra.")


class WorkshopChecks(ConnectionChecks):
    """The checks of a connection of type ``ai_creation_workshop``."""

    prefix = "workshop "
    names = tuple(f"workshop {name}" for name in ("connection", "request budget", "service", "credentials", "clock"))
    service = "AI Creation Workshop"

    def _requests(self) -> Iterator[Finding]:
        with self._connect() as client:
            try:
                token = client.check()
            except ServiceError as error:
                yield self._unreachable(error)
                yield not_checked("workshop credentials", "The service gives no answer.")
            except ScenarioError as error:
                yield Finding("workshop service", "ok", "AI Creation Workshop answers.")
                advice = "Check AppKey, AppSecret and api_token of the connection."
                yield Finding("workshop credentials", "failed", str(error), advice)
            else:
                ends = token.token_expired_at
                until = f"; the token is valid until {ends:%Y-%m-%d %H:%M} UTC" if ends else ""
                yield Finding("workshop service", "ok", "AI Creation Workshop answers.")
                yield Finding("workshop credentials", "ok", f"Key, secret and token are accepted{until}.")


def scenario_checks(conn_id: str) -> ScenarioChecks:
    """Return the checks of a connection of type ``scenario``."""
    return ScenarioChecks(ScenarioHook(conn_id))


def workshop_checks(conn_id: str) -> WorkshopChecks:
    """Return the checks of a connection of type ``ai_creation_workshop``."""
    return WorkshopChecks(AICreationWorkshopHook(conn_id))
