from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, TaskDeferralTimeout
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.exceptions import TrainingCanceledError, TrainingFailedError, TrainingTimeoutError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioCancelTrainingOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.provenance import Claim, Place
from tests.airflow_versions import TaskDeferred, get_listener_manager


@pytest.fixture
def model_id(emulator, context, datasets):
    """A model that is ready to be trained."""
    created = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(context)
    ink = sorted((datasets / "ink-style").glob("*.jpg"))[:3]
    ScenarioAddTrainingImagesOperator(task_id="images", model_id=created, images=ink).execute(context)
    context["ti"].xcoms.clear()
    return created


def train(model_id, **fields):
    return ScenarioTrainModelOperator(
        **{"task_id": "train", "model_id": model_id, "deferrable": False, "poke_interval": 0.05, **fields}
    )


def deferred(operator, context):
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


@pytest.mark.usefixtures("either_way")
class TestStart:
    def test_blocking_it_returns_the_result(self, emulator, context, model_id):
        result = train(model_id, parameters={"nb_epochs": 2, "samplePrompts": ["a boat"]}).execute(context)
        model, training = emulator.model(model_id), emulator.ledger()["trainings"][0]
        assert result == {
            "model_id": model_id,
            "job_id": training["job_id"],
            "status": "trained",
            "name": "ink",
            "type": "flux.2-dev-lora",
            "creative_units_cost": training["creative_units"],
            "creative_units_total": training["creative_units"],
            "train_seconds": result["train_seconds"],
            "epochs": [
                {"epoch": epoch["epoch"], "asset_ids": [asset["assetId"] for asset in epoch["assets"]]}
                for epoch in model["epochs"]
            ],
        }
        assert model["parameters"]["nbEpochs"] == 2

    def test_deferring_it_hands_everything_to_the_trigger(self, emulator, context, model_id):
        deferral = deferred(train(model_id, deferrable=True, poke_interval=20, timeout=3600), context)
        _, kwargs = deferral.trigger.serialize()
        deadline = kwargs.pop("deadline")
        assert kwargs.pop("deferred_at") == pytest.approx(time.time(), abs=60)
        started = emulator.ledger()["trainings"][0]
        assert kwargs == {
            "model_id": model_id,
            "job_id": started["job_id"],
            "poke_interval": 20,
            "cancel_on_kill": True,
            "end_from_trigger": "task_state_store" in context,
            "do_xcom_push": True,
            "pushed_xcoms": {"job_id": started["job_id"], "creative_units_cost": started["creative_units"]},
            "paid_before": 0,
            "is_ours": True,
            "scenario_conn_id": "scenario_default",
        }
        assert deferral.method_name == "execute_complete"
        assert deferral.timeout > timedelta(seconds=3600)  # Airflow's own time-out is the net below the deadline
        assert deadline - context["ti"].start_date.timestamp() == pytest.approx(3600, abs=30)

    def test_a_shorter_execution_timeout_counts_while_deferred(self, emulator, context, model_id):
        deferral = deferred(train(model_id, deferrable=True, execution_timeout=timedelta(minutes=5)), context)
        _, kwargs = deferral.trigger.serialize()
        assert kwargs["deadline"] == (context["ti"].start_date + timedelta(minutes=5)).timestamp()

    def test_ids_link_and_cost_are_known_as_soon_as_it_has_started(self, emulator, context, model_id):
        deferred(train(model_id, deferrable=True), context)
        training = emulator.ledger()["trainings"][0]
        claim = Claim(model_id=model_id, job_id=training["job_id"], is_ours=True)
        assert context["ti"].xcoms == {
            "scenario_model": claim.sealed(Place("a_dag", "a_run", "a_task", -1), "demo"),
            "model_id": model_id,
            "_link_ScenarioModelLink": f"https://app.scenario.com/models/{model_id}",
            "job_id": training["job_id"],
            "creative_units_cost": training["creative_units"],
        }

    def test_without_waiting_it_returns_once_started(self, emulator, context, model_id):
        result = train(model_id, wait_for_completion=False).execute(context)
        training = emulator.ledger()["trainings"][0]
        assert result == {
            "model_id": model_id,
            "job_id": training["job_id"],
            "status": "training",
            "creative_units_cost": training["creative_units"],
            "epochs": [],
        }

    def test_a_model_that_is_being_trained_is_waited_for_not_trained_again(self, emulator, context, model_id):
        first = train(model_id, wait_for_completion=False).execute(context)
        second = train(model_id).execute(context)
        assert second["job_id"] == first["job_id"]
        assert emulator.counts()["trainings"] == 1

    def test_a_training_that_somebody_starts_at_the_same_moment_is_adopted(self, emulator, context, model_id):
        body = {"reason": "Model is already training"}
        emulator.fault(kind="status", method="PUT", route="/models/*/train", status=400, body=body, when="after")
        assert train(model_id).execute(context)["status"] == "trained"
        assert emulator.counts()["trainings"] == 1

    def test_a_lost_answer_is_not_followed_by_a_second_training(self, emulator, context, model_id):
        emulator.fault(kind="close", method="PUT", route="/models/*/train", when="after", times=1)
        with pytest.raises(Exception, match="may have been started and billed"):
            train(model_id).execute(context)
        assert train(model_id).execute(context)["status"] == "trained"  # the retry
        assert emulator.counts()["trainings"] == 1

    def test_a_retry_after_the_training_has_ended_returns_its_result(self, emulator, context, model_id):
        """The worker died between the end of the training and the end of the task."""
        context["ti"].max_tries = 1
        deferred(train(model_id, deferrable=True, retries=1), context)
        emulator.advance(900)
        context["ti"].try_number = 2
        assert train(model_id, retries=1).execute(context)["status"] == "trained"
        assert emulator.counts()["trainings"] == 1

    def test_clearing_a_finished_task_trains_again(self, emulator, context, model_id):
        train(model_id, retries=1).execute(context)
        context["ti"].try_number, context["ti"].max_tries = 2, 2
        train(model_id, retries=1).execute(context)
        assert emulator.counts()["trainings"] == 2

    def test_a_model_that_an_earlier_run_has_trained_is_trained_again(self, emulator, context, model_id):
        train(model_id, retries=1).execute(context)
        context["ti"].try_number, context["ti"].max_tries = 2, 1
        context["dag_run"].start_date = datetime.now(UTC) + timedelta(hours=1)
        train(model_id, retries=1).execute(context)
        assert emulator.counts()["trainings"] == 2

    def test_two_refusals_for_too_many_requests_are_waited_out(self, emulator, context, model_id):
        emulator.fault(kind="429", method="PUT", route="/models/*/train", times=2, retry_after=0.1)
        assert train(model_id).execute(context)["status"] == "trained"
        assert emulator.counts()["trainings"] == 1


