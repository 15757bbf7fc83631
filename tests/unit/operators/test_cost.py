from __future__ import annotations

import pytest

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.cost_estimate import CostEstimator
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator

HERO = {"name": "hero", "type": "flux.2-dev-lora", "images": 10}
PROP = {"name": "prop", "type": "zimage-lora", "images": 4, "parameters": {"nb_epochs": 5}}


def estimate(context, *trainings, **fields):
    return ScenarioEstimateTrainingCostOperator(task_id="estimate", trainings=list(trainings), **fields).execute(
        context
    )


def quotes(emulator):
    return emulator.ledger()["totals"]["quotes"]


def left_behind():
    return list(ScenarioHook().client.list_models())


class TestPrice:
    def test_every_training_has_its_price_and_the_batch_its_sum(self, emulator, context):
        assert estimate(context, HERO, PROP) == {
            "creative_units": 720,
            "trainings": [
                {"name": "hero", "type": "flux.2-dev-lora", "images": 10, "creative_units": 600},
                {"name": "prop", "type": "zimage-lora", "images": 4, "creative_units": 120},
            ],
        }
        assert context["ti"].xcoms == {"creative_units": 720}

    def test_it_is_what_a_training_is_billed_at(self, emulator, context, datasets):
        client = ScenarioHook().client
        model = client.create_model(name="ink", type="zimage-lora")
        image = next((datasets / "ink-style").glob("*.jpg"))
        client.add_training_image(model.id, data=image.read_bytes(), name="a")
        quoted = estimate(context, {"type": "zimage-lora", "images": 1, "parameters": {"nb_repeats": 7}})
        assert client.train(model.id, {"nb_repeats": 7}).creative_units_cost == quoted["creative_units"]

    def test_nothing_is_started_uploaded_or_left_behind(self, emulator, context):
        estimate(context, HERO, PROP, {**HERO, "type": "zimage-lora"})
        assert emulator.counts() == {"models": 2, "images": 0, "trainings": 0, "canceled": 0}
        assert left_behind() == []

    def test_equal_trainings_are_asked_for_once(self, emulator, context):
        same = {**HERO, "name": "twin", "parameters": {}}
        spelled = [{**PROP, "parameters": {key: 5}} for key in ("nb_epochs", "nbEpochs")]
        found = estimate(context, HERO, same, *spelled, {**HERO, "images": 11})
        assert [row["creative_units"] for row in found["trainings"]] == [600, 600, 120, 120, 660]
        assert quotes(emulator) == 3

    def test_the_images_of_a_dataset_are_counted(self, emulator, context, datasets):
        folder = datasets / "ink-style"
        files = [str(path) for path in sorted(folder.glob("*.jpg"))[:3]]
        found = estimate(context, {**HERO, "images": str(folder)}, {**HERO, "images": files}, {**HERO, "images": "7"})
        assert [row["images"] for row in found["trainings"]] == [10, 3, 7]

    def test_the_training_yaml_of_a_dataset_counts_before_the_parameters(self, emulator, context, datasets, tmp_path):
        (tmp_path / "a.jpg").write_bytes(next((datasets / "ink-style").glob("*.jpg")).read_bytes())
        (tmp_path / "training.yaml").write_text("name: ink\ntype: zimage-lora\nnb_epochs: 5\nnb_repeats: 10\n")
        parameters = {"nbEpochs": 10, "nb_repeats": 20}
        found = estimate(context, {"images": str(tmp_path)}, {"images": str(tmp_path), "parameters": parameters})
        assert [row["creative_units"] for row in found["trainings"]] == [15, 15]
        assert {(row["name"], row["type"]) for row in found["trainings"]} == {("ink", "zimage-lora")}

    def test_what_list_datasets_gives_is_understood(self, emulator, context, datasets):
        from airflow_provider_scenario.datasets import list_datasets

        found = estimate(context, *list_datasets(datasets, preset="style"), type="flux.2-dev-lora")
        assert {row["name"] for row in found["trainings"]} >= {"ink-style", "hero-character"}
        assert found["creative_units"] == sum(60 * row["images"] for row in found["trainings"])

    def test_other_arguments_of_a_training_are_no_matter(self, emulator, context):
        other = {"preset": "style", "collection_ids": ["c"], "max_creative_units": 9, "timeout": 60, "pool": "p"}
        assert estimate(context, {**HERO, **other})["creative_units"] == 600

    def test_what_a_training_does_not_say_is_said_for_all(self, emulator, context):
        unsaid = {"images": 10, "parameters": None}
        found = estimate(context, unsaid, PROP, type="flux.2-dev-lora", parameters={"nb_epochs": 1})
        assert found["trainings"][0] == {
            "name": "training 1", "type": "flux.2-dev-lora", "images": 10, "creative_units": 60
        }  # fmt: skip
        assert found["trainings"][1]["creative_units"] == 120

    def test_a_model_that_exists_is_asked_itself_and_stays(self, emulator, context, datasets):
        client = ScenarioHook().client
        model = client.create_model(name="ink", type="flux.1-lora")
        for path in sorted((datasets / "ink-style").glob("*.jpg"))[:2]:
            client.add_training_image(model.id, data=path.read_bytes(), name=path.name)
        found = estimate(context, {"model_id": model.id, "parameters": {"nb_epochs": 20}}, type="zimage-lora")
        assert found["trainings"] == [{"name": "ink", "type": "flux.1-lora", "images": 2, "creative_units": 240}]
        assert [left.id for left in left_behind()] == [model.id]

    def test_a_model_without_images_is_asked_as_if_it_had_them(self, emulator, context):
        model = ScenarioHook().client.create_model(name="ink", type="flux.1-lora")
        assert estimate(context, {"model_id": model.id, "images": 3})["creative_units"] == 180

    def test_an_edit_type_is_priced_by_its_number_of_images(self, emulator, context):
        assert estimate(context, {"type": "flux.2-dev-edit-lora", "images": 4})["creative_units"] == 240

    def test_a_composition_is_priced_by_its_concepts(self, emulator, context, datasets):
        client = ScenarioHook().client
        model = client.create_model(name="ink", type="flux.1-lora")
        image = next((datasets / "ink-style").glob("*.jpg"))
        client.add_training_image(model.id, data=image.read_bytes(), name="a")
        client.train(model.id)
        emulator.advance(10)
        concepts = [{"model_id": model.id, "scale": 0.8}]
        found = estimate(context, {"name": "all", "type": "flux.1-composition", "concepts": concepts})
        assert found["trainings"] == [
            {"name": "all", "type": "flux.1-composition", "images": None, "creative_units": 0}
        ]
        assert [left.id for left in left_behind()] == [model.id]

    def test_a_batch_of_none_costs_nothing(self, emulator, context):
        assert estimate(context) == {"creative_units": 0, "trainings": []}
        assert emulator.counts()["models"] == 0

    def test_a_key_of_weights_and_biases_is_not_sent(self, emulator, context):
        operator = ScenarioEstimateTrainingCostOperator(
            task_id="estimate", trainings=[{**HERO, "parameters": {"wandb_key": "{{ conn.wandb.password }}"}}]
        )
        operator.trainings[0]["parameters"]["wandb_key"] = "x" * 40
        (training,) = CostEstimator(lambda: operator.hook.client, operator.log).read(operator.trainings)
        assert training.parameters == {}

    def test_the_log_has_a_table(self, emulator, context, capsys):
        estimate(context, HERO, PROP)
        # Each line is padded and followed by the name of the logger, in brackets.
        lines = [line.partition("] ")[2].partition("  [")[0] for line in capsys.readouterr().out.splitlines()]
        lines = [line.partition(" [airflow.task")[0].rstrip() for line in lines]
        assert lines[-5:] == [
            "2 trainings would cost 720 creative units. Nothing was started or billed.",
            "training  type             images  creative units",
            "hero      flux.2-dev-lora      10             600",
            "prop      zimage-lora           4             120",
            "sum                            14             720",
        ]


