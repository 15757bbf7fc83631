from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_scenario.arguments import price_limit, seconds
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.scenario.model_fields import (
    check_concepts,
    check_epoch,
    check_name,
    check_short_description,
)
from airflow_provider_scenario.client.scenario.model_types import BASE_TYPES, TRAINABLE_TYPES, TRAINERS, check_type
from airflow_provider_scenario.client.scenario.parameters import PARAMETERS, TrainingParameters
from airflow_provider_scenario.client.scenario.trainers import (
    as_sent,
    check_dataset_size,
    check_parameters,
    check_ready,
)
from airflow_provider_scenario.client.values import camel_case, camel_keys, snake_case
from tests.unit.client.conftest import ScenarioTransport

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


def checked_and_warnings(parameters, model_type=None):
    checked = check_parameters(parameters, model_type)
    return checked, list(checked.warnings)


def warnings_of(parameters, model_type=None):
    return list(check_parameters(parameters, model_type).warnings)


def refused(parameters, model_type=None) -> str:
    with pytest.raises(InvalidInputError) as caught:
        check_parameters(parameters, model_type)
    return str(caught.value)


# Types


def test_every_type_of_the_vendors_newest_description_is_known():
    from typing import get_args, get_type_hints

    from scenario_sdk.types.model_create_params import ModelCreateParams

    types = set(get_args(get_type_hints(ModelCreateParams)["type"]))
    assert types <= set(TRAINABLE_TYPES) | BASE_TYPES
    assert set(TRAINABLE_TYPES) <= types


@pytest.mark.parametrize("type_", TRAINABLE_TYPES)
def test_a_trainable_type_is_fine(type_):
    assert check_type(type_) == []


@pytest.mark.parametrize("type_", sorted(BASE_TYPES))
def test_a_base_model_passes_with_a_warning_that_names_what_can_be_trained(type_):
    [warning] = check_type(type_)
    assert warning.startswith(f"type {type_!r} is not known to be trainable; Scenario decides. Trainable types: ")
    assert "flux.2-dev-lora" in warning


def test_a_type_nobody_knows_passes_with_a_warning():
    [warning] = check_type("dreamtree-9000")
    known = ", ".join(TRAINABLE_TYPES)
    assert warning == f"type 'dreamtree-9000' is not known to this provider; Scenario decides. Known types: {known}."


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("flux.2-dev", "flux.2-dev-lora"),
        ("Flux.1-LoRA", "flux.1-lora"),
        ("flux.1-lroa", "flux.1-lora"),
        ("zimage-turbo-loar", "zimage-turbo-lora"),
        ("qwen_image_lora", "qwen-image-lora"),
        ("sdxl-lora", "sd-xl-lora"),
        ("gpt-image", "gpt-image-1"),
    ],
)
def test_a_likely_typo_is_answered_with_what_was_meant(typo, meant):
    [warning] = check_type(typo)
    assert f"Scenario decides. Did you mean {meant!r}? Known types: flux.2-dev-lora, " in warning


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
    assert spelled - {"extraParameters"} == set(PARAMETERS) == set(FINE)


def test_every_parameter_of_the_vendors_newest_description_is_known():
    from scenario_sdk.types.models.train_trigger_params import Parameters

    assert {camel_case(name) for name in Parameters.__annotations__} == set(PARAMETERS)


def test_both_spellings_are_accepted_and_sent_in_the_apis():
    checked = check_parameters({"concept_prompt": "x", "nbRepeats": 20, "num_unet_train_steps": 5})
    assert checked == {"conceptPrompt": "x", "nbRepeats": 20, "numUNetTrainSteps": 5}


def test_both_spellings_of_one_parameter_are_refused():
    assert refused({"nb_epochs": 1, "nbEpochs": 1}) == (
        "parameters: 'nbEpochs' is given twice, in two spellings. Keep one."
    )


@pytest.mark.parametrize("wrong", [[], "", "rank=16", 0, 5, False, {1: 2}])
def test_parameters_are_a_dictionary(wrong):
    assert "parameters" in refused(wrong)


def test_without_parameters_the_trainers_own_defaults_hold():
    assert checked_and_warnings(None) == ({}, [])


def test_none_is_not_given():
    assert checked_and_warnings({"seed": None, "rank": 16}) == ({"rank": 16}, [])


