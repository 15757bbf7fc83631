"""The cells of the kill matrices: where a task is killed, and what the next attempt must find."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

PICTURES = sorted((Path(__file__).parents[2] / "example_dags" / "datasets" / "ink-style").glob("*.jpg"))[:3]
TYPE = "flux.2-dev-lora"
DESCRIPTION = "Model of a task that is killed"

CREATE, IMAGE, TRAIN = "POST /models", "POST /models/*/training-images", "PUT /models/*/train"
DESCRIBE = "PUT /models/*"
SECOND_IMAGE = f"{IMAGE} #2"

# A point is the steps of the process until it is killed; dags/kill_points.py defines them.
BEFORE, LOST, UNRECORDED, RECORDED = "before it", "acted, answer lost", "answered, not recorded", "recorded"
WAITING, DEFERRING, FINISHING, RETURNED = "waiting", "handing over", "finishing", "result stored"
POINTS = {
    BEFORE: ["sends {request}"],
    LOST: ["answered {request}"],
    UNRECORDED: ["answered {request}", "records"],
    RECORDED: ["answered {request}", "recorded"],
    WAITING: ["answered {request}", "sends GET /models/*", "sends GET /models/*"],
    DEFERRING: ["answered {request}", "defers"],
    FINISHING: ["concludes"],
    RETURNED: ["returned"],
}
AROUND_A_REQUEST = (BEFORE, LOST, UNRECORDED, RECORDED)


@dataclass(frozen=True)
class Cell:
    """
    One way to be killed.

    :param kills: request and point, for each attempt that is killed.
    :param brief: whether the training ends before the next attempt polls it; otherwise it still runs then.
    """

    operator: str
    mode: str
    kills: tuple[tuple[str, str], ...] = ()
    brief: bool = False

    @property
    def killed(self) -> str:
        return " + ".join(f"{request}: {point}" if request else point for request, point in self.kills)

    @property
    def steps(self) -> list[list[str]]:
        return [[step.format(request=request) for step in POINTS[point]] for request, point in self.kills]

    @property
    def holds_worker(self) -> bool:
        return self.mode == "sync" and not self.brief

    @property
    def expected_found(self) -> str:
        """The training of earlier attempts that the last attempt must find."""
        request, point = self.kills[-1]
        if point in (FINISHING, RETURNED) or request == DESCRIBE:
            return "ended"
        if request != TRAIN or point == BEFORE:
            return "nothing"
        return "ended" if self.brief else "running"


def cell(operator: str, mode: str, *kills: tuple[str, str], brief: bool = False) -> Cell:
    return Cell(operator, mode, kills, brief)


@dataclass(frozen=True)
class Run:
    """
    The run of a cell.

    :param model_id: of the model that was prepared for it; None if the task creates its own.
    """

    cell: Cell
    name: str
    model_id: str | None
    dag: str
    run_id: str


_numbers = itertools.count(1)


def begin(airflow: Any, emulator: Any, cell: Cell, kind: str = "", unharmed: int = 0) -> Run:
    """
    Start the cell's task, with a model name that is unique.

    :param kind: of DAG, if the operator and the mode have several.
    :param unharmed: number of attempts before the first one that is killed.
    """
    name = f"{'brief' if cell.brief else 'long'} {next(_numbers)} {cell.operator} {cell.mode}".strip()
    model_id = None
    if cell.operator in ("images", "train"):
        model_id = send(emulator, "POST", "models", {"name": name, "type": TYPE})["model"]["id"]
    if cell.operator == "train":
        for picture in PICTURES:
            content = f"data:image/jpeg;base64,{base64.b64encode(picture.read_bytes()).decode()}"
            send(emulator, "POST", f"models/{model_id}/training-images", {"data": content, "name": picture.name})
    dag = "_".join(filter(None, ["kill", cell.operator, cell.mode, kind]))
    conf = {"name": name, "model_id": model_id or "", "kills": [[]] * unharmed + cell.steps}
    return Run(cell, name, model_id, dag, airflow.trigger(dag, conf))


def found(log: str) -> str:
    """The training of earlier attempts that the last attempt has found, from its log."""
    if "runs already, as" in log:
        return "running"
    return "ended" if "by an earlier attempt has ended" in log else "nothing"


def price_of_one(emulator: Any) -> float:
    """The service's price for one training of such a dataset, quoted for a model without images."""
    model_id = send(emulator, "POST", "models", {"name": "price", "type": TYPE})["model"]["id"]
    path = f"models/{model_id}/train?dryRun=true&trainingImagesCount={len(PICTURES)}"
    return send(emulator, "PUT", path, {"parameters": {"nbEpochs": 1}})["creativeUnitsCost"]


def send(emulator: Any, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = requests.request(method, f"{emulator.root}/v1/{path}", json=body, auth=emulator.auth, timeout=10)
    answer.raise_for_status()
    return answer.json()


def show(capsys: Any, rows: list[dict[str, Any]]) -> None:
    with capsys.disabled():
        print(table(rows))  # noqa: T201 - shown even if the test passes


def table(rows: list[dict[str, Any]]) -> str:
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n" + "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
