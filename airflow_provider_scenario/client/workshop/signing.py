"""
The digest signature of Alibaba Cloud's API Gateway: HMAC-SHA256 over what is sent, with the secret of an application.

Signs the request that requests has prepared, so exactly the bytes that leave. Each try is prepared anew and gets a
timestamp and a nonce of its own, which the gateway asks for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from requests.auth import AuthBase

if TYPE_CHECKING:
    import requests

SIGNED_HEADERS = ("x-ca-timestamp", "x-ca-key", "x-ca-nonce", "x-ca-signature-method")
METHOD = "HmacSHA256"


class DigestAuth(AuthBase):
    """
    Signs every request that passes.

    :param app_key: AppKey of an application of the workshop, not the AccessKey of the account.
    :param app_secret: its AppSecret.
    :param clock: Unix time in seconds; the gateway takes what is at most 15 minutes off.
    :param nonce: a text that no other request has had in the last 15 minutes.
    """

    def __init__(
        self,
        app_key: str,
        app_secret: str,
        *,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._app_key, self._app_secret = app_key, app_secret
        self._clock, self._nonce = clock, nonce

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        now = self._clock()
        request.headers.update(
            {
                "date": formatdate(now, usegmt=True).replace("GMT", "GMT+00:00"),
                "x-ca-key": self._app_key,
                "x-ca-timestamp": str(int(now * 1000)),
                "x-ca-nonce": self._nonce(),
                "x-ca-signature-method": METHOD,
                "x-ca-signature-headers": ",".join(SIGNED_HEADERS),
            }
        )
        if request.body:
            request.headers["content-md5"] = md5(request.body)
        signed = string_to_sign(str(request.method), request.headers, request.path_url)
        request.headers["x-ca-signature"] = signature(self._app_secret, signed)
        return request


def string_to_sign(method: str, headers: Mapping[str, str], target: str) -> str:
    """
    What is signed of a request, line by line.

    :param headers: those that are sent, looked up in any case if the mapping does so.
    :param target: path and query as they are sent. Signed are the query's names in order, each once, with their
        decoded values; of a name that is repeated the first value, as the gateway's documents have it.
    """
    path, _, query = target.partition("?")
    signed: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        signed.setdefault(name, value)
    parameters = "&".join(f"{name}={value}" if value else name for name, value in sorted(signed.items()))
    return "\n".join(
        (
            method,
            *(headers.get(name, "") for name in ("accept", "content-md5", "content-type", "date")),
            *(f"{name}:{headers.get(name, '')}" for name in sorted(SIGNED_HEADERS)),
            f"{path}?{parameters}" if parameters else path,
        )
    )


def signature(app_secret: str, signed: str) -> str:
    """The proof that somebody who knows the secret has signed this."""
    return base64.b64encode(hmac.digest(app_secret.encode(), signed.encode(), "sha256")).decode()


def md5(body: bytes | str) -> str:
    """The digest by which the gateway notices that a body was changed on its way."""
    content = body.encode() if isinstance(body, str) else body
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
