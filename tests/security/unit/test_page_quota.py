"""A viewer cannot use up the service's quota, whatever addresses of the page are called."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import HTTPException

from airflow_provider_scenario.client.errors import ScenarioError, ServiceError
from airflow_provider_scenario.plugin import actions, pictures
from airflow_provider_scenario.plugin.lookup import RENEW_EVERY, ScenarioLookup
from airflow_provider_scenario.plugin.page_requests import AFTER_TROUBLE
from airflow_provider_scenario.plugin.trainings import Training
from tests.harness.waiting import SURELY

READS = 40  # a minute: half of the 80 that all users of a connection have
WITH_ACTIONS = 50


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What is counted must not depend on how busy the machine is."""
    monkeypatch.setattr(pictures, "PATIENCE", SURELY)


@pytest.fixture
def line(emulator, clock):
    with ThreadPoolExecutor(8) as threads:
        yield ScenarioLookup("scenario_default", threads, clock=clock)


@pytest.fixture
def asked(emulator):
    """How many requests to the API a piece of code makes; its store of pictures has no quota."""

    def requests() -> int:
        return sum(times for route, times in emulator.ledger()["requests"].items() if " /v1" in route)

    def asked(action) -> int:
        before = requests()
        action()
        return requests() - before

    return asked


def training(model_id, job_id=None):
    return Training(dag_id="a_dag", run_id="a_run", task_id="train", model_id=model_id, job_id=job_id)


def status_of_picture(line, of, asset_id) -> int:
    try:
        return pictures.load(line, of, asset_id).status_code
    except HTTPException as refused:
        return refused.status_code


def all_at_once(*calls):
    """Several viewers: each call in a thread of its own; what they return."""
    with ThreadPoolExecutor(len(calls)) as viewers:
        return [each.result() for each in [viewers.submit(call) for call in calls]]


class TestInventedPictures:
    def test_the_pictures_that_a_training_does_not_have_are_never_asked_for(self, line, asked, train):
        made = training(**train(images=1))
        assert status_of_picture(line, made, "asset_invented") == 404  # now its pictures are known

        def viewer(number):
            return {status_of_picture(line, made, f"asset_{number}_{each}") for each in range(100)}

        def look():
            assert all_at_once(*(lambda n=n: viewer(n) for n in range(3))) == [{404}] * 3

        assert asked(look) == 0

    def test_in_a_minute_they_cost_no_more_than_looking_at_the_training(self, line, asked, train, clock):
        made = training(**train(images=1))

        def look():
            for second in range(60):
                clock.now += 1
                for each in range(5):
                    assert status_of_picture(line, made, f"asset_{second}_{each}") == 404

        assert asked(look) <= READS

    def test_of_many_models_that_scenario_does_not_know_they_stay_within_the_quota(self, line, asked, clock):
        def look():
            for number in range(300):
                clock.now += 0.2
                status_of_picture(line, training(f"model_{number}"), "asset_1")
                status_of_picture(line, training(f"model_{number}"), "asset_2")

        assert 0 < asked(look) <= READS

    def test_a_model_that_scenario_does_not_know_is_not_asked_for_again_at_once(self, line, asked, clock):
        def look():
            for number in range(100):
                clock.now += 0.5
                assert status_of_picture(line, training("model_gone"), f"asset_{number}") == 404

        assert asked(look) == 1

    @pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "429"}])
    def test_while_the_service_fails_there_is_one_request_in_each_pause(
        self, line, asked, train, clock, emulator, fault
    ):
        made = training(**train(images=1))
        emulator.fault(**fault, times=None)

        def look():
            for number in range(300):
                clock.now += 0.2
                assert status_of_picture(line, made, f"asset_{number}") == 503

        assert asked(look) == 60 / AFTER_TROUBLE


