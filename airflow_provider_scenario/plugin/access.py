"""Who may see and do what: Airflow's own authorisation on every route, and forms that only our pages can send."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Form, HTTPException, Request, status

from airflow_provider_scenario.airflow_compat.configuration import conf
from airflow_provider_scenario.airflow_compat.web import (
    login_cookie,
    may_edit,
    may_see_xcoms,
    readable_dags,
    task_reader,
)

ReadableDags = Annotated[set[str], Depends(readable_dags)]
MaySeeTasks = Annotated[Callable[[str], bool], Depends(task_reader)]
MayEdit = Annotated[bool, Depends(may_edit)]
MaySeeXComs = Annotated[bool, Depends(may_see_xcoms)]

FORM = "application/x-www-form-urlencoded"
"""The only type of what our pages send. Airflow's audit log believes JSON that names another task."""


def form_token(request: Request) -> str:
    """
    What a form must carry so that only our own pages can send it.

    Bound to the login: a keyed hash of its cookie, which no other site can read or make.
    """
    key = conf().get_mandatory_value("api", "secret_key")
    return hmac.new(key.encode(), f"scenario form {login_cookie(request)}".encode(), hashlib.sha256).hexdigest()


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
    foreign = foreign or request.headers.get("content-type") != FORM
    if foreign or not hmac.compare_digest(token.encode(), form_token(request).encode()):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "This did not come from the page itself, or you have logged in anew. Reload it."
        )


FROM_OWN_PAGE: Any = Depends(from_own_page)
