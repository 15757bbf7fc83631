"""
What each model type's trainer accepts. Where the vendor's sources disagree, :class:`~.limits.Limits` decides.

Limits that a page states in prose only, such as 'Only available for Flux LoRA training', are not checked.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.emulator.checks import invalid, number, one_of, text, texts
from airflow_provider_scenario.emulator.routing import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_scenario.emulator.limits import Limits

VOICE = "elevenlabs-voice"
FLUX_LORA = ("flux.1-lora", "flux.1-krea-lora", "flux.1-kontext-lora")
MUSUBI = (
    *(f"flux.2-{base}-lora" for base in ("dev", "klein-4b", "klein-9b", "klein-base-4b", "klein-base-9b")),
    *(f"flux.2-{base}-edit-lora" for base in ("dev", "klein-4b", "klein-9b", "klein-base-4b", "klein-base-9b")),
    *("qwen-image-lora", "qwen-image-2512-lora"),
    *("qwen-image-edit-lora", "qwen-image-edit-2509-lora", "qwen-image-edit-2511-lora"),
    *("zimage-lora", "zimage-turbo-lora", "zimage-de-turbo-lora"),
)
COMPOSITIONS = {
    "flux.1-composition": FLUX_LORA,
    "sd-1_5-composition": ("sd-1_5", "sd-1_5-lora"),
    "sd-xl-composition": ("sd-xl", "sd-xl-lora"),
}
"""Composition → types of the LoRAs that it may consist of."""
TRAINABLE = frozenset((*FLUX_LORA, *MUSUBI, "flux.1-composition", VOICE))
BASE_TYPES = (
    *("custom", "flux.1", "flux.1-kontext-dev", "flux.1-krea-dev", "flux.1-pro", "flux.1.1-pro-ultra", "flux1.1-pro"),
    "gpt-image-1",
)
RETIRED = ("sd-1_5", "sd-1_5-composition", "sd-1_5-lora", "sd-xl", "sd-xl-composition", "sd-xl-lora")
"""Types that the vendor's pages still list and the SDK does not."""

DEFAULT_EPOCHS, DEFAULT_REPEATS = 10, 20
CREATIVE_UNITS_PER_IMAGE = 60  # with the default epochs and repeats, as the live service bills
LONGEST_SEED = 9007199254740991

_TEXTS = ("conceptPrompt", "age", "gender", "language", "voiceDescription", "classPrompt", "validationPrompt")
_FLAGS = ("removeBackgroundNoise", "randomCrop", "scaleLr")
_ABOVE_ZERO = ("learningRate", "learningRateUnet", "priorLossWeight", "learningRateTextEncoder")
_CHOICES = {
    "optimizeFor": ("likeness",),
    "cloneType": ("instant", "professional"),
    "lrScheduler": ("constant", "constant-with-warmup", "cosine", "cosine-with-restarts", "linear", "polynomial"),
}
_BOUNDS: dict[str, tuple[float, float | None, bool]] = {
    "batchSize": (1, 4, True),
    "nbEpochs": (1, 30, True),
    "nbRepeats": (1, 30, True),
    "maxTrainSteps": (0, 40000, True),
    "rank": (2, 128, True),
    "seed": (0, LONGEST_SEED, True),
    "numTextTrainSteps": (0, 40000, True),
    "numUNetTrainSteps": (0, 40000, True),
    "randomCropRatio": (0, 1, False),
    "randomCropScale": (0, 1, False),
    "textEncoderTrainingRatio": (0, 0.99, False),
    "validationFrequency": (0, None, True),
}
_GUIDE_MOST: dict[str, float] = {"batchSize": 8, "nbEpochs": 100, "nbRepeats": 100}
_GUIDE_RATES = (1e-5, 1e-3)
_FLUX_BOUNDS: dict[str, tuple[float, float]] = {
    "rank": (2, 64),
    "maxTrainSteps": (0, 10000),
    "learningRateTextEncoder": (1e-6, 1e-3),
}
PARAMETERS = frozenset(
    (*_TEXTS, *_FLAGS, *_ABOVE_ZERO, *_CHOICES, *_BOUNDS, "wandbKey", "samplePrompts", "sampleSourceImages")
)


def model_types(limits: Limits) -> tuple[str, ...]:
    retired = RETIRED if limits.types == "lenient" else ()
    return tuple(sorted((*TRAINABLE, *BASE_TYPES, *retired)))


