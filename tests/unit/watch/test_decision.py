from __future__ import annotations

import pytest

from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    ConflictError,
    NotFoundError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.watch.decision import Snapshot, TrainingWatch


def watch(**changes: object) -> TrainingWatch:
    return TrainingWatch(**{"label": "model_1", "deadline": 1000.0, "poke_interval": 30.0, **changes})


def running(**changes: object) -> Snapshot:
    return Snapshot(**{"status": "training", "model_id": "model_1", "stage": "running-train", **changes})


def outage() -> ServiceError:
    return ServiceError("Asked Scenario to read model model_1; it answered 503.", maybe_done=False)


@pytest.mark.parametrize(
    ("status", "outcome"), [("trained", "trained"), ("failed", "failed"), ("training-canceled", "canceled")]
)
def test_a_final_status_ends_the_waiting(status, outcome):
    assert watch().after(Snapshot(status=status), now=0) == outcome


@pytest.mark.parametrize("status", ["training", "new", "copying", "a-status-of-next-month", ""])
def test_any_other_status_means_go_on(status):
    assert watch().after(Snapshot(status=status), now=0) is None


def test_a_final_status_counts_also_after_the_deadline():
    assert watch(deadline=10).after(Snapshot(status="trained"), now=11) == "trained"


def test_the_deadline_ends_the_waiting():
    assert watch(deadline=10).after(running(), now=10) == "timed-out"


def test_the_deadline_ends_the_waiting_also_during_an_outage():
    assert watch(deadline=10).after(outage(), now=10) == "timed-out"


def test_no_pause_reaches_past_the_deadline():
    waiting = watch(deadline=10, poke_interval=30)
    waiting.after(running(), now=4)
    assert waiting.pause == 6


@pytest.mark.parametrize("error", [AuthenticationError("wrong key"), NotFoundError("no such model")])
def test_a_permanent_error_ends_the_waiting(error):
    assert watch().after(error, now=0) == "refused"


def test_a_conflict_does_not_end_the_waiting():
    assert watch().after(ConflictError("Scenario refused to read model model_1: locked."), now=0) is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("success", "trained"),
        ("Succeeded", "trained"),
        ("completed", "trained"),
        ("failure", "failed"),
        ("FAILED", "failed"),
        ("canceled", "canceled"),
        ("cancelled", "canceled"),
        ("in-progress", None),
        ("a-status-of-next-month", None),
        (None, None),
    ],
)
def test_a_job_ends_the_waiting_in_every_spelling_of_its_end(status, outcome):
    seen = Snapshot.of_job(Job.model_validate({"id": "job_1", "status": status}))
    assert watch().after(seen, now=0) == outcome


def test_a_model_that_is_a_draft_does_not_end_the_waiting():
    assert watch().after(Snapshot.of_model(Model.model_validate({"id": "m", "status": "draft"})), now=0) is None


PAGE = "https://app.scenario.com/models/model_1"


def test_what_a_person_must_do_is_said_at_once_with_the_place():
    waiting = watch()
    waiting.after(running(stage="pending-captcha", name="ink", page=PAGE), now=0)
    assert waiting.warning == (
        "Training 'ink' (model_1) waits for a person (pending-captcha): before Scenario clones a voice, a "
        "person must read a captcha aloud. Open the model in Scenario's web app and solve the captcha "
        f"there: {PAGE}"
    )


def test_what_a_person_must_do_is_said_once_and_not_once_a_poll():
    waiting = watch()
    rejected = running(stage="ready-for-captcha", retry_count=1, retryable_error="The captcha was rejected.")
    told = []
    for seen in (
        running(),
        running(stage="pending-captcha"),
        running(stage="pending-captcha"),
        outage(),
        running(stage="pending-captcha"),
        rejected,
        rejected,
        running(),
        running(stage="pending-captcha", retry_count=1),
    ):
        waiting.after(seen, now=0)
        told.append(bool(waiting.warning))
    assert told == [False, True, False, False, False, True, False, False, True]


def test_a_captcha_that_was_not_accepted_is_told_with_the_reason():
    waiting, error = watch(), "The captcha was rejected by ABX."
    waiting.after(running(stage="ready-for-captcha", retry_count=1, retryable_error=error), now=0)
    assert "The last try failed: The captcha was rejected by ABX. Open the model" in str(waiting.warning)


