"""
What each model type's trainer accepts, checked before anything is sent or paid.

Only what every source agrees on is an error. Where the sources disagree (they do: see ``PARAMETERS``) the value passes
with a warning and the service decides; a model type that is not known here passes with a warning too, because new ones
arrive several times a year. The sources are the vendor's request schema (2025-11 and SDK 2.4.0), its training guide,
and what public code has seen the live service do. The parameters themselves are in :mod:`.parameters`.

Imported while DAG files are parsed: nothing but the standard library, and little of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.parameters import (
    PARAMETERS,
    STABLE_DIFFUSION_ONLY,
    Parameter,
    TrainerName,
    TrainingParameters,
)
from airflow_provider_scenario.client.secret_text import SecretText, revealed

__all__ = [
    "MAX_IMAGES",
    "PARAMETERS",
    "TRAINABLE_TYPES",
    "TRAINERS",
    "UNTRAINABLE_TYPES",
    "Parameter",
    "Trainer",
    "TrainingParameters",
    "camel_case",
    "camel_keys",
    "check_concepts",
    "check_dataset_size",
    "check_name",
    "check_parameters",
    "check_ready",
    "check_short_description",
    "check_type",
]

MAX_NAME = 64
"""Characters of a model's name (request schema)."""

MAX_SHORT_DESCRIPTION = 256
"""Characters of a model's short description (request schema)."""

MAX_IMAGES = 50
"""Images in a dataset (training guide); many plans allow fewer, which only the service knows."""

RECOMMENDED_IMAGES = (5, 15)
"""Images in a dataset that the training guide recommends."""

MIN_PAIRS = 2
"""Complete pairs an edit model needs (training guide, seen live)."""


class Trainer(NamedTuple):
    """
    A family of model types that train alike.

    :param name: ``flux`` and ``musubi`` have been seen live; which trainer Qwen and Z-Image use is inferred.
    :param dataset: what it learns from.
    :param concept_prompt_max: characters of ``conceptPrompt``; Musubi refuses more than 20 (seen live).
    :param sample_prompts_max: more are not recommended (training guide: 4; the vendor's skill: 8 for Flux.1).
    :param retired: the vendor has taken it out of its newest description.
    """

    name: TrainerName
    dataset: Literal["images", "pairs", "audio", "concepts"]
    concept_prompt_max: int | None = None
    sample_prompts_max: int | None = None
    retired: bool = False


_FLUX = Trainer("flux", "images", sample_prompts_max=8)
_FLUX_EDIT = _FLUX._replace(dataset="pairs")
_MUSUBI = Trainer("musubi", "images", concept_prompt_max=20, sample_prompts_max=4)
_MUSUBI_EDIT = _MUSUBI._replace(dataset="pairs")
_SD = Trainer("stable-diffusion", "images", retired=True)

TRAINERS: Mapping[str, Trainer] = {
    **{f"flux.2-{base}-lora": _MUSUBI for base in ("dev", "klein-4b", "klein-9b", "klein-base-4b", "klein-base-9b")},
    **{
        f"flux.2-{base}-edit-lora": _MUSUBI_EDIT
        for base in ("dev", "klein-4b", "klein-9b", "klein-base-4b", "klein-base-9b")
    },
    "qwen-image-lora": _MUSUBI,
    "qwen-image-2512-lora": _MUSUBI,
    "qwen-image-edit-lora": _MUSUBI_EDIT,
    "qwen-image-edit-2509-lora": _MUSUBI_EDIT,
    "qwen-image-edit-2511-lora": _MUSUBI_EDIT,
    "zimage-lora": _MUSUBI,
    "zimage-turbo-lora": _MUSUBI,
    "zimage-de-turbo-lora": _MUSUBI,
    "flux.1-lora": _FLUX,
    "flux.1-krea-lora": _FLUX,
    "flux.1-kontext-lora": _FLUX_EDIT,
    "flux.1-composition": Trainer("composition", "concepts"),
    "elevenlabs-voice": Trainer("elevenlabs", "audio"),
    "sd-1_5": _SD,
    "sd-1_5-lora": _SD,
    "sd-xl": _SD,
    "sd-xl-lora": _SD,
    "sd-1_5-composition": _SD._replace(dataset="concepts"),
    "sd-xl-composition": _SD._replace(dataset="concepts"),
}
"""The trainer of every model type that can be trained."""

