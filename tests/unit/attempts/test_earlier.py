"""What a task goes on from after a retry or a clear, and what it cancels: decided from what earlier tries have left."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from airflow.sdk.execution_time.timeout import timeout as task_timeout

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowTaskTimeout
from airflow_provider_scenario.attempts import conclude, training_attempt
from airflow_provider_scenario.attempts.earlier import EarlierAttempts
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.exceptions import (
    ChangedInputError,
    TrainingCanceledError,
    TrainingFailedError,
    TrainingFailedForGoodError,
    TrainingTimeoutError,
    TrainingTimeoutForGoodError,
)
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.watch import cancelling
from airflow_provider_scenario.watch.cancelling import IN_WORKER, CancelLimits
from airflow_provider_scenario.watch.result import TrainingResult
from tests.airflow_versions import TaskDeferred
from tests.unit.operators.attempts import clear, retry, seen_as, waiting

pytestmark = pytest.mark.usefixtures("either_way")


@pytest.fixture
def context(context):
    context["ti"].max_tries = 1
    return context


@pytest.fixture
def train(either_operator):
    return either_operator


@pytest.fixture(autouse=True)
def airflow_3_3(monkeypatch):
    """Which keeps what was recorded when a task is cleared; of later ones see ``test_earlier_3_4``."""
    monkeypatch.setattr("airflow_provider_scenario.attempts.earlier.clear_discards_task_state", lambda: False)


class TestClear:
    def test_clearing_a_finished_task_trains_again(self, emulator, context, train):
        first = train().execute(context)
        second = train().execute(clear(context))
        assert second["job_id"] != first["job_id"]
        assert emulator.counts()["trainings"] == 2

    def test_it_reattaches_if_it_is_told_to(self, emulator, context, train):
        first = train(on_clear="reattach").execute(context)
        assert train(on_clear="reattach").execute(clear(context)) == first
        assert emulator.counts()["trainings"] == 1

    def test_it_reattaches_also_where_it_is_told_to_only_now(self, emulator, context, train):
        """What is downstream has failed, the run is cleared, and nobody wants to pay for the training again."""
        first = train().execute(context)
        assert train(on_clear="reattach").execute(clear(context)) == first

    def test_to_reattach_to_nothing_is_to_train(self, emulator, context, train):
        assert train(on_clear="reattach").execute(context)["status"] == "trained"
        assert emulator.counts()["trainings"] == 1

    def test_it_reattaches_to_one_that_still_runs(self, emulator, context, train):
        waiting(train(deferrable=True), context)
        train(on_clear="reattach").execute(clear(context))
        assert emulator.counts()["trainings"] == 1

    def test_what_it_means_can_only_be_one_of_two(self, train):
        with pytest.raises(ValueError, match="on_clear is 'resume'; give one of: 'retrain', 'reattach'"):
            train(on_clear="resume")


class TestRetry:
    def test_what_it_means_can_only_be_one_of_two(self, train):
        with pytest.raises(ValueError, match="on_retry is 'reattach'; give one of: 'resume', 'retrain'"):
            train(on_retry="reattach")

    def test_a_failed_training_fails_the_task_for_good(self, emulator, context, train):
        emulator.outcome(fail_at=0.1, times=1)
        with pytest.raises(TrainingFailedForGoodError, match=r"failed: .* Airflow does not retry the task"):
            train().execute(context)
        assert emulator.counts()["trainings"] == 1

    def test_it_is_trained_again_if_the_author_says_so(self, emulator, context, train):
        emulator.outcome(fail_at=0.1, times=1)
        with pytest.raises(TrainingFailedError) as failure:
            train(on_retry="retrain").execute(context)
        assert not isinstance(failure.value, AirflowFailException)
        assert train(on_retry="retrain").execute(retry(context))["status"] == "trained"
        assert emulator.counts()["trainings"] == 2

    @pytest.mark.parametrize("on_clear", ["retrain", "reattach"])
    def test_clearing_a_task_that_has_failed_for_good_trains_anew(self, emulator, context, train, on_clear):
        emulator.outcome(fail_at=0.1, times=1)
        with pytest.raises(TrainingFailedForGoodError):
            train(on_clear=on_clear).execute(context)
        assert train(on_clear=on_clear).execute(clear(context))["status"] == "trained"
        assert emulator.counts()["trainings"] == 2

    @pytest.mark.parametrize(("on_retry", "trainings"), [("resume", 1), ("retrain", 2)])
    def test_one_that_has_failed_while_nobody_was_there_is_paid_again_only_if_the_author_says_so(
        self, emulator, context, train, on_retry, trainings
    ):
        emulator.outcome(fail_at=0.5, times=1)
        waiting(train(deferrable=True), context)
        emulator.advance(900)
        again = train(on_retry=on_retry)
        if on_retry == "resume":
            with pytest.raises(TrainingFailedForGoodError):
                again.execute(retry(context))
        else:
            assert again.execute(retry(context))["status"] == "trained"
        assert emulator.counts()["trainings"] == trainings

    @pytest.mark.parametrize("on_retry", ["resume", "retrain"])
    def test_a_timeout_that_has_cancelled_is_tried_again_only_if_the_author_says_so(
        self, emulator, context, train, on_retry
    ):
        emulator.set(training_seconds=600)
        late = train(timeout=0.2, on_retry=on_retry)
        with pytest.raises(
            TrainingTimeoutError, match=r"did not end within timeout=0\.2 s\. .* was cancelled"
        ) as out_of_time:
            late.execute(context)
        assert isinstance(out_of_time.value, AirflowFailException) == (on_retry == "resume")
        assert emulator.counts()["canceled"] == 1

    def test_a_timeout_that_leaves_it_running_is_tried_again_and_goes_on_waiting(self, emulator, context, train):
        emulator.set(training_seconds=600)
        with pytest.raises(TrainingTimeoutError, match="The training continues and is billed") as out_of_time:
            train(timeout=0.2, cancel_on_kill=False).execute(context)
        assert not isinstance(out_of_time.value, AirflowFailException)
        emulator.advance(900)
        assert train().execute(retry(context))["status"] == "trained"
        assert emulator.counts()["trainings"] == 1

    @pytest.mark.parametrize("was_cancelled", [True, False])
    def test_a_timeout_whose_cancelling_got_no_answer_pays_no_second_time(
        self, emulator, context, train, monkeypatch, either_way, was_cancelled
    ):
        monkeypatch.setattr(conclude, "IN_TIMEOUT", CancelLimits(timeout=(10.0, 10.0), retry_for=0.0))
        emulator.set(training_seconds=600)
        when = "after" if was_cancelled else "before"
        emulator.fault(kind="close", method="POST", route="/models/*/train/action", when=when)
        with pytest.raises(
            TrainingTimeoutError, match=r"could not be cancelled\. The training may continue"
        ) as out_of_time:
            train(timeout=0.2).execute(context)
        assert not isinstance(out_of_time.value, AirflowFailException)
        emulator.advance(900)
        emulator.set(training_seconds=0.3)
        if not was_cancelled or either_way == "no task state":  # below 3.3 nothing says why it was cancelled
            assert train().execute(retry(context))["status"] == "trained"
        else:
            with pytest.raises(TrainingCanceledError):
                train().execute(retry(context))
        assert emulator.counts()["trainings"] == (2 if was_cancelled and either_way == "no task state" else 1)

    def test_an_attempt_that_dies_as_it_cancels_pays_no_second_time(
        self, emulator, context, train, monkeypatch, either_way
    ):
        emulator.set(training_seconds=600)
        with monkeypatch.context() as dying:
            dying.setattr(
                conclude, "record_final_cost", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("died"))
            )
            with pytest.raises(ConnectionError):
                train(timeout=0.2).execute(context)
        emulator.set(training_seconds=0.3)
        if either_way == "task state":
            with pytest.raises(TrainingCanceledError):
                train().execute(retry(context))
        else:  # below Airflow 3.3 nothing says why it was cancelled
            assert train().execute(retry(context))["status"] == "trained"
        assert emulator.counts()["trainings"] == (1 if either_way == "task state" else 2)

    def test_a_training_that_has_ended_unseen_is_not_out_of_time(self, emulator, context, train):
        """Its triggerer was down when the deadline came."""
        waiting(train(deferrable=True), context)
        xcoms = context["ti"].xcoms
        emulator.advance(900)
        event = TrainingResult(outcome="timed-out", model_id=xcoms["model_id"], job_id=xcoms["job_id"]).to_event()
        assert train().execute_complete(context, event, is_ours=True)["status"] == "trained"

    def test_an_execution_timeout_that_cancels_while_a_worker_is_held_is_not_tried_again(
        self, emulator, context, train
    ):
        emulator.set(training_seconds=600)
        late = train(execution_timeout=timedelta(seconds=5))
        late.pre_execute(context)
        with (
            pytest.raises(
                TrainingTimeoutForGoodError, match=r"did not end within execution_timeout=0:00:05\. .* cancelled"
            ),
            task_timeout(5),
        ):
            late.execute(context)
        assert emulator.counts()["canceled"] == 1

    def test_one_that_was_cancelled_with_the_attempt_before_is_started_anew(self, emulator, context, train):
        """Clearing a running task: its old attempt has been killed, and its training cancelled."""
        emulator.set(training_seconds=600)
        waiting(train(deferrable=True), context)
        emulator.cancel(context["ti"].xcoms["model_id"])
        emulator.set(training_seconds=0.3)
        assert train().execute(retry(context))["status"] == "trained"

    def test_one_that_is_cancelled_just_after_it_was_adopted_is_started_anew(self, emulator, context, train):
        """The same, but the old attempt's kill arrives late."""
        emulator.set(training_seconds=600)
        waiting(train(deferrable=True), context)
        model_id = context["ti"].xcoms["model_id"]
        with pytest.raises(TaskDeferred) as deferral:
            train(deferrable=True).execute(retry(context))
        emulator.cancel(model_id)
        emulator.set(training_seconds=0.3)
        event = TrainingResult(outcome="canceled", model_id=model_id).to_event()
        assert train().execute_complete(context, event, **deferral.value.kwargs)["status"] == "trained"
        assert emulator.counts()["trainings"] == 2

    def test_one_that_is_cancelled_long_after_is_not(self, emulator, context, train):
        waiting(train(deferrable=True), context)
        event = TrainingResult(outcome="canceled", model_id="model_1").to_event()
        with pytest.raises(TrainingCanceledError):
            train().execute_complete(context, event, adopted_at=time.time() - 100)
        assert emulator.counts()["trainings"] == 1

    def test_other_parameters_are_told_and_nothing_is_trained_over(self, emulator, context, train, either_way, capsys):
        waiting(train(deferrable=True, parameters={"nb_epochs": 2}), context)
        changed = train(parameters={"nb_epochs": 3})
        if either_way == "task state" or isinstance(changed, ScenarioTrainLoraOperator):
            with pytest.raises(
                ChangedInputError,
                match=r"has changed since an earlier attempt.*A running training continues and is billed",
            ):
                changed.execute(retry(context))
        else:
            changed.execute(retry(context))
            assert "nb_epochs=2, not with 3" in capsys.readouterr().out
        assert emulator.counts()["trainings"] == 1

    def test_a_rotated_wandb_key_is_no_other_input(self, emulator, context, train):
        waiting(train(deferrable=True, parameters={"wandb_key": "{{ before }}"}), context)
        train(parameters={"wandb_key": "{{ after }}"}).execute(retry(context))
        assert emulator.counts()["trainings"] == 1


