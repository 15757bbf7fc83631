"""
Every element of the vendor's page beside our code and the emulator: what is sent arrives, what is answered is read.

``pytest -s`` prints the table.
"""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError, WorkshopRefusalError
from airflow_provider_scenario.client.workshop import client as workshop
from airflow_provider_scenario.client.workshop import schemas as workshop_schemas
from airflow_provider_scenario.client.workshop.client import WorkshopClient
from airflow_provider_scenario.exceptions import ListingFailedError
from airflow_provider_scenario.operators.model_sync import AICreationWorkshopSyncModelOperator
from tests.contract import workshop_page
from tests.contract.workshop_page import PAGE, Element
from tests.unit.emulator.workshop_api import WorkshopApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator

TOKEN = "01j1w6cxqz0000"
SESSION = {each.path: each.value for each in workshop_page.PARAMETERS if each.path != "apiToken"}
PLACES = ("body", "query")


def whole_tree() -> dict[str, Any]:
    """The page's example, put together of its elements."""
    tree: dict[str, Any] = {}
    for element in (*workshop_page.MODEL, *workshop_page.VERSION, *workshop_page.COVER, *workshop_page.FILE):
        holder, name = holder_of(tree, element.path)
        value = element.value
        holder[name] = [{}] if value is list else {} if value is dict else copy.deepcopy(value)
    return tree


def holder_of(tree: Any, path: str) -> tuple[Any, str]:
    """The object that holds a field, and the field's name."""
    *way, name = path.split(".")
    for step in way:
        tree = tree[step.removesuffix("[]")]
        tree = tree[0] if step.endswith("[]") else tree
    return tree, name


def at(tree: Any, path: str) -> Any:
    holder, name = holder_of(tree, path)
    return holder[name]


def without(path: str) -> dict[str, Any]:
    tree = whole_tree()
    holder, name = holder_of(tree, path)
    del holder[name]
    return tree


def with_value(path: str, value: Any) -> dict[str, Any]:
    tree = whole_tree()
    holder, name = holder_of(tree, path)
    holder[name] = value
    return tree