class TestExpiredAddresses:
    @pytest.fixture
    def expired(self, line, train, emulator):
        """Trainings whose details are known, with addresses that the storage does not accept any more."""
        emulator.set(url_seconds=1)
        found = []
        for _ in range(3):
            of = training(**train(images=3))
            details = line.details(of.model_id, of.job_id, max_wait=SURELY)
            found.append((of, sorted(pictures.addresses(details))))
        emulator.advance(200)
        return found

    def test_all_viewers_together_renew_those_of_a_training_once(self, line, asked, expired, emulator):
        emulator.set(url_seconds=3600)

        def viewer():
            return [status_of_picture(line, of, asset_id) for of, ids in expired for asset_id in ids]

        def look():
            assert all_at_once(*[viewer] * 4) == [[200] * 9] * 4

        # For each training the model and the job; the score is known.
        assert asked(look) <= 6

    def test_where_new_addresses_are_refused_too_they_are_renewed_once_in_a_while(
        self, line, asked, expired, emulator, clock, monkeypatch
    ):
        def refuse(*_):
            raise ServiceError("refused", maybe_done=False, status=403)

        monkeypatch.setattr(pictures, "_fetch", refuse)
        of, ids = expired[0]

        def look():
            for _ in range(300):
                clock.now += (RENEW_EVERY - 1) / 300
                for asset_id in ids:
                    status_of_picture(line, of, asset_id)

        assert asked(look) <= READS

    def test_while_the_service_fails_renewing_pauses_too(self, line, asked, expired, emulator, clock):
        emulator.fault(kind="status", status=500, times=None, route="/models/*")

        def look():
            for _ in range(100):
                clock.now += 0.1
                for of, ids in expired:
                    assert status_of_picture(line, of, ids[0]) == 503

        assert asked(look) == 1
        assert line.trouble is not None


class TestEverythingTogether:
    def test_lists_details_pictures_and_actions_share_one_quota(self, line, asked, clock, emulator, train):
        emulator.set(training_seconds=10_000)
        trainings = [training(**train(images=1)) for _ in range(30)]

        def look():
            for second in range(55):
                clock.now += 1
                of = trainings[second % 30]
                line.snapshots({each.model_id: each.job_id for each in trainings}, max_wait=SURELY)
                line.details(of.model_id, of.job_id, max_wait=SURELY)
                status_of_picture(line, of, "asset_invented")

        assert READS - 3 <= asked(look) <= READS

        def act():
            for each in trainings:
                with pytest.raises(ScenarioError, match=r"Nothing was changed|was not sent"):
                    actions.choose_epoch(line, each, "000009")

        assert 0 < asked(act) <= WITH_ACTIONS - READS + 3

    def test_a_person_can_cancel_where_lookers_have_used_up_their_share(self, line, asked, clock, emulator, train):
        wanted = training(**train(images=1))
        asked(lambda: [line.details(f"model_{n}", None, max_wait=SURELY) for n in range(60)])
        assert "was cancelled" in actions.cancel(line, wanted)
        assert emulator.counts()["canceled"] == 1

    def test_an_action_that_is_refused_says_what_to_do(self, line, emulator, clock, train):
        wanted = training(**train(images=1))
        for _ in range(WITH_ACTIONS - 1):  # the first takes two requests
            actions.cancel(line, wanted)
        with pytest.raises(ScenarioError, match=r"was not sent\. Try again in 60 s\."):
            actions.cancel(line, wanted)

    def test_after_a_minute_it_goes_on(self, line, clock, asked, train):
        of = training(**train(images=1))
        for number in range(60):
            line.details(f"model_{number}", None, max_wait=SURELY)
        assert line.details(of.model_id, of.job_id, max_wait=SURELY) is None
        clock.now += 61
        details = line.details(of.model_id, of.job_id, max_wait=SURELY)
        assert details.complete
        assert details.job is not None

    def test_what_the_quota_cut_short_is_completed_later(self, line, clock, emulator, train):
        emulator.outcome(fail_at=0.5, error="odd")
        of = training(**train(images=1))
        emulator.advance(200)
        for number in range(READS - 1):
            line.details(f"model_{number}", None, max_wait=SURELY)
        early = line.details(of.model_id, of.job_id, max_wait=SURELY)
        assert early.model.status == "failed"
        assert early.job is None
        assert line.more_to_come(of.model_id, of.job_id)
        clock.now += 300
        assert line.details(of.model_id, of.job_id, max_wait=SURELY).job is not None
        assert not line.more_to_come(of.model_id, of.job_id)

    def test_a_clock_that_is_set_back_stops_nothing(self, line, clock, train):
        of = training(**train(images=1))
        for number in range(60):
            line.details(f"model_{number}", None, max_wait=SURELY)
        clock.now -= 100_000
        assert line.details(of.model_id, of.job_id, max_wait=SURELY) is not None
