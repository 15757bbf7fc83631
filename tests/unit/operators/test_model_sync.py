from __future__ import annotations

import json
from collections import UserList

import pytest
from airflow.sdk import DAG, task
from hypothesis import given as examples
from hypothesis import strategies as st

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.client.workshop.schemas import SessionParameters, read_tree
from airflow_provider_scenario.exceptions import ListingFailedError, ModelsNotSyncedError
from airflow_provider_scenario.operators.model_sync import (
    AICreationWorkshopPublishModelOperator,
    AICreationWorkshopSyncModelOperator,
)
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor
from airflow_provider_scenario.storage import StorageError
from tests.stopwatch import stopwatch
from tests.unit.client.workshop.test_schemas import LONG, anything, odd
from tests.unit.conftest import workshop_connection
from tests.unit.publishing.conftest import tree, with_file

SYNC = "/scc/spSdModelSync"


def sync(**fields):
    return AICreationWorkshopSyncModelOperator(task_id="sync", **fields)


def publish(**fields):
    return AICreationWorkshopPublishModelOperator(task_id="publish", **fields)


@pytest.fixture
def believe(emulator):
    """Trees are accepted although their files cannot be fetched."""
    emulator.set(fetch_files=False, listing_seconds=0)


@pytest.fixture
def served(emulator, files_folder, tmp_path):
    """A folder of this test that is served to everybody, as ``storage`` and ``public_url``."""
    emulator.set(listing_seconds=0)
    return {"storage": str(files_folder / tmp_path.name), "public_url": f"{emulator.root}/files/{tmp_path.name}"}


def synced(emulator):
    return {model["model_id"]: model for model in emulator.ledger()["synced_models"]}


def listed(context, tree, **fields):
    sensor = AICreationWorkshopModelListingSensor(
        task_id="wait", model=tree, poke_interval=0.05, timeout=10, deferrable=False, **fields
    )
    return sensor.execute(context)


@pytest.mark.parametrize("given", [tree(), read_tree(tree())], ids=["a dict", "made with the schema"])
@pytest.mark.usefixtures("believe")
def test_a_tree_is_synced(emulator, context, given):
    result = sync(model=given, session=SessionParameters(session_mode=20)).execute(context)
    assert (result["model_id"], result["status"], result["state"]) == ("hero-1", 10, "listed")
    assert json.loads(json.dumps(result)) == result
    assert emulator.ledger()["totals"]["models_synced"] == 1


class TestPublish:
    def test_a_trained_lora_gets_listed(self, emulator, context, train, served):
        model_id = train()
        result = publish(scenario_model_id=model_id, base_model="vxl_1.0", **served).execute(context)
        assert (result["model_id"], result["model"]["modelId"]) == (model_id, model_id)
        assert len(result["files"]) == 3
        assert context["ti"].xcoms["model"] == result["model"]
        assert context["ti"].xcoms["model_id"] == model_id
        assert listed(context, result["model"])["state"] == "listed"
        assert [file["status"] for file in synced(emulator)[model_id]["files"]] == [10, 10, 10]

    def test_a_retry_makes_no_second_model_and_downloads_nothing_twice(self, emulator, context, train, served):
        fields = {"scenario_model_id": train(), "epoch": "last", "base_model": "vxl_1.0", **served}
        emulator.fault(kind="status", status=503, route=SYNC, times=4)
        with pytest.raises(ServiceError):
            publish(**fields).execute(context)
        first = publish(**fields).execute(context)
        second = publish(**fields).execute(context)
        assert first["model"] == second["model"]
        ledger = emulator.ledger()
        assert ledger["requests"]["POST /v1/models/{modelId}/download"] == 1
        assert (ledger["totals"]["models_synced"], ledger["totals"]["files_synced"]) == (1, 1)

    def test_from_a_bucket_it_is_listed_by_signed_addresses_that_are_not_stored(
        self,
        emulator,
        context,
        train,
        s3,
        bucket,
        caplog,
        capsys,
    ):
        emulator.set(listing_seconds=0)
        operator = publish(
            scenario_model_id=train(),
            epoch=2,
            base_model="vxl_1.0",
            storage=f"s3://{bucket}/loras",
            url_expires_in=60,
        )
        result = operator.execute(context)
        assert listed(context, result["model"], url_expires_in=60)["state"] == "listed"
        assert result["files"][0].startswith(f"s3://{bucket}/loras/")
        kept = json.dumps([result, context["ti"].xcoms])
        ours = "\n".join(
            line for line in (capsys.readouterr().out + caplog.text).splitlines() if "werkzeug" not in line
        )
        assert "Signature" not in kept + ours

    @pytest.mark.parametrize(
        ("connection", "said"), [({"login": ""}, "AppKey"), ({"host": "ftp://example.test"}, "not a base URL")]
    )
    def test_a_connection_that_cannot_work_shows_before_gigabytes_are_fetched(
        self, emulator, context, served, monkeypatch, connection, said
    ):
        monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", workshop_connection(**connection))
        before = emulator.requests()
        with pytest.raises(AirflowFailException, match=said):
            publish(scenario_model_id="model_1", **served).execute(context)
        assert emulator.requests() == before

    def test_a_storage_that_cannot_sign_shows_before_gigabytes_are_fetched(self, emulator, context):
        before = emulator.requests()
        with pytest.raises(StorageError, match=r"'memory://loras/any' cannot be signed"):
            publish(scenario_model_id="model_1", storage="memory://loras").execute(context)
        assert emulator.requests() == before

    def test_a_model_that_is_not_there_fails_it_for_good(self, context, served):
        with pytest.raises(AirflowFailException, match="model_nope"):
            publish(scenario_model_id="model_nope", **served).execute(context)


