"""
Every training parameter, and the values that the sources allow: Scenario's training guide, its schema, its SDK.

Data only; :mod:`.trainers` checks by it. Where the sources disagree, a comment beside the entry quotes each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TrainerName = Literal["flux", "musubi", "elevenlabs", "composition", "stable-diffusion"]


class TrainingParameters(TypedDict, total=False):
    """Every documented training parameter, in snake case. What each accepts is in ``PARAMETERS``."""

    concept_prompt: str
    """Trigger word; at most 20 characters on flux.2-dev-lora, and perhaps on FLUX.2, Qwen and Z-Image altogether."""
    learning_rate: float
    learning_rate_text_encoder: float
    batch_size: int
    nb_epochs: int
    nb_repeats: int
    max_train_steps: int
    rank: int
    optimize_for: str
    sample_prompts: Sequence[str]
    """One preview a prompt and epoch. Without it only the last epoch is published."""
    sample_source_images: Sequence[str]
    """Asset ids, one for each sample prompt; edit types only."""
    seed: int
    wandb_key: str
    age: str
    gender: str
    language: str
    clone_type: Literal["instant", "professional"]
    remove_background_noise: bool
    voice_description: str
    extra_parameters: Mapping[str, Any]
    """Sent without a check: for what this version does not know, or refuses. Not for ``dryRun`` and secrets."""
    class_prompt: str
    learning_rate_unet: float
    lr_scheduler: str
    num_text_train_steps: int
    num_unet_train_steps: int
    prior_loss_weight: float
    random_crop: bool
    random_crop_ratio: float
    random_crop_scale: float
    scale_lr: bool
    text_encoder_training_ratio: float
    validation_frequency: int
    validation_prompt: str


Kind = Literal["text", "a number", "a whole number", "true or false", "a list of text"]
"""What a parameter is. The API types whole numbers as ``number``, so a fraction is a warning there."""

_ANY: frozenset[TrainerName] = frozenset({"flux", "musubi", "elevenlabs", "composition", "stable-diffusion"})
_LORA: frozenset[TrainerName] = frozenset({"flux", "musubi"})
_IMAGES: frozenset[TrainerName] = _LORA | {"stable-diffusion"}
_VOICE: frozenset[TrainerName] = frozenset({"elevenlabs"})
STABLE_DIFFUSION_ONLY: frozenset[TrainerName] = frozenset({"stable-diffusion"})
_NONE: frozenset[TrainerName] = frozenset()


class Parameter(NamedTuple):
    """
    One training parameter. Bounds are inclusive unless said otherwise.

    :param name: the API's spelling.
    :param trainers: the trainers that take it.
    :param unsure: trainers for which the sources do not say it: a warning. For all others it is an error.
    :param stable_diffusion: prefix of the Stable Diffusion types that take it.
    :param edits_only: whether only the types that learn from pairs take it.
    :param minimum: the smallest value any source allows; with ``above``, the bound itself is excluded.
    :param maximum: the largest value any source allows.
    :param usual: the range that every source allows; the sources disagree on values outside it: a warning.
    :param by_trainer: bounds that a trainer is known to enforce, in place of ``minimum``, ``maximum`` and ``usual``.
    :param choices: values that every source lists. ``rumoured``: values that only prose mentions: a warning.
    :param max_length: characters.
    :param secret: its value is never shown in a message.
    """

    name: str
    kind: Kind
    trainers: frozenset[TrainerName] = _ANY
    unsure: frozenset[TrainerName] = _NONE
    stable_diffusion: str = "sd-"
    edits_only: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: bool = False
    usual: tuple[float, float] | None = None
    by_trainer: Mapping[str, tuple[float, float]] = {}
    choices: tuple[str, ...] = ()
    rumoured: tuple[str, ...] = ()
    max_length: int | None = None
    secret: bool = False


def _lora(name: str, kind: Kind, **rest: Any) -> Parameter:
    return Parameter(name, kind, trainers=_LORA, unsure=frozenset({"composition", "stable-diffusion"}), **rest)


def _flux(name: str, kind: Kind, **rest: Any) -> Parameter:
    others: frozenset[TrainerName] = frozenset({"musubi", "composition", "stable-diffusion"})
    return Parameter(name, kind, trainers=frozenset({"flux"}), unsure=others, **rest)


def _voice(name: str, kind: Kind = "text", **rest: Any) -> Parameter:
    return Parameter(name, kind, trainers=_VOICE, **rest)


def _retired(name: str, kind: Kind, **rest: Any) -> Parameter:
    return Parameter(name, kind, trainers=STABLE_DIFFUSION_ONLY, **rest)


PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter("conceptPrompt", "text", trainers=_IMAGES, unsure=frozenset({"elevenlabs", "composition"})),
        # Schema: above 0; guide: 1e-5 to 1e-3.
        Parameter(
            "learningRate",
            "a number",
            trainers=_IMAGES,
            unsure=frozenset({"elevenlabs", "composition"}),
            minimum=0,
            above=True,
            usual=(1e-5, 1e-3),
            by_trainer={"stable-diffusion": (0, math.inf)},
        ),
        # Schema: above 0, at most 0.001; Flux from 1e-6, SDXL from 0. No source says for whom it is.
        Parameter(
            "learningRateTextEncoder",
            "a number",
            trainers=frozenset({"flux"}),
            unsure=frozenset({"musubi", "elevenlabs", "composition", "stable-diffusion"}),
            minimum=0,
            maximum=1e-3,
            usual=(1e-6, 1e-3),
            by_trainer={"flux": (1e-6, 1e-3)},
        ),
        _lora("batchSize", "a whole number", minimum=1, maximum=8, usual=(1, 4)),  # schema: 4; guide: 8
        _lora("nbEpochs", "a whole number", minimum=1, maximum=100, usual=(1, 30)),  # schema: 30; guide: 100
        _lora("nbRepeats", "a whole number", minimum=1, maximum=100, usual=(1, 30)),  # schema: 30; guide: 100
        # Schema: Flux up to 10000, Stable Diffusion up to 40000; no source has a bound for Musubi.
        Parameter(
            "maxTrainSteps",
            "a whole number",
            trainers=frozenset({"flux", "stable-diffusion"}),
            unsure=frozenset({"musubi", "elevenlabs", "composition"}),
            minimum=0,
            maximum=40_000,
            usual=(0, 10_000),
            by_trainer={"flux": (0, 10_000), "stable-diffusion": (0, 40_000)},
        ),
        # Schema and guide: 2 to 128, and each trainer enforces its own: Flux up to 64, Musubi up to 128.
        Parameter(
            "rank",
            "a whole number",
            trainers=_IMAGES,
            unsure=frozenset({"composition"}),
            stable_diffusion="sd-xl",
            minimum=2,
            maximum=128,
            usual=(2, 64),
            by_trainer={"flux": (2, 64), "musubi": (2, 128)},
        ),
        _flux("optimizeFor", "text", choices=("likeness",), rumoured=("all", "none")),
        _lora("samplePrompts", "a list of text"),
        _lora("sampleSourceImages", "a list of text", edits_only=True),
        # Pages: for SD only; guide: for all LoRAs.
        Parameter(
            "seed",
            "a whole number",
            trainers=_IMAGES,
            unsure=frozenset({"elevenlabs", "composition"}),
            minimum=0,
            maximum=2**53 - 1,
        ),
        Parameter("wandbKey", "text", max_length=40, secret=True),
        _voice("age"),
        _voice("gender"),
        _voice("language"),
        _voice("cloneType", choices=("instant", "professional")),
        _voice("removeBackgroundNoise", "true or false"),
        _voice("voiceDescription"),
        _retired("classPrompt", "text", stable_diffusion="sd-1_5"),
        _retired("learningRateUnet", "a number", stable_diffusion="sd-xl", minimum=0, above=True),
        _retired(
            "lrScheduler",
            "text",
            choices=("constant", "constant-with-warmup", "cosine", "cosine-with-restarts", "linear", "polynomial"),
        ),
        _retired("numTextTrainSteps", "a whole number", stable_diffusion="sd-xl", minimum=0, maximum=40_000),
        _retired("numUNetTrainSteps", "a whole number", stable_diffusion="sd-xl", minimum=0, maximum=40_000),
        _retired("priorLossWeight", "a number", minimum=0, above=True),
        _retired("randomCrop", "true or false"),
        _retired("randomCropRatio", "a number", minimum=0, maximum=1),
        _retired("randomCropScale", "a number", minimum=0, maximum=1),
        _retired("scaleLr", "true or false"),
        _retired("textEncoderTrainingRatio", "a number", minimum=0, maximum=0.99),
        _retired("validationFrequency", "a whole number", minimum=0),
        _retired("validationPrompt", "text"),
    )
}
"""Every training parameter, by the API's spelling."""
