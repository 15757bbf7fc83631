"""
What the vendor says about training parameters, model type by model type, and the values that follow from it.

Written from the vendor's pages, its client's types and the dossier, not from our code: a mistake there must show here.
In the comments: *reference* is the vendor's machine-made reference (PUT /models/{id}, POST /models, PUT
/models/{id}/train), with *schema* its numbers and *prose* its sentences; *guide* is the prose page on training the
modern LoRA types; *SDK* is scenario-sdk 2.4.0; *live* is what others report from the service.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Expected = Literal["silent", "may warn", "warned", "not silent", "refused"]
"""``may warn``: passes, with a warning or without; ``not silent``: a warning or a refusal, sources support both."""

# The 37 types of the reference. SDK has 31 of them: Stable Diffusion is gone, so a warning about it is right.
TYPES = {
    "flux.1-kontext-lora": "flux.1",  # takes pairs
    "flux.1-krea-lora": "flux.1",
    "flux.1-lora": "flux.1",
    "flux.2-dev-edit-lora": "flux.2",
    "flux.2-dev-lora": "flux.2",
    "flux.2-klein-4b-edit-lora": "flux.2",
    "flux.2-klein-4b-lora": "flux.2",
    "flux.2-klein-9b-edit-lora": "flux.2",
    "flux.2-klein-9b-lora": "flux.2",
    "flux.2-klein-base-4b-edit-lora": "flux.2",
    "flux.2-klein-base-4b-lora": "flux.2",
    "flux.2-klein-base-9b-edit-lora": "flux.2",
    "flux.2-klein-base-9b-lora": "flux.2",
    "qwen-image-2512-lora": "qwen, z",
    "qwen-image-edit-2509-lora": "qwen, z",
    "qwen-image-edit-2511-lora": "qwen, z",
    "qwen-image-edit-lora": "qwen, z",
    "qwen-image-lora": "qwen, z",
    "zimage-de-turbo-lora": "qwen, z",
    "zimage-lora": "qwen, z",
    "zimage-turbo-lora": "qwen, z",
    "sd-1_5": "sd 1.5",
    "sd-1_5-lora": "sd 1.5",
    "sd-xl-lora": "sd xl",
    "sd-xl": "sd xl base",  # the reference says 'SDXL LoRA' of what it says 'SD15' without LoRA
    "elevenlabs-voice": "voice",
    "flux.1-composition": "flux comp.",
    "sd-1_5-composition": "sd comp.",
    "sd-xl-composition": "sd comp.",
    # Nothing says whether these can be trained.
    "custom": "other",
    "flux.1": "other",
    "flux.1-kontext-dev": "other",
    "flux.1-krea-dev": "other",
    "flux.1-pro": "other",
    "flux.1.1-pro-ultra": "other",
    "flux1.1-pro": "other",
    "gpt-image-1": "other",
}

# 'Flux LoRA' of the reference. Live: flux.1-lora is trained by it.
FLUX = {"flux.1"}
# Live: flux.2-dev-lora is trained by Musubi. That Qwen and Z-Image are too is inferred.
MUSUBI = {"flux.2", "qwen, z"}
RETIRED = {"sd 1.5", "sd xl", "sd xl base", "sd comp."}
EDIT_TYPES = {name for name in TYPES if "edit" in name} | {"flux.1-kontext-lora"}
BASE_TYPES = [name for name, group in TYPES.items() if group == "other"]

_GROUPS = ["flux.1", "flux.2", "qwen, z", "sd 1.5", "sd xl", "sd xl base", "voice", "flux comp.", "sd comp.", "other"]

# + documented for it; - the reference says 'Only available for' others, and no other source says otherwise;
# ? sources disagree or are silent, so it passes; ! they disagree so that a warning and a refusal are both right.
# Of a composition: its own family's parameters are ?, since it goes through the same call.
_TAKEN = {
    #                           F1 F2 QZ 15 XL XB VO FC SC other
    "age":                      "-  -  -  -  -  -  +  -  -  ?",
    # Reference: only Flux LoRA. Guide: all LoRAs, by which it means the modern ones. Live: taken by flux.2-dev-lora.
    "batchSize":                "+  +  +  !  !  !  -  ?  !  ?",
    "classPrompt":              "-  -  -  +  -  -  -  -  ?  ?",
    "cloneType":                "-  -  -  -  -  -  +  -  -  ?",
    # Reference: has defaults for SD1.5, SDXL and Flux; does not say 'only'. Dossier: all LoRA.
    "conceptPrompt":            "+  +  +  +  +  +  ?  ?  ?  ?",
    "gender":                   "-  -  -  -  -  -  +  -  -  ?",
    "language":                 "-  -  -  -  -  -  +  -  -  ?",
    "learningRate":             "+  +  +  +  +  +  ?  ?  ?  ?",
    # Reference: has limits for Flux LoRA and SDXL; does not say 'only'.
    "learningRateTextEncoder":  "+  ?  ?  ?  +  +  ?  ?  ?  ?",
    "learningRateUnet":         "-  -  -  -  +  ?  -  -  ?  ?",
    "lrScheduler":              "-  -  -  +  +  ?  -  -  ?  ?",
    # Reference: has limits for Flux, SD1.5, SDXL ('please use numTextTrainSteps …'); does not say 'only'.
    "maxTrainSteps":            "+  ?  ?  +  +  +  ?  ?  ?  ?",
    # As batchSize.
    "nbEpochs":                 "+  +  +  !  !  !  -  ?  !  ?",
    "nbRepeats":                "+  +  +  !  !  !  -  ?  !  ?",
    "numTextTrainSteps":        "-  -  -  -  +  ?  -  -  ?  ?",
    "numUNetTrainSteps":        "-  -  -  -  +  ?  -  -  ?  ?",
    # Reference: only Flux LoRA. FLUX.2 may be meant by that too, and has the blocks that it speaks of. Whether the
    # guide has it for all modern LoRAs, our notes contradict each other.
    "optimizeFor":              "+  ?  !  !  !  !  -  ?  !  ?",
    "priorLossWeight":          "-  -  -  +  +  ?  -  -  ?  ?",
    "randomCrop":               "-  -  -  +  +  ?  -  -  ?  ?",
    # Reference: for whom, it does not say. Dossier: retired, Stable Diffusion.
    "randomCropRatio":          "-  -  -  +  +  ?  -  -  ?  ?",
    "randomCropScale":          "-  -  -  +  +  ?  -  -  ?  ?",
    "rank":                     "+  +  +  -  +  +  -  ?  ?  ?",
    "removeBackgroundNoise":    "-  -  -  -  -  -  +  -  -  ?",
    # Reference: only Flux LoRA. Guide: all LoRAs, as batchSize. Live: all modern LoRAs.
    "samplePrompts":            "+  +  +  !  !  !  -  ?  !  ?",
    # Reference: only Flux LoRA. Guide, live: edit types only, see _EXCEPTIONS; others reject it.
    "sampleSourceImages":       "!  -  -  -  -  -  -  -  -  ?",
    "scaleLr":                  "-  -  -  +  +  ?  -  -  ?  ?",
    # Reference: only SD15 and SDXL LoRA. Guide: all LoRAs, by which it means the modern ones.
    "seed":                     "?  ?  ?  +  +  ?  !  !  ?  ?",
    "textEncoderTrainingRatio": "-  -  -  +  +  ?  -  -  ?  ?",
    "validationFrequency":      "-  -  -  +  +  ?  -  -  ?  ?",
    "validationPrompt":         "-  -  -  +  +  ?  -  -  ?  ?",
    "voiceDescription":         "-  -  -  -  -  -  +  -  -  ?",
    "wandbKey":                 "+  +  +  +  +  +  ?  ?  ?  ?",
}  # fmt: skip

_EXCEPTIONS = {
    # Guide and live: edit types take it, of any trainer.
    **{("sampleSourceImages", model_type): "+" for model_type in EDIT_TYPES},
    # Reference: only SD15 (classPrompt), only SDXL (the others); each composition has its own family only.
    ("classPrompt", "sd-xl-composition"): "-",
    **{
        (name, "sd-1_5-composition"): "-"
        for name in ("learningRateUnet", "numTextTrainSteps", "numUNetTrainSteps", "rank")
    },
}

PARAMETERS = tuple(_TAKEN)

WHOLE = (
    "batchSize",
    "maxTrainSteps",
    "nbEpochs",
    "nbRepeats",
    "numTextTrainSteps",
    "numUNetTrainSteps",
    "rank",
    "seed",
    "validationFrequency",
)
"""The API types them as ``number``, and they count."""


class Range(NamedTuple):
    """:param above: without ``low`` itself."""

    low: float
    high: float = math.inf
    above: bool = False


class Limits(NamedTuple):
    """
    :param narrow: what all sources allow.
    :param wide: what any source allows.
    :param between: what is expected inside ``wide`` and outside of ``narrow``.
    """

    narrow: Range
    wide: Range
    between: Expected = "warned"


def _agreed(low: float, high: float = math.inf, *, above: bool = False) -> Limits:
    return Limits(Range(low, high, above), Range(low, high, above))


_ABOVE_ZERO = _agreed(0, above=True)
_STEPS = _agreed(0, 40000)

# By group; "" is for all that are not named.
_LIMITS: dict[str, dict[str, Limits]] = {
    # Schema: 1 to 4. Guide: 1 to 8.
    "batchSize": {"": Limits(Range(1, 4), Range(1, 8))},
    # Schema: 1 to 30. Guide: 1 to 100.
    "nbEpochs": {"": Limits(Range(1, 30), Range(1, 100))},
    "nbRepeats": {"": Limits(Range(1, 30), Range(1, 100))},
    # Schema: above 0. Guide, of the modern LoRAs: 1e-5 to 1e-3; whether it means FLUX.1 too is open.
    "learningRate": {
        "": _ABOVE_ZERO,
        "flux.1": Limits(Range(1e-5, 1e-3), Range(0, above=True), "may warn"),
        "flux.2": Limits(Range(1e-5, 1e-3), Range(0, above=True)),
        "qwen, z": Limits(Range(1e-5, 1e-3), Range(0, above=True)),
    },
    # Schema: above 0, to 0.001. Prose: Flux LoRA from 1e-6; SDXL from 0, which the schema excludes.
    "learningRateTextEncoder": {
        "": Limits(Range(0, 0.001, above=True), Range(0, 0.001), "not silent"),
        "flux.1": _agreed(1e-6, 0.001),
        "sd xl": Limits(Range(0, 0.001, above=True), Range(0, 0.001)),
        "sd xl base": Limits(Range(0, 0.001, above=True), Range(0, 0.001)),
    },
    "learningRateUnet": {"": _ABOVE_ZERO},
    # Schema: 0 to 40000. Prose: Flux to 10000, SD1.5 and SDXL to 40000; FLUX.2 may be meant by 'Flux'.
    "maxTrainSteps": {
        "": _STEPS,
        "flux.1": _agreed(0, 10000),
        **dict.fromkeys(("flux.2", "qwen, z"), Limits(Range(0, 10000), Range(0, 40000), "may warn")),
    },
    "numTextTrainSteps": {"": _STEPS},
    "numUNetTrainSteps": {"": _STEPS},
    # Schema: above 0, to 1.7976931348623157, which is the largest float (1.79…e308) cut off. Dossier: above 0.
    "priorLossWeight": {"": Limits(Range(0, 1.7976931348623157, above=True), Range(0, above=True), "may warn")},
    "randomCropRatio": {"": _agreed(0, 1)},
    "randomCropScale": {"": _agreed(0, 1)},
    # Schema and guide: 2 to 128. Prose: 'each trainer enforces its own tighter limit (Flux LoRA: [2; 64], Musubi:
    # [2; 128])'.
    # The description of November 2025: 4 to 64.
    "rank": {
        "": Limits(Range(4, 64), Range(2, 128), "may warn"),
        "flux.1": Limits(Range(4, 64), Range(2, 64), "may warn"),
        "flux.2": _agreed(2, 128),
        "qwen, z": _agreed(2, 128),
    },
    "seed": {"": _agreed(0, 9007199254740991)},
    "textEncoderTrainingRatio": {"": _agreed(0, 0.99)},
    "validationFrequency": {"": _agreed(0)},
}

_LIKE_BOOLEAN: dict[Any, Expected] = {True: "silent", False: "silent", "maybe": "refused", 2: "refused"}

# What parameters that are not numbers take. Lists are given as tuples.
_VALUES: dict[str, dict[Any, Expected]] = {
    "age": {"young": "silent"},
    "classPrompt": {"a dog": "silent"},
    # Schema: a text. Prose: "instant" or "professional".
    "cloneType": {"instant": "silent", "professional": "silent", "studio": "not silent"},
    "gender": {"female": "silent"},
    "language": {"en": "silent"},
    # Every source has the same six.
    "lrScheduler": {
        **dict.fromkeys(
            ("constant", "constant-with-warmup", "cosine", "cosine-with-restarts", "linear", "polynomial"), "silent"
        ),
        "exponential": "refused",
    },
    # Schema: "likeness" only. Prose: "all" and "none" too.
    "optimizeFor": {"likeness": "silent", "all": "warned", "none": "warned", "style": "refused"},
    "randomCrop": _LIKE_BOOLEAN,
    "removeBackgroundNoise": _LIKE_BOOLEAN,
    "scaleLr": _LIKE_BOOLEAN,
    "validationPrompt": {"a dog": "silent"},
    "voiceDescription": {"warm": "silent"},
    # Every source, in prose: 40 characters.
    "wandbKey": {"k" * 40: "silent", "k" * 41: "refused"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """
    One parameter of one type at one value.

    :param given: it, and what it cannot go without.
    :param where: ``lowest``, ``highest``, ``below``, ``above`` …
    """

    model_type: str
    parameter: str
    where: str
    given: dict[str, Any]
    expected: Expected

    @property
    def passes(self) -> bool:
        return self.expected in ("silent", "may warn", "warned")

    def __str__(self) -> str:
        shown = str(self.given[self.parameter])[:50]
        return f"{self.model_type}: {self.parameter} {self.where} ({shown}): {self.expected}"


def taken(model_type: str, parameter: str) -> Literal["+", "?", "!", "-"]:
    """Whether the sources let a type have a parameter: yes, open, hardly, no."""
    group = _GROUPS.index(TYPES[model_type])
    sign: Any = _EXCEPTIONS.get((parameter, model_type), _TAKEN[parameter].split()[group])
    return sign


def limits(model_type: str, parameter: str) -> Limits | None:
    """Of a number, as they hold for a type."""
    of_groups = _LIMITS.get(parameter)
    return of_groups and of_groups.get(TYPES[model_type], of_groups[""])


def cases() -> Iterator[Case]:
    """Every type × every parameter × its documented limits and one step beyond."""
    for model_type in TYPES:
        for parameter in PARAMETERS:
            for where, value, expected in _values(model_type, parameter):
                given = {parameter: list(value) if isinstance(value, tuple) else value}
                if parameter == "sampleSourceImages":
                    given["samplePrompts"] = ["a dog"] * len(given[parameter])
                if parameter == "nbEpochs" and taken(model_type, "samplePrompts") == "+":
                    given["samplePrompts"] = [
                        "a dog"
                    ]  # live: without it only the last epoch is kept, which is worth a warning
                yield Case(model_type, parameter, where, given, _for_type(model_type, parameter, expected))


def _for_type(model_type: str, parameter: str, expected: Expected) -> Expected:
    """What is expected of a value, when it is known what is of a type that takes the parameter."""
    sign = taken(model_type, parameter)
    if sign == "-":
        return "refused"
    if sign == "!":
        return "refused" if expected == "refused" else "not silent"
    if expected == "silent" and (sign == "?" or TYPES[model_type] in RETIRED | {"other"}):
        return "may warn"
    return expected


def _values(model_type: str, parameter: str) -> Iterator[tuple[str, Any, Expected]]:
    bounds = limits(model_type, parameter)
    if bounds is not None:
        yield from _numbers(parameter, bounds)
    elif parameter == "conceptPrompt":
        yield from _concept_prompts(model_type)
    elif parameter in ("samplePrompts", "sampleSourceImages"):
        yield from _samples(model_type, parameter)
    else:
        for value, expected in _VALUES[parameter].items():
            yield ("beyond" if expected == "refused" else "value"), value, expected


def _numbers(parameter: str, bounds: Limits) -> Iterator[tuple[str, Any, Expected]]:
    narrow, wide, between = bounds
    whole = parameter in WHOLE
    for which, value in (("lowest", _lowest(narrow)), ("highest", _highest(narrow, whole))):
        yield which, value, "silent"
    if narrow != wide:
        for which, value in (("lowest of any", _lowest(wide)), ("highest of any", _highest(wide, whole))):
            inside = narrow.low <= value <= narrow.high and not (narrow.above and value == narrow.low)
            if not inside:
                yield which, value, between
        if wide.high > narrow.high:
            yield "one step above what all allow", _above(narrow.high, whole), between
        if wide.low < narrow.low:
            yield "one step below what all allow", _below(narrow.low, whole), between
    yield "below", wide.low if wide.above else _below(wide.low, whole), "refused"
    if wide.high < math.inf:
        yield "above", _above(wide.high, whole), "refused"
    if whole:
        # The API types them as number; the narrow range has a fraction above its lowest.
        yield "fraction", narrow.low + 0.5, "warned"


def _lowest(bounds: Range) -> float:
    return 1e-12 if bounds.above else bounds.low


def _highest(bounds: Range, whole: bool) -> float:
    """Without a limit: what is surely far above anybody's idea."""
    return bounds.high if bounds.high < math.inf else 10**9 if whole else 1e6