@pytest.mark.usefixtures("either_way")
class TestEnd:
    @pytest.mark.parametrize("deferrable", [True, False])
    async def test_a_failed_training_carries_the_vendors_words(self, emulator, context, model_id, deferrable):
        emulator.outcome(fail_at=0.5, error="CUDA out of memory", hint="Use fewer images")
        with pytest.raises(TrainingFailedError) as failure:
            await finish(train(model_id, deferrable=deferrable), context)
        training = emulator.ledger()["trainings"][0]
        for said in ("CUDA out of memory", "Hint: Use fewer images", model_id, training["job_id"]):
            assert said in str(failure.value)

    @pytest.mark.parametrize("deferrable", [True, False])
    async def test_the_cost_is_known_also_when_it_failed(self, emulator, context, model_id, deferrable):
        emulator.outcome(fail_at=0.5)
        with pytest.raises(TrainingFailedError):
            await finish(train(model_id, deferrable=deferrable), context)
        assert context["ti"].xcoms["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"] > 0

    @pytest.mark.parametrize("deferrable", [True, False])
    async def test_both_ways_of_waiting_return_the_same(self, emulator, context, model_id, deferrable):
        result = await finish(train(model_id, deferrable=deferrable), context)
        assert result["status"] == "trained"
        assert result["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"]

    async def test_a_training_cancelled_by_a_person_is_not_retried(self, emulator, context, model_id):
        emulator.set(training_seconds=600)
        deferral = deferred(train(model_id, deferrable=True), context)
        emulator.cancel(model_id)
        with pytest.raises(TrainingCanceledError) as failure:
            train(model_id).execute_complete(context, await event_of(deferral.trigger))
        assert isinstance(failure.value, AirflowFailException)

    @pytest.mark.parametrize(("cancel_on_kill", "canceled"), [(True, 1), (False, 0)])
    def test_out_of_time_the_fate_of_the_training_is_told(self, emulator, context, model_id, cancel_on_kill, canceled):
        emulator.set(training_seconds=600)
        said = "was cancelled. Scenario does not promise a refund" if cancel_on_kill else "continues and is billed"
        with pytest.raises(TrainingTimeoutError, match=said):
            train(model_id, timeout=0.2, cancel_on_kill=cancel_on_kill).execute(context)
        assert emulator.counts()["canceled"] == canceled

    def test_airflows_own_deferral_timeout_cancels_too(self, emulator, context, model_id):
        emulator.set(training_seconds=600)
        operator = train(model_id, deferrable=True)
        deferred(operator, context)
        with pytest.raises(TrainingTimeoutError, match="was cancelled"):
            operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        assert emulator.counts()["canceled"] == 1
        assert TaskDeferralTimeout

    async def test_an_event_that_meets_that_timeout_counts(self, emulator, context, model_id):
        emulator.set(training_seconds=600)
        operator = train(model_id, deferrable=True, timeout=0.2)
        deferral = deferred(operator, context)
        event = await event_of(deferral.trigger)
        with pytest.raises(TrainingTimeoutError, match="was cancelled"):
            operator.resume_execution("__fail__", {**deferral.kwargs, "event": event}, context)
        assert emulator.counts()["canceled"] == 1

    async def test_a_result_that_meets_that_timeout_is_not_lost(self, context, model_id):
        operator = train(model_id, deferrable=True)
        deferral = deferred(operator, context)
        event = await event_of(deferral.trigger)
        result = operator.resume_execution("__fail__", {**deferral.kwargs, "event": event}, context)
        assert result["status"] == "trained"

    def test_killing_it_while_it_holds_a_worker_cancels_the_training(self, emulator, context, model_id):
        emulator.set(training_seconds=600)
        operator = train(model_id, deferrable=True)
        deferred(operator, context)
        operator.on_kill()
        assert emulator.model(model_id)["status"] == "training-canceled"

    @pytest.mark.parametrize("route", ["/models/*", "/models/*/train/action"])
    def test_a_service_that_stumbles_at_the_kill_still_cancels_it(self, emulator, context, model_id, route):
        emulator.set(training_seconds=600)
        operator = train(model_id, deferrable=True)
        deferred(operator, context)
        emulator.fault(kind="close", route=route)
        operator.on_kill()
        assert emulator.model(model_id)["status"] == "training-canceled"

    def test_killing_it_before_anything_was_started_asks_nothing(self, emulator, context, model_id):
        before = emulator.requests()
        train(model_id).on_kill()
        assert emulator.requests() == before

    @pytest.mark.parametrize(
        ("state", "canceled"),
        [("failed", 1), ("success", 1), ("deferred", 0), ("up_for_retry", 0), (LookupError(), 0), (TimeoutError(), 0)],
    )
    def test_ended_while_it_defers_it_cancels_the_training(
        self, emulator, context, model_id, monkeypatch, state, canceled
    ):
        """Airflow refuses such a deferral and starts no trigger."""
        emulator.set(training_seconds=600)
        operator = train(model_id, deferrable=True)
        operator.pre_execute(context)
        deferred(operator, context)
        monkeypatch.setattr(Attempt, "state", Mock(side_effect=[state, "failed"]))
        for _ in range(2):  # the second time nobody listens any more
            get_listener_manager().hook.before_stopping(component=None)
        assert emulator.counts()["canceled"] == canceled

    @pytest.mark.parametrize("somebody_else_has_started_it", [False, True])
    def test_ended_while_it_defers_it_cancels_nothing_that_goes_on(
        self, emulator, context, model_id, monkeypatch, somebody_else_has_started_it
    ):
        emulator.set(training_seconds=600)
        if somebody_else_has_started_it:
            ScenarioHook().client.train(model_id)
        operator = train(model_id, deferrable=True, cancel_on_kill=somebody_else_has_started_it)
        operator.pre_execute(context)
        deferred(operator, context)
        monkeypatch.setattr(Attempt, "state", lambda attempt: "failed")
        get_listener_manager().hook.before_stopping(component=None)
        assert emulator.counts()["canceled"] == 0

    @pytest.mark.parametrize("cancel_on_kill", [False, True])
    def test_without_a_free_slot_in_time_the_error_says_that_nothing_was_billed(
        self, emulator, context, model_id, cancel_on_kill
    ):
        consequence = "No slot of the plan was free. Nothing was started or billed."
        event = {"outcome": "timed-out", "model_id": model_id, "error": consequence}
        with pytest.raises(TrainingTimeoutError) as failed:
            train(model_id, cancel_on_kill=cancel_on_kill).execute_complete(context, event)
        assert str(failed.value).endswith(consequence)
        assert "continues" not in str(failed.value)
        assert emulator.counts()["canceled"] == 0

    @pytest.mark.parametrize("event", [None, {}, {"outcome": "fine"}, "trained"])
    def test_an_odd_event_cannot_pass_for_success(self, context, event):
        with pytest.raises(ValueError, match="is not the result of a training"):
            train("model_1").execute_complete(context, event)


