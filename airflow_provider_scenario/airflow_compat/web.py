"""For a page inside Airflow's API server: the viewer, the viewer's rights, and the audit log."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import unquote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request

LOGGED_IN: Any = Depends(get_user)
"""401 without a login. Relies on ``get_user`` (3.1)."""


def run_id(request: Request) -> str:
    """Read the run's id with its plus signs, which Airflow 3.1 does not encode in the address and 3.3 does."""
    fields = dict(field.partition("=")[::2] for field in request.url.query.split("&"))
    return unquote(fields.get("run_id", "")).replace("\0", "")


def _name_task_in_path(request: Request) -> None:
    """
    Copy the ids of DAG, task and run from the query to the path parameters.

    Airflow's check of rights (before 3.1.8) and its audit log (3.4) read them only there, where Airflow's own addresses
    have them. A check that finds no DAG there passes everyone who may see any DAG.
    """
    path = request.scope.setdefault("path_params", {})
    for name in ("dag_id", "task_id"):
        if name in request.query_params:
            path[name] = request.query_params[name]
            if "\0" in path[name]:  # the check queries the database, and PostgreSQL refuses a NUL
                raise HTTPException(400, f"{name} contains a NUL character, which no id has.")
    path["run_id"] = path["dag_run_id"] = run_id(request)


def _of_address(check: Callable[[Request, Any], None]) -> Callable[[Request, Any], None]:
    def check_address(request: Request, user: GetUserDep) -> None:
        _name_task_in_path(request)
        check(request, user)

    return check_address


_may_edit_dag = _of_address(requires_access_dag("PUT"))
_may_see_xcoms = _of_address(requires_access_dag("GET", DagAccessEntity.XCOM))

MAY_SEE_DAG: Any = Depends(_of_address(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)))
"""
403 if the viewer may not see the tasks of ``dag_id``, whether such a DAG exists or not.

Relies on ``requires_access_dag``, which takes the request and the user (3.1).
"""

MAY_EDIT_DAG: Any = Depends(_may_edit_dag)
"""403 if the viewer may not edit ``dag_id``. Relies on the same."""

AUDITED: Any = Depends(action_logging())
"""
Writes the action, the user and the task to Airflow's audit log; comes after :data:`MAY_EDIT_DAG`.

Relies on ``action_logging`` (3.1).
"""


def may_edit(request: Request, user: GetUserDep) -> bool:
    """Whether :data:`MAY_EDIT_DAG` would pass, so that the page shows the buttons."""
    try:
        _may_edit_dag(request, user)
    except HTTPException:
        return False
    return True


def may_see_xcoms(request: Request, user: GetUserDep) -> bool:
    """Whether the viewer may read the XComs of ``dag_id``; the same check as at Airflow's own address of XComs."""
    try:
        _may_see_xcoms(request, user)
    except HTTPException:
        return False
    return True


def readable_dags(user: GetUserDep) -> set[str]:
    """Return the DAGs that the viewer may see. Relies on ``get_authorized_dag_ids`` of the auth manager (3.1)."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


def task_reader(user: GetUserDep) -> Callable[[str], bool]:
    """
    Return a function that tells whether the viewer may see the tasks of a DAG: seeing the DAG does not include it.

    Relies on ``is_authorized_dag`` of the auth manager and ``DagModel.get_team_name`` (3.1).
    """

    @cache
    def may_see_tasks(dag_id: str) -> bool:
        details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
        access, entity = get_auth_manager(), DagAccessEntity.TASK_INSTANCE
        return access.is_authorized_dag(method="GET", access_entity=entity, details=details, user=user)

    return may_see_tasks


def login_cookie(request: Request) -> str:
    """Return the viewer's login cookie. Relies on the name of Airflow's cookie (3.1); empty without one."""
    return request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
