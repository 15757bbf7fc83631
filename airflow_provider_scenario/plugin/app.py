"""The web application: its routes, each with Airflow's own authorisation."""

from __future__ import annotations

import time
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPError

from airflow_provider_scenario.airflow_compat.configuration import conf
from airflow_provider_scenario.airflow_compat.tables import TablesChangedError, TaskKey, database_session
from airflow_provider_scenario.airflow_compat.version import airflow_version
from airflow_provider_scenario.airflow_compat.web import AUDITED, LOGGED_IN, MAY_EDIT_DAG, MAY_SEE_DAG, run_id
from airflow_provider_scenario.plugin import access, actions, pictures, trainings
from airflow_provider_scenario.plugin.headers import StrictHeaders
from airflow_provider_scenario.plugin.lookup import Lookups
from airflow_provider_scenario.plugin.page_cache import PageCache
from airflow_provider_scenario.plugin.pages import Pages, ScenarioState
from airflow_provider_scenario.plugin.proof import CANNOT_ACT
from airflow_provider_scenario.plugin.status import STATES, Batch, TrainingStatus
from airflow_provider_scenario.plugin.threads import Threads, not_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_scenario.plugin.lookup import ScenarioLookup
    from airflow_provider_scenario.plugin.trainings import Training

NO_TRAINING = "This task has no training, or none yet."
NO_CALLS = "[scenario] page_calls_scenario is False in Airflow's configuration"

STATIC = Path(__file__).parent / "static"
PAGE_SIZE = 50
RUN_PAGE_SIZE = 500
"""Rows of a run on one page; the sums above them are of all its trainings."""

WINDOW = 500
"""How many of the newest trainings are counted, and searched for a state, a type or a text."""

T = TypeVar("T")

routes = APIRouter()
pages = Pages()


def create_app() -> FastAPI:
    """Make the application. What Scenario has answered is kept in its state."""
    app = FastAPI(title="Scenario trainings", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.lookups = Lookups(calls=conf().getboolean("scenario", "page_calls_scenario", fallback=True))
    app.state.picture_threads = pictures.picture_threads()
    app.state.action_threads = Threads(each=8, altogether=32)  # none waits: a button is answered at once
    app.state.runs = PageCache[Batch]()
    app.include_router(routes)
    app.add_middleware(StrictHeaders)
    app.add_exception_handler(AnyHTTPError, _refuse)
    app.add_exception_handler(RequestValidationError, _misunderstand)
    app.add_exception_handler(TablesChangedError, _explain_changed_tables)
    return app


async def _refuse(_: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, AnyHTTPError) else 500
    text = str(error.detail) if isinstance(error, AnyHTTPError) else ""
    answer = pages.error(code, text)
    answer.headers.update(getattr(error, "headers", None) or {})  # such as Retry-After
    return answer


async def _misunderstand(_: Request, __: Exception) -> Response:
    text = "This address is incomplete. Open the page from Airflow's menu or from a task."
    return pages.error(HTTPStatus.BAD_REQUEST, text)


async def _explain_changed_tables(_: Request, error: Exception) -> Response:
    text = (
        f"This version of the provider does not know the tables of Airflow {airflow_version()} ({error}). Only this "
        "page is affected: trainings continue. Update airflow-provider-scenario."
    )
    return pages.error(HTTPStatus.NOT_IMPLEMENTED, text)


def map_index(map_index: str = "-1") -> int:
    """Read the index of a mapped task. If the task is not mapped, Airflow leaves its placeholder in the address."""
    return int(map_index) if map_index.isdecimal() and len(map_index) < 10 else -1


RunId = Annotated[str, Depends(run_id)]
Text = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]  # PostgreSQL refuses a NUL


def task_key(
    dag_id: Text,
    run_id: RunId,
    task_id: Text,
    map_index: Annotated[int, Depends(map_index)],
    region_id: Text = "",
    region_index: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
) -> TaskKey:
    """Read which task instance an address is about. Only a task in a loop has a region (Airflow 3.4)."""
    if not region_id:
        return TaskKey(dag_id, run_id, task_id, map_index)
    return TaskKey(dag_id, run_id, task_id, map_index, region_id, region_index)


Key = Annotated[TaskKey, Depends(task_key)]