class TestCost:
    """What all attempts have paid, also where the last training does not say it."""

    def test_it_is_that_of_the_training_where_there_was_one(self, emulator, context, train):
        result = train().execute(context)
        assert result["creative_units_total"] == result["creative_units_cost"] == billed(emulator)
        assert "creative_units_total" not in context["ti"].xcoms

    def test_it_is_the_sum_over_retries_and_clears_where_that_is_recorded(self, emulator, context, train, either_way):
        emulator.outcome(fail_at=0.5, times=1)
        with pytest.raises(TrainingFailedError):
            train(on_retry="retrain").execute(context)
        train(on_retry="retrain").execute(retry(context))
        result = train().execute(clear(context))
        assert emulator.counts()["trainings"] == 3
        if either_way == "task state":
            assert context["ti"].xcoms["creative_units_total"] == result["creative_units_total"] == billed(emulator)
        else:
            assert result["creative_units_total"] == result["creative_units_cost"]

    def test_it_is_known_while_a_task_is_deferred(self, emulator, context, train, either_way):
        emulator.outcome(fail_at=0.5, times=1)
        with pytest.raises(TrainingFailedError):
            train(on_retry="retrain").execute(context)
        first = billed(emulator)
        with pytest.raises(TaskDeferred) as deferral:
            train(deferrable=True, on_retry="retrain").execute(retry(context))
        if either_way == "task state":
            assert deferral.value.trigger.paid_before == first
            assert context["ti"].xcoms["creative_units_total"] == billed(emulator) > first

    def test_a_retry_that_starts_nothing_says_it_too(self, emulator, context, train, either_way):
        emulator.outcome(fail_at=0.5, times=1)
        with pytest.raises(TrainingFailedError):
            train(on_retry="retrain").execute(context)
        with pytest.raises(AirflowFailException, match="would cost"):
            train(on_retry="retrain", max_creative_units=1).execute(retry(context))
        total = context["ti"].xcoms.get("creative_units_total")
        assert total == (billed(emulator) if either_way == "task state" else None)

    def test_a_retry_that_goes_on_counts_those_before_it_too(self, emulator, context, train, either_way):
        emulator.outcome(fail_at=0.5, times=1)
        with pytest.raises(TrainingFailedError):
            train(on_retry="retrain").execute(context)
        waiting(train(on_retry="retrain", deferrable=True), retry(context))
        with pytest.raises(TaskDeferred) as deferral:
            train(on_retry="retrain", deferrable=True).execute(retry(context))
        if either_way == "task state":
            trigger = deferral.value.trigger
            assert context["ti"].xcoms["creative_units_total"] == billed(emulator)
            assert trigger.paid_before + trigger.pushed_xcoms["creative_units_cost"] == billed(emulator)

    def test_a_retry_that_goes_on_counts_its_training_once(self, emulator, context, train):
        waiting(train(deferrable=True), context)
        result = train().execute(retry(context))
        assert result["creative_units_total"] == billed(emulator)

    def test_what_somebody_else_has_started_costs_nothing(self, emulator, context, model_id):
        ScenarioHook().client.train(model_id, {})
        result = ScenarioTrainModelOperator(
            task_id="train", model_id=model_id, deferrable=False, poke_interval=0.05
        ).execute(context)
        assert result["creative_units_cost"] == billed(emulator)
        assert result["creative_units_total"] == context["ti"].xcoms["creative_units_total"] == 0


