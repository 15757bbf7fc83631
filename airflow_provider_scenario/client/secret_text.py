"""A secret as a text that reads ``***`` however it is shown, stored or sent, until it is revealed on purpose."""

from __future__ import annotations

from typing import Any

_MASK = "***"


class SecretText(str):
    """
    A secret whose text is ``***``.

    A ``str``, because Airflow's minors serialise rendered fields, XComs and triggers each in their own way, and all of
    them keep a ``str`` as it is. Equal to another one with the same secret, and to the secret itself.

    :param secret: what :func:`revealed` returns.
    """

    _secret: str

    def __new__(cls, secret: str) -> SecretText:
        """Keep the secret beside the text."""
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
        """For ``copy``, which would take the text for the secret."""
        return (self._secret,)


def revealed(value: Any) -> Any:
    """
    The same value with every secret in the clear, to be sent to Scenario and for nothing else.

    :param value: a text, or parameters whose values may be secrets.
    """
    if isinstance(value, SecretText):
        return value._secret
    if isinstance(value, dict):
        return {name: revealed(item) for name, item in value.items()}
    return value
