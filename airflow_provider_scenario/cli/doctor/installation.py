"""Checks of this Airflow: version, plugin, database, triggerers, pools, page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from airflow_provider_scenario.airflow_compat.configuration import conf
from airflow_provider_scenario.airflow_compat.installation import (
    DEFAULT_POOL,
    Pool,
    loaded_plugins,
    pools,
    pools_of_tasks,
    triggerers,
)
from airflow_provider_scenario.airflow_compat.tables import database_session
from airflow_provider_scenario.airflow_compat.version import airflow_version
from airflow_provider_scenario.cli.doctor.findings import Finding, not_checked, worst_status
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.plugin.airflow_plugin import OUR_FIELDS, PREFIX, ScenarioPlugin

if TYPE_CHECKING:
    import requests
    from sqlalchemy.orm import Session

    from airflow_provider_scenario.airflow_compat.installation import Triggerers

LOWEST, NEWEST_TESTED = "3.1.2", "3.4"
"""Versions of Airflow: the lowest that this provider supports, and the newest minor that its tests run on."""

PAGE_TIMEOUT = 10.0
"""Seconds to wait for the API server."""

_NEVER_TRAIN = (
    "ScenarioTrainingSensor",
    "ScenarioCreateModelOperator",
    "ScenarioUpdateModelOperator",
    "ScenarioAddTrainingImagesOperator",
    "ScenarioCancelTrainingOperator",
    "ScenarioEstimateTrainingCostOperator",
)
_MOST_NAMED = 3

DATABASE_CHECKS = ("database", "triggerer", "pools")


def check_version() -> Iterator[Finding]:
    """Check whether this provider supports this version of Airflow."""
    version = airflow_version()
    if Version(version) < Version(LOWEST):
        advice = f"Upgrade Airflow to {LOWEST} or newer."
        yield Finding("Airflow version", "failed", f"Airflow {version} is not supported.", advice)
    elif Version(version).release[:2] > Version(NEWEST_TESTED).release:
        found = f"Airflow {version} is newer than the newest that this provider was tested with ({NEWEST_TESTED})."
        yield Finding("Airflow version", "warning", found, "Look for a newer release of this provider.")
    else:
        yield Finding("Airflow version", "ok", f"Airflow {version}.")


def check_plugin() -> Iterator[Finding]:
    """Check whether Airflow has loaded the plugin with the page."""
    found = loaded_plugins()
    errors = [f"{name}: {error}" for name, error in found.errors.items() if "airflow_provider_scenario" in name]
    if ScenarioPlugin.name in found.names and not errors:
        yield Finding("plugin", "ok", "Airflow has loaded the plugin with the Trainings page.")
    elif errors:
        advice = "Repair the installation: `pip install --force-reinstall airflow-provider-scenario`."
        yield Finding("plugin", "failed", f"The plugin cannot be imported: {plain('; '.join(errors))}", advice)
    else:
        yield Finding(
            "plugin",
            "failed",
            "Airflow has not loaded the plugin, so there is no Trainings page.",
            "Install airflow-provider-scenario into the environment of this Airflow, as a package and not as a folder "
            "on the path: Airflow finds the plugin by its entry point.",
        )


def check_database(pool_names: Sequence[str]) -> Iterator[Finding]:
    """
    Check the triggerers and pools that Airflow's database names.

    :param pool_names: pools to check. Empty: those that tasks of this provider use.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with database_session() as session:
            alive = triggerers(session)
            yield Finding("database", "ok", f"Airflow's database answers ({session.get_bind().dialect.name}).")
            yield _triggerer(alive)
            yield _pools(session, pool_names)
    except SQLAlchemyError as error:
        # Not the whole error: it has the statement. The address in Airflow's configuration holds a password.
        reason = plain(str(getattr(error, "orig", None) or type(error).__name__))
        yield Finding(
            "database",
            "failed",
            f"Airflow's database cannot be read: {reason}",
            "Run this command where the scheduler runs, with its configuration; for a new database run "
            "`airflow db migrate`.",
        )
        yield from (not_checked(name, "Airflow's database cannot be read.") for name in DATABASE_CHECKS[1:])


def _triggerer(found: Triggerers) -> Finding:
    if not found.hosts:
        last = found.last_heartbeat
        ago = f"the last heartbeat was {_seconds_since(last):.0f} s ago" if last else "none has ever run"
        return Finding(
            "triggerer",
            "failed",
            f"No triggerer is alive: {ago}. Deferred tasks then wait for ever, while their trainings continue and are "
            "billed.",
            "Start `airflow triggerer`, or set deferrable=False in the DAGs.",
        )
    count = len(found.hosts)
    room = count * found.capacity
    text = (
        f"{count} alive ({_some(found.hosts)}), with room for {found.capacity} triggers{' each' if count > 1 else ''}; "
        f"{found.triggers} wait now."
    )
    if found.triggers >= room:
        advice = "Start another triggerer, or raise [triggerer] capacity: further triggers start only when others end."
        return Finding("triggerer", "warning", text, advice)
    return Finding("triggerer", "ok", text)


