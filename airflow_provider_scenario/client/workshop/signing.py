"""
The digest signature of Alibaba Cloud's API Gateway: HMAC-SHA256 over the request, with the secret of an application.

It signs the request that requests has prepared, so exactly the bytes that are sent. Each try is prepared anew: the
gateway refuses a timestamp or a nonce that it has had before.
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
    Signs each request that is sent.

    :param app_key: AppKey of an application of the workshop; not the AccessKey of the account.
    :param app_secret: its AppSecret.
    :param clock: Unix time in seconds; the gateway allows an error of 15 minutes.
    :param nonce: makes a text that no other request of the last 15 minutes has had.
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
    Return the text that is signed, line by line.

    :param headers: those that are sent.
    :param target: path and query as they are sent. The query's names are signed in order, each once, with the decoded
        value; of a repeated name the first value, according to the gateway's documents.
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
    """Sign a text."""
    return base64.b64encode(hmac.digest(app_secret.encode(), signed.encode(), "sha256")).decode()


def md5(body: bytes | str) -> str:
    """Return the digest by which the gateway detects a changed body."""
    content = body.encode() if isinstance(body, str) else body
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