@routes.get("/trainings", dependencies=[LOGGED_IN])
def list_page(
    request: Request,
    readable: access.ReadableDags,
    may_see_tasks: access.MaySeeTasks,
    dag_id: Text = "",
    state: Text = "",
    type: Text = "",  # noqa: A002 - named so in the address
    text: Text = "",
    page: Annotated[int, Query(ge=1, le=1000)] = 1,
) -> HTMLResponse:
    """List the trainings of the DAGs whose tasks the viewer may see; above the rows, sums of the newest."""
    dags = {dag_id} & readable if dag_id else readable
    newest = partial(_newest, may_see_tasks, dags)
    found, begin = newest(limit=WINDOW + 1), (page - 1) * PAGE_SIZE
    counted = [each for each in _statuses(request, found[:WINDOW]) if _matches(each, state, type, text)]
    rest, are_all = counted[begin:], len(found) <= WINDOW
    if not (are_all or state or type or text) and begin + PAGE_SIZE >= WINDOW:  # older than those that are counted
        rest = _statuses(request, newest(limit=PAGE_SIZE + 1, offset=begin))
    filter_values = {"dag_id": dag_id, "state": state, "type": type, "text": text}
    filters = {name: value for name, value in filter_values.items() if value}
    return pages.render(
        "trainings.html",
        filter=filter_values,
        filters=filters,
        dags=sorted(readable),
        states=STATES,
        batch=Batch(counted),
        are_all=are_all,
        shown=Batch(rest[:PAGE_SIZE]),
        **_scenario_state(request, [*counted, *rest]),
        window=WINDOW,
        previous=urlencode({**filters, "page": page - 1}) if page > 1 else None,
        following=urlencode({**filters, "page": page + 1}) if len(rest) > PAGE_SIZE else None,
    )


@routes.get("/run", dependencies=[MAY_SEE_DAG])
def run_page(
    request: Request, dag_id: Text, run_id: RunId, page: Annotated[int, Query(ge=1, le=1000)] = 1
) -> HTMLResponse:
    """Show the batch of one DAG run: sums of all its trainings, and a page of rows."""
    runs: PageCache[Batch] = request.app.state.runs
    batch = runs.get((dag_id, run_id), lambda: Batch(_statuses(request, _read(trainings.of_run, dag_id, run_id))))
    end, address = page * RUN_PAGE_SIZE, {"dag_id": dag_id, "run_id": run_id}
    return pages.render(
        "run.html",
        batch=batch,
        shown=Batch(batch.statuses[end - RUN_PAGE_SIZE : end]),
        previous=urlencode({**address, "page": page - 1}, quote_via=quote) if page > 1 else None,
        following=urlencode({**address, "page": page + 1}, quote_via=quote) if len(batch.statuses) > end else None,
        run_id=run_id,
        **_scenario_state(request, batch.statuses),
    )


@routes.get("/training", dependencies=[MAY_SEE_DAG])
def training_page(
    request: Request, may_edit: access.MayEdit, may_see_xcoms: access.MaySeeXComs, key: Key
) -> HTMLResponse:
    """Show one training; of a task in a loop that of its latest iteration, with links to the others."""
    found = _read(trainings.of_task, key)
    if found and found[-1].published is not None:
        return pages.publication(found[-1], may_see_xcoms=may_see_xcoms)
    proven = _ours(request, found[-1:])
    if not proven:
        return pages.render("not_ours.html")
    training, iterations = proven[0], found if len(found) > 1 else []
    if key.region_id:
        iterations = _read(trainings.of_task, key._replace(region_id=None, region_index=None))
    lookups = _lookups(request)
    details = lookups.details(training)
    (status,) = _with_snapshots(request, [training])
    return pages.training(
        status,
        details,
        iterations=iterations,
        more_to_come=lookups.more_to_come(training),
        **_scenario_state(request, [status]),
        may_edit=may_edit and lookups.calls and training.may_act,
        token=access.form_token(request),
    )


@routes.get("/picture", dependencies=[MAY_SEE_DAG])
async def picture(request: Request, key: Key, asset_id: Text) -> Response:
    """Send a training image or a sample of one training. A browser checks here before it shows a cached one."""
    if request.headers.get("if-none-match") == pictures.etag(asset_id):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=pictures.cache_headers(asset_id))
    stored = await run_in_threadpool(_stored, request, key)

    def load() -> Response:
        training = _proven(request, stored)
        return pictures.load(_lookup(request, training), training, asset_id)

    threads: Threads = request.app.state.picture_threads
    return await threads.run(stored.conn_id, load)


@routes.post("/cancel", dependencies=[MAY_EDIT_DAG, access.FROM_OWN_PAGE, AUDITED])
async def cancel_training(request: Request, key: Key) -> HTMLResponse:
    """Cancel one training."""
    return await _act(request, key, actions.cancel)


@routes.post("/epoch", dependencies=[MAY_EDIT_DAG, access.FROM_OWN_PAGE, AUDITED])
async def choose_epoch(request: Request, key: Key, epoch: Annotated[str, Form(max_length=50)]) -> HTMLResponse:
    """Choose the epoch that a trained model uses."""
    return await _act(request, key, lambda lookup, training: actions.choose_epoch(lookup, training, epoch))


