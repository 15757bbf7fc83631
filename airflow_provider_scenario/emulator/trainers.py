"""What each model type's trainer accepts, by the schema column of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.emulator.checks import invalid, number, one_of, text, texts
from airflow_provider_scenario.emulator.routing import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPOSITION = "flux.1-composition"
VOICE = "elevenlabs-voice"
FLUX_LORA = ("flux.1-lora", "flux.1-krea-lora", "flux.1-kontext-lora")
MUSUBI = (
    *(f"flux.2-{base}-lora" for base in ("dev", "klein-4b", "klein-9b", "klein-base-4b", "klein-base-9b")),
    *(f"flux.2-{base}-edit-lora" for base in ("dev", "klein-4b", "klein-9b", "klein-base-4b", "klein-base-9b")),
    *("qwen-image-lora", "qwen-image-2512-lora"),
    *("qwen-image-edit-lora", "qwen-image-edit-2509-lora", "qwen-image-edit-2511-lora"),
    *("zimage-lora", "zimage-turbo-lora", "zimage-de-turbo-lora"),
)
TRAINABLE = frozenset((*FLUX_LORA, *MUSUBI, COMPOSITION, VOICE))
BASE_TYPES = (
    *("custom", "flux.1", "flux.1-kontext-dev", "flux.1-krea-dev", "flux.1-pro", "flux.1.1-pro-ultra", "flux1.1-pro"),
    "gpt-image-1",
)
MODEL_TYPES = tuple(sorted((*TRAINABLE, *BASE_TYPES)))

DEFAULT_EPOCHS, DEFAULT_REPEATS = 10, 20
CREATIVE_UNITS_PER_IMAGE = 60  # for the default epochs and repeats; billed so on the live service
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
_FLUX_BOUNDS: dict[str, tuple[float, float]] = {
    "rank": (2, 64),
    "maxTrainSteps": (0, 10000),
    "learningRateTextEncoder": (1e-6, 1e-3),
}
PARAMETERS = frozenset(
    (*_TEXTS, *_FLAGS, *_ABOVE_ZERO, *_CHOICES, *_BOUNDS, "wandbKey", "samplePrompts", "sampleSourceImages")
)


def is_edit(model_type: str) -> bool:
    """Whether the type learns from pairs."""
    return "-edit-" in model_type or model_type == "flux.1-kontext-lora"


def job_type(model_type: str) -> str:
    # The voice trainer's job type is not known; it is not Musubi's, which trains pictures.
    if model_type.startswith("flux.1"):
        return "flux-model-training"
    return "musubi-model-training" if model_type in MUSUBI else "model-training"


def creative_units(images: int, parameters: Mapping[str, Any]) -> float:
    epochs: float = parameters.get("nbEpochs", DEFAULT_EPOCHS)
    repeats: float = parameters.get("nbRepeats", DEFAULT_REPEATS)
    return round(CREATIVE_UNITS_PER_IMAGE * images * epochs / DEFAULT_EPOCHS * repeats / DEFAULT_REPEATS, 2)


def checked_parameters(model_type: str, given: object) -> dict[str, Any]:
    """The training parameters that a trainer knows; the others are dropped without a word."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise invalid("parameters", "must be of type object")
    parameters = {name: value for name, value in given.items() if name in PARAMETERS}
    for name, value in parameters.items():
        _check(name, value)
    if model_type in (*FLUX_LORA, COMPOSITION):
        for name, (least, most) in _FLUX_BOUNDS.items():
            if name in parameters:
                number(parameters[name], f"parameters.{name}", least=least, most=most)
    if model_type in MUSUBI and len(parameters.get("conceptPrompt", "")) > 20:
        raise Refusal(400, "Musubi training validation failed: conceptPrompt must be at most 20 characters")
    _check_samples(model_type, parameters)
    return parameters


def _check(name: str, value: object) -> None:
    label = f"parameters.{name}"
    if name in _TEXTS:
        text({name: value}, name, label=label)
    elif name in _FLAGS and not isinstance(value, bool):
        raise invalid(label, "must be a boolean")
    elif name in _ABOVE_ZERO:
        number(value, label, most=1e-3 if name == "learningRateTextEncoder" else None)
        if isinstance(value, int | float) and value <= 0:
            raise invalid(label, "must be greater than 0")
    elif name in _CHOICES:
        one_of(value, label, _CHOICES[name])
    elif name in _BOUNDS:
        least, most, whole = _BOUNDS[name]
        number(value, label, least=least, most=most, whole=whole)
    elif name == "wandbKey":
        text({name: value}, name, longest=40, label=label)
    elif name in ("samplePrompts", "sampleSourceImages"):
        texts({name: value}, name, label=label)


def _check_samples(model_type: str, parameters: dict[str, Any]) -> None:
    prompts = texts(
        parameters, "samplePrompts", most=4 if model_type in MUSUBI else 8, label="parameters.samplePrompts"
    )
    images = parameters.get("sampleSourceImages")
    if images is None:
        return
    if not is_edit(model_type):
        raise invalid("parameters.sampleSourceImages", "is not allowed")
    if len(images) != len(prompts or []):
        raise invalid("parameters.sampleSourceImages", "must have the same length as samplePrompts")