def test_nothing_is_fine():
    assert checked_and_warnings({}, MUSUBI) == ({}, [])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nb_epoch", "nb_epochs"),
        ("nbEpoch", "nbEpochs"),
        ("epochs", "nb_epochs"),
        ("trigger_word", "concept_prompt"),
        ("triggerWord", "conceptPrompt"),
        ("lr", "learning_rate"),
        ("learningrate", "learning_rate"),
        ("sample_prompt", "sample_prompts"),
        ("extra_parameter", "extra_parameters"),
        ("extraParameter", "extraParameters"),
    ],
)
def test_a_misspelt_parameter_is_refused_with_its_value_and_what_is_meant_in_its_spelling(name, meant):
    message = refused({name: "daiton"})
    assert f"there is no {name!r} (given: 'daiton'). Did you mean {meant!r}? Known: " in message
    assert ("nbRepeats" if meant != snake_case(meant) else "nb_repeats") in message
    assert f"put it into '{'extraParameters' if meant != snake_case(meant) else 'extra_parameters'}'" in message


TAKEN = {
    MUSUBI: "concept_prompt, learning_rate, batch_size, nb_epochs, nb_repeats, rank, sample_prompts, seed, wandb_key",
    MUSUBI_EDIT: (
        "concept_prompt, learning_rate, batch_size, nb_epochs, nb_repeats, rank, sample_prompts, sample_source_images, "
        "seed, wandb_key"
    ),
    FLUX: (
        "concept_prompt, learning_rate, learning_rate_text_encoder, batch_size, nb_epochs, nb_repeats, "
        "max_train_steps, rank, optimize_for, sample_prompts, seed, wandb_key"
    ),
    VOICE: "wandb_key, age, gender, language, clone_type, remove_background_noise, voice_description",
    COMPOSITION: "wandb_key",
}


@pytest.mark.parametrize(("type_", "taken"), TAKEN.items())
def test_a_misspelt_parameter_is_answered_with_what_this_type_takes_and_no_more(type_, taken):
    assert f" {type_} takes: {taken}. To send it" in refused({"nb_epoch": 3}, type_)
    in_camel_case = ", ".join(map(camel_case, taken.split(", ")))
    assert f" {type_} takes: {in_camel_case}. To send it" in refused({"nbEpoch": 3}, type_)


@pytest.mark.parametrize("name", ["steps", "optimize_fo"])
def test_what_the_type_does_not_take_is_not_proposed(name):
    assert "Did you mean" not in refused({name: 3}, MUSUBI)
    assert "Did you mean" in refused({name: 3}, FLUX)


@pytest.mark.parametrize("name", ["parameters", "training_parameters", "trainingParameters"])
def test_parameters_within_the_parameters_are_told_as_that(name):
    assert refused({name: {"nb_epochs": 3}}) == (
        f"parameters: {name!r} is nested in the training parameters. Move what it contains one level up."
    )


def test_a_dry_run_among_the_parameters_is_refused_in_the_authors_spelling():
    assert refused({"dry_run": True}).startswith("parameters: 'dry_run' is not a training parameter")


@pytest.mark.parametrize(
    ("name", "type_", "said"),
    [
        ("rank", MUSUBI, "a whole number from 2 to 128 for FLUX.2, Qwen and Z-Image LoRAs"),
        ("rank", None, "a whole number from 2 to 128"),
        ("learning_rate", None, "a number above 0"),
        ("seed", None, "a whole number from 0 to 9007199254740991"),
        ("concept_prompt", None, "text"),
    ],
)
def test_a_value_of_another_kind_is_answered_with_the_range(name, type_, said):
    wrong = 5 if said == "text" else "50%"
    assert refused({name: wrong}, type_) == f"parameters: {name} must be {said}, not {wrong!r}."


@pytest.mark.parametrize("type_", [None, UNKNOWN])
def test_where_the_type_is_not_known_the_parameters_of_the_retired_types_are_not_proposed(type_):
    message = refused({"nb_epoch": 3}, type_)
    assert "optimize_for" in message
    assert "voice_description" in message
    assert "validation_prompt" not in message


def test_what_is_meant_is_sought_among_what_the_type_takes():
    assert "Did you mean 'learning_rate'?" in refused({"learning_rate_une": 1e-4}, MUSUBI)
    assert "Did you mean 'learning_rate_unet'?" in refused({"learning_rate_une": 1e-4}, SD)


