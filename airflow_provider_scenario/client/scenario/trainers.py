"""
Checks training parameters and datasets by the trainer of the model type, before anything is sent or billed.

A value is an error only if every source refuses it. If the sources disagree, or the model type is unknown (Scenario
adds types several times a year), the value is sent with a warning, and Scenario decides. The sources: the vendor's
request schema (2025-11 and SDK 2.4.0), its training guide, and how the live service behaves for public code. The
parameters themselves are in :mod:`.parameters`.

Imported while DAG files are parsed: nothing but the standard library, and little of that.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.consequences import NOTHING_STARTED
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.scenario.model_types import (
    FAMILIES,
    MIN_PAIRS,
    TRAINERS,
    Trainer,
    check_type,
    parameters_of,
    takes,
)
from airflow_provider_scenario.client.scenario.parameters import (
    PARAMETERS,
    STABLE_DIFFUSION_ONLY,
    Parameter,
    TrainingParameters,
)
from airflow_provider_scenario.client.scenario.secret_parameters import (
    is_secret,
    refuse_nested_secrets,
    without_secrets,
)
from airflow_provider_scenario.client.secret_text import SecretText, revealed
from airflow_provider_scenario.client.values import (
    TEMPLATE_HINT,
    Spelling,
    boolean_in,
    camel_keys,
    check_encodable,
    check_sendable,
    is_number,
    number_in,
    similar_name,
    snake_case,
)

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import Model

MAX_IMAGES = 50
"""Images in a dataset (training guide); many plans allow fewer, which only the service knows."""

RECOMMENDED_IMAGES = (5, 15)
"""Images in a dataset that the training guide recommends."""

EXTRA = "extraParameters"
"""A dictionary among the parameters that is sent without a check: for what this provider does not know, or refuses."""

# Names that other trainers use, and Scenario's names; letters and digits only, in lower case.
_OTHER_WORDS = {
    **dict.fromkeys(("lr", "lrate"), "learningRate"),
    "unetlr": "learningRateUnet",
    "textencoderlr": "learningRateTextEncoder",
    **dict.fromkeys(("steps", "numsteps", "totalsteps", "trainsteps"), "maxTrainSteps"),
    **dict.fromkeys(("numepochs", "totalepochs", "maxepochs"), "nbEpochs"),
    **dict.fromkeys(("dim", "networkdim", "networkrank", "lorarank", "loradim"), "rank"),
    **dict.fromkeys(("trigger", "triggerword", "triggerwords", "triggerphrase"), "conceptPrompt"),
    **dict.fromkeys(("prompt", "prompts"), "samplePrompts"),
}

# Arguments of operators: among the parameters they would be sent to Scenario, and have no effect.
_ARGUMENTS = (
    *("name", "type", "images", "pairs", "preset", "shortDescription", "classSlug", "collectionIds", "concepts"),
    *("modelId", "threads", "maxCreativeUnits", "waitForCompletion", "pokeInterval", "timeout", "deferrable"),
    *("cancelOnKill", "onClear", "oncePerDataset", "scenarioConnId", "retries"),
)

_MOST_UNKNOWN = 50
"""Unknown names: a new version of Scenario adds a few; more mean that the values are not training parameters."""

# Query parameters. Scenario ignores them in the body (observed live): a dry run would start and bill a training.
_NOT_IN_BODY = frozenset({"dryrun", "trainingimagescount", "originalassets", "projectid"})


class CheckedParameters(dict[str, Any]):
    """
    Checked training parameters in the API's spelling: a function that gets them does not check or spell them again.

    ``extraParameters`` is still among them; :func:`as_sent` merges its contents.

    :param model_type: the type for which they were checked; None: only what holds for all types.
    :param spelling: the author's spelling, for messages.
    :param warnings: values on which the sources disagree, or that have an effect the author may not expect.
    """

    def __init__(
        self, checked: Mapping[str, Any], *, model_type: str | None, spelling: Spelling, warnings: Sequence[str]
    ) -> None:
        super().__init__(checked)
        self.model_type, self.spelling, self.warnings = model_type, spelling, tuple(warnings)

    def without_secrets(self, *, leave_out: Collection[str] = ()) -> CheckedParameters:
        """
        Return the parameters that may be shown and stored.

        :param leave_out: names of others to leave out, in the API's spelling.
        """
        kept = {name: value for name, value in without_secrets(self).items() if name not in leave_out}
        return CheckedParameters(kept, model_type=self.model_type, spelling=self.spelling, warnings=self.warnings)


def check_training(
    model: Model, parameters: Mapping[str, Any] | TrainingParameters | None
) -> tuple[CheckedParameters, list[str]]:
    """
    Check all that can be checked before a training is paid for.

    :param model: as just read; of a model that is being trained only the parameters are checked.
    :return: the parameters, and all warnings: those of the parameters and those of the model.
    :raises InvalidInputError: as :func:`check_parameters` and :func:`check_ready`.
    """
    checked = check_parameters(parameters, model.type)
    warnings = list(checked.warnings)
    if model.status != "training":
        warnings += check_ready(
            model_id=model.id,
            model_type=model.type,
            images=max(model.training_images_number or 0, len(model.training_images or [])),
            pairs=len(model.training_image_pairs or []),
            concepts=len(model.concepts or []),
        )
    return checked, warnings


def check_parameters(
    parameters: Mapping[str, Any] | TrainingParameters | None,
    model_type: str | None = None,
    *,
    spelling: Spelling | None = None,
) -> CheckedParameters:
    """
    Check training parameters and bring them into the API's spelling.

    An unknown name is an error if it resembles a known one; otherwise it is sent with a warning. What
    ``extra_parameters`` holds is sent without a check.

    :param parameters: in the API's spelling or in snake case; None counts as not given. Those that are checked for this
        type already, or for any where ``model_type`` is None, are returned as they are.
    :param model_type: check for its trainer too. Default: check only what holds for all types.
    :param spelling: the author's spelling, where ``parameters`` is in the API's. Default: ``parameters`` shows it.
    :raises InvalidInputError: a parameter is misspelt, of the wrong kind, out of the range all sources agree on, or for
        another trainer. The message names the parameter as the author has spelled it, its value, and what is right.
    """
    model_type = model_type if isinstance(model_type, str) else None
    if isinstance(parameters, CheckedParameters):
        if model_type in (None, parameters.model_type):
            return parameters
        spelling = parameters.spelling
    given = camel_keys(parameters, "parameters") if spelling is None else dict(parameters or {})
    spelling = spelling or Spelling(parameters or ())
    given = {name: value for name, value in given.items() if value is not None}
    trainer = TRAINERS.get(model_type or "")
    extra, warnings = _check_extra(given.pop(EXTRA, None), given)
    if len(unknown := given.keys() - PARAMETERS.keys()) > _MOST_UNKNOWN:
        raise InvalidInputError(
            f"parameters: {len(unknown)} names are not known to this provider. Give the training parameters only."
        )
    checked: dict[str, Any] = {}
    for name, value in given.items():
        parameter = PARAMETERS.get(name)
        if parameter is None:
            warnings += _check_unknown(name, value, model_type, spelling)
            checked[name] = value
            continue
        warnings += _check_trainer(parameter, value, trainer, model_type, spelling)
        parameter = parameter._replace(name=spelling(name))
        checked[name], doubts = _of_kind(parameter, value, trainer)
        if parameter.secret:
            checked[name] = SecretText(checked[name])
        warnings += doubts + _check_value(parameter, checked[name], trainer)
    warnings += _check_together(checked, trainer, model_type, spelling)
    return CheckedParameters(checked | extra, model_type=model_type, spelling=spelling, warnings=warnings)


def as_sent(checked: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the training parameters for the body of a request, with secrets in clear text.

    :param checked: what :func:`check_parameters` returns.
    """
    sent = {name: value for name, value in checked.items() if name != EXTRA}
    return {**revealed(sent), **checked.get(EXTRA, {})}


