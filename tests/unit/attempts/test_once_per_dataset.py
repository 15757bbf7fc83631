"""``once_per_dataset``: whichever task, run or DAG asks for a dataset, it is trained and paid once in a project."""

from __future__ import annotations

import shutil
import threading
from datetime import timedelta

import pytest

from airflow_provider_scenario.attempts import once_per_dataset
from airflow_provider_scenario.attempts.once_per_dataset import fingerprint
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.datasets import read_dataset
from airflow_provider_scenario.exceptions import TrainingFailedError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from airflow_provider_scenario.provenance import DatasetMarker, Marker, authors_words
from airflow_provider_scenario.triggers import training as training_triggers
from airflow_provider_scenario.watch.shared import shared_poller
from tests.airflow_versions import TaskDeferred

TYPE = "flux.2-dev-lora"


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch):
    monkeypatch.setattr(once_per_dataset, "POLL_INTERVAL", 0.05)


@pytest.fixture
def folder(tmp_path, datasets):
    for path in sorted((datasets / "ink-style").iterdir())[:4]:
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def train_lora(folder):
    def train_lora(context, **fields):
        common = {"task_id": "lora", "name": "ink", "type": TYPE, "images": str(folder), "once_per_dataset": True}
        return ScenarioTrainLoraOperator(**{**common, "deferrable": False, "poke_interval": 0.05, **fields}).execute(
            context
        )

    return train_lora


@pytest.fixture
def another_run(another_task):
    numbers = iter(range(2, 100))
    return lambda: another_task(task_id="a_task", dag_id="a_dag", run_id=f"run {next(numbers)}")


def retry(context):
    context["ti"].try_number += 1
    context["ti"].xcoms.clear()
    return context


def clear(context):
    context["ti"].max_tries += 1  # what Airflow does when a finished task is cleared
    return retry(context)


ONE = {"models": 1, "images": 2, "trainings": 1, "canceled": 0}


class TestFingerprint:
    @pytest.mark.parametrize(
        ("change", "is_another"),
        [
            (lambda folder: (folder / "01.jpg").rename(folder / "front.jpg"), True),  # takes its caption away
            (lambda folder: [each.rename(each.with_stem(f"the-{each.stem}")) for each in folder.iterdir()], False),
            (lambda folder: (folder / "training.yaml").write_text("name: Another\ntype: zimage-lora"), False),
            (lambda folder: (folder / "training.yaml").write_text("wandb_key: another-key"), False),
            (lambda folder: (folder / "notes.md").write_text("x"), False),
            (lambda folder: (folder / "training.yaml").write_text("nb_epochs: 3"), True),
            (lambda folder: next(folder.glob("*.txt")).write_text("another caption"), True),
            (lambda folder: next(folder.glob("*.jpg")).open("ab").write(b"\0"), True),
            (lambda folder: shutil.copy(next(folder.glob("*.jpg")), folder / "copy.jpg"), True),
        ],
    )
    def test_it_is_another_where_something_else_is_learned(self, folder, change, is_another):
        for number, path in enumerate(sorted(folder.glob("*.jpg")), start=1):
            path.with_suffix(".txt").rename(folder / f"{number:02}.txt")
            path.rename(folder / f"{number:02}.jpg")
        before = fingerprint(read_dataset(str(folder)), TYPE)
        change(folder)
        if (folder / "front.jpg").exists():
            (folder / "01.txt").unlink()
        assert (fingerprint(read_dataset(str(folder)), TYPE) != before) is is_another

    def test_another_type_is_another_model(self, folder):
        dataset = read_dataset(str(folder))
        assert fingerprint(dataset, TYPE) != fingerprint(dataset, "zimage-lora")

    def test_pairs_count(self, folder):
        dataset = read_dataset(str(folder))
        one, other = (image.name for image in dataset.images)
        (folder / "metadata.jsonl").write_text(f'{{"source": "{one}", "target": "{other}"}}')
        assert fingerprint(read_dataset(str(folder)), TYPE) != fingerprint(dataset, TYPE)