def _pools(session: Session, names: Sequence[str]) -> Finding:
    used = {name: [] for name in names} if names else pools_of_tasks(session, can_train)
    if not used:
        return Finding("pools", "ok", "No DAG has a task of this provider that trains.")
    existing = pools(session)
    judged = [_judge_pool(name, existing.get(name), tasks) for name, tasks in sorted(used.items())]
    return Finding(
        "pools",
        worst_status(each.status for each in judged),
        " ".join(each.found for each in judged),
        " ".join(dict.fromkeys(each.advice for each in judged if each.advice)),
    )


def _judge_pool(name: str, pool: Pool | None, tasks: list[str]) -> Finding:
    shown = plain(name)
    users = f", used by {_some(tasks)}," if tasks else ""
    if pool is None:
        advice = f"Create it: `airflow pools set {shown} SLOTS 'trainings' --include-deferred`."
        return Finding("pools", "failed", f"Pool {shown!r}{users} does not exist: its tasks never start.", advice)
    if pool.include_deferred:
        return Finding("pools", "ok", f"Pool {shown!r} counts deferred tasks ({_slots(pool)}).")
    if name == DEFAULT_POOL:
        found = (
            f"Pool {shown!r}{users} does not count deferred tasks, so no pool limits how many trainings run at once."
        )
        advice = "To limit them, give these tasks a pool of their own, made with --include-deferred."
        return Finding("pools", "warning", found, advice)
    return Finding(
        "pools",
        "failed",
        f"Pool {shown!r}{users} does not count deferred tasks: more trainings than its {_slots(pool)} run at once, and "
        "all are billed.",
        f"`airflow pools set {shown} {pool.slots} 'trainings' --include-deferred`",
    )


def can_train(task: Mapping[str, Any]) -> bool:
    """
    Whether a serialized task is one of this provider, or of a subclass, that starts trainings.

    A task with ``deferrable=False`` counts too: Airflow does not store that argument.
    """
    fields = task.get("template_fields")
    return isinstance(fields, list) and OUR_FIELDS[0] in fields and task.get("task_type") not in _NEVER_TRAIN


def check_page() -> Iterator[Finding]:
    """Check whether the page answers at the address of the API server."""
    import requests

    base_url, is_configured = _api_server()
    address = f"{base_url}/{PREFIX}/trainings"
    try:
        answer = _get(address)
        # Without the plugin, the API server answers unknown addresses with the start page of its UI.
        is_page = answer.status_code != 200 or _is_icon(_get(f"{base_url}/{PREFIX}/static/icon.svg"))
    except requests.RequestException as error:
        found = f"The API server does not answer at {plain(base_url)}: {type(error).__name__}."
        if not is_configured:
            advice = "Set [api] base_url to the address at which users open Airflow."
            yield Finding("page", "warning", f"{found} [api] base_url is not set, so this address is a guess.", advice)
            return
        yield Finding("page", "failed", found, "Start `airflow api-server`, or correct [api] base_url.")
        return
    status = answer.status_code
    if status >= 500:
        found = f"The page fails with {status} at {plain(address)}."
        yield Finding("page", "failed", found, "Look into the log of the API server.")
    elif status == 404 or not is_page:
        yield Finding(
            "page",
            "failed",
            f"The API server answers, but has no Trainings page at {plain(address)}.",
            "Install this provider into the environment of the API server too, and restart it.",
        )
    else:
        login = "" if status == 200 else f" (asks for a login: {status})"
        yield Finding("page", "ok", f"The page answers at {plain(address)}{login}.")


def _get(address: str) -> requests.Response:
    import requests

    with requests.get(address, timeout=PAGE_TIMEOUT, allow_redirects=False, stream=True) as answer:
        return answer


def _is_icon(answer: requests.Response) -> bool:
    return answer.status_code != 200 or "svg" in answer.headers.get("content-type", "")


def _api_server() -> tuple[str, bool]:
    """The address of the API server, and whether the configuration has it."""
    configured = conf().get("api", "base_url", fallback="") or ""
    if configured.startswith("http"):
        return configured.rstrip("/"), True
    execution = conf().get("core", "execution_api_server_url", fallback="") or ""
    if execution.startswith("http"):
        return execution.split("/execution")[0].rstrip("/"), True
    return f"http://localhost:{conf().getint('api', 'port', fallback=8080)}", False


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def _slots(pool: Pool) -> str:
    return "any number of slots" if pool.slots < 0 else f"{pool.slots} slot{'' if pool.slots == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(map(plain, names[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