def _check_unknown(name: str, value: Any, model_type: str | None, spelled: Spelling) -> list[str]:
    written = spelled(name)
    _refuse_query_name(name, written)
    if _plain(name) in ("parameters", "trainingparameters"):
        raise InvalidInputError(
            f"parameters: {shown(written)} is nested in the training parameters. Move what it contains one level up."
        )
    given = f"(given: {f'a {type(value).__name__}' if is_secret(name) else shown(value)})"
    anyway = f"To send it without a check, put it into {spelled(EXTRA, like=written)!r}."
    own = [parameter.name for parameter in parameters_of(model_type)]
    close = _OTHER_WORDS.get(_plain(name)) or similar_name(name, (*PARAMETERS, EXTRA, *_ARGUMENTS))
    if close in _ARGUMENTS:
        raise InvalidInputError(
            f"parameters: {shown(written)} is not a training parameter {given}. If you mean {snake_case(close)!r}: "
            f"give it beside the parameters, not among them. {anyway}"
        )
    if close:
        meant = close if close in (*own, EXTRA) else similar_name(name, own)
        hint = f" Did you mean {spelled(meant, like=written)!r}?" if meant else ""
        raise InvalidInputError(
            f"parameters: there is no {shown(written)} {given}.{hint} "
            f"{_what_it_takes(model_type, spelled, like=written)} {anyway}"
        )
    check_sendable(f"parameters: {shown(written)}", value)
    refuse_nested_secrets(value)
    return [
        f"parameters: {shown(written)} is not known to this provider; it is sent without a check, and Scenario decides."
    ]


