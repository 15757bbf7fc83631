from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.parameters import PARAMETERS, TrainingParameters
from airflow_provider_scenario.client.trainers import (
    TRAINABLE_TYPES,
    TRAINERS,
    UNTRAINABLE_TYPES,
    camel_case,
    camel_keys,
    check_concepts,
    check_dataset_size,
    check_name,
    check_parameters,
    check_ready,
    check_short_description,
    check_type,
)

FLUX, FLUX_EDIT, MUSUBI, MUSUBI_EDIT = "flux.1-lora", "flux.1-kontext-lora", "flux.2-dev-lora", "qwen-image-edit-lora"
VOICE, COMPOSITION, SD, UNKNOWN = "elevenlabs-voice", "flux.1-composition", "sd-xl-lora", "flux.9-lora"

# One value every parameter takes, whatever trains.
FINE: dict[str, Any] = {
    "age": "young",
    "batchSize": 1,
    "classPrompt": "a dog",
    "cloneType": "instant",
    "conceptPrompt": "daiton",
    "gender": "female",
    "language": "en",
    "learningRate": 1e-4,
    "learningRateTextEncoder": 1e-5,
    "learningRateUnet": 1e-5,
    "lrScheduler": "cosine",
    "maxTrainSteps": 1000,
    "nbEpochs": 1,
    "nbRepeats": 20,
    "numTextTrainSteps": 10,
    "numUNetTrainSteps": 10,
    "optimizeFor": "likeness",
    "priorLossWeight": 0.5,
    "randomCrop": True,
    "randomCropRatio": 0.5,
    "randomCropScale": 0.5,
    "rank": 16,
    "removeBackgroundNoise": False,
    "samplePrompts": ["a dog"],
    "sampleSourceImages": ["asset_1"],
    "scaleLr": False,
    "seed": 7,
    "textEncoderTrainingRatio": 0.2,
    "validationFrequency": 10,
    "validationPrompt": "a dog",
    "voiceDescription": "warm",
    "wandbKey": "k" * 40,
}


def warnings_of(parameters, model_type=None):
    return check_parameters(parameters, model_type)[1]


def refused(parameters, model_type=None) -> str:
    with pytest.raises(InvalidInputError) as caught:
        check_parameters(parameters, model_type)
    return str(caught.value)


# Types


def test_every_type_of_the_vendors_newest_description_is_known():
    from typing import get_args, get_type_hints

    from scenario_sdk.types.model_create_params import ModelCreateParams

    types = set(get_args(get_type_hints(ModelCreateParams)["type"]))
    assert types <= set(TRAINABLE_TYPES) | UNTRAINABLE_TYPES
    assert set(TRAINABLE_TYPES) <= types


@pytest.mark.parametrize("type_", TRAINABLE_TYPES)
def test_a_trainable_type_is_fine(type_):
    assert check_type(type_) == []


@pytest.mark.parametrize("type_", sorted(UNTRAINABLE_TYPES))
def test_a_type_that_cannot_be_trained_is_refused_with_those_that_can(type_):
    with pytest.raises(
        InvalidInputError, match=rf"^type \'{type_}' cannot be trained; trainable types: .*flux.2-dev-lora"
    ):
        check_type(type_)


def test_a_type_nobody_knows_passes_with_a_warning():
    assert check_type("dreamtree-9000") == ["type 'dreamtree-9000' is not known to this provider; Scenario decides."]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("flux.2-dev", "flux.2-dev-lora"),
        ("Flux.1-LoRA", "flux.1-lora"),
        ("flux.1-lroa", "flux.1-lora"),
        ("zimage-turbo-loar", "zimage-turbo-lora"),
        ("qwen_image_lora", "qwen-image-lora"),
    ],
)
def test_a_likely_typo_is_answered_with_what_was_meant(typo, meant):
    [warning] = check_type(typo)
    assert warning.endswith(f"Did you mean {meant!r}?")


