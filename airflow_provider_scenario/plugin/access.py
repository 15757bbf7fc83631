"""Rights of a viewer: Airflow's own authorisation on every route, and forms that only our pages can send."""

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
"""Content type of our forms. JSON is refused: Airflow's audit log would take the task's name from its body."""


def form_token(request: Request) -> str:
    """
    Return the token that a form must carry, so that only our own pages can send it.

    A keyed hash of the login cookie: another site can neither read nor compute it.
    """
    key = conf().get_mandatory_value("api", "secret_key")
    return hmac.new(key.encode(), f"scenario form {login_cookie(request)}".encode(), hashlib.sha256).hexdigest()


def from_own_page(request: Request, token: Annotated[str, Form()] = "") -> None:
    """
    Refuse a request that another site makes a logged-in browser send (cross-site request forgery).

    Airflow's cookie is ``SameSite=Lax``, which an old browser ignores and a sibling subdomain passes. So the browser's
    header (``Sec-Fetch-Site``, in old browsers ``Origin``) and the form's token are both checked.

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
            status.HTTP_403_FORBIDDEN,
            "This request did not come from the page itself, or you have logged in again since. Reload the page.",
        )


FROM_OWN_PAGE: Any = Depends(from_own_page)
