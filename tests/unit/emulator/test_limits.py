"""Where the sources disagree, a switch says whom the emulator believes."""

from __future__ import annotations

import pytest

from .direct import Direct


def train(service, model_id, parameters=None):
    return service.v1("PUT", f"/models/{model_id}/train", {"parameters": parameters or {}})


def both(limit, ask):
    """What is answered when only this limit is strict, and when only this one is lenient."""
    statuses = []
    for others, level in (("lenient", "strict"), ("strict", "lenient")):
        service = Direct(limits=others)
        service.switch("settings", limits={limit: level})
        statuses.append(ask(service).status)
    return statuses


def trainable(service, model_type="flux.1-lora", images=1, **fields):
    model_id = service.model(type=model_type, **fields)
    for _ in range(images):
        service.add_image(model_id)
    return model_id


@pytest.mark.parametrize(
    ("limit", "model_type", "parameters"),
    [
        ("numbers", "flux.1-lora", {"nbEpochs": 100}),
        ("numbers", "zimage-lora", {"nbRepeats": 31}),
        ("numbers", "flux.1-lora", {"batchSize": 8}),
        ("whole_numbers", "flux.1-lora", {"nbEpochs": 1.5}),
        ("whole_numbers", "flux.1-lora", {"rank": 8.5}),
        ("learning_rate", "flux.1-lora", {"learningRate": 9e-6}),
        ("learning_rate", "flux.1-lora", {"learningRate": 0.002}),
        ("optimize_for", "flux.1-lora", {"optimizeFor": "all"}),
        ("sample_prompts", "flux.1-lora", {"samplePrompts": ["a"] * 9}),
        ("sample_prompts", "zimage-lora", {"samplePrompts": ["a"] * 5}),
        ("concept_prompt", "qwen-image-lora", {"conceptPrompt": "x" * 21}),
        ("unknown_parameters", "flux.1-lora", {"nb_epochs": 5}),
    ],
)
def test_a_parameter_is_refused_if_strict_and_accepted_if_lenient(limit, model_type, parameters):
    assert both(limit, lambda service: train(service, trainable(service, model_type), parameters)) == [400, 200]


@pytest.mark.parametrize(
    "parameters",
    [
        *({"nbEpochs": 101}, {"nbRepeats": 0}, {"batchSize": 9}, {"optimizeFor": "x"}, {"learningRate": 0}),
        *({"conceptPrompt": "x" * 21}, {"rank": 129}, {"wandbKey": "x" * 41}, {"sampleSourceImages": []}),
        {"validationFrequency": 11, "maxTrainSteps": 10},
    ],
)
def test_what_every_source_forbids_is_refused_even_if_lenient(parameters):
    service = Direct(limits="lenient")
    assert train(service, trainable(service, "flux.2-dev-lora"), parameters).status == 400


def test_more_than_50_images():
    def ask(service):
        service.switch("settings", add_training_image=100)
        return train(service, trainable(service, images=51))

    assert both("images", ask) == [400, 200]


def test_kontext_without_pairs():
    assert both("kontext_pairs", lambda service: train(service, trainable(service, "flux.1-kontext-lora"))) == [
        400,
        200,
    ]


@pytest.mark.parametrize("model_type", ["flux.2-dev-edit-lora", "qwen-image-edit-lora"])
def test_the_other_edit_types_need_two_pairs_even_if_lenient(model_type):
    service = Direct(limits="lenient")
    assert train(service, trainable(service, model_type)).status == 400


@pytest.mark.parametrize(
    "model_type", ["sd-1_5", "sd-1_5-composition", "sd-1_5-lora", "sd-xl", "sd-xl-composition", "sd-xl-lora"]
)
def test_types_of_the_pages_are_refused_if_strict(model_type):
    assert both("types", lambda service: service.v1("POST", "/models", {"type": model_type})) == [400, 200]


def test_retired_types_can_be_trained_if_lenient():
    service = Direct(limits="lenient")
    lora = trainable(service, "sd-xl-lora")
    assert service.train(lora, numTextTrainSteps=5)["job"]["jobType"] == "model-training"
    service.advance(1)
    composition = service.model(type="sd-xl-composition", concepts=[{"modelId": lora, "scale": 1}])
    assert train(service, composition).status == 200
    other = service.model(type="sd-1_5-composition", concepts=[{"modelId": lora, "scale": 1}])
    assert train(service, other).status == 400


@pytest.mark.parametrize("model_type", ["custom", "flux.1", "gpt-image-1"])
def test_base_types(model_type):
    assert both("base_types", lambda service: train(service, trainable(service, model_type))) == [400, 200]


@pytest.mark.parametrize("limits", ["loose", {"typs": "lenient"}, {"types": "loose"}, None, []])
def test_a_misspelt_limit_is_refused(limits):
    service = Direct()
    assert service.call("POST", "/emulator/settings", {"limits": limits}).status == 422


def test_one_limit_is_changed_without_the_others():
    service = Direct()
    service.switch("settings", limits={"types": "lenient"})
    limits = service.switch("settings", limits={"images": "strict"})["limits"]
    assert {name for name, level in limits.items() if level == "lenient"} == {
        *("types", "learning_rate", "unknown_parameters")
    }