def billed(emulator):
    return emulator.ledger()["totals"]["creative_units_billed"]


def test_other_images_are_told_where_airflow_keeps_what_was_asked(emulator, context, model_id, pictures, either_way):
    def add(images):
        return ScenarioAddTrainingImagesOperator(task_id="more", model_id=model_id, images=images).execute(context)

    add(pictures[:1])
    context["ti"].try_number = 2
    if either_way == "task state":
        with pytest.raises(ChangedInputError, match=r"\(images\)"):
            add(pictures)
    else:
        add(pictures)


class TestKill:
    @pytest.fixture
    def started(self, emulator, context, train):
        emulator.set(training_seconds=600)
        return waiting(train(deferrable=True), context)

    @pytest.mark.parametrize("state", ["failed", "success", "skipped", "restarting", None])
    def test_whoever_ends_the_task_ends_the_training(self, emulator, started, monkeypatch, state):
        seen_as(monkeypatch, state)
        started.on_kill()
        assert emulator.counts()["canceled"] == 1

    @pytest.mark.parametrize("state", ["running", "up_for_retry", "scheduled", "queued", "deferred"])
    def test_a_worker_that_only_stops_or_was_given_up_cancels_nothing(
        self, emulator, started, monkeypatch, capsys, state
    ):
        seen_as(monkeypatch, state)
        started.on_kill()
        assert emulator.counts()["canceled"] == 0
        assert "continues and is billed" in capsys.readouterr().out

    def test_where_airflow_does_not_answer_nothing_is_cancelled(self, emulator, started, monkeypatch, capsys):
        seen_as(monkeypatch, ConnectionError("no"))
        started.on_kill()
        assert emulator.counts()["canceled"] == 0
        assert "state cannot be read (ConnectionError)" in capsys.readouterr().out

    def test_an_airflow_that_hangs_is_not_waited_for(self, emulator, started, monkeypatch):
        monkeypatch.setattr(Attempt, "state", lambda _: time.sleep(30))
        start = time.monotonic()
        started.on_kill()
        assert time.monotonic() - start < 20
        assert emulator.counts()["canceled"] == 0

    def test_a_service_that_hangs_is_not_waited_for(self, emulator, started, monkeypatch, capsys):
        """Airflow kills for good after about five seconds."""
        monkeypatch.setattr(cancelling, "IN_WORKER", IN_WORKER)
        seen_as(monkeypatch, "failed")
        emulator.fault(kind="hang", seconds=30, times=None)
        start = time.monotonic()
        started.on_kill()
        assert time.monotonic() - start < 20
        said = [line for line in capsys.readouterr().out.splitlines() if "could not be cancelled" in line]
        assert "The training may continue and be billed" in said[0]
        assert "warning" in said[0]

    def test_the_time_limit_of_the_task_cancels_without_a_question(self, emulator, started, monkeypatch):
        seen_as(monkeypatch, "running")
        try:
            raise AirflowTaskTimeout
        except AirflowTaskTimeout:
            started.on_kill()
        assert emulator.counts()["canceled"] == 1

    def test_cancel_on_kill_false_cancels_nothing(self, emulator, context, train, monkeypatch):
        emulator.set(training_seconds=600)
        operator = waiting(train(deferrable=True, cancel_on_kill=False), context)
        seen_as(monkeypatch, "failed")
        operator.on_kill()
        assert emulator.counts()["canceled"] == 0

    @pytest.mark.parametrize(
        ("cancel_on_kill", "state", "said"),
        [
            (True, "failed", "was cancelled"),
            (False, "failed", "continues and is billed"),
            (True, "up_for_retry", "continues and is billed"),
        ],
    )
    def test_one_that_is_ended_as_it_starts_the_training_does_not_defer(
        self, emulator, context, train, monkeypatch, cancel_on_kill, state, said
    ):
        """
        A process hears only with its next heartbeat that its task was ended; then nobody takes the deferral.

        From Airflow 3.2 on, what is called after a refused deferral does it: ``tests/system/test_leak_matrix.py``.
        """
        monkeypatch.setattr(training_attempt, "is_called_after_refused_deferral", lambda: False)
        emulator.set(training_seconds=600)
        operator = train(deferrable=True, cancel_on_kill=cancel_on_kill)
        start = ScenarioClient.train

        def ended_meanwhile(client, *arguments, **options):
            seen_as(monkeypatch, state)
            return start(client, *arguments, **options)

        monkeypatch.setattr(ScenarioClient, "train", ended_meanwhile)
        operator.pre_execute(context)
        with pytest.raises(AirflowFailException, match=said):
            operator.execute(context)
        assert emulator.counts()["canceled"] == (1 if said == "was cancelled" else 0)

    def test_a_task_that_is_killed_before_it_has_started_the_training_starts_none(self, emulator, context, train):
        operator = train()
        operator.on_kill()
        with pytest.raises(AirflowFailException, match=r"killed\. Nothing was started or billed"):
            operator.execute(context)
        assert emulator.counts()["trainings"] == 0

    def test_one_that_is_killed_while_it_starts_the_training_cancels_it(self, emulator, context, train, monkeypatch):
        emulator.set(training_seconds=600)
        operator = train()
        start = ScenarioClient.train

        def killed_meanwhile(*arguments, **options):
            answer = start(*arguments, **options)
            operator.kill_handler._killed = True
            return answer

        monkeypatch.setattr(ScenarioClient, "train", killed_meanwhile)
        with pytest.raises(AirflowFailException, match="was cancelled"):
            operator.execute(context)
        assert emulator.counts()["canceled"] == 1


