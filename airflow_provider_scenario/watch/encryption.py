"""
Encrypts the secret parameters of a task that waits in the triggerer.

Airflow stores the arguments of a trigger in its database, in clear text if no Fernet key is set, and logs them at
DEBUG. The key is made of the connection's API secret: worker and triggerer both read it, and it is in neither place.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.secret_text import SecretText, revealed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.fernet import Fernet

_PURPOSE = b"airflow-provider-scenario: secret training parameters of a task that waits for a slot"


class CannotDecryptError(Exception):
    """The parameters were encrypted with another API secret."""


def encrypt(secrets: Mapping[str, Any], api_secret: str) -> str:
    """
    Return parameters as text that only the connection's secret decrypts.

    :param secrets: name → text.
    """
    return _fernet(api_secret).encrypt(json.dumps(revealed(dict(secrets))).encode()).decode()


def decrypt(encrypted: str, api_secret: str) -> dict[str, Any]:
    """
    Undo :func:`encrypt`.

    :raises CannotDecryptError: the connection has another secret now.
    """
    from cryptography.fernet import InvalidToken

    try:
        secrets = json.loads(_fernet(api_secret).decrypt(encrypted.encode()))
    except InvalidToken:
        raise CannotDecryptError from None
    return {name: SecretText(secret) for name, secret in secrets.items()}


def _fernet(api_secret: str) -> Fernet:
    from cryptography.fernet import Fernet  # not at module level: it takes 30 ms, and few trainings have a secret

    # No slow key derivation: the secret is long and random, since Scenario makes it.
    return Fernet(base64.urlsafe_b64encode(hmac.digest(api_secret.encode(), _PURPOSE, "sha256")))
