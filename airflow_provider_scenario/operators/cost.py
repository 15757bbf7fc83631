"""Estimate the cost of trainings before anything is paid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_scenario.arguments import known
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
from airflow_provider_scenario.exceptions import permanent_errors_do_not_retry
from airflow_provider_scenario.operators.base import ScenarioOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model

TEMPORARY_NAME = "cost estimate (Airflow)"
_KNOWN_KEYS = ("name", "type", "images", "parameters", "pairs", "concepts", "model_id")
# Ids of images do not change the price, and the images may not be uploaded yet.
_NOT_QUOTED = ("sampleSourceImages",)
_MAX_LISTED = 10  # problems in one message
_MAX_IMAGES = 1_000_000  # a larger number is a mistake, and may be too long for a query
# Seconds to connect and to read. ``on_kill`` has about five seconds until SIGKILL.
_KILL_TIMEOUT = (1.0, 3.0)


class TrainingCost(TypedDict):
    """What one training would cost."""

    name: str
    type: str | None
    images: int | None
    creative_units: float


class CostEstimate(TypedDict):
    """What the task returns. ``creative_units`` is the sum."""

    creative_units: float
    trainings: list[TrainingCost]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
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


class ScenarioEstimateTrainingCostOperator(ScenarioOperator):
    """
    Estimate what a batch of trainings would cost. Nothing is started, uploaded or billed.

    Scenario quotes a price only for a model: for each type a temporary model is created, which is free, and deleted at
    the end. Equal trainings are quoted once. The sum is in the XCom ``creative_units``; the log has a table.

    The price of an edit type depends on its number of images. The ``concepts`` of a composition must be trained
    already: a composition of LoRAs of the same batch cannot be quoted yet.

    :param trainings: a list of ``{"type": …, "images": …, "parameters": {…}, "name": …}``, as ``list_datasets`` returns
        it for ``ScenarioTrainLoraOperator``; other keys are ignored. ``images`` is a number or a dataset, which is read
        and checked; its ``training.yaml`` overrides ``parameters``. ``{"model_id": …, "parameters": {…}}`` is for an
        existing model, ``{"type": "flux.1-composition", "concepts": […]}`` for a composition (templated).
    :param type: of the trainings without a ``type`` (templated).
    :param parameters: of the trainings without ``parameters``, in either spelling (templated).
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: ``creative_units``, the sum, and ``trainings`` with ``name``, ``type``, ``images`` and ``creative_units``.
    """

    template_fields: Sequence[str] = ("trainings", "type", "parameters", "scenario_conn_id")
    template_fields_renderers = {"trainings": "json", "parameters": "json"}  # noqa: RUF012
    ui_color = "#fff3d6"
    operator_extra_links = ()  # there is no model to show

    def __init__(
        self,
        *,
        trainings: Any,
        type: str | None = None,  # noqa: A002 - the API's word
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trainings = trainings
        self.type = type
        self.parameters = parameters
        self._temporary: dict[str, str] = {}
        self._check_when_parsed()

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        if final("parameters"):
            check_parameters(self.parameters)
        if only_known and isinstance(self.trainings, list | tuple):  # `execute` reads and checks each
            for place, item in enumerate(self.trainings, start=1):
                if known(item) and final("type", "parameters"):
                    with _named(place, item):
                        _check_item(self._with_defaults(item))
        return super()._check(only_known=only_known)

    def execute(self, context: Context) -> CostEstimate:
        """Read and check all trainings, quote each price once, add the prices up."""
        with permanent_errors_do_not_retry():
            trainings = self._read()
            prices = self._prices(trainings)
            rows: list[TrainingCost] = [
                {"name": each.name, "type": each.type, "images": each.images, "creative_units": prices[each.price_key]}
                for each in trainings
            ]
            total = round(sum(row["creative_units"] for row in rows), 2)
            context["ti"].xcom_push(key="creative_units", value=total)
            for line in _table(rows, total):
                self.log.info("%s", line)
            return {"creative_units": total, "trainings": rows}

    def on_kill(self) -> None:
        """Delete the temporary models."""
        if self._temporary:
            with self.hook.connect(timeout=_KILL_TIMEOUT, max_tries=1) as client:
                self._delete_temporary(client)

    def _read(self) -> list[_Training]:
        """Read all trainings before any price is quoted; one error names everything that is wrong."""
        self._check()
        if isinstance(self.trainings, str | Mapping) or not isinstance(self.trainings, Iterable):
            raise InvalidInputError(
                f"trainings is {shown(self.trainings)}; give a list of dictionaries.{TEMPLATE_HINT}"
            )
        trainings, problems, warnings = [], [], dict[str, None]()
        for place, item in enumerate(self.trainings, start=1):
            try:
                with _named(place, item):
                    trainings.append(self._read_one(self._with_defaults(item), place, warnings))
            except InvalidInputError as error:
                if not error.permanent:
                    raise
                problems.append(str(error))
        for warning in warnings:
            self.log.warning("%s", warning)
        if problems:
            for problem in problems[_MAX_LISTED:]:
                self.log.error("%s", problem)
            listed = [shortened(problem, 300) for problem in problems[:_MAX_LISTED]]
            more = [f"{len(problems) - _MAX_LISTED} more are in the log."] if len(problems) > _MAX_LISTED else []
            raise InvalidInputError("\n".join([*listed, *more, "No price was quoted."]))
        return trainings

    def _with_defaults(self, item: Any) -> Any:
        if not isinstance(item, Mapping):
            return item
        given = {key: value for key, value in item.items() if value is not None}
        return {"type": None if "model_id" in given else self.type, "parameters": self.parameters, **given}

    def _read_one(self, item: Mapping[str, Any], place: int, warnings: dict[str, None]) -> _Training:
        _check_item(item)
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
        return _Training(
            name=name or f"training {place}",
            type=model_type,
            images=images,
            parameters=checked.without_secrets(leave_out=_NOT_QUOTED),
            concepts=check_concepts(item["concepts"])[0] if item.get("concepts") else None,
            model_id=item.get("model_id"),
        )

    def _model(self, model_id: str) -> Model:
        try:
            return self.hook.client.get_model(model_id)
        except NotFoundError as error:
            raise InvalidInputError(str(error)) from error

    def _prices(self, trainings: list[_Training]) -> dict[str, float]:
        prices: dict[str, float] = {}
        try:
            for training in trainings:
                if training.price_key not in prices:
                    prices[training.price_key] = self._price(training)
        finally:
            self._delete_temporary(self.hook.client)
        return prices

    def _price(self, training: _Training) -> float:
        client = self.hook.client
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

    def _delete_temporary(self, client: ScenarioClient) -> None:
        while self._temporary:
            _, model_id = self._temporary.popitem()
            try:
                client.delete_model(model_id)
            except NotFoundError:
                pass
            except ScenarioError as error:
                self.log.warning(
                    "The temporary model %s could not be deleted; it costs nothing. Delete it in Scenario. %s",
                    model_id,
                    error,
                )


def _check_item(item: Any) -> None:
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
def _named(place: int, item: Any) -> Iterator[None]:
    """Prefix an error with the place and the name of the training."""
    name = item.get("name") if isinstance(item, Mapping) else None
    try:
        yield
    except InvalidInputError as problem:
        raise type(problem)(f"trainings[{place}]{f' ({shown(name)})' if name else ''}: {problem}") from None


def _table(rows: list[TrainingCost], total: float) -> Iterator[str]:
    batch = "1 training" if len(rows) == 1 else f"{len(rows)} trainings"
    yield f"{batch} would cost {total:.16g} creative units. {NOTHING_STARTED}"
    cells = [("training", "type", "images", "creative units")]
    cells += [
        (row["name"], row["type"] or "?", str(row["images"] or "-"), f"{row['creative_units']:.16g}") for row in rows
    ]
    cells.append(("sum", "", str(sum(row["images"] or 0 for row in rows)), f"{total:.16g}"))
    yield from text_table(cells, right_aligned=(2, 3))