def test_a_retired_type_passes_with_a_warning():
    [warning] = check_type(SD)
    assert "retired" in warning


@pytest.mark.parametrize("wrong", [None, "", 5, ["flux.1-lora"]])
def test_what_is_no_text_is_no_type(wrong):
    with pytest.raises(InvalidInputError, match=r"^type must be"):
        check_type(wrong)


# Spelling


def test_the_snake_case_of_every_parameter_leads_to_it():
    spelled = {camel_case(name) for name in TrainingParameters.__annotations__}
    assert spelled == set(PARAMETERS) == set(FINE)


def test_every_parameter_of_the_vendors_newest_description_is_known():
    from scenario_sdk.types.models.train_trigger_params import Parameters

    assert {camel_case(name) for name in Parameters.__annotations__} == set(PARAMETERS)


def test_both_spellings_are_accepted_and_sent_in_the_apis():
    checked, _ = check_parameters({"concept_prompt": "x", "nbRepeats": 20, "num_unet_train_steps": 5})
    assert checked == {"conceptPrompt": "x", "nbRepeats": 20, "numUNetTrainSteps": 5}


def test_both_spellings_of_one_parameter_are_refused():
    assert refused({"nb_epochs": 1, "nbEpochs": 1}) == (
        "parameters: nbEpochs is given twice, in two spellings. Keep one."
    )


@pytest.mark.parametrize("wrong", [[], "", "rank=16", 0, 5, False, {1: 2}])
def test_parameters_are_a_dictionary(wrong):
    assert "parameters" in refused(wrong)


def test_without_parameters_the_trainers_own_defaults_hold():
    assert check_parameters(None) == ({}, [])


def test_none_is_not_given():
    assert check_parameters({"seed": None, "rank": 16}) == ({"rank": 16}, [])


def test_nothing_is_fine():
    assert check_parameters({}, MUSUBI) == ({}, [])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nb_epoch", "nbEpochs"),
        ("trigger_word", None),
        ("learningrate", "learningRate"),
        ("sample_prompt", "samplePrompts"),
    ],
)
def test_an_unknown_parameter_is_refused_with_its_value_and_what_would_be_right(name, meant):
    message = refused({name: "daiton"})
    assert f"{camel_case(name)!r} (given: 'daiton')." in message
    assert (f"Did you mean {meant!r}?" in message) is (meant is not None)
    assert f"Known: {', '.join(PARAMETERS)}." in message


# Kinds


@pytest.mark.parametrize("name", FINE)
def test_every_parameter_takes_a_fine_value(name):
    companions = {"samplePrompts": ["a dog"]} if name == "sampleSourceImages" else {}
    checked, _ = check_parameters({name: FINE[name], **companions})
    assert checked[name] == FINE[name]


@pytest.mark.parametrize("name", FINE)
@pytest.mark.parametrize("wrong", [{}, object(), b"x", [1], 1j, math.nan, math.inf])
def test_no_parameter_takes_a_value_of_another_kind(name, wrong):
    assert f"parameters: {name}" in refused({name: wrong})


@pytest.mark.parametrize("name", [name for name, parameter in PARAMETERS.items() if "number" in parameter.kind])
@pytest.mark.parametrize("wrong", [True, False, "one", "", "nan", "inf", [1]])
def test_truth_and_words_are_no_numbers(name, wrong):
    assert "must be a" in refused({name: wrong})


@pytest.mark.parametrize("name", ["randomCrop", "removeBackgroundNoise", "scaleLr"])
@pytest.mark.parametrize("wrong", [0, 1, "true"])
def test_numbers_and_text_are_no_truth(name, wrong):
    assert "must be true or false" in refused({name: wrong})


@pytest.mark.parametrize("wrong", ["a dog", [1], {"a": 1}])
def test_sample_prompts_are_a_list_of_text(wrong):
    assert "parameters: samplePrompts must be a list of text" in refused({"samplePrompts": wrong})


def test_a_number_without_end_is_out_of_range():
    assert "is out of range: from 0 to 9007199254740991." in refused({"seed": 10**400})