@pytest.mark.parametrize(
    ("given", "type_"),
    [
        ({"nb_epochs": 500}, None),
        ({"nb_epochs": "many"}, None),
        ({"nb_epochs": 2.5}, None),
        ({"sample_prompts": "one"}, None),
        ({"optimize_for": "speed"}, None),
        ({"age": "young", "nb_epochs": 3}, MUSUBI),
        ({"concept_prompt": "x" * 30}, MUSUBI),
        ({"concept_prompt": "x" * 30}, "zimage-lora"),
        ({"max_train_steps": 10}, MUSUBI),
        ({"nb_epochs": 3}, MUSUBI),
        ({"sample_prompts": ["a"] * 9}, MUSUBI),
        ({"sample_prompts": ["a"], "sample_source_images": []}, MUSUBI_EDIT),
        ({"sample_source_images": ["asset_1"]}, MUSUBI),
        ({"validation_frequency": 20, "max_train_steps": 10}, SD),
    ],
)
def test_every_message_spells_parameters_as_the_author_has(given, type_):
    def said(parameters):
        try:
            return " ".join(warnings_of(parameters, type_))
        except InvalidInputError as problem:
            return str(problem)

    in_snake_case, in_camel_case = said(given), said({camel_case(name): value for name, value in given.items()})
    assert in_snake_case != in_camel_case
    for name in FINE:
        if snake_case(name) != name:
            assert name not in in_snake_case
            assert snake_case(name) not in in_camel_case


@pytest.mark.parametrize(
    "name", ["max_creative_units", "threads", "type", "collectionIds", "wait_for_completion", "maxCreativeUnit"]
)
def test_an_argument_among_the_parameters_is_refused_and_not_sent(name):
    assert "give it beside the parameters" in refused({name: 1}, MUSUBI)
    assert as_sent(check_parameters({"extra_parameters": {name: 1}})) == {name: 1}


@pytest.mark.parametrize("name", ["", " ", "\ud800"])
def test_a_name_that_cannot_be_sent_is_refused(name):
    assert "parameters: a key" in refused({name: 1})


def test_a_key_of_weights_and_biases_deep_inside_is_refused_and_others_of_theirs_are_sent():
    for parameters in (
        {"extra_parameters": {"wandbKey": "secret"}},
        {"extra_parameters": {"a": [{"wandb_key": "secret"}]}},
        {"loggers": [{"wandbKey": "secret"}]},
    ):
        message = refused(parameters)
        assert "Weights & Biases" in message
        assert "secret" not in message
    assert as_sent(check_parameters({"wandb_project_name": "heroes"})) == {"wandbProjectName": "heroes"}


def test_a_text_that_no_request_holds_is_refused():
    message = refused({"sample_prompts": ["x" * 7_000_000]})
    assert "sample_prompts has 7.0 MB; no request holds more than 6 MB" in message


@pytest.mark.parametrize("value", ["adafactor", 3, 0.5, True, [1, 2], {"a": [None]}])
def test_a_parameter_that_is_like_no_known_one_is_sent_with_a_warning(value):
    checked = check_parameters({"gradient_checkpointing": value}, MUSUBI)
    warnings = list(checked.warnings)
    assert as_sent(checked) == {"gradientCheckpointing": value}
    assert warnings == [
        (
            "parameters: 'gradient_checkpointing' is not known to this provider; it is sent without a check, "
            "and Scenario decides."
        )
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -(2**1024), object(), b"x", {1: 2}, {"a": {1}}, "\ud800"])
def test_a_value_that_cannot_be_sent_is_refused_also_of_an_unknown_parameter(value):
    assert "parameters: 'gradient_checkpointing'" in refused({"gradient_checkpointing": value})
    assert "parameters: extra_parameters" in refused({"extra_parameters": {"gradientCheckpointing": value}})


def test_extra_parameters_are_sent_as_they_are():
    extra = {"nbEpoch": 3, "nbRepeats": 200, "snake_case": True, "rank": None}
    checked = check_parameters({"nb_epochs": 1, "extra_parameters": extra}, FLUX)
    warnings = list(checked.warnings)
    assert checked == {"nbEpochs": 1, "extraParameters": extra}
    assert check_parameters(checked, FLUX) is checked
    assert as_sent(checked) == {"nbEpochs": 1, **extra}
    [warning] = warnings
    assert warning.startswith("parameters: 'nbEpoch', 'nbRepeats', 'snake_case', 'rank' of extra_parameters is sent")


