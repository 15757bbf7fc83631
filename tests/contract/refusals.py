"""What a DAG author may give by mistake, to what, and what came of it."""

from __future__ import annotations

import copy
import decimal
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_scenario.airflow_compat.exceptions import AirflowException
from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.emulator.ledger import Ledger
from airflow_provider_scenario.emulator.server import running_emulator
from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator
from airflow_provider_scenario.operators.model import (
    ScenarioAddTrainingImagesOperator,
    ScenarioCreateModelOperator,
    ScenarioUpdateModelOperator,
)
from airflow_provider_scenario.operators.training import (
    ScenarioCancelTrainingOperator,
    ScenarioTrainLoraOperator,
    ScenarioTrainModelOperator,
)
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from tests.airflow_versions import TaskDeferred
from tests.contract.training_limits import PARAMETERS
from tests.harness.task_instance import FakeTaskInstance

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.server import RunningEmulator

LONGEST_MESSAGE = 4000
INK = sorted((Path(__file__).parents[2] / "example_dags" / "datasets" / "ink-style").glob("*.jpg"))[:4]
READS = ("GET ", "HEAD ", "POST /v1/models/get-bulk", "POST /v1/assets/get-bulk", "PUT /v1/models/{modelId}/train")
"""What makes and bills nothing; whether a training was quoted or started says the ledger."""

ODD: list[Any] = [
    *(None, True, False, 0, -1, 3, 10**20, 10**400, 0.5, 1e308, float("inf"), float("nan")),
    *("", " ", "3", "1_0", "１０", "True", "nan", "\ud800", "a\x00b", "../..", "x" * 100_000, "9" * 5000, "{}", "{{ x"),
    *(b"", b"\xff", bytearray(b"a")),
    *([], [None], [[]], [1], ["a"], ["a", "a"], [""], ["\ud800"], [{}], ["x" * 100_000]),
    *((), ("a",), {"a"}, frozenset(), range(3)),
    *({}, {"a": None}, {1: 2}, {None: 1}, {("a",): 1}, {b"a": {b"b": []}}, {"\ud800": "\ud800"}, {"x" * 100_000: 1}),
    *({"dryRun": True}, {"dry_run": "true"}, {"rank": {}}),
    *(
        object(),
        decimal.Decimal("1.5"),
        Path("a"),
        int,
        timedelta(seconds=1),
        timedelta.max,
        datetime(2026, 1, 1, tzinfo=UTC),
    ),
]


def a_context() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"ti": FakeTaskInstance(), "dag_run": SimpleNamespace(start_date=now, run_after=now)}


@dataclass(slots=True)
class World:
    """
    An emulator with models that are always the same, and a client of it.

    :param ids: of the models, by what they are.
    """

    emulator: RunningEmulator
    client: ScenarioClient
    ids: dict[str, str] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)
    _current: object = None

    def made(self) -> list[str]:
        """The requests that have made, changed or started something since :meth:`restore`."""
        ledger = self.emulator.state.ledger
        sent = [request for request in ledger.requests if not request.startswith(READS)]
        return sent + ["a training"] * len(ledger.trainings)

    def keep(self) -> None:
        """What is there now is what :meth:`restore` goes back to."""
        self._kept = {name: getattr(self.emulator.state, name) for name in ("models", "assets", "jobs", "uploads")}
        self.restore()

    def restore(self) -> None:
        """Undo what a call has done; most have done nothing."""
        state = self.emulator.state
        if state.models is self._current and not self.made():
            state.ledger = Ledger()
            return
        for name, value in copy.deepcopy(self._kept).items():
            setattr(state, name, value)
        self._current = state.models
        state.ledger = Ledger()
        for model_id in self.ids.values():
            if state.models[model_id].status == "training":
                raise RuntimeError("A training was kept")


@contextmanager
def a_world() -> Iterator[World]:
    """What the targets need: models to be updated and trained, a trained LoRA, an edit model with two pairs."""
    with (
        running_emulator(training_seconds=1000.0) as emulator,
        ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=emulator.url, max_tries=1) as client,
        requests.Session() as session,
    ):
        session.auth = ("demo", "demo")
        world = World(emulator, client)
        for what, kind in {"new": "flux.1-lora", "trained": "flux.1-lora", "edit": "flux.2-dev-edit-lora"}.items():
            model = session.post(f"{emulator.url}/models", json={"name": what, "type": kind}, timeout=60).json()[
                "model"
            ]
            world.ids[what] = model["id"]
            for image in INK[:2]:
                client.add_training_image(model["id"], data=image.read_bytes(), name=image.name)
        emulator.state.models[world.ids["trained"]].status = "trained"
        world.keep()
        yield world


