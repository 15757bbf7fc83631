"""The emulated workshop as a client meets it. Signs by itself: neither the client nor the emulator lends a hand."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.server import RunningEmulator

JSON = "application/json; charset=utf-8"
CONTENT = b"the weights"
TREE: dict[str, Any] = {
    "modelId": "hero",
    "name": "Hero – 英雄",
    "modelType": "lora",
    "modelDesc": "<p>A hero</p>",
    "source": "https://example.com/hero",
    "sourceType": "internal",
    "isOriginal": True,
    "originalCreator": "us",
    "originalCreatorHomepage": "https://example.com",
    "versions": [
        {
            "modelVersionId": "hero-1",
            "name": "epoch 1",
            "baseModel": "vxl_1.0",
            "versionDesc": "first",
            "triggerWords": ["hero"],
            "isAutoCollection": False,
            "covers": [
                {
                    "cover": "https://example.com/hero.jpg",
                    "coverFile": {"width": 1024, "height": 1024.5, "format": "jpeg"},
                }
            ],
            "files": [
                {
                    "name": "hero.safetensors",
                    "aliasName": "hero",
                    "downloadUrl": "https://example.com/hero.safetensors",
                    "hash": hashlib.sha256(CONTENT).hexdigest(),
                    "sizeKb": len(CONTENT) / 1024,
                    "isPrimary": True,
                }
            ],
        }
    ],
}


class WorkshopApi:
    def __init__(self, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.http = httpx.Client(base_url=emulator.address, timeout=60)

    def call(
        self,
        path: str,
        body: Any,
        *,
        query: str = "",
        signed_query: str | None = None,
        secret: str = "demo",
        sign: tuple[str, ...] = ("x-ca-timestamp", "x-ca-key", "x-ca-nonce", "x-ca-signature-method"),
        **changes: str | None,
    ) -> httpx.Response:
        """
        :param signed_query: what is signed of the query; default: the same.
        :param changes: of headers, with _ for -, before they are signed; None leaves one out.
        """
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        headers: dict[str, str | None] = {
            "accept": JSON,
            "content-type": JSON,
            "content-md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
            "date": "Mon, 02 Mar 2026 00:00:00 GMT+00:00",
            "x-ca-key": "demo",
            "x-ca-nonce": str(uuid.uuid4()),
            "x-ca-signature-method": "HmacSHA256",
            "x-ca-timestamp": str(int(time.time() * 1000)),
            "x-ca-signature-headers": ",".join(sign),
            **{name.replace("_", "-"): value for name, value in changes.items() if name != "signature"},
        }
        there = {name: value for name, value in headers.items() if value is not None}
        target = "?".join(filter(None, (path, query if signed_query is None else signed_query)))
        lines = [there.get(name, "") for name in ("accept", "content-md5", "content-type", "date")]
        lines += [f"{name}:{there.get(name, '')}" for name in sorted(sign)]
        digest = hmac.digest(secret.encode(), "\n".join(["POST", *lines, target]).encode(), "sha256")
        signature = changes.get("signature", base64.b64encode(digest).decode())
        there |= {} if signature is None else {"x-ca-signature": signature}
        return self.http.post("?".join(filter(None, (path, query))), content=content, headers=there)

    def sync(self, tree: dict[str, Any] = TREE, **changes: Any) -> httpx.Response:
        return self.call("/scc/spSdModelSync", {"apiToken": "demo", **tree}, **changes)

    def status(self, tree: dict[str, Any] = TREE) -> int:
        return self.sync(tree).json()["data"]["status"]

    def refusal(self, tree: dict[str, Any] = TREE, **changes: Any) -> tuple[str, str]:
        """The code and the words with which a sync is refused."""
        answer = self.sync(tree, **changes)
        said = answer.json()
        assert (answer.status_code, said["status"], said["data"]) == (200, 20, None)
        return said["subErrCode"], said["subErrMessage"]

    def ledger(self) -> dict[str, Any]:
        return self.emulator.ledger()

    def synced(self, model_id: str) -> dict[str, Any]:
        """What the emulator was sent of a model last."""
        answer = self.http.get(f"/emulator/synced/{model_id}")
        assert answer.status_code == 200
        return answer.json()

    def set(self, **settings: Any) -> None:
        self.emulator.switch("settings", **settings)


def changed(path: str, value: Any = None, *, gone: bool = False) -> dict[str, Any]:
    """The tree with another value at a path such as ``versions.0.name``, or without it."""
    tree = copy.deepcopy(TREE)
    part: Any = tree
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in way:
        part = part[step]
    if gone:
        del part[last]
    else:
        part[last] = value
    return tree
