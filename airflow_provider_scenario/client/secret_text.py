"""A secret whose text is ``***`` wherever it is shown, stored or sent, until :func:`revealed` returns it."""

from __future__ import annotations

from typing import Any

_MASK = "***"


class SecretText(str):
    """
    A secret whose text is ``***``.

    A ``str``, because each minor of Airflow serialises rendered fields, XComs and triggers in another way, and all of
    them keep a ``str`` unchanged. Equal to another one with the same secret, and to the secret itself.

    :param secret: what :func:`revealed` returns.
    """

    _secret: str

    def __new__(cls, secret: str) -> SecretText:
        """Keep the secret in an attribute beside the text."""
        hidden = super().__new__(cls, _MASK)
        hidden._secret = str(revealed(secret))
        return hidden

    def __eq__(self, other: object) -> bool:
        return bool(self._secret == revealed(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._secret)

    def __getnewargs__(self) -> tuple[str]:
        """For ``copy``, which would otherwise use ``***`` as the secret."""
        return (self._secret,)


def revealed(value: Any) -> Any:
    """
    Return the same value with its secrets in plain text, only to send it to Scenario.

    :param value: a text, or parameters whose values may be secrets.
    """
    if isinstance(value, SecretText):
        return value._secret
    if isinstance(value, dict):
        return {name: revealed(item) for name, item in value.items()}
    return value
