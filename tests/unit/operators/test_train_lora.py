from __future__ import annotations

import shutil

import pytest
from PIL import Image

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.exceptions import TrainingFailedError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from tests.airflow_versions import TaskDeferred


@pytest.fixture
def folder(tmp_path, datasets):
    """A small dataset: three pictures with captions."""
    for path in sorted((datasets / "ink-style").iterdir())[:6]:
        shutil.copy(path, tmp_path)
    return tmp_path


def lora(folder, **fields):
    return ScenarioTrainLoraOperator(
        **{
            "task_id": "lora",
            "name": "ink",
            "type": "flux.2-dev-lora",
            "images": str(folder),
            "deferrable": False,
            "poke_interval": 0.05,
            **fields,
        }
    )


def retry(context):
    context["ti"].try_number += 1
    context["ti"].xcoms.clear()
    return context


def logged(capsys) -> list[str]:
    """The lines of the task's log, without time and place."""
    lines = (line.partition("] ")[2].partition(" [airflow.task")[0] for line in capsys.readouterr().out.splitlines())
    return [line.strip() for line in lines]


ONE = {"models": 1, "images": 3, "trainings": 1, "canceled": 0}


class TestFromDatasetToTrainedModel:
    def test_one_task_does_it_all(self, emulator, context, folder):
        result = lora(folder, short_description="Loose ink.", parameters={"nb_epochs": 2}).execute(context)
        model = emulator.model(result["model_id"])
        assert emulator.counts() == ONE
        assert (model["name"], model["status"], model["shortDescription"]) == ("ink", "trained", "Loose ink.")
        assert model["parameters"]["nbEpochs"] == 2
        assert all(image["description"].strip() for image in model["trainingImages"])
        assert result["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"]

    def test_a_description_that_cannot_be_written_does_not_fail_a_paid_training(
        self, emulator, context, folder, capsys
    ):
        emulator.fault(kind="status", status=400, method="PUT", route="/models/*", times=None)
        assert lora(folder, short_description="Loose ink.").execute(context)["status"] == "trained"
        assert "The model is trained, but its marker cannot be replaced by the description: " in capsys.readouterr().out
        assert emulator.counts() == ONE

    def test_deferred_it_takes_two_worker_starts(self, emulator, context, folder):
        operator = lora(folder, deferrable=True)
        with pytest.raises(TaskDeferred) as deferral:
            operator.execute(context)
        assert deferral.value.method_name == "execute_complete"
        assert context["ti"].xcoms["model_id"] == emulator.ledger()["models"][0]["model_id"]

    def test_the_datasets_own_settings_count_before_the_dags(self, emulator, context, folder):
        (folder / "training.yaml").write_text("nb_epochs: 3\nsample_prompts: [a boat]\n")
        result = lora(folder, parameters={"nb_epochs": 2, "concept_prompt": "inkwash"}).execute(context)
        parameters = emulator.model(result["model_id"])["parameters"]
        assert (parameters["nbEpochs"], parameters["conceptPrompt"]) == (3, "inkwash")

    @pytest.mark.parametrize(
        ("said", "shown"), [({}, "{{ task.name }}"), ({"map_index_template": "{{ task.type }}"}, "{{ task.type }}")]
    )
    def test_the_grid_shows_the_models_name_or_what_the_author_says(self, said, shown):
        partial = ScenarioTrainLoraOperator.partial(task_id="train", **said)
        assert partial.expand_kwargs([]).map_index_template == shown


class TestRetry:
    @pytest.mark.parametrize(
        ("method", "route", "skip"),
        [("POST", "/models", 0), ("POST", "/models/*/training-images", 1), ("PUT", "/models/*/train", 0)],
    )
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_after_a_lost_answer_there_is_one_of_everything(self, emulator, context, folder, method, route, skip, when):
        emulator.fault(kind="close", method=method, route=route, when=when, skip=skip)
        with pytest.raises(ServiceError):
            lora(folder).execute(context)
        assert lora(folder).execute(retry(context))["status"] == "trained"
        assert emulator.counts() == ONE

    def test_after_a_crash_while_it_trained_the_training_is_waited_for(self, emulator, context, folder):
        with pytest.raises(TaskDeferred):
            lora(folder, deferrable=True).execute(context)
        assert lora(folder).execute(retry(context))["status"] == "trained"
        assert emulator.counts() == ONE

    def test_after_a_crash_when_it_was_trained_the_result_is_returned(self, emulator, context, folder):
        with pytest.raises(TaskDeferred):
            lora(folder, deferrable=True).execute(context)
        emulator.advance(900)
        result = lora(folder, deferrable=True).execute(retry(context))
        assert (result["status"], emulator.counts()) == ("trained", ONE)

    def test_after_a_failed_training_the_same_model_is_trained_again(self, emulator, context, folder):
        emulator.outcome(fail_at=0.5, times=1)
        with pytest.raises(TrainingFailedError):
            lora(folder, on_retry="retrain").execute(context)
        assert lora(folder, on_retry="retrain").execute(retry(context))["status"] == "trained"
        assert emulator.counts() == {**ONE, "trainings": 2}

    def test_clearing_a_finished_task_trains_anew(self, emulator, context, folder):
        first = lora(folder).execute(context)
        context["ti"].max_tries += 1  # what Airflow does when a finished task is cleared
        assert lora(folder).execute(retry(context))["model_id"] != first["model_id"]
        assert emulator.counts()["trainings"] == 2

    @pytest.mark.parametrize(("cancel_on_kill", "canceled"), [(True, 1), (False, 0)])
    def test_what_it_trained_until_it_was_cleared_is_not_left_running(
        self, emulator, context, folder, cancel_on_kill, canceled
    ):
        emulator.set(training_seconds=600)
        for _ in range(2):
            with pytest.raises(TaskDeferred):
                lora(folder, deferrable=True, cancel_on_kill=cancel_on_kill).execute(retry(context))
            context["ti"].max_tries += 1  # what Airflow does when a deferred task is cleared
        assert emulator.counts() == {"models": 2, "images": 6, "trainings": 2, "canceled": canceled}