@pytest.mark.parametrize("extra", ["{'a': 1}", [], 0, {1: 2}, {"wandbKey": "x"}, {"nbEpochs": 2}, {"dryRun": True}])
def test_other_extra_parameters_are_refused(extra):
    assert "parameters: " in refused({"nb_epochs": 1, "extra_parameters": extra})


def test_no_extra_parameters_are_nothing():
    assert (
        checked_and_warnings({"extra_parameters": {}}) == checked_and_warnings({"extra_parameters": None}) == ({}, [])
    )


@pytest.mark.parametrize(
    "name",
    [
        "dryRun",
        "dry_run",
        "dryrun",
        "dry run",
        " dryRun",
        "isDryRun",
        "dry.run",
        "trainingImagesCount",
        "originalAssets",
        "projectId",
    ],
)
def test_what_would_make_a_paid_training_of_a_dry_run_is_refused(name):
    assert "Scenario ignores it here and trains" in refused({name: "true"})
    assert "Scenario ignores it here and trains" in refused({"extra_parameters": {name: "true"}})


# Kinds


@pytest.mark.parametrize("name", FINE)
def test_every_parameter_takes_a_fine_value(name):
    companions = {"samplePrompts": ["a dog"]} if name == "sampleSourceImages" else {}
    checked = check_parameters({name: FINE[name], **companions})
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
@pytest.mark.parametrize("wrong", [0, 1, "yes", "1", ""])
def test_numbers_and_other_text_are_not_booleans(name, wrong):
    assert "must be true or false" in refused({name: wrong})


@pytest.mark.parametrize(("text", "truth"), [("True", True), ("true", True), ("False", False), (" false ", False)])
def test_the_text_that_a_template_makes_of_a_boolean_is_that_boolean(text, truth):
    assert checked_and_warnings({"removeBackgroundNoise": text}, VOICE) == ({"removeBackgroundNoise": truth}, [])


@pytest.mark.parametrize("wrong", ["a dog", [1], {"a": 1}])
def test_sample_prompts_are_a_list_of_text(wrong):
    assert "parameters: samplePrompts must be a list of text" in refused({"samplePrompts": wrong})


@pytest.mark.parametrize("number", [10**400, 10**5000, -(10**400)], ids=["10^400", "10^5000", "-10^400"])
@pytest.mark.parametrize("name", ["seed", "learningRate", "gradientCheckpointing"])
def test_a_number_that_json_cannot_hold_is_refused(name, number):
    assert "bits" in refused({name: number})


@pytest.mark.parametrize("name", [name for name, parameter in PARAMETERS.items() if parameter.kind == "a whole number"])
def test_a_fraction_of_a_whole_number_passes_with_a_warning(name):
    assert check_parameters({name: 4.0}) == check_parameters({name: 4}) == {name: 4}
    checked = check_parameters({name: 2.5})
    warnings = list(checked.warnings)
    assert checked == {name: 2.5}
    assert f"parameters: {name}=2.5 is not a whole number; Scenario may refuse or round it." in warnings


@pytest.mark.parametrize("text", ["1_0", "１０", "٣", "0x10", "1e", "10 20", "1,5"])
def test_what_only_python_takes_for_a_number_is_refused(text):
    assert "must be a whole number" in refused({"rank": text})
    assert "must be a number" in refused({"learningRate": text})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ({"rank": "16"}, {"rank": 16}),
        ({"learningRate": "1e-4"}, {"learningRate": 0.0001}),
        ({"rank": "8.0"}, {"rank": 8}),
        ({"rank": " 8 "}, {"rank": 8}),
        ({"learningRate": ".0005"}, {"learningRate": 0.0005}),
    ],
)
def test_the_text_that_a_template_makes_of_a_number_is_that_number(text, number):
    assert check_parameters(text) == number


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
    ("learningRateTextEncoder", -1e-9, 0, 1e-3, 1.1e-3),
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
        assert check_parameters({name: fine}) == {name: fine}