def test_a_whole_number_may_come_as_a_float_but_not_as_a_fraction():
    assert check_parameters({"rank": 16.0})[0] == {"rank": 16}
    assert refused({"rank": 16.5}) == "parameters: rank must be a whole number, not 16.5."


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ({"rank": "16"}, {"rank": 16}),
        ({"learningRate": "1e-4"}, {"learningRate": 0.0001}),
        ({"rank": "8.0"}, {"rank": 8}),
    ],
)
def test_the_text_that_a_template_makes_of_a_number_is_that_number(text, number):
    assert check_parameters(text)[0] == number


def test_text_in_the_place_of_a_list_is_answered_with_the_likely_reason():
    assert "A template gives text unless the DAG has render_template_as_native_obj=True." in refused(
        {"samplePrompts": "['a boat']"}
    )


def test_a_key_is_never_repeated_in_a_message():
    for wrong in ("secret" * 10, ["secret"], {"secret": 1}):
        message = refused({"wandbKey": wrong})
        assert "wandbKey" in message
        assert "secret" not in message


# Ranges: (name, refused below, smallest, largest, refused above)
RANGES = [
    ("batchSize", 0, 1, 8, 9),
    ("nbEpochs", 0, 1, 100, 101),
    ("nbRepeats", 0, 1, 100, 101),
    ("maxTrainSteps", -1, 0, 40_000, 40_001),
    ("rank", 1, 2, 128, 129),
    ("seed", -1, 0, 9_007_199_254_740_991, 9_007_199_254_740_992),
    ("learningRate", 0, 1e-9, 10.0, None),
    ("learningRateTextEncoder", 0, 1e-9, 1e-3, 1.1e-3),
    ("learningRateUnet", 0, 1e-9, 10.0, None),
    ("numTextTrainSteps", -1, 0, 40_000, 40_001),
    ("numUNetTrainSteps", -1, 0, 40_000, 40_001),
    ("priorLossWeight", 0, 1e-9, 10.0, None),
    ("randomCropRatio", -0.1, 0, 1, 1.1),
    ("randomCropScale", -0.1, 0, 1, 1.1),
    ("textEncoderTrainingRatio", -0.1, 0, 0.99, 1),
    ("validationFrequency", -1, 0, 10_000, None),
]


@pytest.mark.parametrize(("name", "below", "smallest", "largest", "above"), RANGES)
def test_a_value_outside_what_every_source_allows_is_refused(name, below, smallest, largest, above):
    for wrong in (below, above):
        if wrong is not None:
            assert f"parameters: {name}={wrong!r} is out of range: " in refused({name: wrong})
    for fine in (smallest, largest):
        assert check_parameters({name: fine})[0] == {name: fine}


@pytest.mark.parametrize(
    ("name", "agreed", "disputed"),
    [
        ("batchSize", 4, 5),
        ("nbRepeats", 30, 31),
        ("rank", 64, 65),
        ("learningRate", 1e-5, 9e-6),
        ("learningRate", 1e-3, 2e-3),
        ("maxTrainSteps", 10_000, 10_001),
    ],
)
def test_a_value_the_sources_disagree_about_passes_with_a_warning(name, agreed, disputed):
    assert warnings_of({name: agreed}) == []
    [warning] = warnings_of({name: disputed})
    assert warning.startswith(f"parameters: {name}={disputed!r} may be refused")


@pytest.mark.parametrize(
    ("model_type", "name", "fine", "wrong"),
    [
        (FLUX, "rank", 64, 65),
        (MUSUBI, "rank", 128, 129),
        (FLUX, "maxTrainSteps", 10_000, 10_001),
        (SD, "maxTrainSteps", 40_000, 40_001),
        (FLUX, "learningRateTextEncoder", 1e-6, 9e-7),
    ],
)
def test_a_limit_its_trainer_enforces_is_a_limit(model_type, name, fine, wrong):
    assert [w for w in warnings_of({name: fine}, model_type) if "may be refused" in w] == []
    assert "out of range" in refused({name: wrong}, model_type)