class Service:
    """The emulator with the page's token, asked by our client, by our operator, and past both."""

    def __init__(self, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emulator, self.raw, self._patch = emulator, WorkshopApi(emulator), monkeypatch
        self.reset()

    def reset(self) -> None:
        self.emulator.switch("reset")
        # The example's base models, types and names must pass a service that takes nothing else.
        self.set(fetch_files=False, api_token=TOKEN, workshop_unknown_fields="refuse")

    def set(self, **settings: Any) -> None:
        self.emulator.switch("settings", **settings)

    def client(
        self, tree: Any, session: Any = None, *, place: Any = "body", token: str = TOKEN
    ) -> workshop.ListingStatus:
        credentials = {"app_key": "demo", "app_secret": "demo", "api_token": token}
        with WorkshopClient.connect(**credentials, api_token_in=place, base_url=self.emulator.address) as client:
            return client.sync_model(tree, session=session)

    def operator(self, tree: Any, session: Any = None, *, place: str = "body") -> dict[str, Any]:
        extra = {"api_token": TOKEN, "api_token_in": place, "requests_per_minute": 1_000_000}
        connection = {"conn_type": "ai_creation_workshop", "login": "demo", "password": "demo", "extra": extra}
        self._patch.setenv(
            "AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", json.dumps({**connection, "host": self.emulator.address})
        )
        operator = AICreationWorkshopSyncModelOperator(task_id="sync", model=tree, session=session)
        return operator.execute({"ti": SimpleNamespace(xcom_push=lambda **_: None)})  # type: ignore[typeddict-item]

    def arrived(self, send: Callable[..., Any], *args: Any, **options: Any) -> dict[str, Any]:
        """What the emulator has got of it, which takes the token in no other place."""
        self.reset()
        self.set(api_token_in=options.get("place", "body"))
        send(*args, **options)
        return self.raw.synced("xxxxx")

    def takes(self, tree: dict[str, Any]) -> bool:
        """Whether the emulator takes a body that no code of ours has looked at."""
        self.reset()
        return self.raw.call("/scc/spSdModelSync", {"apiToken": TOKEN, **tree}).json()["status"] == 10

    def senders(self) -> tuple[Callable[..., Any], ...]:
        return self.client, self.operator


@pytest.fixture
def service(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("budget")
    monkeypatch.setattr("airflow_provider_scenario.client.budget._own_folder", lambda: folder)
    service = Service(emulator, monkeypatch)
    yield service
    service.raw.http.close()
    emulator.switch("reset")


# One check a kind: each fails by an assertion or an error


def check_parameter(element: Element, service: Service) -> None:
    if element.path == "apiToken":
        return check_token(service)
    for place in PLACES:
        for send in service.senders():
            assert service.arrived(send, whole_tree(), SESSION, place=place)["session"][element.path] == element.value
            fewer = {name: value for name, value in SESSION.items() if name != element.path}
            for absent in (fewer, {**fewer, element.path: None}, {**fewer, element.path: ""}):
                assert service.arrived(send, whole_tree(), absent, place=place)["session"] == fewer
    assert_named(element)
    return None


def check_token(service: Service) -> None:
    for place in PLACES:
        for send in service.senders():
            service.reset()
            service.set(api_token_in=place)
            send(whole_tree(), place=place)
        with pytest.raises(WorkshopRefusalError):
            service.client(whole_tree(), place=place, token="another")
    with pytest.raises(InvalidInputError):
        service.client(whole_tree(), token="")
    assert service.raw.call("/scc/spSdModelSync", whole_tree()).json()["status"] == 20


def check_field(element: Element, service: Service) -> None:
    tree = whole_tree()
    for send in service.senders():
        assert at(service.arrived(send, tree)["tree"], element.path) == at(tree, element.path)
    fewer = without(element.path)
    if element.need == "required":
        assert not service.takes(fewer)
        for wrong in (fewer, with_value(element.path, None)):
            with pytest.raises(InvalidInputError, match=element.path.replace("[]", r"\[0\]")):
                service.client(wrong)
    else:
        assert service.takes(fewer)
        for absent in (fewer, with_value(element.path, None)):
            for send in service.senders():
                assert service.arrived(send, absent)["tree"] == fewer
    assert_named(element)


def check_value(element: Element, service: Service) -> None:
    if element.path == "sessionMode":
        for place in PLACES:
            sent = service.arrived(service.client, whole_tree(), {element.path: element.value}, place=place)["session"]
            assert sent == {element.path: element.value}
        return
    tree = with_value(element.path, element.value)
    assert service.takes(tree)
    for send in service.senders():
        assert at(service.arrived(send, tree)["tree"], element.path) == element.value
    warnings = workshop_schemas.read_tree(tree).warnings()
    assert [warning for warning in warnings if "does not list" in warning] == []
    assert_named(element)


def check_answer(element: Element, service: Service) -> None:
    answer = service.raw.call("/scc/spSdModelSync", {"apiToken": TOKEN, **whole_tree()}).json()
    given = at(answer, element.path)
    assert type(given) is element.value
    listing, result = service.client(whole_tree()), service.operator(whole_tree())
    owner, _, name = element.ours.partition(".")
    assert type(listing).__name__ == owner
    for field in {name} if name else {"model_id", "model_version_id", "model_file_id", "status"}:
        expected = given if name else given[workshop.ListingStatus.model_fields[field].alias]
        assert getattr(listing, field) == result[field] == expected
    # Whatever else the service comes to say does not matter.
    service.set(workshop_extra_in_answers=True)
    assert service.client(whole_tree()).model_dump(exclude={"invoke_id"}) == listing.model_dump(exclude={"invoke_id"})


def check_status(element: Element, service: Service) -> None:
    produced = {
        0: lambda: service.set(first_listing_status=0),
        5: lambda: None,
        10: lambda: service.set(listing_seconds=0),
        -10: lambda: service.emulator.switch("outcomes", of="listing", fail_at=0),
    }
    for prepare in (produced[element.value], lambda: service.set(listing_status=element.value)):
        service.reset()
        prepare()
        listing = service.client(whole_tree())
        assert (listing.status, listing.status_name) == (element.value, element.ours)
        service.reset()
        prepare()
        if element.ours == "failed":
            with pytest.raises(ListingFailedError, match=f"status {element.value}"):
                service.operator(whole_tree())
        else:
            result = service.operator(whole_tree())
            assert (result["status"], result["state"]) == (element.value, element.ours)
        service.reset()
        prepare()
        answer = service.raw.call("/scc/spSdModelSync", {"apiToken": TOKEN, **whole_tree()}).json()
        assert answer["data"]["status"] == element.value


def assert_named(element: Element) -> None:
    """What the table says of our names is so."""
    owner, _, name = element.ours.partition(".")
    assert getattr(workshop_schemas, owner).model_fields[name].alias == element.path.rpartition(".")[2]


CHECKS: dict[str, Callable[[Element, Service], None]] = {
    "parameter": check_parameter,
    "field": check_field,
    "value": check_value,
    "answer": check_answer,
    "status": check_status,
}


# The table


class Row(NamedTuple):
    element: Element
    wrong: str | None

    def __str__(self) -> str:
        kind, path, ours, value, need = self.element
        value = "" if isinstance(value, type) else json.dumps(value, ensure_ascii=False)
        return f"{kind:<9}  {path:<38}  {value[:36]:<36}  {need:<8}  {ours:<44}  {self.wrong or 'covered'}"


def table(elements: list[Element], service: Service) -> list[Row]:
    rows = []
    for element in elements:
        service.reset()
        check = CHECKS.get(element.kind)
        try:
            if check is None:
                raise AssertionError("no check")
            check(element, service)
        except (AssertionError, LookupError, ScenarioError, ValueError, pytest.fail.Exception) as problem:
            rows.append(Row(element, f"NOT COVERED: {(str(problem) or repr(problem)).splitlines()[0]}"))
        else:
            rows.append(Row(element, None))
    return rows


def summary(rows: list[Row]) -> str:
    return f"{sum(row.wrong is None for row in rows)} of {len(rows)} elements of the page are covered"


def test_every_element_of_the_page_is_sent_or_read_and_the_emulator_has_it(service: Service) -> None:
    rows = table(PAGE, service)
    print("", *rows, summary(rows), sep="\n")  # noqa: T201 - it is what -s is for
    assert not [row for row in rows if row.wrong], "\n".join([summary(rows), *[str(row) for row in rows if row.wrong]])


def test_the_table_has_each_element_of_the_page_once() -> None:
    assert len({(element.kind, element.path, repr(element.value)) for element in PAGE}) == len(PAGE) == 63
    parameters, fields, answers = (
        [element.path for element in PAGE if element.kind == kind] for kind in ("parameter", "field", "answer")
    )
    assert (len(parameters), len(fields), len(answers)) == (5, 29, 5)
    assert (workshop_page.ROUTE, whole_tree()["versions"][0]["files"][0]["hash"]) == ("POST /scc/spSdModelSync", "xxx")


@pytest.mark.parametrize(
    ("element", "wrong"),
    [
        (Element("header", "x-sp-resource", "", "a"), "no check"),  # type: ignore[arg-type]
        (Element("field", "versions[].isNew", "Version.is_new", True), "isNew"),
        (Element("parameter", "region", "SessionParameters.region", "cn"), "region"),
        (Element("value", "modelType", "ModelTree.model_type", "controlnet"), ""),
        (Element("answer", "data.progress", "ListingStatus.progress", int), "progress"),
        (Element("status", "data.status", "paused", 7), "7"),
    ],
)
def test_an_element_that_is_not_covered_fails_the_table(service: Service, element: Element, wrong: str) -> None:
    [row] = table([element], service)
    assert row.wrong is not None
    assert wrong in row.wrong
    assert summary([row]) == "0 of 1 elements of the page are covered"