class TestMany:
    @pytest.mark.usefixtures("believe")
    def test_all_are_synced(self, emulator, context):
        results = sync(models=[tree(number) for number in range(300)]).execute(context)
        assert [result["model_id"] for result in results] == [f"hero-{number}" for number in range(300)]
        assert len(synced(emulator)) == 300

    @pytest.mark.usefixtures("believe")
    def test_one_bad_tree_stops_no_other_and_fails_it_in_the_end_with_a_table(self, emulator, context, capsys):
        trees = [tree(0), {**with_file(hash=None, downloadUrl="hero"), "modelId": "bad"}, tree(2)]
        with pytest.raises(AirflowFailException, match="1 of 3 models were not synced; the log has a table"):
            sync(models=trees).execute(context)
        assert set(synced(emulator)) == {"hero-0", "hero-2"}
        log = capsys.readouterr().out
        (line,) = [line for line in log.splitlines() if "bad" in line and "versions[0].files[0].hash" in line]
        assert "versions[0].files[0].downloadUrl" in line
        assert "models[…]" in log

    @pytest.mark.usefixtures("believe")
    def test_what_may_pass_is_worth_a_retry_which_makes_no_second_model(self, emulator, context, monkeypatch):
        monkeypatch.setattr("airflow_provider_scenario.publishing.syncing.TRIES", 1)
        emulator.fault(kind="close", when="after", route=SYNC, times=1)
        operator = sync(models=[tree(0), tree(1)], threads=1)
        with pytest.raises(ModelsNotSyncedError, match="1 of 2") as raised:
            operator.execute(context)
        assert not isinstance(raised.value, AirflowFailException)
        assert len(sync(models=[tree(0), tree(1)]).execute(context)) == 2
        assert emulator.ledger()["totals"]["models_synced"] == 2

    @pytest.mark.usefixtures("believe")
    def test_no_more_is_sent_than_the_connection_allows(self, emulator, context, monkeypatch):
        extra = {"api_token": "demo", "requests_per_minute": 1200}
        changed = workshop_connection(host=emulator.root, extra=extra)
        monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", changed)
        seconds = stopwatch()
        sync(models=[tree(number) for number in range(21)]).execute(context)
        assert seconds() >= 1.0

    @pytest.mark.usefixtures("believe")
    def test_the_results_of_a_mapped_task_will_do(self, emulator, context):
        operator = sync(models="{{ a template }}")
        operator.models = UserList([tree(0), tree(1)])  # a sequence that is not a list, like Airflow's lazy ones
        assert len(operator.execute(context)) == 2

    def test_none_is_nothing_to_do(self, emulator, context):
        assert sync(models=[]).execute(context) == []


def test_a_listing_that_has_failed_fails_it_for_good(emulator, context):
    emulator.set(fetch_files=False, listing_seconds=0)
    emulator.outcome(of="listing", fail_at=0.0)
    sync_once = sync(model=tree())
    with pytest.raises(ListingFailedError, match=r"status -10.*hero-1-1.*https://example\.com/hero-1\.safetensors"):
        sync_once.execute(context)