def _above(value: float, whole: bool) -> float:
    return value + 1 if whole else math.nextafter(value, math.inf)


def _below(value: float, whole: bool) -> float:
    return value - 1 if whole else math.nextafter(value, -math.inf)


def _concept_prompts(model_type: str) -> Iterator[tuple[str, Any, Expected]]:
    """Live, on flux.2-dev-lora only: more than 20 characters are refused. No page has a limit."""
    yield "20 characters", "daitondog" * 2 + "xx", "silent"
    beyond: Expected = (
        "refused" if model_type == "flux.2-dev-lora" else "warned" if TYPES[model_type] in MUSUBI else "silent"
    )
    yield "21 characters", "daitondog" * 2 + "xxx", beyond


def _samples(model_type: str, parameter: str) -> Iterator[tuple[str, Any, Expected]]:
    """Guide: up to 4. Live: 8 for FLUX.1, 4 for FLUX.2, Qwen and Z-Image. Schema: no limit."""
    flux = TYPES[model_type] in FLUX
    text = "a dog" if parameter == "samplePrompts" else "asset_1"
    yield "one", (text,), "silent"
    yield "four", (text,) * 4, "silent"
    yield "five", (text,) * 5, "may warn" if flux or TYPES[model_type] not in MUSUBI else "warned"
    yield "nine", (text,) * 9, "warned" if TYPES[model_type] in FLUX | MUSUBI else "may warn"