def test_a_model_that_is_trained_needs_no_person_whatever_its_progress_says():
    progress = {"stage": "pending-captcha", "captchaImageUrl": "https://cdn.test/a.png?Signature=signed-part"}
    model = {"id": "model_1", "status": "trained", "trainingProgress": progress}
    waiting = watch()
    waiting.after(Snapshot.of_model(Model.model_validate(model)), now=0)
    assert waiting.warning is None


def test_the_address_of_the_captcha_is_in_no_line():
    progress = {"stage": "pending-captcha", "captchaImageUrl": "https://cdn.test/a.png?Signature=signed-part"}
    model = {"id": "model_1", "status": "training", "trainingProgress": progress}
    seen = Snapshot.of_model(Model.model_validate(model))
    waiting = watch()
    waiting.after(seen, now=0)
    assert waiting.warning
    assert "cdn.test" not in f"{waiting.warning} {waiting.log_line} {seen!r}"


def test_an_outage_never_fails_the_waiting_and_slows_it_down_to_a_bound():
    waiting = watch(deadline=1e9)
    pauses = []
    for _ in range(8):
        assert waiting.after(outage(), now=0) is None
        pauses.append(waiting.pause)
    assert pauses == [60, 120, 240, 300, 300, 300, 300, 300]


def test_the_first_answer_after_an_outage_brings_the_usual_pace_back():
    waiting = watch()
    waiting.after(outage(), now=0)
    waiting.after(running(), now=60)
    assert waiting.pause == 30


def test_throttling_waits_what_the_service_asked_for():
    waiting = watch(deadline=1e9)
    waiting.after(ThrottledError("too many requests", retry_after=500), now=0)
    assert waiting.pause == 500


def test_an_outage_delays_the_next_poll_by_five_minutes_at_most_whatever_it_announces():
    waiting, error = watch(deadline=1e9), ServiceError("maintenance", maybe_done=False)
    error.retry_after = 86_400
    waiting.after(error, now=0)
    assert waiting.pause == 300


def test_an_outage_is_told_ever_more_rarely():
    waiting = watch(deadline=1e9)
    told = []
    for count in range(1, 17):
        waiting.after(outage(), now=0)
        if waiting.log_line:
            told.append(count)
    assert told == [1, 2, 4, 8, 16]


def test_what_has_not_changed_is_not_told_again():
    waiting = watch()
    waiting.after(running(progress=0.41), now=0)
    assert waiting.log_line == "Training model_1: running-train, 41%."
    waiting.after(running(progress=0.44), now=30)
    assert waiting.log_line is None


@pytest.mark.parametrize(
    "changed",
    [
        {"stage": "queued-for-train", "position": 3},
        {"progress": 0.46},
        {"status": "trained"},
        {"retry_count": 1, "retryable_error": "out of memory"},
    ],
)
def test_what_has_changed_is_told(changed):
    waiting = watch()
    waiting.after(running(progress=0.41), now=0)
    waiting.after(running(**{"progress": 0.41, **changed}), now=30)
    assert waiting.log_line


def test_the_line_names_the_model_as_soon_as_its_name_is_known():
    waiting = watch()
    waiting.after(running(name="ink", progress=0.41), now=0)
    assert waiting.log_line == "Training 'ink' (model_1): running-train, 41%."


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (running(progress=0.43, seconds_left=2280), "running-train, 43%, about 38 min left"),
        (running(stage="queued-for-train", position=2), "queued-for-train, 2 in the queue before it"),
        (running(progress=0.1, seconds_left=9000), "running-train, 10%, about 2 h 30 min left"),
        (running(progress=0.99, seconds_left=12.4), "running-train, 99%, about 12 s left"),
        (Snapshot(status="trained"), "trained"),
        (
            running(retryable_error="GPU lost", retry_count=2),
            "running-train, Scenario retries it (retry 2) after: GPU lost",
        ),
    ],
)
def test_a_sighting_reads_like_a_sentence(seen, text):
    assert str(seen) == text


@pytest.mark.parametrize(
    ("seconds_left", "pause"),
    [(7200, 300), (600, 60), (300, 30), (60, 30), (40, 30), (29, 29), (12, 12), (3, 10), (0, 30), (None, 30)],
)
def test_pauses_are_long_while_the_end_is_far_and_short_towards_it(seconds_left, pause):
    watching = watch(deadline=1e9)
    watching.after(running(seconds_left=seconds_left), now=0)
    assert watching.pause == pause


