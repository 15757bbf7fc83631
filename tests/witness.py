"""A client for the emulator's ledger and switches, over HTTP."""

from __future__ import annotations

from typing import Any

import requests

BAD_DAY = [
    (0.2, {"kind": "close", "when": "before"}),
    (0.2, {"kind": "close", "when": "after"}),
    (0.1, {"kind": "status", "when": "before", "status": 503}),
    (0.1, {"kind": "status", "when": "after", "status": 502}),
    (0.1, {"kind": "429"}),
    (0.1, {"kind": "429", "retry_after": 1}),
    (0.1, {"kind": "garbage", "garbage": "truncated"}),
    (0.1, {"kind": "slow", "seconds": 1.5}),
]
"""Shares of the kinds of failing requests, and the faults."""


class Witness:
    """The emulator's ledger and switches, over HTTP. It is independent of the code under test."""

    def __init__(self, url: str, key: str = "demo", secret: str = "demo") -> None:
        self.url = url
        self.root = url.removesuffix("/v1")
        self.auth = (key, secret)

    def ledger(self) -> dict[str, Any]:
        return self._call("GET", "ledger")

    def counts(self) -> dict[str, int]:
        totals = self.ledger()["totals"]
        return {
            "models": totals["models_created"],
            "images": totals["training_images_added"],
            "trainings": totals["trainings_started"],
            "canceled": totals["trainings_canceled"],
        }

    def reset(self) -> None:
        self._call("POST", "reset")

    def switched(self, name: str) -> Any:
        """The response of ``GET /emulator/{name}``, such as ``synced/hero``."""
        return self._call("GET", name)

    def set(self, **settings: Any) -> None:
        self._call("POST", "settings", settings)

    def solve_captcha(self, model: str) -> None:
        """Solve the captcha of a professional voice clone, as the owner of the voice does."""
        self._call("POST", "captcha", {"action": "solve", "model": model})

    def outcome(self, **outcome: Any) -> None:
        self._call("POST", "outcomes", outcome)

    def fault(self, **fault: Any) -> None:
        self._call("POST", "faults", fault)

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def fault_has_hit(self) -> bool:
        """Whether a fault has been applied to a request."""
        return any(fault["hits"] for fault in self._call("GET", "faults"))

    def fail_at_random(self, share: float) -> None:
        """Make that share of all requests fail, in all ways, until :meth:`calm_down`."""
        for seed, (part, fault) in enumerate(BAD_DAY):
            self.fault(**fault, probability=part * share, seed=seed, times=None)

    def calm_down(self) -> dict[str, int]:
        """Remove all faults; return how often each was applied."""
        faults = self._call("GET", "faults")
        self.clear_faults()
        return {_named(fault): fault["hits"] for fault in faults}

    def advance(self, seconds: float) -> None:
        self._call("POST", "advance", {"seconds": seconds})

    def get(self, path: str) -> dict[str, Any]:
        answer = requests.get(f"{self.root}/v1/{path}", auth=self.auth, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def model(self, model_id: str) -> dict[str, Any]:
        return self.get(f"models/{model_id}")["model"]

    def cancel(self, model_id: str) -> None:
        """Cancel a training as a user does in the web app."""
        url = f"{self.root}/v1/models/{model_id}/train/action"
        requests.post(url, json={"action": "cancel"}, auth=self.auth, timeout=60).raise_for_status()

    def requests(self) -> int:
        return int(self.ledger()["totals"]["requests"])

    def _call(self, method: str, switch: str, json: Any = None) -> Any:
        answer = requests.request(method, f"{self.root}/emulator/{switch}", json=json, timeout=60)
        answer.raise_for_status()
        return answer.json()


def _named(fault: dict[str, Any]) -> str:
    match fault["kind"]:
        case "429":
            return "429" if fault["retry_after"] is None else "429 with Retry-After"
        case "status":
            return f"{fault['status']} {fault['when']} the effect"
        case "close":
            return f"dropped {fault['when']} the effect"
        case "garbage":
            return f"{fault['garbage']} answer"
    return str(fault["kind"])