class TestTrained:
    def test_another_run_takes_it_and_pays_nothing(self, emulator, context, another_run, train_lora, capsys):
        first = train_lora(context)
        second = another_run()
        again = train_lora(second, name="another name", parameters={"nb_epochs": 1}, max_creative_units=1)
        assert emulator.counts() == ONE
        assert again == {**first, "creative_units_total": 0.0}
        assert second["ti"].xcoms["model_id"] == first["model_id"]
        assert second["ti"].xcoms["scenario_model"]["is_ours"] is False
        said = capsys.readouterr().out
        assert "is trained already: 'ink' (" in said
        assert "leave once_per_dataset out, or delete that model in Scenario" in said

    def test_after_a_clear_it_is_taken_again(self, emulator, context, train_lora, either_way):
        first = train_lora(context)
        assert train_lora(clear(context))["model_id"] == first["model_id"]
        assert emulator.counts() == ONE

    def test_without_the_argument_it_is_trained_again(self, emulator, context, another_run, train_lora):
        train_lora(context)
        train_lora(another_run(), once_per_dataset=False)
        assert emulator.counts()["trainings"] == 2

    def test_another_dataset_is_trained(self, emulator, context, another_run, train_lora, folder):
        train_lora(context)
        next(folder.glob("*.txt")).write_text("another caption")
        train_lora(another_run())
        assert emulator.counts()["trainings"] == 2

    def test_a_model_that_was_deleted_does_not_count(self, emulator, context, another_run, train_lora):
        ScenarioHook().client.delete_model(train_lora(context)["model_id"])
        train_lora(another_run())
        assert emulator.counts()["trainings"] == 2

    def test_a_training_that_failed_does_not_count(self, emulator, context, another_run, train_lora):
        emulator.outcome(fail_at=0.5, times=1)
        with pytest.raises(TrainingFailedError):
            train_lora(context)
        assert train_lora(another_run())["status"] == "trained"
        assert emulator.counts()["trainings"] == 2

    def test_the_mark_stays_beside_the_authors_words(self, emulator, context, train_lora, folder):
        words = "Loose ink. " * 30
        said = emulator.model(train_lora(context, short_description=words[:256])["model_id"])["shortDescription"]
        assert DatasetMarker.find(said) == DatasetMarker(fingerprint(read_dataset(str(folder)), TYPE))
        assert len(said) <= 256
        assert words.startswith(authors_words(said))
        assert len(authors_words(said)) > 150

    def test_where_the_author_gave_no_words_there_are_none(self, emulator, context, train_lora):
        said = emulator.model(train_lora(context)["model_id"])["shortDescription"]
        assert (authors_words(said), bool(Marker.find(said))) == ("", True)


class TestOnItsWay:
    def test_a_training_of_another_run_is_waited_for_and_never_cancelled(
        self, emulator, context, another_run, train_lora, either_way
    ):
        emulator.set(training_seconds=600)
        with pytest.raises(TaskDeferred):
            train_lora(context, deferrable=True)
        second = another_run()
        with pytest.raises(TaskDeferred) as deferral:
            train_lora(second, deferrable=True, short_description="Mine.")
        trigger = deferral.value.trigger.serialize()[1]
        assert (trigger["model_id"], trigger["is_ours"]) == (context["ti"].xcoms["model_id"], False)
        assert second["ti"].xcoms["scenario_model"]["is_ours"] is False
        assert emulator.counts() == ONE

    def test_the_retry_of_one_that_waits_for_another_waits_again(
        self, emulator, context, another_run, train_lora, either_way
    ):
        emulator.set(training_seconds=600)
        second = another_run()
        for begin, each in ((dict, context), (dict, second), (retry, second)):
            with pytest.raises(TaskDeferred) as deferral:
                train_lora(begin(each), deferrable=True)
        assert deferral.value.trigger.serialize()[1]["is_ours"] is False
        assert emulator.counts() == ONE

    def test_where_the_training_that_was_waited_for_fails_a_retry_trains(
        self, emulator, context, another_run, train_lora, either_way
    ):
        emulator.set(training_seconds=600)
        emulator.outcome(fail_at=0.5, times=1)
        second = another_run()
        for each in (context, second):
            with pytest.raises(TaskDeferred):
                train_lora(each, deferrable=True)
        emulator.advance(900)
        with pytest.raises(TaskDeferred) as deferral:
            train_lora(retry(second), deferrable=True)
        trigger = deferral.value.trigger.serialize()[1]
        assert trigger["model_id"] != context["ti"].xcoms["model_id"]
        assert trigger["cancel_on_kill"] is True
        assert emulator.counts() == {"models": 2, "images": 4, "trainings": 2, "canceled": 0}

    def test_two_at_the_same_moment_train_one(self, emulator, another_run, train_lora, monkeypatch):
        """Neither sees the other's model at its first look."""
        both_looked = threading.Barrier(2, timeout=60)
        looked = threading.local()
        look = once_per_dataset._models_of

        def look_together(*args):
            found = look(*args)
            if not hasattr(looked, "once"):
                looked.once = True
                both_looked.wait()
            return found

        monkeypatch.setattr(once_per_dataset, "_models_of", look_together)
        results = []
        runs = [another_run(), another_run()]
        tasks = [threading.Thread(target=lambda run=run: results.append(train_lora(run))) for run in runs]
        for task in tasks:
            task.start()
        for task in tasks:
            task.join(120)
        assert len({result["model_id"] for result in results}) == 1
        assert len(results) == 2
        assert emulator.counts() == {**ONE, "models": 2}
        assert [model.status for model in ScenarioHook().client.list_models()] == ["trained"]

    def test_what_another_task_is_about_to_train_is_waited_for(
        self, emulator, context, another_run, train_lora, monkeypatch
    ):
        """The other one trains while this one pauses."""
        emulator.fault(kind="status", method="POST", route="/models/*/training-images", status=422)
        with pytest.raises(Exception, match="422"):
            train_lora(context)
        monkeypatch.setattr(once_per_dataset, "sleep", lambda _: train_lora(retry(context)))
        result = train_lora(another_run())
        assert result["model_id"] == context["ti"].xcoms["model_id"]
        assert emulator.counts() == ONE

    def test_what_another_task_has_left_untrained_is_gone_on_with(
        self, emulator, context, another_run, train_lora, monkeypatch
    ):
        emulator.fault(kind="status", method="POST", route="/models/*/training-images", status=422, skip=1)
        with pytest.raises(Exception, match="422"):
            train_lora(context)
        monkeypatch.setattr(once_per_dataset, "UPLOAD_LIMIT", timedelta(0))
        result = train_lora(another_run())
        assert result["model_id"] == context["ti"].xcoms["model_id"]
        assert train_lora(retry(context))["model_id"] == result["model_id"]
        assert emulator.counts() == ONE

    def test_what_the_task_itself_has_left_untrained_is_gone_on_with_at_once(self, emulator, context, train_lora):
        with pytest.raises(Exception, match="max_creative_units is 1"):
            train_lora(context, max_creative_units=1)
        train_lora(clear(context))
        assert emulator.counts() == ONE

    @pytest.mark.parametrize("cancel_on_kill", [True, False])
    def test_what_was_trained_until_the_task_was_cleared_counts_only_if_it_goes_on(
        self, emulator, context, train_lora, cancel_on_kill
    ):
        emulator.set(training_seconds=600)
        for begin in (dict, clear):
            with pytest.raises(TaskDeferred):
                train_lora(begin(context), deferrable=True, cancel_on_kill=cancel_on_kill)
        counted = emulator.counts()
        assert (counted["trainings"], counted["canceled"]) == ((2, 1) if cancel_on_kill else (1, 0))


