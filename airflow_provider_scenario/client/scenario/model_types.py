"""
Scenario's model types, and the trainer of each, as its training guide and its SDK list them.

An unknown type is accepted with a warning, because Scenario adds types several times a year. Imported while DAG
files are parsed: nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.scenario.parameters import PARAMETERS, STABLE_DIFFUSION_ONLY, Parameter
from airflow_provider_scenario.client.values import check_encodable, did_you_mean

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.parameters import TrainerName

MIN_PAIRS = 2
"""Least number of complete pairs for an edit model (training guide, observed live)."""


class Trainer(NamedTuple):
    """
    A family of model types with the same trainer.

    :param name: ``flux`` and ``musubi`` were observed live; the trainer of Qwen and Z-Image is inferred.
    :param dataset: what it learns from.
    :param concept_prompt_max: characters of ``conceptPrompt``; observed live on ``flux.2-dev-lora``.
    :param concept_prompt_usual: the same, where it is inferred from the trainer: more are a warning.
    :param min_pairs: pairs without which the training is refused (training guide, observed live).
    :param sample_prompts_max: more are not recommended (training guide: 4; the vendor's skill: 8 for Flux.1).
    :param retired: the vendor's newest documentation no longer lists it.
    """

    name: TrainerName
    dataset: Literal["images", "pairs", "audio", "concepts"]
    concept_prompt_max: int | None = None
    concept_prompt_usual: int | None = None
    min_pairs: int = 0
    sample_prompts_max: int | None = None
    retired: bool = False


_FLUX = Trainer("flux", "images", sample_prompts_max=8)
_MUSUBI = Trainer("musubi", "images", concept_prompt_usual=20, sample_prompts_max=4)
_MUSUBI_EDIT = _MUSUBI._replace(dataset="pairs", min_pairs=MIN_PAIRS)
_SD = Trainer("stable-diffusion", "images", retired=True)

TRAINERS: Mapping[str, Trainer] = {
    "flux.2-dev-lora": _MUSUBI._replace(concept_prompt_max=20),
    **{f"flux.2-{base}-lora": _MUSUBI for base in ("klein-4b", "klein-9b", "klein-base-4b", "klein-base-9b")},
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
    "flux.1-kontext-lora": _FLUX._replace(dataset="pairs"),
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

BASE_TYPES = frozenset(
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
"""Documented types that no source lists as trainable; by their names they are base models."""


FAMILIES: Mapping[TrainerName, str] = {
    "flux": "Flux.1 LoRAs",
    "musubi": "FLUX.2, Qwen and Z-Image LoRAs",
    "composition": "Flux.1 compositions",
    "elevenlabs": "voices",
    "stable-diffusion": "the retired Stable Diffusion types",
}
"""What each trainer trains, for messages."""


def takes(parameter: Parameter, model_type: str) -> bool:
    """
    Whether a model type takes a parameter according to every source.

    :param model_type: one of :data:`TRAINERS`.
    """
    trainer = TRAINERS[model_type]
    if trainer.name not in parameter.trainers or (parameter.edits_only and trainer.dataset != "pairs"):
        return False
    return not trainer.retired or model_type.startswith(parameter.stable_diffusion)


def parameters_of(model_type: str | None) -> tuple[Parameter, ...]:
    """
    The training parameters of a model type.

    :param model_type: for an unknown type or None: all parameters but those of the retired types.
    """
    if model_type is not None and model_type in TRAINERS:
        return tuple(parameter for parameter in PARAMETERS.values() if takes(parameter, model_type))
    return tuple(parameter for parameter in PARAMETERS.values() if parameter.trainers != STABLE_DIFFUSION_ONLY)


def check_type(type: str) -> list[str]:  # noqa: A002 - the API's name
    """
    Check a model type.

    :param type: such as ``flux.2-dev-lora``.
    :return: warnings: the type is unknown to this provider, not known to be trainable, or retired.
    :raises InvalidInputError: the type is empty or not text.
    """
    if not isinstance(type, str) or not type.strip():
        raise InvalidInputError(f"type must be a model type such as 'flux.2-dev-lora', not {shown(type)}.")
    check_encodable("type", type)
    if type in BASE_TYPES:
        trainable = ", ".join(TRAINABLE_TYPES)
        return [f"type {type!r} is not known to be trainable; Scenario decides. Trainable types: {trainable}."]
    trainer = TRAINERS.get(type)
    if trainer is None:
        hint = did_you_mean(type, (*TRAINERS, *sorted(BASE_TYPES)))
        known = ", ".join(TRAINABLE_TYPES)
        return [f"type {shown(type)} is not known to this provider; Scenario decides.{hint} Known types: {known}."]
    if trainer.retired:
        return [f"type {type!r} is retired: Scenario may refuse to train it. Newer: flux.2-dev-lora, zimage-lora."]
    return []