class TestAnothersTraining:
    """Somebody starts a training of the same model; this task comes by it and waits for it."""

    @pytest.fixture
    def anothers(self, emulator, context, model_id):
        emulator.set(training_seconds=600)
        return ScenarioHook().client.train(model_id, {}).job.job_id

    @pytest.fixture
    def operator(self, context, model_id):
        def make(**fields):
            operator = ScenarioTrainModelOperator(task_id="train", model_id=model_id, retries=1, **fields)
            operator.pre_execute(context)
            return operator

        return make

    def test_a_kill_leaves_it_alone(self, emulator, context, anothers, operator, monkeypatch, capsys):
        train = operator()
        with pytest.raises(TaskDeferred) as deferral:
            train.execute(context)
        trigger = deferral.value.trigger
        assert (trigger.job_id, trigger.is_ours) == (anothers, False)
        assert "killing the task does not cancel it" in capsys.readouterr().out
        seen_as(monkeypatch, "failed")
        train.on_kill()
        assert emulator.counts()["canceled"] == 0
        assert train.cancel_on_kill  # what the author wants stays as it is

    def test_a_timeout_leaves_it_alone(self, emulator, context, anothers, operator):
        with pytest.raises(TrainingTimeoutError, match=r"This task did not start it\. The training continues"):
            operator(deferrable=False, poke_interval=0.05, timeout=0.2).execute(context)
        assert emulator.counts()["canceled"] == 0

    def test_airflows_own_deferral_timeout_leaves_it_alone(self, emulator, context, anothers, operator, either_way):
        with pytest.raises(TaskDeferred):
            operator().execute(context)
        if either_way == "no task state":
            context["dag_run"].start_date = context["dag_run"].start_date.replace(year=2100)  # started long before
        with pytest.raises(TrainingTimeoutError, match=r"This task did not start it\. The training continues"):
            operator().resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        assert emulator.counts()["canceled"] == 0

    def test_when_they_cancel_it_at_once_nothing_new_is_paid(self, emulator, context, model_id, anothers, operator):
        with pytest.raises(TaskDeferred) as deferral:
            operator().execute(context)
        emulator.cancel(model_id)
        event = TrainingResult(outcome="canceled", model_id=model_id, job_id=anothers).to_event()
        with pytest.raises(TrainingCanceledError):
            operator().execute_complete(context, event, **deferral.value.kwargs)
        assert emulator.counts()["trainings"] == 1

    def test_when_they_start_it_in_the_moment_between_it_is_theirs_all_the_same(
        self, emulator, context, model_id, operator
    ):
        body = {"reason": "Model is already training"}
        emulator.set(training_seconds=600)
        emulator.fault(kind="status", method="PUT", route="/models/*/train", status=400, body=body, when="after")
        with pytest.raises(TaskDeferred) as deferral:
            operator().execute(context)
        assert not deferral.value.trigger.is_ours

    def test_the_retry_of_a_task_that_has_started_none_leaves_it_alone_where_that_is_recorded(
        self, emulator, context, model_id, anothers, operator, either_way
    ):
        with pytest.raises(TaskDeferred):
            operator().execute(context)
        with pytest.raises(TaskDeferred) as deferral:
            operator().execute(retry(context))
        # Below Airflow 3.3 nothing tells it from one that the first attempt has started: docs/how_it_fails_safely.md.
        assert deferral.value.trigger.is_ours == (either_way == "no task state")


