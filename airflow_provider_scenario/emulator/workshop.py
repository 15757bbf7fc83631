"""
AI Creation Workshop: sync a model, query a token.

The service's own error codes are not published: those here begin with ``EMULATOR``, and the service does not have them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.signing import LONGEST_TIME
from airflow_provider_scenario.emulator.state import EPOCH_START
from airflow_provider_scenario.emulator.workshop_gateway import first_values
from airflow_provider_scenario.emulator.workshop_listing import invoke_id, start_listing
from airflow_provider_scenario.emulator.workshop_records import (
    FAILED,
    IN_PROGRESS,
    NOT_LISTED,
    ListedFile,
    SyncedModel,
)
from airflow_provider_scenario.emulator.workshop_tree import check_names, check_tree

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.settings import Settings
    from airflow_provider_scenario.emulator.state import State

routes = Routes()

SUCCESS, FAILURE = 10, 20
SESSION = ("apiToken", "roleId", "sessionMode", "expiredInSeconds", "customResourceConfigId")
TOKEN_ENDS = int((EPOCH_START + 10 * 365 * 24 * 3600) * 1000)


EXTRA = {"emulatorExtra": {"listedBy": ["no", "page"]}}
"""An undocumented field."""


def envelope(settings: Settings, data: Any, **changes: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("errCode", "errMessage", "subErrCode", "subErrMessage", "startTime", "endTime"))
    whole = {"status": SUCCESS, "apiInvokeId": invoke_id(), **empty, "data": data, **changes}
    if settings.workshop_extra_in_answers:
        whole = {**whole, **EXTRA, "data": _with_extra(data)}
    return {**whole, **settings.workshop_envelope}


def _with_extra(data: Any) -> Any:
    if isinstance(data, list):
        return [_with_extra(row) for row in data]
    return {**data, **EXTRA} if isinstance(data, dict) else data


def in_envelope(handler: Callable[[Call], Any]) -> Callable[[Call], Answer]:
    """Put the handler's result into ``data``, and a refusal into an envelope with ``workshop_refusal_status``."""

    @wraps(handler)
    def answer(call: Call) -> Answer:
        settings = call.state.settings
        try:
            return Answer(envelope(settings, handler(call)))
        except Refusal as refusal:
            code = refusal.name or "EMULATOR_INVALID_PARAMETER"
            failure = envelope(
                settings,
                None,
                status=FAILURE,
                errCode="EMULATOR_SUB_ERROR",
                errMessage="The service has refused the call",
                subErrCode=code,
                subErrMessage=refusal.reason,
            )
            return Answer(failure, settings.workshop_refusal_status)

    return answer


@routes.serve("POST", "/spQueryToken")
@in_envelope
def query_token(call: Call) -> dict[str, Any]:
    token = _body(call).get("apiToken")
    _check_token(call.state, token)
    return {"apiToken": token, "tokenExpiredAt": TOKEN_ENDS, "usedSessionTimeInSeconds": 0}


@routes.serve("POST", "/spSdModelSync")
@in_envelope
def sync_model(call: Call) -> Any:
    """Store a tree, and return the status of its files' listing."""
    tree, state = _body(call), call.state
    session = _session(call, tree)
    _check_token(state, session.get("apiToken"))
    _check_session(session)
    tree = {name: value for name, value in tree.items() if name not in SESSION}
    check_tree(tree, state.settings)
    for other in state.workshop.models.values():
        taken = other.version_ids & {version["modelVersionId"] for version in tree.get("versions", ())}
        if other.id != tree["modelId"] and taken:
            raise Refusal(400, f'"modelVersionId" {taken.pop()} belongs to another model', "EMULATOR_VERSION_TAKEN")
    rows = _listing_data(call, *_store_tree(state, tree, call.now))
    state.workshop.models[tree["modelId"]].session = {name: session[name] for name in session if name != "apiToken"}
    return rows


def _body(call: Call) -> dict[str, Any]:
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise Refusal(400, "The body must be application/json", "EMULATOR_MEDIA_TYPE")
    return call.body()