class TestMoney:
    def test_what_is_too_dear_is_refused_with_both_numbers_before_anything_is_paid(self, emulator, context, folder):
        with pytest.raises(AirflowFailException, match=r"would cost 180 creative units; max_creative_units is 100"):
            lora(folder, max_creative_units=100).execute(context)
        assert emulator.counts()["trainings"] == 0
        assert emulator.ledger()["totals"]["quotes"] == 1

    def test_what_is_not_too_dear_is_trained(self, emulator, context, folder):
        assert lora(folder, max_creative_units="180").execute(context)["creative_units_cost"] == 180

    @pytest.mark.parametrize("limit", [-1, "much", True, float("inf")])
    def test_a_limit_that_is_none_is_told_when_the_dag_is_parsed(self, folder, limit):
        with pytest.raises(InvalidInputError, match="max_creative_units is"):
            lora(folder, max_creative_units=limit)


class TestBadInput:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"name": "x" * 65}, "65 characters"),
            ({"type": 5}, "type must be a model type"),
            ({"threads": 0}, "threads is 0; give a whole number from 1 to 32"),
            ({"collection_ids": True}, "collection_ids is True; give a list"),
            ({"class_slug": 7}, "class_slug must be text"),
            ({"max_creative_units": "cheap"}, "max_creative_units is 'cheap'"),
            ({"parameters": ""}, "parameters must be a dictionary, not ''"),
            ({"parameters": {"nb_epoch": 1}}, "there is no 'nb_epoch'"),
            ({"parameters": {"concept_prompt": "more than twenty characters"}}, "at most 20"),
            ({"preset": "portrait"}, "portrait"),
            ({"images": []}, "images is empty"),
        ],
    )
    def test_it_is_told_when_the_dag_is_parsed(self, folder, fields, said):
        with pytest.raises(InvalidInputError, match=said):
            lora(folder, **fields)

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"type": "flux.2-dev-edit-lora"}, "needs at least 2"),
            ({"images": "/nowhere"}, "/nowhere"),
            ({"images": "gs://bucket/hero"}, "pip install 'apache-airflow-providers-google'"),
            ({"images": "nope://bucket/hero"}, "'nope://bucket/hero' cannot be read"),
            ({"parameters": {"learning_rate": "fast"}}, "learning_rate must be a number"),
            ({"parameters": {"max_creative_units": 1}}, "give it beside the parameters"),
            ({"parameters": {"\ud800": 1}}, "parameters: a key is not valid Unicode"),
            ({"parameters": {"sample_prompts": ["x" * 7_000_000]}}, "no request holds more than 6 MB"),
            ({"images": [{"asset_id": "a", "caption": "x" * 7_000_000}]}, "no request holds more than 6 MB"),
            ({"parameters": {"age": "young"}}, "age='young' is for voices, not for flux.2-dev-lora"),
            ({"parameters": {"dry_run": True}}, "'dry_run' is not a training parameter"),
            ({"max_creative_units": "cheap"}, "max_creative_units is 'cheap'"),
            ({"collection_ids": "['a']"}, "collection_ids is .*render_template_as_native_obj"),
        ],
    )
    def test_what_templates_bring_is_told_before_anything_is_created(self, emulator, context, folder, fields, said):
        operator = lora(folder, type="{{ x }}", parameters="{{ y }}")
        vars(operator).update({"type": "flux.2-dev-lora", "parameters": None, **fields})
        with pytest.raises(AirflowFailException, match=said):
            operator.execute(context)
        assert emulator.counts()["models"] == 0