@pytest.mark.parametrize(
    ("name", "agreed", "disputed"),
    [
        ("batchSize", 4, 5),
        ("nbRepeats", 30, 31),
        ("rank", 64, 65),
        ("learningRate", 1e-5, 9e-6),
        ("learningRate", 1e-3, 2e-3),
        ("maxTrainSteps", 10_000, 10_001),
        ("learningRateTextEncoder", 1e-6, 0),
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
    assert check_parameters({name: fine}) == {name: fine}
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
LORA_ONLY = ("batchSize", "nbEpochs", "nbRepeats", "rank", "samplePrompts", "optimizeFor")


@pytest.mark.parametrize(
    ("names", "types"),
    [
        (VOICE_ONLY, (FLUX, FLUX_EDIT, MUSUBI, MUSUBI_EDIT, COMPOSITION, SD)),
        (SD_ONLY, (FLUX, FLUX_EDIT, MUSUBI, MUSUBI_EDIT, COMPOSITION, VOICE)),
        (LORA_ONLY, (VOICE,)),
        (("rank", "learningRateUnet", "numTextTrainSteps"), ("sd-1_5", "sd-1_5-lora")),
        (("classPrompt",), (SD,)),
    ],
)
def test_a_parameter_of_another_trainer_is_refused(names, types):
    for name in names:
        for model_type in types:
            message = refused({name: FINE[name]}, model_type)
            assert f"parameters: {name}={FINE[name]!r} is for " in message
            assert f", not for {model_type}. Leave it out. {model_type} takes: " in message


@pytest.mark.parametrize(
    ("names", "type_"), [(VOICE_ONLY, VOICE), (SD_ONLY[1:], SD), (LORA_ONLY, FLUX), (LORA_ONLY[:-1], MUSUBI)]
)
def test_a_parameter_of_its_own_trainer_is_fine(names, type_):
    for name in names:
        assert checked_and_warnings({name: FINE[name]}, type_) == ({name: FINE[name]}, [])


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("optimizeFor", MUSUBI),
        ("learningRateTextEncoder", MUSUBI),
        ("maxTrainSteps", MUSUBI),
        ("learningRate", VOICE),
        ("conceptPrompt", VOICE),
        ("maxTrainSteps", VOICE),
        ("learningRateTextEncoder", VOICE),
        ("nbEpochs", SD),
        ("rank", COMPOSITION),
        ("seed", VOICE),
    ],
)
def test_a_parameter_of_which_nobody_says_who_takes_it_passes_with_a_warning(name, type_):
    [warning] = warnings_of({name: FINE[name]}, type_)
    assert "may ignore or refuse it" in warning


@pytest.mark.parametrize("type_", [FLUX, MUSUBI, VOICE, COMPOSITION, SD, UNKNOWN, None])
def test_a_weights_and_biases_key_is_for_every_trainer(type_):
    assert check_parameters({"wandbKey": FINE["wandbKey"]}, type_).warnings == ()


@pytest.mark.parametrize("type_", [None, UNKNOWN])
def test_a_retired_parameter_warns_while_the_type_is_not_known(type_):
    [warning] = warnings_of({"validationPrompt": "x"}, type_)
    assert "retired Stable Diffusion" in warning


def test_an_unknown_type_lets_pass_what_any_trainer_takes():
    assert check_parameters({"conceptPrompt": "x" * 30, "rank": 64, "age": "young"}, UNKNOWN).warnings == ()


def test_a_trigger_word_has_at_most_20_characters_where_that_was_seen():
    assert check_parameters({"conceptPrompt": "x" * 20}, "flux.2-dev-lora").warnings == ()
    assert refused({"conceptPrompt": "x" * 21}, "flux.2-dev-lora") == (
        f"parameters: conceptPrompt={'x' * 21!r} has 21 characters; flux.2-dev-lora takes at most 20."
    )


@pytest.mark.parametrize(
    "type_", [name for name, trainer in TRAINERS.items() if trainer.name == "musubi" and name != "flux.2-dev-lora"]
)
def test_a_longer_trigger_word_warns_where_the_limit_is_inferred(type_):
    assert check_parameters({"conceptPrompt": "x" * 20}, type_).warnings == ()
    [warning] = warnings_of({"conceptPrompt": "x" * 21}, type_)
    assert warning.startswith(f"parameters: conceptPrompt={'x' * 21!r} has 21 characters; {type_} may take at most 20")


@pytest.mark.parametrize("type_", [FLUX, FLUX_EDIT, SD, None])
def test_a_trigger_word_may_be_long_elsewhere(type_):
    assert check_parameters({"conceptPrompt": "x" * 100}, type_).warnings == ()


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
    assert check_parameters({"sampleSourceImages": ["a"], "samplePrompts": ["x"]}, type_).warnings == ()


