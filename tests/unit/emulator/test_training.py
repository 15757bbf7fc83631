from __future__ import annotations

import pytest


def launch(api, model_id, body=None, **query):
    return api.call("PUT", f"/models/{model_id}/train", {} if body is None else body, **query)


def refusal(answer):
    return answer.status_code, answer.json()["reason"]


def test_a_start_returns_job_model_and_price_and_is_billed_at_once(api):
    model_id = api.model(images=3)
    answer = launch(api, model_id, {"parameters": {"nbEpochs": 5, "nbRepeats": 10}}).json()
    assert (answer["creativeUnitsCost"], answer["creativeUnitsDiscount"]) == (45, 0)
    assert answer["costDetails"] == {"train-model": 45}
    assert (answer["job"]["status"], answer["job"]["jobType"]) == ("queued", "musubi-model-training")
    assert (answer["model"]["status"], answer["model"]["jobId"]) == ("training", answer["job"]["jobId"])
    assert api.totals()["creative_units_billed"] == 45


@pytest.mark.parametrize("dry_run", ["true", "api"])
def test_a_dry_run_in_the_query_quotes_and_starts_nothing(api, dry_run):
    model_id = api.model(images=2)
    answer = launch(api, model_id, dryRun=dry_run)
    assert (answer.status_code, answer.json()) == (
        269,
        {"creativeUnitsCost": 120, "creativeUnitsDiscount": 0, "costDetails": {"train-model": 120}},
    )
    assert (api.totals()["trainings_started"], api.totals()["quotes"]) == (0, 1)
    assert api.read(model_id)["status"] == "new"


def test_a_dry_run_in_the_body_is_ignored_and_the_training_runs(api):
    assert launch(api, api.model(images=1), {"dryRun": "true"}).status_code == 200
    assert api.totals()["trainings_started"] == 1


def test_a_given_number_of_images_counts_only_for_quotes_of_models_without_images(api):
    empty, filled = api.model(), api.model(images=2)
    assert launch(api, empty, dryRun="true", trainingImagesCount=18).json()["creativeUnitsCost"] == 1080
    assert launch(api, filled, dryRun="true", trainingImagesCount=18).json()["creativeUnitsCost"] == 120
    assert launch(api, empty, trainingImagesCount=18).status_code == 400


def test_without_images_there_is_neither_a_training_nor_a_quote(api):
    model_id = api.model()
    assert refusal(launch(api, model_id)) == (400, '"trainingImages" must contain at least 1 items')
    assert launch(api, model_id, dryRun="true").status_code == 400


def test_an_edit_model_needs_two_complete_pairs(api):
    model_id = api.model(type="qwen-image-edit-2511-lora", images=2)
    one, two = [image["id"] for image in api.read(model_id)["trainingImages"]]
    pairs = [{"sourceId": one, "targetId": two}, {"sourceId": two}]
    api.call("PUT", f"/models/{model_id}/training-images/pairs", pairs)
    assert refusal(launch(api, model_id)) == (400, "At least 2 complete training image pairs are required")
    pairs[1]["targetId"] = one
    api.call("PUT", f"/models/{model_id}/training-images/pairs", pairs)
    assert launch(api, model_id).status_code == 200


@pytest.mark.parametrize("model_id", ["flux.1-dev", "gpt-image-1"])
def test_base_models_cannot_be_trained(api, model_id):
    assert refusal(launch(api, model_id)) == (400, "Custom models only are supported for this endpoint")


def test_a_custom_or_base_type_cannot_be_trained(api):
    for model_type in ("custom", "flux.1"):
        model_id = api.model(type=model_type, images=1)
        assert refusal(launch(api, model_id)) == (400, "Custom models only are supported for this endpoint")


def test_a_second_start_is_refused(api):
    model_id = api.model(images=1)
    api.train(model_id)
    assert refusal(launch(api, model_id)) == (400, "Model is already training")
    assert api.totals()["trainings_started"] == 1


@pytest.mark.parametrize("end", ["trained", "failed", "training-canceled"])
def test_a_model_whose_training_has_ended_can_be_trained_again(api, end):
    api.emulator.switch("outcomes", fail_at=0.5, model="doomed")
    model_id = api.model("doomed" if end == "failed" else "fine", images=1)
    api.train(model_id)
    if end == "training-canceled":
        api.call("POST", f"/models/{model_id}/train/action", {"action": "cancel"})
    api.advance(1)
    assert api.read(model_id)["status"] == end
    assert launch(api, model_id).status_code == 200