class TestBadInput:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"parameters": {"nb_epoch": 3}}, "there is no 'nb_epoch' .*Did you mean 'nb_epochs'"),
            ({"parameters": {"nb_epochs": 500}}, "nb_epochs=500"),
            ({"parameters": {"learning_rate": -1}}, "learning_rate=-1"),
            ({"parameters": {"wandb_key": "abc"}}, "is a secret and must not be in a DAG file"),
            ({"model_id": ""}, "model_id is empty"),
            ({"model_id": "model_1/../model_2"}, "model_id is 'model_1/../model_2'"),
            ({"model_id": "model_1?x=y"}, r"model_id is 'model_1\?x=y'"),
            ({"parameters": ""}, "parameters must be a dictionary, not ''"),
            ({"parameters": []}, r"parameters must be a dictionary, not \[\]"),
            ({"parameters": 0}, "parameters must be a dictionary, not 0"),
            ({"parameters": False}, "parameters must be a dictionary, not False"),
            ({"poke_interval": 0}, "poke_interval is 0; give a number of seconds above 0"),
            ({"timeout": "soon"}, "timeout is 'soon'"),
        ],
    )
    def test_it_is_told_when_the_dag_is_parsed(self, fields, said):
        with pytest.raises(InvalidInputError, match=said):
            train(**{"model_id": "model_1", **fields})

    def test_a_template_is_not_judged_before_it_is_rendered(self):
        train("{{ ti.xcom_pull('create') }}", parameters={"wandb_key": "{{ conn.wandb.password }}"})

    @pytest.mark.parametrize("rendered", ["", "None", [], 0, False])
    def test_a_template_that_renders_to_no_dictionary_starts_no_default_training(
        self, emulator, context, model_id, rendered
    ):
        operator = train(model_id, parameters="{{ params.parameters }}")
        operator.parameters = rendered  # as Airflow renders it
        with pytest.raises(AirflowFailException, match="parameters must be a dictionary"):
            operator.execute(context)
        assert emulator.counts()["trainings"] == 0

    @pytest.mark.parametrize("parameters", ["", [], 0, False, {"nb_epoch": 3}, {"dry_run": True}, {"nb_epochs": "x"}])
    def test_the_hooks_client_checks_them_too(self, emulator, context, model_id, parameters):
        """What docs/how_it_fails_safely.md offers for one's own tasks."""
        for call in (ScenarioHook().client.train, ScenarioHook().client.quote_training):
            with pytest.raises(InvalidInputError, match="parameters"):
                call(model_id, parameters)
        assert emulator.counts()["trainings"] == 0

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"concept_prompt": "a prompt of more than twenty"}, "at most 20"),
            ({"sample_source_images": ["a"], "sample_prompts": ["b"]}, "is for edit types"),
        ],
    )
    def test_what_depends_on_the_type_is_told_before_anything_is_paid(self, emulator, context, model_id, fields, said):
        with pytest.raises(AirflowFailException, match=said):
            train(model_id, parameters=fields).execute(context)
        assert emulator.counts()["trainings"] == 0

    def test_a_model_without_images_is_told_before_anything_is_paid(self, emulator, context):
        empty = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(context)
        with pytest.raises(AirflowFailException, match="empty"):
            train(empty).execute(context)
        assert "PUT /v1/models/{model_id}/train" not in emulator.ledger()["requests"]

    def test_an_edit_model_without_pairs_is_told_before_anything_is_paid(self, emulator, context, datasets):
        edit = ScenarioCreateModelOperator(task_id="create", name="ink", type="qwen-image-edit-lora").execute(context)
        images = str(datasets / "ink-style")
        ScenarioAddTrainingImagesOperator(task_id="images", model_id=edit, images=images).execute(context)
        with pytest.raises(AirflowFailException, match="learns from pairs and needs at least 2"):
            train(edit).execute(context)
        assert emulator.counts()["trainings"] == 0

    def test_an_unknown_model_is_told(self, emulator, context):
        with pytest.raises(AirflowFailException, match="model_nope"):
            train("model_nope").execute(context)

    def test_the_plans_ceiling_is_told_with_its_numbers_and_not_retried(self, emulator, context, model_id):
        emulator.set(train_model=10)
        with pytest.raises(AirflowFailException, match=r"train-model.*10.*Nothing was started or billed"):
            train(model_id).execute(context)


