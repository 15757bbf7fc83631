"""Limits on which the vendor's sources disagree. What the service really refuses is not published."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["strict", "lenient"]


class Limits(BaseModel):
    """
    ``strict`` refuses what any source forbids, ``lenient`` only what all of them do.

    ``{"limits": {"types": "lenient"}}`` changes one of them and ``{"limits": "lenient"}`` all.
    """

    model_config = ConfigDict(extra="forbid")

    numbers: Level = Field(
        "strict",
        description="batchSize up to 4, nbEpochs and nbRepeats up to 30 (schema); lenient: 8, 100 and 100 (guide).",
    )
    whole_numbers: Level = Field(
        "strict", description="Counts, steps, rank and seed are whole numbers; lenient: any (the pages say 'number')."
    )
    learning_rate: Level = Field(
        "lenient", description="learningRate from 1e-5 to 1e-3 (guide); lenient: anything above 0 (schema)."
    )
    optimize_for: Level = Field(
        "strict", description="optimizeFor is likeness (enum); lenient: all and none too (the same field's prose)."
    )
    sample_prompts: Level = Field(
        "strict", description="At most 4 samplePrompts, on the FLUX.1 family 8 (guide, skill); lenient: any (schema)."
    )
    concept_prompt: Level = Field(
        "strict",
        description="conceptPrompt up to 20 characters on all types that Musubi trains; lenient: on flux.2-dev-lora "
        "only, where it was seen live.",
    )
    unknown_parameters: Level = Field("lenient", description="strict: refuse training parameters that no source lists.")
    images: Level = Field("lenient", description="strict: refuse to train more than 50 images (guide).")
    kontext_pairs: Level = Field(
        "strict", description="flux.1-kontext-lora needs two complete pairs, as the other edit types always do."
    )
    types: Level = Field("strict", description="The 31 model types of the SDK; lenient: the 37 of the pages.")
    base_types: Level = Field("strict", description="Base types such as flux.1 cannot be trained; lenient: they can.")

    @classmethod
    def all(cls, level: Level) -> Limits:
        return cls(**dict.fromkeys(cls.model_fields, level))