PARAMETERS = [
    ({"nbEpochs": 31}, '"parameters.nbEpochs" must be less than or equal to 30'),
    ({"nbEpochs": 1.5}, '"parameters.nbEpochs" must be an integer'),
    ({"nbRepeats": 0}, '"parameters.nbRepeats" must be greater than or equal to 1'),
    ({"batchSize": "2"}, '"parameters.batchSize" must be a number'),
    ({"batchSize": 5}, '"parameters.batchSize" must be less than or equal to 4'),
    ({"learningRate": 0}, '"parameters.learningRate" must be greater than 0'),
    ({"learningRate": True}, '"parameters.learningRate" must be a number'),
    ({"rank": 129}, '"parameters.rank" must be less than or equal to 128'),
    ({"seed": -1}, '"parameters.seed" must be greater than or equal to 0'),
    ({"optimizeFor": "all"}, '"parameters.optimizeFor" must be one of [likeness]'),
    ({"samplePrompts": "a"}, '"parameters.samplePrompts" must be an array'),
    ({"samplePrompts": ["a"] * 5}, '"parameters.samplePrompts" must contain less than or equal to 4 items'),
    ({"sampleSourceImages": ["a"]}, '"parameters.sampleSourceImages" is not allowed'),
    ({"wandbKey": "x" * 41}, '"parameters.wandbKey" length must be less than or equal to 40 characters long'),
    ({"conceptPrompt": "x" * 21}, "Musubi training validation failed: conceptPrompt must be at most 20 characters"),
]


@pytest.mark.parametrize(("parameters", "reason"), PARAMETERS, ids=lambda value: str(value)[:40])
def test_parameters_outside_the_schema_are_refused_and_cost_nothing(api, parameters, reason):
    model_id = api.model(images=1)
    assert refusal(launch(api, model_id, {"parameters": parameters})) == (400, reason)
    assert launch(api, model_id, {"parameters": parameters}, dryRun="true").status_code == 400
    assert api.totals()["creative_units_billed"] == 0


def test_each_trainer_has_its_own_limits(api):
    flux, musubi = api.model(type="flux.1-lora", images=1), api.model(type="zimage-lora", images=1)
    prompts = {"samplePrompts": ["a"] * 8, "conceptPrompt": "x" * 21}
    assert launch(api, flux, {"parameters": {"rank": 65}}).status_code == 400
    assert launch(api, flux, {"parameters": {"maxTrainSteps": 10001}}).status_code == 400
    assert launch(api, flux, {"parameters": {"learningRateTextEncoder": 1e-7}}).status_code == 400
    assert launch(api, flux, {"parameters": prompts}).json()["job"]["jobType"] == "flux-model-training"
    assert launch(api, musubi, {"parameters": {"rank": 128, "conceptPrompt": "x" * 20}}).status_code == 200


def test_source_images_are_as_many_as_sample_prompts(api):
    model_id = api.model(type="flux.1-kontext-lora", images=2)
    parameters = {"samplePrompts": ["a", "b"], "sampleSourceImages": ["x"]}
    assert refusal(launch(api, model_id, {"parameters": parameters})) == (
        400,
        '"parameters.sampleSourceImages" must have the same length as samplePrompts',
    )


def test_unknown_parameters_are_ignored_silently(api):
    model_id = api.model(images=1)
    assert launch(api, model_id, {"parameters": {"nb_epochs": 2, "rank": 8}}).json()["creativeUnitsCost"] == 60
    assert api.read(model_id)["parameters"] == {"rank": 8}


def test_a_composition_is_trained_from_trained_concepts_without_images(api):
    flux = "flux.1-lora"
    trained, fresh = api.trained(type=flux, samplePrompts=["a"], nbEpochs=2), api.model(type=flux, images=1)
    empty = api.model(type="flux.1-composition")
    assert refusal(launch(api, empty)) == (400, '"concepts" must contain at least 1 items')
    concepts = [{"modelId": model_id, "scale": 1} for model_id in (fresh, "flux.1-dev", api.trained())]
    for concept in (*concepts, {"modelId": trained, "scale": 1, "modelEpoch": "000009"}):
        assert launch(api, api.model(type="flux.1-composition", concepts=[concept])).status_code == 400
    composition = api.model(type="flux.1-composition", concepts=[{"modelId": trained, "scale": 0.8}])
    assert launch(api, composition).status_code == 200
    api.advance(1)
    model = api.read(composition)
    assert (model["status"], len(model["epochs"]), len(model["epochs"][0]["assets"])) == ("trained", 1, 1)
    assert model["thumbnail"]["assetId"] == model["exampleAssetIds"][0]