def test_a_wrong_secret_fails_it_for_good_and_shows_both_strings_to_sign(emulator, context, monkeypatch):
    changed = workshop_connection(host=emulator.root, password="not-the-secret")
    monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", changed)
    with pytest.raises(AirflowFailException) as raised:
        sync(model=tree()).execute(context)
    assert str(raised.value).count("x-ca-nonce:") == 2
    assert "not-the-secret" not in str(raised.value)


@pytest.mark.usefixtures("believe")
def test_a_signed_address_in_a_tree_is_warned_of_and_not_shown(context, capsys):
    given = with_file(downloadUrl="https://example.com/hero.safetensors?Signature=a-secret-signature")
    result = sync(model=given).execute(context)
    log = capsys.readouterr().out
    assert "an address in its tree is signed" in log
    assert "a-secret-signature" not in log + json.dumps(result)


def test_everything_wrong_with_a_tree_is_listed_at_once_when_the_dag_is_parsed():
    wrong = with_file(hash=None, isPrimary="yes")
    with pytest.raises(
        InvalidInputError, match=r"versions\[0\]\.files\[0\]\.hash.*versions\[0\]\.files\[0\]\.isPrimary"
    ):
        sync(model=wrong)


STORED = {"scenario_model_id": "model_1", "storage": "s3://bucket/loras"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Neither model nor models is given; give one of them"),
        ({"model": tree(), "models": []}, "Both model and models are given; give one of them"),
        ({"model": tree(), "url_expires_in": 0}, "url_expires_in is 0"),
        ({"model": tree(naem="x")}, r"naem is not a field of a model \(Did you mean 'name'"),
        ({"models": tree()}, "models is dict; give a list"),
        ({"models": [], "threads": 0}, "threads is 0"),
        ({"model": tree(), "session": {"sessionMode": 15}}, "sessionMode is 15"),
    ],
)
def test_bad_input_of_a_sync_is_refused_when_the_dag_is_parsed(fields, said):
    with pytest.raises(InvalidInputError, match=said):
        sync(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"storage": None}, "storage is None; give a path"),
        ({"scenario_model_id": "a/b", "storage": "s3://b/l"}, "scenario_model_id is 'a/b'"),
        ({"scenario_model_id": "model_1", "storage": "/data"}, "storage is '/data'.*give public_url"),
        ({"public_url": "cdn.example.com"}, "public_url is 'cdn.example.com'; give"),
        ({"source_type": "civitai"}, "source_type is 'civitai'; give one of"),
        ({"trigger_words": "ink"}, "trigger_words is 'ink'; give a list"),
        ({"url_expires_in": 0}, "url_expires_in is 0"),
        ({"download_timeout": "long"}, "download_timeout is 'long'"),
        ({"source_type": ""}, "source_type is ''; give one of"),
        ({"source_type": 5}, "source_type is 5; give one of"),
        ({"trigger_words": ["ink", 5]}, "trigger_words holds 5; give a list of texts"),
        ({"name": 5}, "name is 5; give a text"),
        ({"description": ["a"]}, "description is .'a'.; give a text"),
        ({"alias_name": True}, "alias_name is True; give a text"),
        ({"base_model": 1.5}, "base_model is 1.5; give a text"),
        ({"session": {"sessionMode": 15}}, "sessionMode is 15"),
    ],
)
def test_bad_input_of_a_publication_is_refused_when_the_dag_is_parsed(fields, said):
    with pytest.raises(InvalidInputError, match=said):
        publish(**{**STORED, **fields})


@pytest.mark.parametrize("given", [{}, {"source_type": "tenant"}, {"name": "{{ x }}", "trigger_words": "{{ x }}"}])
def test_what_may_be_right_is_not_refused_when_the_dag_is_parsed(given):
    publish(**STORED, **given)


MOVED = (
    "AICreationWorkshopSyncModelOperator syncs model trees and does not take from_scenario_model, storage. To publish "
    "a LoRA that was trained on Scenario, use AICreationWorkshopPublishModelOperator of the same module, with "
    "scenario_model_id in place of from_scenario_model."
)