TRAINABLE_TYPES: tuple[str, ...] = tuple(name for name, trainer in TRAINERS.items() if not trainer.retired)

UNTRAINABLE_TYPES = frozenset(
    {
        "custom",
        "flux.1",
        "flux.1-kontext-dev",
        "flux.1-krea-dev",
        "flux.1-pro",
        "flux.1.1-pro-ultra",
        "flux1.1-pro",
        "gpt-image-1",
    }
)
"""Known types that are base models or somebody else's: there is nothing to train (inferred from their names)."""


# The rule would make numUnetTrainSteps of it.
_IRREGULAR = {"num_unet_train_steps": "numUNetTrainSteps"}


_DEEPEST = 50
"""Lists and dictionaries within each other; training parameters have three."""


def camel_case(name: str) -> str:
    """The API's spelling of a name in snake case; what is no snake case stays as it is."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def is_secret(name: object) -> bool:
    """
    Whether a training parameter must not be shown or kept.

    :param name: in either spelling, or in a wrong one: a misspelt ``WANDB_API_KEY`` is refused, and not shown.
    """
    if not isinstance(name, str):
        return False
    parameter = PARAMETERS.get(camel_case(name))
    return (parameter is not None and parameter.secret) or "wandb" in name.lower()


def without_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Training parameters as they may be shown and kept."""
    return {name: with_hidden_secrets(value) for name, value in parameters.items() if not is_secret(name)}


def only_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`without_secrets` leaves out."""
    return {name: value for name, value in parameters.items() if is_secret(name)}


def with_hidden_secrets(value: Any, found: Callable[[str], None] = lambda _: None, depth: int = 0) -> Any:
    """
    The same value with each secret in it as a :class:`~.secret_text.SecretText`.

    :param value: training parameters, or lists and dictionaries that hold some.
    :param found: is told each secret.
    """
    if not isinstance(value, list | dict):
        return value
    if depth > _DEEPEST:
        return "***"  # no parameter is nested so deep, and Python cannot look into it
    if isinstance(value, list):
        return [with_hidden_secrets(item, found, depth + 1) for item in value]
    hidden = {}
    for name, item in value.items():
        if not is_secret(name) or item is None:
            hidden[name] = with_hidden_secrets(item, found, depth + 1)
            continue
        hidden[name] = item if isinstance(item, SecretText) else SecretText(str(item))
        found(revealed(hidden[name]))
    return hidden


def camel_keys(values: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """
    The same mapping with keys in the API's spelling.

    :param values: keys in either spelling. None: an empty one.
    :param what: for messages, such as ``parameters``.
    :raises InvalidInputError: ``values`` is no mapping, a key is no text, or a key is there in both spellings.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        hint = " A template gives text unless the DAG has render_template_as_native_obj=True."
        raise InvalidInputError(
            f"{what} must be a dictionary, not {shown(values)}.{hint if isinstance(values, str) else ''}"
        )
    spelled: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise InvalidInputError(f"{what}: a key must be text, not {_shown(key)}.")
        name = camel_case(key)
        if name in spelled:
            raise InvalidInputError(f"{what}: {name} is given twice, in two spellings. Keep one.")
        spelled[name] = value
    return spelled