def test_a_concept_must_exist_and_not_be_deleted(api):
    concept = {"modelId": "model_none", "scale": 1}
    assert api.call("POST", "/models", {"type": "flux.1-composition", "concepts": [concept]}).status_code == 404
    trained = api.trained(type="flux.1-lora")
    composition = api.model(type="flux.1-composition", concepts=[{"modelId": trained, "scale": 1}])
    api.call("DELETE", f"/models/{trained}")
    assert launch(api, composition).status_code == 404


@pytest.mark.parametrize(("limit", "allowed"), [(0, 0), (1, 1), (2, 2)])
def test_the_plan_limits_parallel_trainings(api, limit, allowed):
    api.emulator.switch("settings", parallel_training=limit)
    answers = [launch(api, api.model(images=1)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * allowed + [429] * (3 - allowed)
    body = answers[-1].json()
    assert (body["name"], body["details"]) == (
        "PlanLimitReachedError",
        {"actionName": "parallel-training", "actionLimit": limit, "actionValue": allowed, "limitScope": "team"},
    )


def test_a_slot_is_free_again_once_a_training_has_ended(api):
    api.emulator.switch("settings", parallel_training=1)
    api.train(api.model(images=1))
    api.advance(1)
    assert launch(api, api.model(images=1)).status_code == 200


def test_the_plan_refuses_a_training_above_its_creative_units(api):
    api.emulator.switch("settings", train_model=100)
    assert launch(api, api.model(images=1)).status_code == 200
    answer = launch(api, api.model(images=1))
    assert (answer.status_code, answer.json()["details"]) == (
        429,
        {"actionName": "train-model", "actionLimit": 100, "actionValue": 60, "limitScope": "team"},
    )
    assert api.totals()["creative_units_billed"] == 60


def test_a_start_too_soon_after_another_is_refused_with_the_seconds_to_wait(api):
    api.emulator.switch("settings", cooldown_seconds=30)
    assert launch(api, api.model(images=1)).status_code == 200
    answer = launch(api, api.model(images=1))
    assert (answer.status_code, answer.json()["details"]) == (429, {"remainingSeconds": 30})
    assert "name" not in answer.json()
    api.emulator.switch("advance", seconds=30)
    assert launch(api, api.model(images=1)).status_code == 200


def test_cancelling_returns_only_the_model_and_refunds_nothing(api):
    model_id = api.model(images=1)
    job_id = api.train(model_id)["job"]["jobId"]
    answer = api.call("POST", f"/models/{model_id}/train/action", {"action": "cancel"}).json()
    assert list(answer) == ["model"]
    assert answer["model"]["status"] == "training-canceled"
    assert api.call("GET", f"/jobs/{job_id}").json()["job"]["status"] == "canceled"
    totals = api.totals()
    assert (totals["trainings_canceled"], totals["creative_units_billed"]) == (1, 60)


def test_a_model_without_a_training_cannot_be_cancelled(api):
    for model_id in (api.model(), api.trained()):
        assert api.call("POST", f"/models/{model_id}/train/action", {"action": "cancel"}).status_code == 400


@pytest.mark.parametrize("body", [{}, {"action": "stop"}])
def test_the_only_action_is_cancel(api, body):
    model_id = api.model(images=1)
    api.train(model_id)
    assert api.call("POST", f"/models/{model_id}/train/action", body).status_code == 400
    assert api.read(model_id)["status"] == "training"


def test_a_model_without_a_name_gets_one_when_its_training_starts(api):
    model_id = api.call("POST", "/models", {"type": "flux.2-dev-lora"}).json()["model"]["id"]
    api.add_image(model_id)
    assert "name" not in api.read(model_id)
    api.train(model_id)
    assert {"name", "shortDescription"} <= api.read(model_id).keys()