def test_no_sample_images_are_nothing():
    assert check_parameters({"sampleSourceImages": [], "samplePrompts": ["x"]}, FLUX).warnings == ()


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
    given = [{"model_id": "a", "scale": -2}, {"modelId": "b", "scale": 2.0, "model_epoch": "000001"}]
    sent = [{"modelId": "a", "scale": -2}, {"modelId": "b", "scale": 2.0, "modelEpoch": "000001"}]
    assert check_concepts(given) == (sent, [])


def test_the_text_that_a_template_makes_of_a_scale_is_that_scale():
    assert check_concepts([{"model_id": "a", "scale": "0.5"}])[0] == [{"modelId": "a", "scale": 0.5}]


@pytest.mark.parametrize(("epoch", "sent"), [(1, "000001"), ("12", "000012"), ("003", "003"), ("000001", "000001")])
def test_an_epoch_is_a_number_or_the_apis_text(epoch, sent):
    assert check_epoch("epoch", epoch) == sent
    concepts, _ = check_concepts([{"model_id": "a", "scale": 1, "model_epoch": epoch}])
    assert concepts == [{"modelId": "a", "scale": 1, "modelEpoch": sent}]


def test_the_last_epoch_is_what_the_api_takes_by_itself():
    assert check_epoch("epoch", "last") is None
    assert check_concepts([{"model_id": "a", "scale": 1, "model_epoch": "last"}])[0] == [{"modelId": "a", "scale": 1}]


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "", " ", 10**400, ["1"], None, "\ud800"])
def test_another_epoch_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"^epoch"):
        check_epoch("epoch", wrong)


def test_an_unknown_field_of_a_concept_is_sent_with_a_warning_unless_it_is_like_a_known_one():
    concepts, warnings = check_concepts([{"model_id": "a", "scale": 1, "blend": "add"}])
    assert concepts == [{"modelId": "a", "scale": 1, "blend": "add"}]
    assert warnings == ["concepts[0]: 'blend' is not known to this provider; it is sent without a check."]
    with pytest.raises(InvalidInputError, match=r"^concepts\[0\]: there is no 'sclae'"):
        check_concepts([{"model_id": "a", "sclae": 1}])


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
        [{"model_id": "a", "scale": "1_0"}],
        [None],
        [{"model_id": "a", "scale": 1, "scales": 1}],
        [{"model_id": "a", "modelId": "a", "scale": 1}],
        [{"model_id": "a", "scale": 1, "model_epoch": 0}],
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
        (51, MUSUBI, None, True),
        (51, FLUX, None, True),
        (60, VOICE, None, False),
        (0, UNKNOWN, None, True),
        (10, FLUX_EDIT, 0, True),
        (10, FLUX_EDIT, 2, False),
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
    [(0, None, None), (0, VOICE, None), (0, MUSUBI, None), (2, MUSUBI_EDIT, 1)],
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
        ({"model_type": COMPOSITION, "images": 0}, "composed of concepts, and the model has none"),
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


def test_pairs_for_a_type_that_learns_from_single_images_warn():
    [warning] = check_ready(model_id="model_1", model_type=MUSUBI, images=10, pairs=5)
    assert warning == f"The dataset has 5 pairs; {MUSUBI} learns from single images."


def test_keys_keep_their_order_and_values():
    assert list(camel_keys({"b_c": 1, "a": None}, "x").items()) == [("bC", 1), ("a", None)]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda: check_name(None), "name must be text of 1 to 64 characters, not None."),
        (
            lambda: check_concepts([{"id": "model_1", "weight": 1}]),
            "is {'id': 'model_1', 'weight': 1}; give 'model_id', 'scale' (-2 to 2) and perhaps 'model_epoch'.",
        ),
        (
            lambda: check_id("model_id", "https://app.scenario.com/models/model_1"),
            "characters; most likely its end is meant, 'model_1'. Nothing was sent.",
        ),
        (
            lambda: ScenarioTransport("https://scenario.test", "key", "secret", verify="no"),
            "verify is 'no', which does not exist; give true, false or the path of a CA bundle.",
        ),
        (
            lambda: price_limit("1,000"),
            "max_creative_units is '1,000'; give a number of creative units from 0 on, such as 1000.",
        ),
        (
            lambda: seconds("poke_interval", "30s"),
            "poke_interval is '30s'; give a number of seconds above 0, such as 3600, or a timedelta.",
        ),
    ],
)
def test_a_mistake_is_answered_with_what_would_be_right(check, said):
    with pytest.raises(InvalidInputError) as caught:
        check()
    assert str(caught.value).endswith(said)