class TestArgumentsOfBefore:
    """One operator did both once. The error for the arguments of the other operator names it."""

    old = {"from_scenario_model": "model_1", "storage": "s3://bucket/loras"}  # noqa: RUF012

    def test_the_error_names_the_other_operator(self):
        with pytest.raises(InvalidInputError) as refused:
            sync(**self.old)
        assert str(refused.value) == MOVED

    def test_so_it_does_for_each_argument(self):
        for name in (*AICreationWorkshopPublishModelOperator.template_fields, "download_timeout"):
            if name not in AICreationWorkshopSyncModelOperator.template_fields:
                with pytest.raises(InvalidInputError, match=f"does not take {name}\\. To publish"):
                    sync(model=tree(), **{name: "x"})

    def test_so_it_does_when_it_is_mapped(self):
        mapped = AICreationWorkshopSyncModelOperator
        with pytest.raises(InvalidInputError, match="use AICreationWorkshopPublishModelOperator"):
            mapped.partial(task_id="sync", **self.old)
        with DAG("dag", schedule=None, default_args={"scenario_conn_id": "of other operators"}):
            upstream = task(json.loads)("[]")
            mapped.partial(task_id="sync").expand(model=upstream)
            with pytest.raises(InvalidInputError, match=r"DAG 'dag', task 'a': .* does not take from_scenario_model\."):
                mapped.partial(task_id="a").expand(from_scenario_model=upstream)
            with pytest.raises(InvalidInputError, match=r"DAG 'dag', task 'b': .* does not take from_scenario_model\."):
                mapped.partial(task_id="b").expand_kwargs([{"from_scenario_model": "model_1"}])


TEXTS = [name for name in AICreationWorkshopPublishModelOperator.template_fields if "conn_id" not in name]


@examples(
    fields=st.builds(lambda value: {"model": value}, anything)
    | st.builds(lambda value: {"models": value}, anything)
    | st.builds(lambda value: {"model": tree(), "session": value}, anything)
    | st.builds(
        lambda name, value: {"models": [], name: value}, st.sampled_from(["threads", "url_expires_in"]), anything
    )
    | st.builds(lambda name, value: {**STORED, name: value}, st.sampled_from(TEXTS), anything)
    | st.builds(lambda name, value: {**STORED, name: value}, st.sampled_from(TEXTS), st.just([LONG]) | odd)
    | st.builds(lambda value: {**STORED, "download_timeout": value}, anything)
)
def test_anything_is_accepted_or_an_error_of_bounded_length(fields):
    message = ""
    try:
        (publish if "scenario_model_id" in fields else sync)(**fields)
    except InvalidInputError as problem:
        message = str(problem)
    assert len(message) < 4_000


@pytest.mark.usefixtures("believe")
def test_an_unlisted_field_is_sent_with_one_warning_and_extra_fields_as_they_are(emulator, context, capsys):
    given = with_file(mirror="https://mirror.test/a", extra_fields={"sizeKB": "a near miss"})
    result = sync(model=given, session={"region": "cn", "sessionMode": ""}).execute(context)
    arrived = emulator.read("synced/hero-1")["tree"]
    file = arrived["versions"][0]["files"][0]
    assert (file["mirror"], file["sizeKB"], arrived["region"]) == ("https://mirror.test/a", "a near miss", "cn")
    assert "sessionMode" not in arrived
    log = capsys.readouterr().out
    assert log.count("the service does not list this field") == 2
    assert "versions[0].files[0].mirror" in log
    emulator.set(workshop_extra_in_answers=True, listing_seconds=0)
    assert listed(context, given, session={"region": "cn"})["model_file_id"] == result["model_file_id"]


@pytest.mark.usefixtures("believe")
def test_a_tree_made_with_the_schema_keeps_its_extra_fields(emulator, context):
    fields = {name: value for name, value in tree(new=1).items() if name != "modelType"}
    made = read_tree({**fields, "extra_fields": {"naem": 1, "modelType": "dora"}})
    operator = sync(model=made)
    emulator.set(any_model_or_source_type=True)
    json.dumps(operator.model)
    operator.execute(context)
    assert emulator.read("synced/hero-1")["tree"] == {**tree(), "modelType": "dora", "new": 1, "naem": 1}


def test_templates_are_not_judged_before_they_are_rendered(context):
    sync(model="{{ ti.xcom_pull('tree') }}", session={"roleId": "{{ var.value.role }}"})
    sync(models="{{ ti.xcom_pull('trees') }}")
    given = publish(scenario_model_id="{{ x }}", storage="{{ x }}", public_url="{{ x }}", source_type="{{ x }}")
    given.storage = "/data"
    given.public_url = ""
    given.source_type = "internal"
    given.scenario_model_id = "model_1"
    with pytest.raises(AirflowFailException, match="give public_url"):
        given.execute(context)


@pytest.mark.parametrize("operator", [sync(model=tree()), publish(**STORED)])
def test_every_template_field_is_an_argument(operator):
    assert [field for field in operator.template_fields if not hasattr(operator, field)] == []