@pytest.mark.parametrize(
    ("name", "fine", "wrong"),
    [
        ("optimizeFor", "likeness", "speed"),
        ("cloneType", "professional", "slow"),
        ("lrScheduler", "linear", "exponential"),
    ],
)
def test_a_choice_is_one_of_its_choices(name, fine, wrong):
    assert check_parameters({name: fine})[0] == {name: fine}
    assert f"parameters: {name}={wrong!r} must be one of " in refused({name: wrong})


@pytest.mark.parametrize("rumoured", ["all", "none"])
def test_a_choice_that_only_prose_mentions_passes_with_a_warning(rumoured):
    [warning] = warnings_of({"optimizeFor": rumoured})
    assert "prose only" in warning


def test_a_wandb_key_has_at_most_40_characters():
    assert "41 characters" in refused({"wandbKey": "k" * 41})


# Trainers


VOICE_ONLY = ("age", "gender", "language", "cloneType", "removeBackgroundNoise", "voiceDescription")
SD_ONLY = [
    "classPrompt",
    "learningRateUnet",
    "lrScheduler",
    "numTextTrainSteps",
    "numUNetTrainSteps",
    "priorLossWeight",
    "randomCrop",
    "randomCropRatio",
    "randomCropScale",
    "scaleLr",
    "textEncoderTrainingRatio",
    "validationFrequency",
    "validationPrompt",
]
LORA_ONLY = ("conceptPrompt", "batchSize", "nbEpochs", "nbRepeats", "rank", "samplePrompts", "optimizeFor")


@pytest.mark.parametrize(
    ("names", "types"),
    [
        (VOICE_ONLY, (FLUX, FLUX_EDIT, MUSUBI, MUSUBI_EDIT, COMPOSITION, SD)),
        (SD_ONLY, (FLUX, FLUX_EDIT, MUSUBI, MUSUBI_EDIT, COMPOSITION, VOICE)),
        (LORA_ONLY, (VOICE,)),
    ],
)
def test_a_parameter_of_another_trainer_is_refused(names, types):
    for name in names:
        for model_type in types:
            assert f"parameters: {name} is for " in refused({name: FINE[name]}, model_type)


@pytest.mark.parametrize(
    ("names", "type_"), [(VOICE_ONLY, VOICE), (SD_ONLY, SD), (LORA_ONLY, FLUX), (LORA_ONLY[:-1], MUSUBI)]
)
def test_a_parameter_of_its_own_trainer_is_fine(names, type_):
    for name in names:
        assert check_parameters({name: FINE[name]}, type_) == ({name: FINE[name]}, [])


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("optimizeFor", MUSUBI),
        ("learningRateTextEncoder", MUSUBI),
        ("maxTrainSteps", MUSUBI),
        ("learningRate", VOICE),
        ("nbEpochs", SD),
        ("rank", COMPOSITION),
    ],
)
def test_a_parameter_of_which_nobody_says_who_takes_it_passes_with_a_warning(name, type_):
    [warning] = warnings_of({name: FINE[name]}, type_)
    assert "may ignore or refuse it" in warning


@pytest.mark.parametrize("name", ["seed", "wandbKey"])
@pytest.mark.parametrize("type_", [FLUX, MUSUBI, VOICE, COMPOSITION, SD, UNKNOWN, None])
def test_some_parameters_are_for_every_trainer(name, type_):
    assert check_parameters({name: FINE[name]}, type_) == ({name: FINE[name]}, [])


@pytest.mark.parametrize("type_", [None, UNKNOWN])
def test_a_retired_parameter_warns_while_the_type_is_not_known(type_):
    [warning] = warnings_of({"validationPrompt": "x"}, type_)
    assert "retired Stable Diffusion" in warning