def test_a_training_that_queues_is_looked_at_ever_more_rarely_until_it_runs():
    watching = watch(deadline=1e9)
    pauses = []
    for _ in range(9):
        watching.after(running(stage="queued-for-train", position=4), now=0)
        pauses.append(watching.pause)
    assert pauses[:3] == [30, 45, 67.5]
    assert pauses[-1] == 300
    watching.after(running(), now=0)
    assert watching.pause == 30


def test_a_training_may_queue_for_weeks():
    watching = watch(deadline=1e9)
    for _ in range(10_000):
        watching.after(running(stage="queued-for-train"), now=0)
    assert watching.pause == 300


def test_an_interval_that_is_longer_than_all_of_that_is_kept():
    watching = watch(deadline=1e9, poke_interval=900)
    watching.after(running(seconds_left=7200), now=0)
    assert watching.pause == 900


def test_a_poll_that_succeeds_after_the_deadline_leaves_no_pause():
    waiting = watch(deadline=10)
    waiting.after(running(), now=11)
    assert waiting.pause == 0


PROGRESS = {
    "stage": "running-train",
    "position": 2,
    "progress": 0.43,
    "remainingTimeMs": 90_000,
    "retryCount": 1,
    "retryableError": "GPU lost",
}


def test_a_snapshot_of_a_model_in_training_has_all_that_scenario_says():
    model = {"id": "model_1", "name": "ink", "jobId": "job_1", "status": "training", "trainingProgress": PROGRESS}
    assert Snapshot.of_model(Model.model_validate(model)) == Snapshot(
        status="training",
        model_id="model_1",
        name="ink",
        job_id="job_1",
        stage="running-train",
        position=2,
        progress=0.43,
        seconds_left=90,
        retry_count=1,
        retryable_error="GPU lost",
    )


def test_a_snapshot_of_a_model_that_is_not_in_training_has_no_progress():
    model = {"id": "model_1", "name": "ink", "jobId": "job_1", "status": "failed", "trainingProgress": PROGRESS}
    assert Snapshot.of_model(Model.model_validate(model)) == Snapshot(
        status="failed", model_id="model_1", name="ink", job_id="job_1"
    )
    assert Snapshot.of_model(Model.model_validate({"id": "model_1"})) == Snapshot(status="", model_id="model_1")


def test_what_scenario_does_not_say_of_a_progress_is_unknown():
    model = {"id": "model_1", "status": "training", "trainingProgress": {"stage": "running-train"}}
    assert Snapshot.of_model(Model.model_validate(model)) == Snapshot(
        status="training", model_id="model_1", stage="running-train"
    )


def test_a_snapshot_of_a_job_has_its_own_word_as_stage_and_goes_on_until_its_end():
    job = {"jobId": "job_1", "status": "in-progress", "progress": 0.5}
    assert Snapshot.of_job(Job.model_validate(job)) == Snapshot(
        status="training", job_id="job_1", stage="in-progress", progress=0.5
    )
    assert Snapshot.of_job(Job.model_validate({"jobId": "job_1"})) == Snapshot(
        status="training", job_id="job_1", stage=""
    )


@pytest.mark.parametrize(
    ("shown", "wanted", "is_of"),
    [
        ("job_1", "job_1", True),
        ("job_1", "job_2", False),
        (None, "job_1", True),
        ("job_1", None, True),
        (None, None, True),
    ],
)
def test_a_snapshot_of_another_training_of_the_model_is_recognised(shown, wanted, is_of):
    assert running(job_id=shown).is_of(wanted) is is_of


@pytest.mark.parametrize(
    ("snapshot", "text"),
    [
        (Snapshot(status=None), "not known to Scenario"),
        (running(retryable_error="GPU lost"), "running-train, Scenario retries it (retry 1) after: GPU lost"),
        (running(stage="queued-for-train", position=0, progress=0.5), "queued-for-train"),
    ],
)
def test_a_line_says_what_is_known(snapshot, text):
    assert str(snapshot) == text


def test_a_model_that_scenario_does_not_know_does_not_end_the_waiting():
    assert watch().after(Snapshot(status=None), now=0) is None


def test_before_the_first_poll_there_is_nothing_to_log():
    waiting = watch()
    assert (waiting.log_line, waiting.warning, waiting.pause, waiting.poke_interval) == (None, None, 30, 30)


def test_the_pytest_plugin_can_shorten_every_pause(monkeypatch):
    monkeypatch.setattr("airflow_provider_scenario.pacing.longest_pause", 0.1)
    waiting = watch()
    waiting.after(running(), now=0)
    assert waiting.pause == 0.1