class TestSettingsOfTheDataset:
    """What ``training.yaml`` sets counts before the DAG's parameters, and the log says what was overruled."""

    def lines(self, folder, capsys, yaml, parameters):
        (folder / "training.yaml").write_text(yaml)
        lora(folder, parameters=parameters)._checked_input()
        return [line for line in logged(capsys) if "the DAG's parameters set" in line]

    def test_what_is_overruled_is_one_line_in_the_dags_spelling(self, folder, capsys):
        parameters = {"nb_epochs": 10, "rank": 16, "learningRate": 1e-4}
        assert self.lines(folder, capsys, "nbEpochs: 4\nrank: 32\nsample_prompts: [a boat]\n", parameters) == [
            (
                "training.yaml of 'ink' sets nb_epochs=4, rank=32; the DAG's parameters set 10, 16: "
                "the dataset's values are used."
            )
        ]

    @pytest.mark.parametrize("parameters", [None, {}, {"nb_epochs": 4}, {"nb_epochs": "4"}, {"nb_epochs": None}])
    def test_where_both_say_the_same_nothing_is_said(self, folder, capsys, parameters):
        assert self.lines(folder, capsys, "nb_epochs: 4\nsample_prompts: [a boat]\n", parameters) == []

    @pytest.mark.parametrize(
        ("yaml", "parameters", "said"),
        [
            ("nb_epochs: 4\n", None, "nb_epochs=4 without sample_prompts"),
            ("nb_epochs: 4\n", {"learning_rate": 1e-4}, "nb_epochs=4 without sample_prompts"),
            ("nb_epochs: 4\n", {"learningRate": 1e-4}, "nbEpochs=4 without samplePrompts"),
            ("rank: 16\n", {"nb_epochs": 4}, "nb_epochs=4 without sample_prompts"),
        ],
    )
    def test_warnings_before_the_payment_are_in_the_dags_spelling(
        self, emulator, context, folder, capsys, yaml, parameters, said
    ):
        (folder / "training.yaml").write_text(yaml)
        task = lora(folder, parameters=parameters, max_creative_units=100_000)
        capsys.readouterr()
        model = emulator.model(task.execute(context)["model_id"])
        assert model["parameters"]["nbEpochs"] == 4
        assert [said in line for line in logged(capsys) if "only the last epoch is" in line] == [True]

    def test_no_secret_is_shown(self, folder, capsys):
        (line,) = self.lines(folder, capsys, "wandb_key: mine-0123\n", {"wandb_key": "{{ conn.wandb.password }}"})
        assert (
            line == "training.yaml of 'ink' sets another wandb_key; the DAG's parameters set another: "
            "the dataset's value is used."
        )

    @pytest.mark.parametrize(
        ("yaml", "parameters"),
        [
            ("extra_parameters: {rank: 8}", {"rank": 16, "nb_repeats": 5}),
            ("rank: 8", {"extra_parameters": {"rank": 16, "nbRepeats": 5}}),
            ("extra_parameters: {rank: 8}", {"extra_parameters": {"rank": 16, "nbRepeats": 5}}),
        ],
    )
    def test_extra_parameters_are_merged_by_name_and_the_datasets_count(
        self, emulator, context, folder, yaml, parameters
    ):
        (folder / "training.yaml").write_text(yaml)
        result = lora(folder, parameters=parameters).execute(context)
        trained = emulator.model(result["model_id"])["parameters"]
        assert (trained["rank"], trained["nbRepeats"]) == (8, 5)


class TestWhatIsInTheDataset:
    """One line before the spend; a warning of what is too small or there twice, and from one of us only."""

    @pytest.fixture
    def flawed(self, folder):
        pictures = sorted(folder.glob("*.jpg"))
        pictures[0].with_suffix(".txt").unlink()
        shutil.copy(pictures[1], folder / "twice.jpg")
        shutil.copy(pictures[1].with_suffix(".txt"), folder / "twice.txt")
        (folder / "b.psd").write_text("x")
        Image.effect_noise((640, 1200), 90).save(pictures[2])
        return folder

    def test_it_is_said_before_anything_is_created(self, emulator, context, flawed, capsys):
        emulator.fault(kind="status", method="POST", route="/models", status=422)
        with pytest.raises(AirflowFailException):
            lora(flawed).execute(context)
        first, second, third = sorted(path.name for path in flawed.glob("*.jpg") if path.stem != "twice")
        said = logged(capsys)
        assert f"'ink': 4 images, 3 captions ({first!r} has none: Scenario writes it); ignored: 'b.psd'." in said
        assert f"Dataset: 2 images that are the same: {second!r} = 'twice.jpg'." in said
        assert f"Dataset: 1 image smaller than the recommended 1024 pixels on a side: {third!r} (640x1200)." in said

    def test_the_score_of_the_service_does_not_say_it_again(self, emulator, context, flawed, capsys):
        assert lora(flawed).execute(context)["status"] == "trained"
        said = "\n".join(logged(capsys))
        assert (said.count("smaller than the recommended"), said.count("that are the same")) == (1, 1)
        assert "without a caption" not in said
        assert "Dataset: 2 images with identical captions" in said  # what only the service says

    def test_images_that_are_added_by_a_task_of_their_own_are_told_too(self, emulator, context, flawed, capsys):
        model = ScenarioHook().client.create_model(name="hero", type="flux.2-dev-lora")
        ScenarioAddTrainingImagesOperator(task_id="add", model_id=model.id, images=str(flawed)).execute(context)
        said = "\n".join(logged(capsys))
        assert "'hero': 4 images, 3 captions (" in said
        assert "Dataset: 2 images that are the same" in said