def test_an_unknown_type_lets_pass_what_any_trainer_takes():
    assert check_parameters({"conceptPrompt": "x" * 30, "rank": 64, "age": "young"}, UNKNOWN)[1] == []


@pytest.mark.parametrize("type_", [name for name, trainer in TRAINERS.items() if trainer.name == "musubi"])
def test_a_trigger_word_has_at_most_20_characters_where_musubi_trains(type_):
    assert check_parameters({"conceptPrompt": "x" * 20}, type_)[1] == []
    assert refused({"conceptPrompt": "x" * 21}, type_) == (
        f"parameters: conceptPrompt={'x' * 21!r} has 21 characters; {type_} takes at most 20."
    )


@pytest.mark.parametrize("type_", [FLUX, FLUX_EDIT, SD, None])
def test_a_trigger_word_may_be_long_elsewhere(type_):
    assert check_parameters({"conceptPrompt": "x" * 100}, type_)[1] == []


# What belongs together


@pytest.mark.parametrize(
    "parameters",
    [
        {"sampleSourceImages": ["a"]},
        {"sampleSourceImages": ["a", "b"], "samplePrompts": ["x"]},
        {"sampleSourceImages": [], "samplePrompts": ["x"]},
    ],
)
@pytest.mark.parametrize("type_", [MUSUBI_EDIT, FLUX_EDIT, UNKNOWN, None])
def test_every_sample_prompt_of_an_edit_model_has_its_image(parameters, type_):
    assert "each prompt needs its image" in refused(parameters, type_)
    assert check_parameters({"sampleSourceImages": ["a"], "samplePrompts": ["x"]}, type_)[1] == []


@pytest.mark.parametrize("type_", [MUSUBI, FLUX])
def test_sample_images_are_for_edit_models_only(type_):
    assert "is for edit types" in refused({"sampleSourceImages": ["a"], "samplePrompts": ["x"]}, type_)


@pytest.mark.parametrize(("type_", "most"), [(FLUX, 8), (MUSUBI, 4), (MUSUBI_EDIT, 4)])
def test_more_sample_prompts_than_advised_warn(type_, most):
    assert warnings_of({"samplePrompts": ["x"] * most}, type_) == []
    [warning] = warnings_of({"samplePrompts": ["x"] * (most + 1)}, type_)
    assert f"should have at most {most}" in warning


@pytest.mark.parametrize("type_", [FLUX, MUSUBI, None])
def test_epochs_that_would_be_lost_are_told(type_):
    [warning] = warnings_of({"nbEpochs": 10}, type_)
    assert warning.startswith("parameters: nbEpochs=10 without samplePrompts: only the last epoch is published")
    assert warnings_of({"nbEpochs": 10, "samplePrompts": ["x"]}, type_) == []
    assert warnings_of({"nbEpochs": 1}, type_) == []


def test_validation_is_not_rarer_than_the_steps():
    assert "must not be greater than maxTrainSteps=5" in refused({"validationFrequency": 6, "maxTrainSteps": 5}, SD)


def test_what_was_accepted_live_passes_without_a_warning():
    flux_2 = {"rank": 64, "learningRate": 5e-5, "batchSize": 1, "nbEpochs": 10, "nbRepeats": 20}
    flux_1 = {"rank": 64, "learningRate": 1e-4, "learningRateTextEncoder": 1e-5, "nbEpochs": 10, "nbRepeats": 20}
    prompts = {"samplePrompts": ["x"], "conceptPrompt": "x" * 19}
    assert warnings_of({**flux_2, **prompts}, "flux.2-dev-lora") == []
    assert warnings_of({**flux_1, **prompts}, "flux.1-lora") == []


# Fields of a model


@pytest.mark.parametrize("name", ["x", "x" * 64, "Ähre"])
def test_a_name_has_1_to_64_characters(name):
    check_name(name)


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 65, None, 5])
def test_another_name_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"^name"):
        check_name(wrong)


@pytest.mark.parametrize("text", ["", "x" * 256])
def test_a_short_description_has_at_most_256_characters(text):
    check_short_description(text)


