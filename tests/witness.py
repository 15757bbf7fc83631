"""What tests of this package read from an emulator and do to it, besides what users' tests do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from airflow_provider_scenario.emulator.testing import ScenarioEmulator

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


class Witness(ScenarioEmulator):
    """The emulator's ledger and switches, and what else tests of this package read and do."""

    def __init__(self, url: str, key: str = "demo", secret: str = "demo", files_folder: Path | None = None) -> None:
        super().__init__(url.removesuffix("/v1"), key, secret, files_folder)

    @property
    def root(self) -> str:
        return self.address

    @property
    def auth(self) -> tuple[str, str]:
        return self.api_key, self.api_secret

    def counts(self) -> dict[str, int]:
        totals = self.ledger()["totals"]
        return {
            "models": totals["models_created"],
            "images": totals["training_images_added"],
            "trainings": totals["trainings_started"],
            "canceled": totals["trainings_canceled"],
        }

    def fault_has_hit(self) -> bool:
        """Whether a fault has been applied to a request."""
        return any(fault["hits"] for fault in self.read("faults"))

    def fail_at_random(self, share: float) -> None:
        """Make that share of all requests fail, in all ways, until :meth:`calm_down`."""
        for seed, (part, fault) in enumerate(BAD_DAY):
            self.fault(**fault, probability=part * share, seed=seed, times=None)

    def calm_down(self) -> dict[str, int]:
        """Remove all faults; return how often each was applied."""
        faults = self.read("faults")
        self.clear_faults()
        return {_named(fault): fault["hits"] for fault in faults}

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