async def _act(request: Request, key: TaskKey, act: Callable[[ScenarioLookup, Training], str]) -> HTMLResponse:
    stored = await run_in_threadpool(_stored, request, key)

    def act_on_own() -> HTMLResponse:
        training = _proven(request, stored, to_act=True)
        return pages.outcome(training, lambda: act(_lookup(request, training), training))

    threads: Threads = request.app.state.action_threads
    return await threads.run(stored.conn_id, act_on_own)


@routes.get("/static/{name}", dependencies=[LOGGED_IN])
def static(name: str) -> Response:
    """Style, script and icons."""
    found = next((file for file in STATIC.iterdir() if file.name == name), None)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return FileResponse(found, headers={"Cache-Control": "no-cache"})


def _lookups(request: Request) -> Lookups:
    lookups: Lookups = request.app.state.lookups
    return lookups


def _lookup(request: Request, training: Training) -> ScenarioLookup:
    """Return the lookup of a training's connection."""
    return _lookups(request)[training.conn_id]


def _read(query: Callable[..., T], *arguments: object, **options: object) -> T:
    """Query the database, and return its connection before the request waits for Scenario."""
    with database_session() as session:
        return query(session, *arguments, **options)


def _newest(may_see_tasks: Callable[[str], bool], dags: set[str], **page: int) -> list[Training]:
    """Read the newest trainings of these DAGs, without those whose tasks the viewer may not see."""
    while True:
        found: list[Training] = _read(trainings.newest, dags, **page)
        closed = {dag_id for dag_id in {training.dag_id for training in found} if not may_see_tasks(dag_id)}
        if not closed:
            return found
        dags = dags - closed


def _stored(request: Request, key: TaskKey) -> Training:
    """
    Read what Airflow has stored of one task; its model is not proven yet.

    :raises HTTPException: 400, 404 or 409 with the reason.
    """
    if not _lookups(request).calls:
        raise HTTPException(HTTPStatus.CONFLICT, f"This API server does not call Scenario: {NO_CALLS}.")
    found = _read(trainings.of_task, key)
    if len(found) > 1:
        detail = "This task is in a loop; the address does not say which iteration."
        raise HTTPException(HTTPStatus.BAD_REQUEST, detail)
    if not found:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_TRAINING)
    return found[0]


def _proven(request: Request, stored: Training, *, to_act: bool = False) -> Training:
    """
    Return the training with its model, which is proven to be the task's.

    :param to_act: whether the model is going to be changed, not only shown.
    :raises HTTPException: 404, 409 or 503 with the reason; of Scenario only the model's marker was read.
    """
    training = next(iter(_ours(request, [stored])), None)
    if training and training.refusal and training.is_undecided:
        raise not_now(training.refusal)
    if training and training.refusal:
        raise HTTPException(HTTPStatus.CONFLICT, training.refusal)
    if training is None or training.model_id is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_TRAINING)
    if to_act and not training.may_act:
        raise HTTPException(HTTPStatus.CONFLICT, CANNOT_ACT.format(model_id=training.model_id))
    return training


def _ours(request: Request, found: Iterable[Training]) -> list[Training]:
    """Return the trainings of our operators, each with its model if that is proven to be the task's."""
    return [training for training in _lookups(request).prove(found) if training.is_ours]


def _statuses(request: Request, found: Iterable[Training]) -> list[TrainingStatus]:
    return _with_snapshots(request, _ours(request, found))


def _with_snapshots(request: Request, found: Iterable[Training]) -> list[TrainingStatus]:
    found = list(found)
    snapshots, now = _lookups(request).snapshots(found), time.time()
    statuses = []
    for training in found:
        snapshot = snapshots.get((training.conn_id, training.model_id or ""))
        is_shown = snapshot is not None and snapshot.is_of(training.job_id)
        statuses.append(TrainingStatus(training, snapshot if is_shown else None, now))
    return statuses


def _scenario_state(request: Request, statuses: Iterable[TrainingStatus]) -> ScenarioState:
    lookups = _lookups(request)
    return {
        "troubles": lookups.troubles(each.training for each in statuses if each.may_change),
        "refresh_soon": lookups.is_polling,
        "calls_scenario": lookups.calls,
    }


def _matches(status: TrainingStatus, state: str, model_type: str, text: str) -> bool:
    training = status.training
    words = " ".join((status.name, status.task, training.dag_id, training.run_id, training.model_id or ""))
    return (
        (not state or status.state == state)
        and (not model_type or model_type.casefold() in status.type.casefold())
        and (not text or text.casefold() in words.casefold())
    )