def is_trainable(model_type: str, limits: Limits) -> bool:
    return model_type not in BASE_TYPES or limits.base_types == "lenient"


def needs_pairs(model_type: str, limits: Limits) -> bool:
    """Whether a training needs complete pairs. For Kontext no source says so."""
    return is_edit(model_type) and (model_type != "flux.1-kontext-lora" or limits.kontext_pairs == "strict")


def is_edit(model_type: str) -> bool:
    """Whether the type is trained on pairs."""
    return "-edit-" in model_type or model_type == "flux.1-kontext-lora"


def job_type(model_type: str) -> str:
    # The voice trainer's job type is not known. It cannot be Musubi's, which trains pictures.
    if model_type.startswith("flux.1"):
        return "flux-model-training"
    return "musubi-model-training" if model_type in MUSUBI else "model-training"


def creative_units(images: int, parameters: Mapping[str, Any]) -> float:
    epochs: float = parameters.get("nbEpochs", DEFAULT_EPOCHS)
    repeats: float = parameters.get("nbRepeats", DEFAULT_REPEATS)
    return round(CREATIVE_UNITS_PER_IMAGE * images * epochs / DEFAULT_EPOCHS * repeats / DEFAULT_REPEATS, 2)


def checked_parameters(
    model_type: str, given: object, limits: Limits, kept: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """
    The training parameters that a trainer knows; others are dropped silently.

    :param kept: parameters that the model already has; ``given`` replaces them one by one.
    """
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise invalid("parameters", "must be of type object")
    unknown = next((name for name in given if name not in PARAMETERS), None)
    if unknown is not None and limits.unknown_parameters == "strict":
        raise invalid(f"parameters.{unknown[:100]}", "is not allowed")
    parameters = {**(kept or {}), **{name: value for name, value in given.items() if name in PARAMETERS}}
    for name, value in parameters.items():
        _check(name, value, limits)
    if model_type in (*FLUX_LORA, "flux.1-composition"):
        for name, (least, most) in _FLUX_BOUNDS.items():
            if name in parameters:
                number(parameters[name], f"parameters.{name}", least=least, most=most)
    short = MUSUBI if limits.concept_prompt == "strict" else ("flux.2-dev-lora",)
    if model_type in short and len(parameters.get("conceptPrompt", "")) > 20:
        raise Refusal(400, "Musubi training validation failed: conceptPrompt must be at most 20 characters")
    if parameters.get("validationFrequency", 0) > parameters.get("maxTrainSteps", inf):
        raise invalid("parameters.validationFrequency", "cannot be greater than maxTrainSteps value")
    _check_samples(model_type, parameters, limits)
    return parameters


def _check(name: str, value: object, limits: Limits) -> None:
    label = f"parameters.{name}"
    if name in _TEXTS:
        text({name: value}, name, label=label)
    elif name in _FLAGS and not isinstance(value, bool):
        raise invalid(label, "must be a boolean")
    elif name in _ABOVE_ZERO:
        least, most = _GUIDE_RATES if name == "learningRate" and limits.learning_rate == "strict" else (None, None)
        number(value, label, least=least, most=1e-3 if name == "learningRateTextEncoder" else most)
        if isinstance(value, int | float) and value <= 0:
            raise invalid(label, "must be greater than 0")
    elif name in _CHOICES:
        other = ("all", "none") if name == "optimizeFor" and limits.optimize_for == "lenient" else ()
        one_of(value, label, (*_CHOICES[name], *other))
    elif name in _BOUNDS:
        least, most, whole = _BOUNDS[name]
        if limits.numbers == "lenient":
            most = _GUIDE_MOST.get(name, most)
        number(value, label, least=least, most=most, whole=whole and limits.whole_numbers == "strict")
    elif name == "wandbKey":
        text({name: value}, name, longest=40, label=label)
    elif name in ("samplePrompts", "sampleSourceImages"):
        texts({name: value}, name, label=label)


def _check_samples(model_type: str, parameters: dict[str, Any], limits: Limits) -> None:
    most = None if limits.sample_prompts == "lenient" else 4 if model_type in MUSUBI else 8
    prompts = texts(parameters, "samplePrompts", most=most, label="parameters.samplePrompts")
    images = parameters.get("sampleSourceImages")
    if images is None:
        return
    if not is_edit(model_type):
        raise invalid("parameters.sampleSourceImages", "is not allowed")
    if len(images) != len(prompts or []):
        raise invalid("parameters.sampleSourceImages", "must have the same length as samplePrompts")