@pytest.mark.parametrize("wrong", ["x" * 257, None, 5])
def test_another_short_description_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"^short_description"):
        check_short_description(wrong)


def test_concepts_are_accepted_in_both_spellings_and_sent_in_the_apis():
    assert check_concepts(
        [{"model_id": "a", "scale": -2}, {"modelId": "b", "scale": 2.0, "model_epoch": "000001"}]
    ) == [{"modelId": "a", "scale": -2}, {"modelId": "b", "scale": 2.0, "modelEpoch": "000001"}]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "model_1",
        {"model_id": "a", "scale": 1},
        ["model_1"],
        [{"scale": 1}],
        [{"model_id": "", "scale": 1}],
        [{"model_id": 5, "scale": 1}],
        [{"model_id": "a"}],
        [{"model_id": "a", "scale": 2.1}],
        [{"model_id": "a", "scale": -2.1}],
        [{"model_id": "a", "scale": math.nan}],
        [{"model_id": "a", "scale": True}],
        [{"model_id": "a", "scale": "1"}],
        [{"model_id": "a", "scale": 1, "weight": 1}],
        [{"model_id": "a", "modelId": "a", "scale": 1}],
        [{"model_id": "a", "scale": 1, "model_epoch": 1}],
    ],
)
def test_other_concepts_are_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"^concepts"):
        check_concepts(wrong)


@pytest.mark.parametrize(
    ("images", "type_", "pairs", "warned"),
    [
        (5, MUSUBI, None, False),
        (15, FLUX, None, False),
        (4, MUSUBI, None, True),
        (16, MUSUBI, None, True),
        (50, None, None, True),
        (51, UNKNOWN, None, True),
        (4, MUSUBI_EDIT, 2, False),
        (60, MUSUBI_EDIT, 30, True),
        (1, VOICE, None, False),
        (0, COMPOSITION, None, False),
    ],
)
def test_a_dataset_of_another_size_than_recommended_warns(images, type_, pairs, warned):
    assert bool(check_dataset_size(images, model_type=type_, pairs=pairs)) is warned


@pytest.mark.parametrize(
    ("images", "type_", "pairs"),
    [(0, None, None), (0, VOICE, None), (51, MUSUBI, None), (2, MUSUBI_EDIT, 1), (10, FLUX_EDIT, 0)],
)
def test_a_dataset_that_cannot_be_trained_is_refused(images, type_, pairs):
    with pytest.raises(InvalidInputError):
        check_dataset_size(images, model_type=type_, pairs=pairs)


@pytest.mark.parametrize(
    ("has", "problem"),
    [
        ({"model_type": MUSUBI, "images": 0}, "The dataset is empty"),
        ({"model_type": None, "images": 0}, "The dataset is empty"),
        ({"model_type": MUSUBI_EDIT, "images": 4, "pairs": 1}, "needs at least 2"),
        ({"model_type": COMPOSITION, "images": 0}, "composed of concepts, and there are none"),
        ({"model_type": "flux.1-pro", "images": 10}, "cannot be trained"),
    ],
)
def test_a_model_that_is_not_ready_is_refused_by_name_before_anything_is_paid(has, problem):
    with pytest.raises(InvalidInputError, match=r"^Model model_1 cannot be trained.*Nothing was started") as caught:
        check_ready(model_id="model_1", **has)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "has",
    [
        {"model_type": MUSUBI, "images": 10},
        {"model_type": MUSUBI_EDIT, "images": 4, "pairs": 2},
        {"model_type": COMPOSITION, "images": 0, "concepts": 2},
        {"model_type": VOICE, "images": 1},
    ],
)
def test_a_model_that_has_what_it_learns_from_is_ready(has):
    assert check_ready(model_id="model_1", **has) == []


def test_keys_keep_their_order_and_values():
    assert list(camel_keys({"b_c": 1, "a": None}, "x").items()) == [("bC", 1), ("a", None)]