@dataclass(frozen=True, slots=True)
class Target:
    """
    One place where a value can be given.

    :param name: such as ``ScenarioTrainModelOperator parameters.rank``.
    :param call: gives the value there, and does all that is done with it.
    """

    name: str
    call: Callable[[World, Any], object]

    def __str__(self) -> str:
        return self.name


def outcome(world: World, target: Target, value: Any) -> str | None:
    """What is wrong with what came of a value; None: nothing."""
    world.restore()
    try:
        target.call(world, value)
    except TaskDeferred:
        return None
    except (ScenarioError, AirflowException) as error:
        if len(str(error)) >= LONGEST_MESSAGE:
            return f"a message of {len(str(error)):,} characters: {str(error)[:120]}…"
        made = world.made()
        if made and _is_refusal(error):
            return f"refused after {', '.join(made)}: {str(error)[:200]}"
        return None
    except Exception as error:
        return f"raw {type(error).__name__}: {str(error)[:160]}"
    return None


def _is_refusal(error: BaseException | None) -> bool:
    """Whether bad input was found. What is too dear is known once the images are there, which cost nothing."""
    while error is not None:
        if isinstance(error, InvalidInputError):
            return "would cost" not in str(error)
        error = error.__cause__
    return False


def _operator(kind: Any, base: Callable[[World], dict[str, Any]], where: tuple[Any, ...]) -> Target:
    """
    Build an operator and execute it.

    :param base: arguments with which it succeeds.
    :param where: the way to the value: an argument, and where that is a dictionary or a list, keys.
    """

    def call(world: World, value: Any) -> object:
        arguments = base(world)
        _put(arguments, where, value)
        return kind(task_id="a_task", **arguments).execute(a_context())

    return Target(f"{kind.__name__} {'.'.join(map(str, where))}", call)


def _put(inside: Any, where: tuple[Any, ...], value: Any) -> None:
    for key, following in itertools.pairwise(where):
        if isinstance(inside, dict):
            inside.setdefault(key, [{}] if following == 0 else {})
        inside = inside[key]
    inside[where[-1]] = value


def _method(name: str, base: Callable[[World], dict[str, Any]], where: tuple[Any, ...]) -> Target:
    """Call a method of the client; what it lists is read."""

    def call(world: World, value: Any) -> object:
        arguments = base(world)
        _put(arguments, where, value)
        answer = getattr(world.client, name)(**arguments)
        return list(answer) if hasattr(answer, "__next__") else answer

    return Target(f"client.{name} {'.'.join(map(str, where))}", call)


def _create(_: World) -> dict[str, Any]:
    return {"name": "hero", "type": "flux.1-lora"}


def _composition(world: World) -> dict[str, Any]:
    concept = {"model_id": world.ids["trained"], "scale": 1}
    return {"name": "hero", "type": "flux.1-composition", "concepts": [concept]}


def _update(world: World) -> dict[str, Any]:
    return {"model_id": world.ids["new"], "name": "hero"}


def _update_composition(world: World) -> dict[str, Any]:
    return {"model_id": world.ids["new"], "concepts": [{"model_id": world.ids["trained"], "scale": 1}]}


def _train(world: World) -> dict[str, Any]:
    return {"model_id": world.ids["new"], "wait_for_completion": False}


def _lora(_: World) -> dict[str, Any]:
    images = [str(image) for image in INK[:2]]
    return {"name": "hero", "type": "flux.1-lora", "images": images, "wait_for_completion": False}


def _edit_lora(_: World) -> dict[str, Any]:
    names = [image.name for image in INK]
    pairs = [{"source": source, "target": target, "instruction": "x"} for source, target in (names[:2], names[2:])]
    images = [{"path": str(image), "name": image.name} for image in INK]
    return {
        "name": "hero",
        "type": "flux.2-dev-edit-lora",
        "images": images,
        "pairs": pairs,
        "wait_for_completion": False,
    }