class TestFailure:
    @pytest.mark.parametrize("route", ["/models/*/train", "/models"])
    def test_the_temporary_models_are_deleted_all_the_same(self, emulator, context, route):
        method = "PUT" if route.endswith("train") else "POST"
        emulator.fault(kind="status", method=method, route=route, status=400, skip=1, times=1)
        with pytest.raises(
            AirflowFailException,
            match=r"the training 'prop' \('zimage-lora'\): .*(The request changed nothing|Nothing was started)",
        ):
            estimate(context, HERO, PROP)
        assert left_behind() == []

    def test_a_model_that_cannot_be_deleted_is_told_and_the_price_counts(self, emulator, context, capsys):
        emulator.fault(kind="status", method="DELETE", route="/models/*", status=403, times=1)
        assert estimate(context, HERO)["creative_units"] == 600
        (left,) = left_behind()
        assert (left.name, left.status) == ("cost estimate (Airflow)", "new")
        assert f"The temporary model {left.id} could not be deleted; it costs nothing" in capsys.readouterr().out

    def test_a_task_that_is_killed_leaves_no_model_behind(self, emulator, context):
        operator = ScenarioEstimateTrainingCostOperator(task_id="estimate", trainings=[HERO])
        operator._estimator = CostEstimator(lambda: operator.hook.client, operator.log)
        (training,) = operator._estimator.read([HERO])
        operator._estimator._price(training)
        assert len(left_behind()) == 1
        operator.on_kill()
        operator.on_kill()
        assert left_behind() == []

    def test_all_that_is_wrong_is_told_in_one_go_before_anything_is_asked(self, emulator, context, tmp_path):
        with pytest.raises(AirflowFailException) as caught:
            estimate(context, {**HERO, "images": str(tmp_path)}, PROP, {"images": 3}, {"model_id": "model_nope"})
        first, second, third, last = str(caught.value).splitlines()
        assert first.startswith("trainings[1] ('hero'): ")
        assert "the folder has no images" in first
        assert second == "trainings[3]: 'type' is missing, and training.yaml does not set it."
        assert third.startswith("trainings[4]: ")
        assert "model_nope" in third
        assert last == "No price was quoted."
        assert emulator.counts()["models"] == 0

    def test_an_edit_dataset_without_pairs_is_told(self, emulator, context, datasets):
        with pytest.raises(AirflowFailException, match="needs at least 2 of them, not 0"):
            estimate(context, {"type": "flux.2-dev-edit-lora", "images": str(datasets / "ink-style")})

    def test_text_that_a_template_has_made_of_a_list_is_told(self, emulator, context):
        operator = ScenarioEstimateTrainingCostOperator(task_id="estimate", trainings="{{ params.trainings }}")
        operator.trainings = "[{'type': 'zimage-lora'}]"
        with pytest.raises(AirflowFailException, match="render_template_as_native_obj"):
            operator.execute(context)

    @pytest.mark.parametrize(
        ("training", "said"),
        [
            (7, r"trainings\[1\]: it is 7; give a dictionary with 'type' and 'images', or 'model_id'"),
            ({"type": "zimage-lora"}, "it has no 'images'; give their number, a folder or a list"),
            ({**HERO, "images": 0}, r"trainings\[1\] \('hero'\): The dataset is empty"),
            ({**HERO, "images": True}, "images is True; give their number"),
            ({**HERO, "images": 2.5}, "images is 2.5; give their number"),
            ({**HERO, "parameters": ""}, "parameters must be a dictionary, not ''"),
            ({**HERO, "parameters": 0}, "parameters must be a dictionary, not 0"),
            ({**HERO, "concepts": ""}, "concepts must be a list of dictionaries, not ''"),
            ({**HERO, "type": 5}, "type must be a model type such as"),
            ({**HERO, "parameters": {"nb_epoch": 3}}, "there is no 'nb_epoch'.* Did you mean 'nb_epochs'"),
            ({**HERO, "parmeters": {"nb_epochs": 3}}, "it has 'parmeters'; did you mean 'parameters'"),
            ({**HERO, "parameters": {"wandb_key": "x"}}, "is a secret and must not be in a DAG file"),
            ({**HERO, "model_id": "model_1"}, "it has 'model_id' and 'type'"),
            ({"model_id": "a/b"}, "model_id is 'a/b'"),
            ({"type": "flux.1-composition"}, "a flux.1-composition has a price for its 'concepts' only"),
            ({"type": "flux.1-composition", "concepts": [{"scale": 1}]}, "is {'scale': 1}; give 'model_id'"),
        ],
    )
    def test_bad_input_is_told_when_the_dag_is_parsed(self, training, said):
        with pytest.raises(InvalidInputError, match=said):
            ScenarioEstimateTrainingCostOperator(task_id="estimate", trainings=[training])

    def test_what_a_template_brings_is_not_judged_before_it_is_there(self):
        operator = ScenarioEstimateTrainingCostOperator(
            task_id="estimate",
            trainings=["{{ params.one }}", {"type": "{{ params.type }}", "images": "{{ params.n }}"}],
        )
        assert operator.template_fields == ("trainings", "type", "parameters", "scenario_conn_id")