def test_a_training_of_the_model_that_a_task_has_made_is_its_own_however_old(emulator, context, model_id, either_way):
    """The marker in the model says so where nothing is recorded."""
    client = ScenarioHook().client
    job_id = client.train(model_id, {}).job.job_id
    earlier = EarlierAttempts(retry(context), "train", {}, retries=1)
    context["dag_run"].start_date = context["dag_run"].start_date.replace(year=2100)
    model = client.get_model(model_id)
    assert not earlier.earlier_attempt_started(client, model, job_id)
    made_by_this_task = model.model_copy(update={"short_description": f"ink {earlier.marker}"})
    assert earlier.earlier_attempt_started(client, made_by_this_task, job_id) == (either_way == "no task state")


def test_a_lost_answer_belongs_to_the_try_that_asked(emulator, context, model_id):
    """The next try adopts what runs, and cancels it when it is killed: it is this task's own."""
    emulator.set(training_seconds=600)
    emulator.fault(kind="close", method="PUT", route="/models/*/train", when="after")
    with pytest.raises(ServiceError):
        ScenarioTrainModelOperator(task_id="train", model_id=model_id, retries=1).execute(context)
    with pytest.raises(TaskDeferred) as deferral:
        ScenarioTrainModelOperator(task_id="train", model_id=model_id, retries=1).execute(retry(context))
    assert deferral.value.trigger.cancel_on_kill
    assert deferral.value.trigger.is_ours
