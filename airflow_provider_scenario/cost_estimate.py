"""The price of a batch of trainings, before anything is paid. Shared by the operator and the command line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_scenario.client.consequences import NOTHING_STARTED
from airflow_provider_scenario.client.errors import InvalidInputError, NotFoundError, RequestRefusedError, ScenarioError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import shortened, shown
from airflow_provider_scenario.client.scenario.model_fields import check_concepts
from airflow_provider_scenario.client.scenario.model_types import TRAINERS, check_type
from airflow_provider_scenario.client.scenario.trainers import check_dataset_size, check_parameters
from airflow_provider_scenario.client.text_table import text_table
from airflow_provider_scenario.client.values import TEMPLATE_HINT, Spelling, check_text, number_in
from airflow_provider_scenario.datasets import check_pairs, read_dataset
from airflow_provider_scenario.datasets.settings import merged_parameters

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model

TEMPORARY_NAME = "cost estimate (Airflow)"
_KNOWN_KEYS = ("name", "type", "images", "parameters", "pairs", "concepts", "model_id")
# Ids of images do not change the price, and the images may not be uploaded yet.
_NOT_QUOTED = ("sampleSourceImages",)
_MAX_LISTED = 10  # problems in one message
_MAX_IMAGES = 1_000_000  # a larger number is a mistake, and may be too long for a query


class TrainingCost(TypedDict):
    """What one training would cost."""

    name: str
    type: str | None
    images: int | None
    creative_units: float


class CostEstimate(TypedDict):
    """The prices of a batch. ``creative_units`` is their sum."""

    creative_units: float
    trainings: list[TrainingCost]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """
    One training to estimate.

    :param images: number of images; None for a type that does not learn from images.
    """

    name: str
    type: str | None
    images: int | None
    parameters: dict[str, Any]
    concepts: list[dict[str, Any]] | None = None
    model_id: str | None = None

    @property
    def model_key(self) -> str:
        """The same for all trainings that one model can be quoted for."""
        return self.model_id or json.dumps([self.type, self.concepts], sort_keys=True)

    @property
    def price_key(self) -> str:
        """The same for all trainings with the same price."""
        return json.dumps([self.model_key, self.images, self.parameters], sort_keys=True)


class CostEstimator:
    """
    Quotes the prices of trainings. Nothing is started, uploaded or billed.

    Scenario quotes a price only for a model: for each type a temporary model is created, which is free, and deleted at
    the end. Equal trainings are quoted once.

    :param client: returns the client; called after all datasets were read.
    :param log: gets warnings.
    """

    def __init__(self, client: Callable[[], ScenarioClient], log: Logger | logging.Logger) -> None:
        self._client = client
        self._log = log
        self._temporary: dict[str, str] = {}

    @property
    def has_temporary_models(self) -> bool:
        """Whether temporary models exist that :meth:`delete_temporary_models` deletes."""
        return bool(self._temporary)

    def estimate(self, trainings: list[Training]) -> CostEstimate:
        """Quote each price once and add the prices up. The temporary models are deleted, whatever happens."""
        prices = self._prices(trainings)
        rows: list[TrainingCost] = [
            {"name": each.name, "type": each.type, "images": each.images, "creative_units": prices[each.price_key]}
            for each in trainings
        ]
        return {"creative_units": round(sum(row["creative_units"] for row in rows), 2), "trainings": rows}

    def read(
        self,
        trainings: Any,
        *,
        type: str | None = None,  # noqa: A002 - the API's word
        parameters: Mapping[str, Any] | None = None,
    ) -> list[Training]:
        """
        Read all trainings before any price is quoted; one error names everything that is wrong.

        :param trainings: as for :class:`~.operators.cost.ScenarioEstimateTrainingCostOperator`, as the other two.
        """
        if isinstance(trainings, str | Mapping) or not isinstance(trainings, Iterable):
            raise InvalidInputError(f"trainings is {shown(trainings)}; give a list of dictionaries.{TEMPLATE_HINT}")
        found, problems, warnings = [], [], dict[str, None]()
        for place, item in enumerate(trainings, start=1):
            try:
                with named(place, item):
                    found.append(self._read_one(with_defaults(item, type, parameters), place, warnings))
            except InvalidInputError as error:
                if not error.permanent:
                    raise
                problems.append(str(error))
        for warning in warnings:
            self._log.warning("%s", warning)
        if problems:
            for problem in problems[_MAX_LISTED:]:
                self._log.error("%s", problem)
            listed = [shortened(problem, 300) for problem in problems[:_MAX_LISTED]]
            more = [f"{len(problems) - _MAX_LISTED} more are in the log."] if len(problems) > _MAX_LISTED else []
            raise InvalidInputError("\n".join([*listed, *more, "No price was quoted."]))
        return found

    def _read_one(self, item: Mapping[str, Any], place: int, warnings: dict[str, None]) -> Training:
        check_item(item)
        name, model_type, images = item.get("name"), item.get("type"), _count(item.get("images"))
        own, pairs = {}, None
        if images is None and item.get("images") is not None:
            dataset = read_dataset(item["images"])
            name, model_type = name or dataset.name, model_type or dataset.type
            own, images, pairs = dataset.parameters, len(dataset.images), item.get("pairs") or dataset.pairs or []
        if "model_id" in item:
            model = self._model(item["model_id"])
            name, model_type = name or model.name or model.id, model.type
            images = model.training_images_number or len(model.training_images) or images
        elif model_type is None:
            raise InvalidInputError("'type' is missing, and training.yaml does not set it.")
        trainer = TRAINERS.get(model_type or "")
        if trainer and trainer.dataset == "concepts":
            images = None
        parameters, _ = merged_parameters(own, item.get("parameters"))
        checked = check_parameters(parameters, model_type, spelling=Spelling(item.get("parameters") or ()))
        found = list(checked.warnings)
        found += check_type(model_type) if model_type else []
        found += check_dataset_size(images or 0, model_type=model_type, pairs=None if pairs is None else len(pairs))
        warnings |= dict.fromkeys(found)
        return Training(
            name=name or f"training {place}",
            type=model_type,
            images=images,
            parameters=checked.without_secrets(leave_out=_NOT_QUOTED),
            concepts=check_concepts(item["concepts"])[0] if item.get("concepts") else None,
            model_id=item.get("model_id"),
        )

    def _model(self, model_id: str) -> Model:
        try:
            return self._client().get_model(model_id)
        except NotFoundError as error:
            raise InvalidInputError(str(error)) from error

    def _prices(self, trainings: list[Training]) -> dict[str, float]:
        prices: dict[str, float] = {}
        try:
            for training in trainings:
                if training.price_key not in prices:
                    prices[training.price_key] = self._price(training)
        finally:
            self.delete_temporary_models(self._client())
        return prices

    def _price(self, training: Training) -> float:
        client = self._client()
        try:
            if training.model_id is None and training.model_key not in self._temporary:
                self._temporary[training.model_key] = client.create_model(
                    name=TEMPORARY_NAME,
                    type=training.type,
                    short_description="Created to quote a price, and deleted right after. Safe to delete.",
                    concepts=training.concepts,
                ).id
            model_id = training.model_id or self._temporary[training.model_key]
            return client.quote_training(
                model_id, training.parameters, training_images_count=training.images
            ).creative_units_cost
        except (RequestRefusedError, NotFoundError) as error:
            raise type(error)(
                f"Scenario quotes no price for the training {shown(training.name)} ({shown(training.type)}): {error}"
            ) from error

    def delete_temporary_models(self, client: ScenarioClient) -> None:
        """Delete the temporary models. One that cannot be deleted is logged; it costs nothing."""
        while self._temporary:
            _, model_id = self._temporary.popitem()
            try:
                client.delete_model(model_id)
            except NotFoundError:
                pass
            except ScenarioError as error:
                self._log.warning(
                    "The temporary model %s could not be deleted; it costs nothing. Delete it in Scenario. %s",
                    model_id,
                    error,
                )


def with_defaults(item: Any, type: str | None, parameters: Mapping[str, Any] | None) -> Any:  # noqa: A002
    """Return one of ``trainings`` with the type and the parameters of those that have none."""
    if not isinstance(item, Mapping):
        return item
    given = {key: value for key, value in item.items() if value is not None}
    return {"type": None if "model_id" in given else type, "parameters": parameters, **given}


def check_item(item: Any) -> None:
    """
    Check one of ``trainings``, without reading its dataset.

    :raises InvalidInputError: says what to change.
    """
    if not isinstance(item, Mapping):
        raise InvalidInputError(f"it is {shown(item)}; give a dictionary with 'type' and 'images', or 'model_id'.")
    for key in item:
        _check_spelling(key)
    model_type, images, concepts = item.get("type"), item.get("images"), item.get("concepts")
    if item.get("name") is not None:
        check_text("name", item["name"])
    if item.get("pairs") is not None:
        check_pairs(item["pairs"])
    if "model_id" in item:
        check_id("model_id", item["model_id"])
        if model_type is not None:
            raise InvalidInputError("it has 'model_id' and 'type'; a model has its own type: leave one out.")
    if model_type is not None:
        check_type(model_type)
    check_parameters(item.get("parameters"), model_type)
    if concepts is not None:
        check_concepts(concepts)
    trainer = TRAINERS.get(model_type or "")
    if trainer and trainer.dataset == "concepts":
        if not concepts:
            raise InvalidInputError(
                f"a {model_type} has a price for its 'concepts' only: [{{'model_id': …, 'scale': 1}}]."
            )
    elif "model_id" not in item and images is None:
        raise InvalidInputError("it has no 'images'; give their number, a folder or a list.")
    count = _count(images)
    if count is not None and count <= _MAX_IMAGES:
        check_dataset_size(count, model_type=model_type)
    elif count is not None or isinstance(images, bool | float):
        raise InvalidInputError(f"images is {shown(images)}; give their number, a folder or a list.")


def _check_spelling(key: Any) -> None:
    """Refuse a misspelt key, which would be ignored: without its ``parameters`` a training has another price."""
    from difflib import get_close_matches

    if key not in _KNOWN_KEYS and (close := get_close_matches(str(key), _KNOWN_KEYS, n=1, cutoff=0.8)):
        raise InvalidInputError(f"it has {shown(key)}; did you mean {close[0]!r}?")


def _count(images: Any) -> int | None:
    """The number of images, also from the text of a template; None for a dataset."""
    images = number_in(images)
    return images if isinstance(images, int) and not isinstance(images, bool) else None


@contextmanager
def named(place: int, item: Any) -> Iterator[None]:
    """Prefix an error with the place and the name of the training."""
    name = item.get("name") if isinstance(item, Mapping) else None
    try:
        yield
    except InvalidInputError as problem:
        raise type(problem)(f"trainings[{place}]{f' ({shown(name)})' if name else ''}: {problem}") from None


def cost_table(estimate: CostEstimate) -> Iterator[str]:
    """Yield the lines of a table for the log: the sum, and one line a training."""
    rows, total = estimate["trainings"], estimate["creative_units"]
    batch = "1 training" if len(rows) == 1 else f"{len(rows)} trainings"
    yield f"{batch} would cost {total:.16g} creative units. {NOTHING_STARTED}"
    cells = [("training", "type", "images", "creative units")]
    cells += [
        (row["name"], row["type"] or "?", str(row["images"] or "-"), f"{row['creative_units']:.16g}") for row in rows
    ]
    cells.append(("sum", "", str(sum(row["images"] or 0 for row in rows)), f"{total:.16g}"))
    yield from text_table(cells, right_aligned=(2, 3))