class TestRetry:
    @pytest.mark.parametrize(
        ("method", "route"), [("POST", "/models"), ("POST", "/models/*/training-images"), ("PUT", "/models/*/train")]
    )
    def test_after_a_lost_answer_there_is_one_of_everything(
        self, emulator, context, train_lora, either_way, method, route
    ):
        emulator.fault(kind="close", method=method, route=route, when="after")
        with pytest.raises(ServiceError):
            train_lora(context)
        assert train_lora(retry(context))["status"] == "trained"
        assert emulator.counts() == ONE

    def test_after_a_failed_training_the_model_of_another_run_is_taken(
        self, emulator, context, another_run, train_lora
    ):
        emulator.outcome(fail_at=0.5, times=1)
        with pytest.raises(TrainingFailedError):
            train_lora(context)
        theirs = train_lora(another_run())
        assert train_lora(retry(context))["model_id"] == theirs["model_id"]
        assert emulator.counts()["trainings"] == 2


class TestSlot:
    """Two runs wait for a slot of the plan with the model that one of them has made."""

    @pytest.fixture
    def triggers(self, emulator, context, another_run, another_task, datasets, train_lora, monkeypatch):
        emulator.set(training_seconds=600, parallel_training=1)
        with pytest.raises(TaskDeferred):
            train_lora(another_task(), images=str(datasets / "hero-character"), deferrable=True)  # takes the only slot
        with pytest.raises(TaskDeferred) as first:
            train_lora(context, deferrable=True)
        monkeypatch.setattr(once_per_dataset, "UPLOAD_LIMIT", timedelta(0))
        with pytest.raises(TaskDeferred) as second:
            train_lora(another_run(), deferrable=True)
        emulator.set(parallel_training=2)
        monkeypatch.setattr(training_triggers, "on_kill_means_task_ended", lambda: True)
        return first.value.trigger, second.value.trigger

    async def test_who_comes_second_cancels_nothing_of_the_first(self, emulator, triggers):
        first, second = triggers
        await started(first)
        assert (await started(second)).adopted
        await second.on_kill()
        assert emulator.counts()["canceled"] == 0
        await first.on_kill()
        assert emulator.counts()["canceled"] == 1

    async def test_who_starts_it_cancels_it(self, emulator, triggers):
        _, second = triggers
        assert not (await started(second)).adopted
        await second.on_kill()
        assert emulator.counts()["canceled"] == 1


async def started(trigger):
    async with shared_poller("scenario_default") as poller:
        return await trigger._start(poller)