class TestCancel:
    def test_it_cancels_the_training(self, emulator, context, model_id):
        emulator.set(training_seconds=600)
        train(model_id, wait_for_completion=False).execute(context)
        result = ScenarioCancelTrainingOperator(task_id="cancel", model_id=model_id).execute(context)
        assert result["status"] == "training-canceled"
        assert emulator.counts()["canceled"] == 1

    def test_where_nothing_is_trained_it_does_nothing(self, emulator, context, model_id):
        result = ScenarioCancelTrainingOperator(task_id="cancel", model_id=model_id).execute(context)
        assert result["status"] == "new"

    def test_another_job_of_the_same_model_is_left_alone(self, emulator, context, model_id):
        emulator.set(training_seconds=600)
        train(model_id, wait_for_completion=False).execute(context)
        operator = ScenarioCancelTrainingOperator(task_id="cancel", model_id=model_id, job_id="job_of_yesterday")
        assert operator.execute(context)["status"] == "training"
        assert emulator.counts()["canceled"] == 0


async def finish(operator, context):
    """Run the operator to its end, whichever way it waits."""
    try:
        return operator.execute(context)
    except TaskDeferred as deferral:
        return operator.execute_complete(context, await event_of(deferral.trigger))


async def event_of(trigger):
    async for event in trigger.run():
        return event.payload
    return None
