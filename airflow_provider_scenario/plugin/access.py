"""Who may see and do what: Airflow's own authorisation, asked on every route."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.configuration import conf
from fastapi import Depends, Form, HTTPException, Request, status

LOGGED_IN = Depends(get_user)
"""401 without a login."""

MAY_SEE_DAG = Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))
"""403 where the viewer may not see the tasks of ``dag_id``, whether there is such a DAG or not."""

MAY_EDIT_DAG = Depends(requires_access_dag("PUT"))
"""403 where the viewer may not edit ``dag_id``."""

AUDITED = Depends(action_logging())
"""The action is in Airflow's audit log, with who has done it."""


def readable_dags(user: GetUserDep) -> set[str]:
    """The DAGs that the viewer may see."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


def may_edit(request: Request, user: GetUserDep) -> bool:
    """Whether the page shows what :data:`MAY_EDIT_DAG` allows; asks the same question."""
    try:
        requires_access_dag("PUT")(request, user)
    except HTTPException:
        return False
    return True


ReadableDags = Annotated[set[str], Depends(readable_dags)]
MayEdit = Annotated[bool, Depends(may_edit)]


def form_token(request: Request) -> str:
    """
    What a form must carry so that only our own pages can send it.

    Bound to the login: a keyed hash of its cookie, which no other site can read or make.
    """
    session = request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    key = conf.get_mandatory_value("api", "secret_key")
    return hmac.new(key.encode(), f"scenario form {session}".encode(), hashlib.sha256).hexdigest()


def from_own_page(request: Request, token: Annotated[str, Form()] = "") -> None:
    """
    Refuse what another site makes a logged-in browser send.

    Airflow's cookie is ``SameSite=Lax`` already; where that is not enough (an old browser, a sibling subdomain), the
    browser's own word on where the request comes from (``Sec-Fetch-Site``, in old browsers ``Origin``) and the form's
    token each are.

    :raises HTTPException: 403.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        foreign = site != "same-origin"
    else:
        hosts = (request.headers.get("host"), request.headers.get("x-forwarded-host"))
        foreign = origin is not None and urlsplit(origin).netloc not in hosts
    if foreign or not hmac.compare_digest(token.encode(), form_token(request).encode()):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "This did not come from the page itself, or you have logged in anew. Reload it."
        )


FROM_OWN_PAGE: Any = Depends(from_own_page)
