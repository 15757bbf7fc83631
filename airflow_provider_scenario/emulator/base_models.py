"""The fields that only the vendor's own models have: their inputs, performance and UI configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.emulator.state import EPOCH_START, iso

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.records import Model

ACCESS = {"gpt-image-1": 50}
"""The lowest plan that may use it: 0 free, 25 creator, 50 pro, 75 team, 100 enterprise."""


def usage(model: Model) -> dict[str, Any]:
    return {
        "accessRestrictions": ACCESS.get(model.id, 0),
        "performanceStats": {"variants": [_variant()], "default": "txt2img:1K"},
        "uiConfig": _ui_config(),
    }


def inputs() -> list[dict[str, Any]]:
    """One input of each type; together they have every field that an input may have."""
    return [
        {
            "name": "prompt",
            "type": "string",
            "label": "Prompt",
            "description": "What to show",
            "group": "text",
            "hint": "In English",
            "placeholder": "a castle",
            "minLength": 1,
            "maxLength": 2000,
            "prompt": True,
            "promptSpark": True,
            "color": False,
            "required": {"always": True},
        },
        {
            "name": "styles",
            "type": "string_array",
            "allowedValues": ["ink", "oil"],
            "default": ["ink"],
            "min": 0,
            "max": 2,
        },
        {"name": "steps", "type": "number", "min": 1, "max": 50, "step": 1, "default": 28, "costImpact": True},
        {"name": "scales", "type": "number_array", "required": {"ifDefined": {"loras": "Each LoRA has a scale"}}},
        {"name": "tileable", "type": "boolean", "default": False},
        {
            "name": "image",
            "type": "file",
            "kind": "image",
            "maxSize": 10_000_000,
            "parent": True,
            "backgroundBehavior": "opaque",
            "required": {"ifNotDefined": {"prompt": "A prompt or an image"}},
        },
        {"name": "masks", "type": "file_array", "kind": "image", "maskFrom": "image"},
        {"name": "base", "type": "model", "required": {"conditionalValues": {"tileable": {"in": [True]}}}},
        {"name": "loras", "type": "model_array", "modelTypes": ["flux.1-lora", "flux.1-composition"]},
        {"name": "regions", "type": "inputs_array", "inputs": [{"name": "x", "type": "number"}]},
    ]


def _variant() -> dict[str, Any]:
    return {
        "capability": "txt2img",
        "variantKey": "txt2img:1K",
        "computedAt": iso(EPOCH_START),
        "resolution": "1K",
        "costPerAssetMinCU": 3,
        "costPerAssetP50CU": 5,
        "costPerAssetMaxCU": 9,
        "inferenceLatencyP50Sec": 4.2,
        "inferenceLatencyP75Sec": 5.1,
        "totalLatencyP50Sec": 6.3,
        "totalLatencyP75Sec": 8.4,
        "arenaScore": {
            "arenaCategory": "text_to_image",
            "arenaModelName": "a model",
            "fetchedAt": iso(EPOCH_START),
            "rank": 12,
            "rating": 1100,
            "ratingLower": 1090,
            "ratingUpper": 1110,
            "votes": 4000,
        },
    }


def _ui_config() -> dict[str, Any]:
    square = {"label": "Square", "width": 1024, "height": 1024}
    return {
        "inputProperties": {"steps": {"collapsed": True}},
        "lorasComponent": {"label": "LoRAs", "modelInput": "loras", "scaleInput": "scales", "modelIdInput": "base"},
        "presets": [{"fields": ["steps"], "presets": {"Quick": {"steps": 8}}}],
        "resolutionComponent": {
            "label": "Size",
            "widthInput": "width",
            "heightInput": "height",
            "presets": [square],
        },
        "selects": {"styles": {"ink": "Ink"}},
        "triggerGenerate": {"label": "Generate", "after": "prompt", "position": "bottom"},
    }
