"""What Airflow 3.4 does to the attempts of a task: clearing discards what was recorded, and loops repeat a task."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.operators.model import ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from tests.airflow_versions import TaskDeferred
from tests.unit.conftest import FakeTaskStateStore
from tests.unit.operators.attempts import clear, retry, waiting


@pytest.fixture
def context(context):
    context["ti"].max_tries = 1
    return context


@pytest.fixture
def train(either_operator):
    return either_operator


@pytest.fixture(autouse=True)
def airflow_3_4(monkeypatch):
    monkeypatch.setattr("airflow_provider_scenario.attempts.earlier.clear_discards_task_state", lambda: True)


class TestDiscardedState:
    """From 3.4 on Airflow discards a task's state when the task is cleared, unless the person asks to keep it."""

    @staticmethod
    def discard(context):
        context["task_state_store"].kept.clear()
        return context

    def test_reattaching_pays_nothing(self, emulator, context, train):
        first = train(on_clear="reattach").execute(context)
        assert train(on_clear="reattach").execute(self.discard(clear(context))) == first
        assert emulator.counts()["trainings"] == 1

    def test_it_does_so_with_a_description_of_the_authors_own(self, emulator, context, train):
        own = {"on_clear": "reattach"}
        if isinstance(train(), ScenarioTrainLoraOperator):
            own["short_description"] = "Loose ink."
        first = train(**own).execute(context)
        assert train(**own).execute(self.discard(clear(context))) == first

    def test_clearing_a_finished_task_trains_again(self, emulator, context, train):
        first = train().execute(context)
        assert train().execute(self.discard(clear(context)))["job_id"] != first["job_id"]
        assert emulator.counts()["trainings"] == 2

    def test_clearing_a_running_task_goes_on_from_its_training_and_takes_it_for_its_own(self, emulator, context, train):
        """``max_tries`` is as it was; the trigger of the old attempt was not there to cancel."""
        emulator.set(training_seconds=600)
        waiting(train(deferrable=True), context)
        with pytest.raises(TaskDeferred) as deferral:
            train(deferrable=True).execute(self.discard(retry(context)))
        assert deferral.value.trigger.cancel_on_kill
        assert deferral.value.trigger.is_ours
        assert emulator.counts()["trainings"] == 1

    def test_what_a_cleared_lora_task_has_left_behind_is_cancelled(self, emulator, context, model_id, pictures):
        """It was marked, which nobody heard, and then cleared: the next attempt trains a model of its own."""
        emulator.set(training_seconds=600)

        def lora():
            return ScenarioTrainLoraOperator(
                task_id="train", name="lora", type="flux.2-dev-lora", images=pictures, retries=1
            )

        waiting(lora(), context)
        left = context["ti"].xcoms["model_id"]
        waiting(lora(), self.discard(clear(context)))
        assert emulator.model(left)["status"] == "training-canceled"
        assert emulator.counts() == {"models": 3, "images": 6, "trainings": 2, "canceled": 1}

    def test_where_it_cannot_be_cancelled_the_log_says_that_it_may_be_billed(self, emulator, context, pictures, capsys):
        emulator.set(training_seconds=600)

        def lora():
            return ScenarioTrainLoraOperator(
                task_id="train", name="lora", type="flux.2-dev-lora", images=pictures, retries=1
            )

        waiting(lora(), context)
        left = context["ti"].xcoms["model_id"]
        emulator.fault(kind="status", status=403, route=f"/models/{left}", times=None)
        waiting(lora(), self.discard(clear(context)))
        assert f"Model {left}: The training may continue and be billed. Cannot cancel it: " in capsys.readouterr().out
        assert emulator.counts()["trainings"] == 2

    def test_a_retry_after_the_clear_does_not_pay_again(self, emulator, context, train):
        train().execute(context)
        emulator.fault(kind="close", method="PUT", route="/models/*/train", when="after")
        with pytest.raises(ServiceError):
            train().execute(self.discard(clear(context)))
        assert train().execute(retry(context))["status"] == "trained"
        assert emulator.counts()["trainings"] == 2


class TestLoops:
    """Airflow 3.4 repeats a group of tasks; each iteration has the same DAG, run, task and map index."""

    REGION = uuid.uuid4()

    def in_iteration(self, context, iteration, region=REGION):
        context["loop"] = SimpleNamespace(index=iteration)
        context["ti"].region_id = region
        context["ti"].try_number, context["ti"].xcoms = 1, {}
        context["task_state_store"] = FakeTaskStateStore()
        return context

    def test_each_iteration_trains_its_own(self, emulator, context, train):
        results = [train().execute(self.in_iteration(context, iteration)) for iteration in range(3)]
        assert len({result["job_id"] for result in results}) == 3
        assert emulator.counts()["trainings"] == 3

    def test_a_retry_takes_nothing_of_another_iteration(self, emulator, context, pictures):
        def lora():
            return ScenarioTrainLoraOperator(
                task_id="train",
                name="lora",
                type="flux.2-dev-lora",
                images=pictures,
                deferrable=False,
                poke_interval=0.05,
                retries=1,
            )

        first = lora().execute(self.in_iteration(context, 0))
        emulator.fault(kind="close", method="POST", route="/models", when="before")
        with pytest.raises(ServiceError):
            lora().execute(self.in_iteration(context, 1))
        second = lora().execute(retry(context))
        assert second["model_id"] != first["model_id"]
        assert emulator.counts()["trainings"] == 2

    def test_an_iteration_that_a_clear_lets_airflow_make_anew_trains_again(self, emulator, context, train):
        first = train().execute(self.in_iteration(context, 1))
        second = train().execute(self.in_iteration(context, 1, region=uuid.uuid4()))
        assert second["job_id"] != first["job_id"]

    def test_it_reattaches_if_it_is_told_to_where_the_task_has_made_the_model(self, emulator, context, train):
        first = train(on_clear="reattach").execute(self.in_iteration(context, 1))
        again = train(on_clear="reattach").execute(self.in_iteration(context, 1, region=uuid.uuid4()))
        if isinstance(train(), ScenarioTrainLoraOperator):
            assert again == first
        else:  # a model of somebody else's carries no marker of this task: docs/how_it_fails_safely.md says so
            assert again["job_id"] != first["job_id"]

    def test_the_description_names_the_iteration(self, emulator, context):
        made = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(
            self.in_iteration(context, 2)
        )
        assert "a_task, iteration 2, run a_run" in emulator.model(made)["shortDescription"]