def _session(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The token and the other session fields, from the places that ``api_token_in`` allows."""
    place = call.state.settings.api_token_in
    query: dict[str, Any] = dict(first_values(call))
    if call.state.settings.workshop_unknown_fields == "refuse":
        check_names(query, SESSION, "")
    inside = {name: value for name, value in body.items() if name in SESSION}
    if "sessionMode" in query:
        query["sessionMode"] = _whole(query["sessionMode"], "sessionMode")
    if "expiredInSeconds" in query:
        query["expiredInSeconds"] = _whole(query["expiredInSeconds"], "expiredInSeconds")
    return {**(query if place != "body" else {}), **(inside if place != "query" else {})}


def _whole(value: str, field: str) -> Any:
    if not (value.isascii() and value.isdigit() and len(value) <= LONGEST_TIME):
        raise Refusal(400, f'"{field}" must be an integer')
    return int(value)


def _check_token(state: State, token: Any) -> None:
    if token is None:
        raise Refusal(400, '"apiToken" is required', "EMULATOR_TOKEN_MISSING")
    if token != state.settings.api_token:
        raise Refusal(400, "There is no such token", "EMULATOR_TOKEN_UNKNOWN")


def _check_session(session: dict[str, Any]) -> None:
    for field in ("roleId", "customResourceConfigId"):
        if not isinstance(session.get(field, ""), str):
            raise Refusal(400, f'"{field}" must be a string')
    for field, fits in (("sessionMode", lambda mode: mode in (10, 20)), ("expiredInSeconds", lambda life: life > 0)):
        value = session.get(field, 10)
        if isinstance(value, bool) or not isinstance(value, int) or not fits(value):
            raise Refusal(400, f'"{field}" has a value that is not allowed')


def _store_tree(state: State, tree: dict[str, Any], now: float) -> tuple[list[ListedFile], bool]:
    """The files of the tree, and whether the listing of any of them starts now."""
    models = state.workshop.models
    model = models.setdefault(tree["modelId"], SyncedModel(tree["modelId"], tree["name"], {}))
    model.syncs += 1
    model.changes += model.tree != tree
    model.tree, model.name = tree, tree["name"]
    found, started = [], False
    for version in tree.get("versions", ()):
        model.version_ids.add(version["modelVersionId"])
        for given in version.get("files", ()):
            file = model.files.get((version["modelVersionId"], given["name"]))
            if file is None or _must_list_again(file, given, now):
                file, started = start_listing(state, model, version["modelVersionId"], given, now), True
            file.primary = given.get("isPrimary") is True
            found.append(file)
    return found, started


def _must_list_again(file: ListedFile, given: dict[str, Any], now: float) -> bool:
    """Whether the hash has changed, or a failed file has a new address (a guess of ours)."""
    return file.hash != given["hash"] or (file.status(now) == FAILED and file.url != given["downloadUrl"])


def _listing_data(call: Call, files: list[ListedFile], started: bool) -> Any:
    """One object with the lowest status of all files, as on the vendor's page; or a list with one per file."""
    settings, tree = call.state.settings, call.body()

    def row(file: ListedFile, status: int) -> dict[str, Any]:
        if started and status == IN_PROGRESS:
            status = settings.first_listing_status
        if settings.listing_status is not None:
            status = settings.listing_status
        return {
            "modelId": tree["modelId"],
            "modelVersionId": file.version_id,
            "modelFileId": file.id,
            "status": status,
        }

    statuses = [file.status(call.now) for file in files]
    if not files:
        status = NOT_LISTED if settings.listing_status is None else settings.listing_status
        return {"modelId": tree["modelId"], "modelVersionId": None, "modelFileId": None, "status": status}
    if settings.workshop_data == "list":
        return [row(file, status) for file, status in zip(files, statuses, strict=True)]
    primary = next((file for file in files if file.primary), files[0])
    return row(primary, min(statuses))
