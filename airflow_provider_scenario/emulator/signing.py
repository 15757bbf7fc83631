"""Signed URLs: they work without credentials until they expire."""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache
from math import ceil

LONGEST_TIME = 15
"""The most digits of a time: Python refuses to parse numbers with thousands of digits."""


class Signer:
    """Signs paths with a random secret: a URL of one run of the emulator is invalid in the next."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)
        # Expiry is rounded up to a minute, so that polls of a model reuse the signatures of its URLs.
        self._signature = lru_cache(maxsize=65536)(self._sign)

    def url(self, base: str, path: str, now: float, seconds: float) -> str:
        expires = ceil((now + seconds) / 60) * 60
        return f"{base}{path}?Expires={expires}&Signature={self._signature(path, expires)}"

    def is_valid(self, path: str, query: dict[str, str], now: float) -> bool:
        expires = query.get("Expires", "")
        if not (expires.isascii() and expires.isdigit() and len(expires) <= LONGEST_TIME) or int(expires) < now:
            return False
        return hmac.compare_digest(self._signature(path, int(expires)).encode(), query.get("Signature", "").encode())

    def _sign(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), "sha256").hexdigest()[:40]