def _images(world: World) -> dict[str, Any]:
    return {"model_id": world.ids["new"], "images": [{"path": str(image), "caption": "ink"} for image in INK[2:]]}


def _edit_images(world: World) -> dict[str, Any]:
    pair = {"source": INK[2].name, "target": INK[3].name, "instruction": "x"}
    return {"model_id": world.ids["edit"], "images": [str(image) for image in INK[2:]], "pairs": [pair]}


def _assets(world: World) -> dict[str, Any]:
    known = world.emulator.state.models[world.ids["trained"]].training_images
    return {"model_id": world.ids["new"], "images": [{"asset_id": next(iter(known))}]}


def _estimate(_: World) -> dict[str, Any]:
    return {"trainings": [{"name": "hero", "type": "flux.1-lora", "images": 4}]}


def _estimate_edit(_: World) -> dict[str, Any]:
    pairs = [{"source": INK[at].name, "target": INK[1 - at].name} for at in (0, 1)]
    return {"trainings": [{"type": "flux.2-dev-edit-lora", "images": [str(image) for image in INK], "pairs": pairs}]}


def _estimate_composition(world: World) -> dict[str, Any]:
    concept = {"model_id": world.ids["trained"], "scale": 1}
    return {"trainings": [{"type": "flux.1-composition", "concepts": [concept]}]}


def _estimate_model(world: World) -> dict[str, Any]:
    return {"trainings": [{"model_id": world.ids["new"]}]}


def _cancel(world: World) -> dict[str, Any]:
    return {"model_id": world.ids["new"]}


def _sense(world: World) -> dict[str, Any]:
    return {"model_id": world.ids["trained"]}


_TRAINING = (
    "max_creative_units",
    "wait_for_completion",
    "poke_interval",
    "timeout",
    "deferrable",
    "cancel_on_kill",
    "on_clear",
)
_UPDATED = (
    *("model_id", "name", "short_description", "description", "type", "class_slug", "concepts", "epoch", "thumbnail"),
    *("thumbnail_from_epoch", "parameters", "prompt_embedding", "negative_prompt_embedding"),
    *("add_tags", "delete_tags", "unset"),
)
_PARAMETERS = tuple(("parameters", name) for name in (*PARAMETERS, "extra_parameters", "zigzag_factor"))
_SOME_PARAMETERS = tuple(
    ("parameters", name) for name in ("rank", "samplePrompts", "randomCrop", "extra_parameters", "zigzag")
)
_CONCEPT = tuple(("concepts", 0, name) for name in ("model_id", "scale", "model_epoch", "zigzag"))
_PAIR = tuple(("pairs", 0, name) for name in ("source", "target", "instruction", "zigzag"))
_IMAGE = tuple(("images", 0, name) for name in ("path", "name", "caption", "zigzag"))


def _ways(*names: str) -> tuple[tuple[str], ...]:
    return tuple((name,) for name in names)