def check_type(type: str) -> list[str]:  # noqa: A002 - the API's name
    """
    Check that models of this type can be trained.

    :param type: model type, such as ``flux.2-dev-lora``.
    :return: warnings: the type is unknown here, or retired.
    :raises InvalidInputError: it is known that the type cannot be trained.
    """
    if not isinstance(type, str) or not type:
        raise InvalidInputError(f"type must be a model type such as 'flux.2-dev-lora', not {_shown(type)}.")
    if type in UNTRAINABLE_TYPES:
        raise InvalidInputError(f"type {type!r} cannot be trained; trainable types: {', '.join(TRAINABLE_TYPES)}.")
    trainer = TRAINERS.get(type)
    if trainer is None:
        return [f"type {type!r} is not known to this provider; Scenario decides.{_did_you_mean(type, TRAINABLE_TYPES)}"]
    if trainer.retired:
        return [f"type {type!r} is retired: Scenario may refuse to train it. Newer: flux.2-dev-lora, zimage-lora."]
    return []


def check_parameters(
    parameters: Mapping[str, Any] | TrainingParameters | None, model_type: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """
    Check training parameters and bring them into the API's spelling.

    :param parameters: in the API's spelling or in snake case; a None counts as not given. None: none at all.
    :param model_type: judge by its trainer too; default: only what holds for all.
    :return: what to send, and warnings: what sources disagree about, or what will surprise.
    :raises InvalidInputError: a parameter is unknown, of the wrong kind, out of the range all sources agree on, or for
        another trainer. The message names the parameter, its value, and what is right.
    """
    given = {name: value for name, value in camel_keys(parameters, "parameters").items() if value is not None}
    trainer = TRAINERS.get(model_type) if model_type is not None else None
    warnings: list[str] = []
    checked: dict[str, Any] = {}
    for name, value in given.items():
        parameter = PARAMETERS.get(name)
        if parameter is None:
            raise InvalidInputError(
                f"parameters: there is no {name!r} (given: {_shown(value, secret=is_secret(name))})."
                f"{_did_you_mean(name, PARAMETERS)} "
                f"Known: {', '.join(PARAMETERS)}."
            )
        warnings += _check_trainer(parameter, trainer, model_type)
        checked[name] = _of_kind(parameter, value)
        if parameter.secret:
            checked[name] = SecretText(checked[name])
        warnings += _check_value(parameter, checked[name], trainer)
    warnings += _check_together(checked, trainer, model_type)
    return checked, warnings


def _check_trainer(parameter: Parameter, trainer: Trainer | None, model_type: str | None) -> list[str]:
    name = parameter.name
    if trainer is None:
        if parameter.trainers == STABLE_DIFFUSION_ONLY:
            return [f"parameters: {name} is for the retired Stable Diffusion types only."]
        return []
    if trainer.name in parameter.trainers:
        return []
    meant = " and ".join(sorted(parameter.trainers))
    if trainer.name in parameter.unsure:
        return [f"parameters: {name} is documented for {meant} trainings; {model_type} may ignore or refuse it."]
    raise InvalidInputError(
        f"parameters: {name} is for {meant} trainings, and {model_type!r} is trained by {trainer.name}. Leave it out."
    )


def _of_kind(parameter: Parameter, value: Any) -> Any:
    if isinstance(value, str) and parameter.kind in ("a number", "a whole number"):
        value = _number_in(value)
    match parameter.kind:
        case "text" if isinstance(value, str):
            return value
        case "true or false" if isinstance(value, bool):
            return value
        case "a list of text" if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return list(value)
        case "a number" | "a whole number" if isinstance(value, int | float) and not isinstance(value, bool):
            if (isinstance(value, int) or math.isfinite(value)) and (
                parameter.kind == "a number" or value == int(value)
            ):
                return int(value) if parameter.kind == "a whole number" else value
    hint = ""
    if isinstance(value, str) and parameter.kind == "a list of text":
        hint = " A template gives text unless the DAG has render_template_as_native_obj=True."
    raise InvalidInputError(
        f"parameters: {parameter.name} must be {parameter.kind}, not {_shown(value, secret=parameter.secret)}.{hint}"
    )


def _number_in(text: str) -> Any:
    """A template gives text: '4' is the number it looks like, and anything else stays what it is."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


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
                f"parameters: {name}={_shown(value)} must be one of {', '.join(map(repr, parameter.choices))}."
            )
        return []
    return _check_range(parameter, value, trainer)


def _check_range(parameter: Parameter, value: float, trainer: Trainer | None) -> list[str]:
    own = parameter.by_trainer.get(trainer.name) if trainer else None
    low, high = own or (parameter.minimum, parameter.maximum)
    too_low = low is not None and (value < low or (parameter.above and value == 0))
    if too_low or (high is not None and value > high):
        least = f"{'above' if parameter.above and low == 0 else 'from'} {low:.16g}"
        most = f" to {high:.16g}" if high is not None and math.isfinite(high) else ""
        for_whom = f" for {trainer.name} trainings" if own and trainer else ""
        raise InvalidInputError(
            f"parameters: {parameter.name}={_shown(value)} is out of range: {least}{most}{for_whom}."
        )
    if own is None and parameter.usual and not parameter.usual[0] <= value <= parameter.usual[1]:
        usual = f"{parameter.usual[0]:g} to {parameter.usual[1]:g}"
        return [f"parameters: {parameter.name}={value!r} may be refused: Scenario's sources agree on {usual} only."]
    return []


def _check_together(values: Mapping[str, Any], trainer: Trainer | None, model_type: str | None) -> list[str]:
    """What depends on more than one parameter, or on the type."""
    warnings = []
    concept = values.get("conceptPrompt", "")
    longest = trainer.concept_prompt_max if trainer else None
    if longest is not None and len(concept) > longest:
        raise InvalidInputError(
            f"parameters: conceptPrompt={_shown(concept)} has {len(concept)} characters; {model_type} takes at most "
            f"{longest}."
        )
    prompts, sources = values.get("samplePrompts") or [], values.get("sampleSourceImages")
    if sources is not None:
        if trainer and trainer.dataset != "pairs":
            raise InvalidInputError(
                f"parameters: sampleSourceImages is for edit types, which learn from pairs; {model_type!r} is none."
            )
        if len(sources) != len(prompts):
            raise InvalidInputError(
                f"parameters: sampleSourceImages has {len(sources)} entries and samplePrompts {len(prompts)}; "
                "each prompt needs its image."
            )
    if trainer and trainer.sample_prompts_max is not None and len(prompts) > trainer.sample_prompts_max:
        warnings.append(
            f"parameters: {len(prompts)} samplePrompts; {model_type} should have at most {trainer.sample_prompts_max}."
        )
    if values.get("nbEpochs", 1) > 1 and not prompts:
        warnings.append(
            f"parameters: nbEpochs={values['nbEpochs']} without samplePrompts: only the last epoch is published, "
            "without previews. Give samplePrompts to keep them all."
        )
    frequency, steps = values.get("validationFrequency"), values.get("maxTrainSteps")
    if frequency is not None and steps is not None and frequency > steps:
        raise InvalidInputError(
            f"parameters: validationFrequency={frequency} must not be greater than maxTrainSteps={steps}."
        )
    return warnings


def check_name(name: str) -> None:
    """
    Check the name of a model: 1 to 64 characters.

    :raises InvalidInputError: it is empty, longer, or no text.
    """
    _check_text("name", name, 1, MAX_NAME)


def check_short_description(text: str) -> None:
    """
    Check the short description of a model: at most 256 characters.

    :raises InvalidInputError: it is longer, or no text.
    """
    _check_text("short_description", text, 0, MAX_SHORT_DESCRIPTION)


def _check_text(field: str, value: object, shortest: int, longest: int) -> None:
    if not isinstance(value, str):
        raise InvalidInputError(f"{field} must be text, not {_shown(value)}.")
    if len(value.strip()) < shortest:
        raise InvalidInputError(f"{field} is empty; it takes {shortest} to {longest} characters.")
    if len(value) > longest:
        raise InvalidInputError(
            f"{field}={_shown(value)} has {len(value)} characters; Scenario takes at most {longest}."
        )


def check_concepts(concepts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Check the LoRAs of a composition and bring them into the API's spelling.

    :param concepts: ``model_id`` and ``scale`` (-2 to 2) each, and perhaps ``model_epoch``, in either spelling.
    :raises InvalidInputError: one of them lacks something, has something unknown, or is out of range.
    """
    if isinstance(concepts, str | Mapping) or not isinstance(concepts, Iterable):
        raise InvalidInputError(f"concepts must be a list of dictionaries, not {_shown(concepts)}.")
    return [_concept(f"concepts[{index}]", concept) for index, concept in enumerate(concepts)]


def _concept(where: str, concept: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in camel_keys(concept, where).items() if value is not None}
    for name in given:
        if name not in ("modelId", "scale", "modelEpoch"):
            raise InvalidInputError(f"{where}: there is no {name!r}; known: model_id, scale, model_epoch.")
    for name in ("modelId", "modelEpoch"):
        if (name in given or name == "modelId") and not (isinstance(given.get(name), str) and given[name]):
            raise InvalidInputError(f"{where}: {name} must be text, not {_shown(given.get(name))}.")
    scale = given.get("scale")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not -2 <= scale <= 2:
        raise InvalidInputError(f"{where}: scale must be a number from -2 to 2, not {_shown(scale)}.")
    return given


def check_dataset_size(images: int, *, model_type: str | None = None, pairs: int | None = None) -> list[str]:
    """
    Check how many images (or recordings) a model will learn from.

    :param images: how many there are.
    :param model_type: judge by its trainer; default: as for single images.
    :param pairs: complete pairs, where they are known; for edit types.
    :return: warnings: fewer or more than recommended.
    :raises InvalidInputError: none at all, more than the service takes, or fewer than two pairs for an edit type.
    """
    trainer = TRAINERS.get(model_type) if model_type is not None else None
    dataset = trainer.dataset if trainer else "images"
    if dataset == "concepts":
        return []
    if images < 1:
        raise InvalidInputError("The dataset is empty: a training needs images.")
    if dataset == "pairs" and pairs is not None and pairs < MIN_PAIRS:
        raise InvalidInputError(f"{model_type} learns from pairs and needs at least {MIN_PAIRS} of them, not {pairs}.")
    if dataset == "audio":
        return []
    if images > MAX_IMAGES and dataset == "images" and trainer:
        raise InvalidInputError(f"The dataset has {images} images; Scenario takes at most {MAX_IMAGES}.")
    low, high = RECOMMENDED_IMAGES
    if dataset == "images" and not low <= images <= high:
        return [f"The dataset has {images} images; {low} to {high} are recommended."]
    if images > MAX_IMAGES:
        return [f"The dataset has {images} images; Scenario may take at most {MAX_IMAGES}."]
    return []


def check_ready(*, model_id: str, model_type: str | None, images: int, pairs: int = 0, concepts: int = 0) -> list[str]:
    """
    Check that a model has what its trainer learns from, before a training is asked for.

    :param model_id: for the message.
    :param images: how many training images the model has.
    :param pairs: how many pairs of them.
    :param concepts: how many LoRAs, for compositions.
    :return: warnings, as :func:`check_type` and :func:`check_dataset_size` give them.
    :raises InvalidInputError: the type cannot be trained, or what it learns from is missing.
    """
    try:
        warnings = check_type(model_type) if model_type is not None else []
        trainer = TRAINERS.get(model_type or "")
        if trainer and trainer.dataset == "concepts" and not concepts:
            raise InvalidInputError(f"{model_type} is composed of concepts, and there are none.")
        return warnings + check_dataset_size(images, model_type=model_type, pairs=pairs)
    except InvalidInputError as problem:
        wrong = str(problem)
    raise InvalidInputError(f"Model {model_id} cannot be trained yet: {wrong} Nothing was started or billed.")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # costs more to import than all of this module

    spelled = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), spelled, n=1, cutoff=0.7)
    return f" Did you mean {spelled[close[0]]!r}?" if close else ""


def shown(value: object) -> str:
    """A value of the wrong kind, cut; only its type where a secret may be in it."""
    return _shown(value, secret=is_secret(repr(value)))


def _shown(value: object, *, secret: bool = False) -> str:
    if secret:
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