def _what_it_takes(model_type: str | None, spelled: Spelling, *, like: str) -> str:
    names = ", ".join(spelled(parameter.name, like=like) for parameter in parameters_of(model_type))
    return f"{f'{model_type} takes' if model_type in TRAINERS else 'Known'}: {names}."


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _refuse_query_name(name: str, written: str) -> None:
    plain = _plain(name)
    if "dryrun" in plain or plain in _NOT_IN_BODY:
        raise InvalidInputError(
            f"parameters: {shown(written)} is not a training parameter: Scenario ignores it here and trains, which "
            "costs creative units. Leave it out. For a price, use ScenarioEstimateTrainingCostOperator."
        )


def _check_extra(extra: Any, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """``extra_parameters``, as part of what :func:`check_parameters` returns."""
    if not isinstance(extra, Mapping | None):
        hint = TEMPLATE_HINT if isinstance(extra, str) else ""
        raise InvalidInputError(f"parameters: extra_parameters must be a dictionary, not {shown(extra)}.{hint}")
    if not extra:
        return {}, []
    check_sendable("parameters: extra_parameters", dict(extra))
    refuse_nested_secrets(extra)
    for name in extra:
        _refuse_query_name(name, name)
        if name in given:
            raise InvalidInputError(f"parameters: {shown(name)} is given, and in extra_parameters too. Keep one.")
    names = ", ".join(map(shown, list(extra)[:20]))
    return {EXTRA: dict(extra)}, [f"parameters: {names} of extra_parameters is sent without a check; Scenario decides."]


def _check_trainer(
    parameter: Parameter, value: Any, trainer: Trainer | None, model_type: str | None, spelled: Spelling
) -> list[str]:
    name = spelled(parameter.name)
    meant = " and for ".join(family for trainer, family in FAMILIES.items() if trainer in parameter.trainers)
    if trainer is None or model_type is None:
        return [f"parameters: {name} is for {meant} only."] if parameter.trainers == STABLE_DIFFUSION_ONLY else []
    if takes(parameter, model_type) or (parameter.edits_only and trainer.name in parameter.trainers):
        return []  # _check_together checks those for edit types
    if trainer.name in parameter.unsure:
        return [f"parameters: {name} is documented for {meant}; {model_type} may ignore or refuse it."]
    if trainer.name in parameter.trainers:
        meant = f"{parameter.stable_diffusion} types"
    raise InvalidInputError(
        f"parameters: {name}={shown(value)} is for {meant}, not for {model_type}. Leave it out. "
        f"{_what_it_takes(model_type, spelled, like=name)}"
    )


def _of_kind(parameter: Parameter, value: Any, trainer: Trainer | None) -> tuple[Any, list[str]]:
    """Return the value, converted if a template has rendered it as text, and warnings about its kind."""
    match parameter.kind:
        case "text" if isinstance(value, str):
            check_encodable(f"parameters: {parameter.name}", revealed(value))
            return value, []
        case "true or false" if isinstance(boolean_in(value), bool):
            return boolean_in(value), []
        case "a list of text" if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            for item in value:
                check_encodable(f"parameters: {parameter.name}", item)
            return list(value), []
        case "a number" if is_number(number_in(value)):
            return number_in(value), []
        case "a whole number" if is_number(number_in(value)):
            return _whole(parameter.name, number_in(value))
    hint = TEMPLATE_HINT if isinstance(value, str) and parameter.kind == "a list of text" else ""
    given = f"a {type(value).__name__}" if parameter.secret else shown(value)
    what = f"{parameter.kind} {_bounds(parameter, trainer)[2]}".rstrip()
    raise InvalidInputError(f"parameters: {parameter.name} must be {what}, not {given}.{hint}")


def _whole(name: str, number: float) -> tuple[float, list[str]]:
    if number == int(number):
        return int(number), []
    return number, [f"parameters: {name}={number!r} is not a whole number; Scenario may refuse or round it."]


def _check_value(parameter: Parameter, value: Any, trainer: Trainer | None) -> list[str]:
    name = parameter.name
    if isinstance(value, bool | list):
        return []
    if isinstance(value, str):
        length = len(revealed(value))
        if parameter.max_length is not None and length > parameter.max_length:
            raise InvalidInputError(
                f"parameters: {name} has {length} characters; Scenario takes at most {parameter.max_length}."
            )
        if parameter.choices and value not in parameter.choices:
            if value in parameter.rumoured:
                return [f"parameters: {name}={value!r} is in the prose only; the schema has {parameter.choices[0]!r}."]
            raise InvalidInputError(
                f"parameters: {name}={shown(value)} must be one of {', '.join(map(repr, parameter.choices))}."
            )
        return []
    return _check_range(parameter, value, trainer)


def _check_range(parameter: Parameter, value: float, trainer: Trainer | None) -> list[str]:
    low, high, range_ = _bounds(parameter, trainer)
    too_low = low is not None and (value < low or (parameter.above and value == 0))
    if too_low or (high is not None and value > high):
        raise InvalidInputError(f"parameters: {parameter.name}={shown(value)} is out of range: {range_}.")
    own = trainer is not None and trainer.name in parameter.by_trainer
    if not own and parameter.usual and not parameter.usual[0] <= value <= parameter.usual[1]:
        usual = f"{parameter.usual[0]:g} to {parameter.usual[1]:g}"
        return [
            f"parameters: {parameter.name}={shown(value)} may be refused: Scenario's sources agree on {usual} only."
        ]
    return []


def _bounds(parameter: Parameter, trainer: Trainer | None) -> tuple[float | None, float | None, str]:
    """Return the smallest and the largest value, and both as text for a message."""
    own = parameter.by_trainer.get(trainer.name) if trainer else None
    low, high = own or (parameter.minimum, parameter.maximum)
    least = f"{'above' if parameter.above and low == 0 else 'from'} {low:.16g}" if low is not None else ""
    most = f" to {high:.16g}" if high is not None and math.isfinite(high) else ""
    return low, high, f"{least}{most}{f' for {FAMILIES[trainer.name]}' if own and trainer else ''}"


def _check_together(
    values: Mapping[str, Any], trainer: Trainer | None, model_type: str | None, spelled: Spelling
) -> list[str]:
    """Check what depends on several parameters, or on the model type."""
    concept = values.get("conceptPrompt", "")
    warnings = _check_concept_prompt(spelled("conceptPrompt"), concept, trainer, model_type)
    prompts_name, sources_name = spelled("samplePrompts"), spelled("sampleSourceImages")
    prompts, sources = values.get("samplePrompts") or [], values.get("sampleSourceImages")
    if sources or (sources is not None and not (trainer and trainer.dataset != "pairs")):
        if trainer and trainer.dataset != "pairs":
            raise InvalidInputError(
                f"parameters: {sources_name}={shown(sources)} is for edit types, which learn from pairs; {model_type} "
                "is not one. Leave it out."
            )
        if len(sources) != len(prompts):
            raise InvalidInputError(
                f"parameters: {sources_name} has {len(sources)} entries and {prompts_name} {len(prompts)}; "
                "each prompt needs its image."
            )
    if trainer and trainer.sample_prompts_max is not None and len(prompts) > trainer.sample_prompts_max:
        warnings.append(
            f"parameters: {prompts_name} has {len(prompts)} entries; {model_type} should have at most "
            f"{trainer.sample_prompts_max}."
        )
    if values.get("nbEpochs", 1) > 1 and not prompts:
        warnings.append(
            f"parameters: {spelled('nbEpochs')}={values['nbEpochs']} without {prompts_name}: only the last epoch is "
            f"published, without previews. Give {prompts_name} to keep them all."
        )
    frequency, steps = values.get("validationFrequency"), values.get("maxTrainSteps")
    if frequency is not None and steps is not None and frequency > steps:
        raise InvalidInputError(
            f"parameters: {spelled('validationFrequency')}={frequency} must not be greater than "
            f"{spelled('maxTrainSteps')}={steps}."
        )
    return warnings


def _check_concept_prompt(name: str, concept: str, trainer: Trainer | None, model_type: str | None) -> list[str]:
    longest = trainer and (trainer.concept_prompt_max or trainer.concept_prompt_usual)
    if not trainer or not longest or len(concept) <= longest:
        return []
    problem = f"parameters: {name}={shown(concept)} has {len(concept)} characters; {model_type}"
    if trainer.concept_prompt_max:
        raise InvalidInputError(f"{problem} takes at most {longest}.")
    return [f"{problem} may take at most {longest}, as flux.2-dev-lora does; Scenario decides."]


def check_dataset_size(images: int, *, model_type: str | None = None, pairs: int | None = None) -> list[str]:
    """
    Check the number of images (or recordings) that a model learns from.

    :param images: their number.
    :param model_type: check by its trainer. Default: as for single images.
    :param pairs: number of complete pairs, for edit types; None: unknown.
    :return: warnings: fewer or more than recommended, or more than the training guide allows.
    :raises InvalidInputError: the dataset is empty, or has fewer pairs than Scenario accepts for an edit type.
    """
    trainer = TRAINERS.get(model_type) if model_type is not None else None
    dataset = trainer.dataset if trainer else "images"
    if dataset == "concepts":
        return []
    if images < 1:
        if trainer is None and model_type is not None:
            return ["The dataset is empty; Scenario decides whether that can be trained."]
        raise InvalidInputError("The dataset is empty: a training needs images.")
    if dataset == "audio":
        return []
    warnings = []
    if dataset == "pairs" and trainer and pairs is not None and pairs < MIN_PAIRS:
        if pairs < trainer.min_pairs:
            raise InvalidInputError(
                f"{model_type} learns from pairs and needs at least {MIN_PAIRS} of them, not {pairs}."
            )
        warnings.append(f"{model_type} learns from pairs and may need at least {MIN_PAIRS} of them, not {pairs}.")
    low, high = RECOMMENDED_IMAGES
    if images > MAX_IMAGES:
        warnings.append(f"The dataset has {images} images; Scenario may take at most {MAX_IMAGES}.")
    elif dataset == "images" and not low <= images <= high:
        warnings.append(f"The dataset has {images} images; {low} to {high} are recommended.")
    return warnings


def check_ready(*, model_id: str, model_type: str | None, images: int, pairs: int = 0, concepts: int = 0) -> list[str]:
    """
    Check that a model has what its trainer learns from, before a training is requested.

    :param model_id: for the message.
    :param images: number of training images.
    :param pairs: number of pairs among them.
    :param concepts: number of LoRAs, for compositions.
    :return: warnings, as :func:`check_type` and :func:`check_dataset_size` give them.
    :raises InvalidInputError: what it learns from is missing.
    """
    try:
        warnings = check_type(model_type) if model_type else []
        trainer = TRAINERS.get(model_type or "")
        if trainer and trainer.dataset == "concepts" and not concepts:
            raise InvalidInputError(f"{model_type} is composed of concepts, and the model has none.")
        if pairs and trainer and trainer.dataset == "images":
            warnings.append(f"The dataset has {pairs} pairs; {model_type} learns from single images.")
        return warnings + check_dataset_size(images, model_type=model_type, pairs=pairs)
    except InvalidInputError as problem:
        wrong = str(problem)
    raise InvalidInputError(f"Model {model_id} cannot be trained yet: {wrong} {NOTHING_STARTED}")