_OPERATORS: list[tuple[Any, Callable[[World], dict[str, Any]], tuple[tuple[Any, ...], ...]]] = [
    (
        ScenarioCreateModelOperator,
        _create,
        _ways("name", "type", "short_description", "class_slug", "collection_ids", "concepts", "base_model_id"),
    ),
    (ScenarioCreateModelOperator, _composition, (*_ways("concepts"), ("concepts", 0), *_CONCEPT)),
    (ScenarioUpdateModelOperator, _update, (*_ways(*_UPDATED), *_SOME_PARAMETERS, ("add_tags", 0))),
    (ScenarioUpdateModelOperator, _update_composition, (("concepts", 0), *_CONCEPT)),
    (ScenarioTrainModelOperator, _train, (*_ways("model_id", "parameters", *_TRAINING), *_PARAMETERS)),
    (
        ScenarioTrainLoraOperator,
        _lora,
        (
            *_ways("name", "type", "images", "parameters", "pairs", "preset", "short_description", "class_slug"),
            *_ways("collection_ids", "threads", "max_creative_units", "poke_interval", "timeout", "on_clear"),
            ("images", 0),
            *_SOME_PARAMETERS,
        ),
    ),
    (ScenarioTrainLoraOperator, _edit_lora, (*_ways("pairs", "type"), ("pairs", 0), *_PAIR, *_IMAGE)),
    (
        ScenarioAddTrainingImagesOperator,
        _images,
        (*_ways("model_id", "images", "pairs", "preset", "threads"), ("images", 0), *_IMAGE),
    ),
    (ScenarioAddTrainingImagesOperator, _edit_images, (*_ways("pairs"), ("pairs", 0), *_PAIR)),
    (ScenarioAddTrainingImagesOperator, _assets, (("images", 0, "asset_id"), ("images", 0, "caption"))),
    (
        ScenarioEstimateTrainingCostOperator,
        _estimate,
        (
            *_ways("trainings", "type", "parameters"),
            ("trainings", 0),
            *(
                ("trainings", 0, name)
                for name in ("name", "type", "images", "parameters", "pairs", "concepts", "zigzag")
            ),
            *(("trainings", 0, "parameters", name) for name in ("rank", "samplePrompts", "lrScheduler", "zigzag")),
        ),
    ),
    (
        ScenarioEstimateTrainingCostOperator,
        _estimate_edit,
        (("trainings", 0, "pairs"), ("trainings", 0, "images"), *(("trainings", 0, *way) for way in _PAIR)),
    ),
    (
        ScenarioEstimateTrainingCostOperator,
        _estimate_composition,
        (("trainings", 0, "concepts"), *(("trainings", 0, *way) for way in _CONCEPT)),
    ),
    (
        ScenarioEstimateTrainingCostOperator,
        _estimate_model,
        (("trainings", 0, "model_id"), ("trainings", 0, "parameters")),
    ),
    (ScenarioCancelTrainingOperator, _cancel, _ways("model_id", "job_id")),
    (
        ScenarioTrainingSensor,
        _sense,
        _ways("model_id", "job_id", "poke_interval", "timeout", "deferrable", "cancel_on_kill"),
    ),
]


def _client_create(_: World) -> dict[str, Any]:
    return {"name": "hero", "type": "flux.1-lora"}


def _client_model(world: World) -> dict[str, Any]:
    return {"model_id": world.ids["new"]}


def _nothing(_: World) -> dict[str, Any]:
    return {}


_METHODS: list[tuple[str, Callable[[World], dict[str, Any]], tuple[tuple[Any, ...], ...]]] = [
    (
        "create_model",
        _client_create,
        _ways("name", "type", "short_description", "class_slug", "collection_ids", "concepts", "base_model_id"),
    ),
    (
        "update_model",
        _client_model,
        (
            *_ways("model_id", "name", "short_description", "type", "class_slug", "concepts", "epoch", "thumbnail"),
            *_ways("parameters", "prompt_embedding", "negative_prompt_embedding"),
        ),
    ),
    ("train", _client_model, (*_ways("model_id", "parameters"), *_PARAMETERS)),
    (
        "quote_training",
        _client_model,
        (*_ways("model_id", "parameters", "training_images_count"), ("parameters", "rank")),
    ),
    ("get_model", _nothing, _ways("model_id")),
    ("list_models", _nothing, _ways("page_size", "status", "type", "types", "sort_by", "created_after", "tags")),
    ("list_jobs", _nothing, _ways("page_size", "status", "type", "types", "author_id", "created_after")),
    ("cancel_training", _nothing, _ways("model_id")),
    ("get_job", _nothing, _ways("job_id")),
]


def bases() -> list[Target]:
    """With nothing odd: if these did not succeed, refusals would mean nothing."""
    found: dict[str, Target] = {}
    for kind, base, _ in _OPERATORS:
        name = f"{kind.__name__} {base.__name__}"
        found[name] = Target(
            name, lambda world, _, kind=kind, base=base: kind(task_id="a_task", **base(world)).execute(a_context())
        )
    return list(found.values())


def targets() -> list[Target]:
    """Every argument of the operators, the sensor and the client's calls, and every field of what is given in them."""
    found = [_operator(kind, base, where) for kind, base, ways in _OPERATORS for where in ways]
    return found + [_method(name, base, where) for name, base, ways in _METHODS for where in ways]


def shown(value: Any) -> str:
    """A value, short enough to be read."""
    text = f"10**{len(str(abs(value))) - 1}" if isinstance(value, int) and abs(value) > 10**18 else repr(value)
    return text if len(text) < 80 else f"{text[:50]}… ({len(text):,} characters)"
