"""The web application: its routes, each with Airflow's own authorisation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import unquote, urlencode

import anyio
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Query, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPError

from airflow_provider_scenario.plugin import access, actions, pictures, trainings
from airflow_provider_scenario.plugin.headers import StrictHeaders
from airflow_provider_scenario.plugin.lookup import Lines
from airflow_provider_scenario.plugin.pages import Pages
from airflow_provider_scenario.plugin.standing import STATES, Batch, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_scenario.plugin.lookup import Trouble
    from airflow_provider_scenario.plugin.trainings import Training

STATIC = Path(__file__).parent / "static"
PAGE_SIZE = 50
WINDOW = 500
"""How many of the newest trainings are looked through for a state, a type or a text."""

T = TypeVar("T")

routes = APIRouter()
pages = Pages()


def create_app() -> FastAPI:
    """Make the application; its state, what Scenario has said, is its own."""
    app = FastAPI(title="Scenario trainings", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.lines = Lines()
    app.include_router(routes)
    app.add_middleware(StrictHeaders)
    app.add_exception_handler(AnyHTTPError, _refuse)
    app.add_exception_handler(RequestValidationError, _misunderstand)
    return app


async def _refuse(_: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, AnyHTTPError) else 500
    text = str(error.detail) if isinstance(error, AnyHTTPError) else ""
    return pages.error(code, text)


async def _misunderstand(_: Request, __: Exception) -> Response:
    return pages.error(status.HTTP_400_BAD_REQUEST, "This address is incomplete. Come back from Airflow's own pages.")


def map_index(map_index: str = "-1") -> int:
    """The index of a mapped task; Airflow leaves its placeholder where the task is not mapped."""
    return int(map_index) if map_index.isdecimal() and len(map_index) < 10 else -1


def run_id(request: Request) -> str:
    """The run's id with its plus signs: Airflow 3.1 puts it into the address as it is, 3.3 encodes it."""
    fields = dict(field.partition("=")[::2] for field in request.url.query.split("&"))
    return unquote(fields.get("run_id", "")).replace("\0", "")


RunId = Annotated[str, Depends(run_id)]
MapIndex = Annotated[int, Depends(map_index)]
Text = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]  # PostgreSQL takes no NUL


@routes.get("/trainings", dependencies=[access.LOGGED_IN])
def list_page(
    request: Request,
    readable: access.ReadableDags,
    dag_id: Text = "",
    state: Text = "",
    type: Text = "",  # noqa: A002 - the page's word
    text: Text = "",
    page: Annotated[int, Query(ge=1, le=1000)] = 1,
) -> HTMLResponse:
    """All trainings of the DAGs that the viewer may see."""
    dags = {dag_id} & readable if dag_id else readable
    offset = (page - 1) * PAGE_SIZE
    if state or type or text:
        found = _standings(request, _read(trainings.newest, dags, limit=WINDOW))
        rest = [each for each in found if _matches(each, state, type, text)][offset:]
    else:
        rest = _standings(request, _read(trainings.newest, dags, limit=PAGE_SIZE + 1, offset=offset))
    asked = {"dag_id": dag_id, "state": state, "type": type, "text": text}
    filters = {name: value for name, value in asked.items() if value}
    return pages.render(
        "trainings.html",
        asked=asked,
        filters=filters,
        dags=sorted(readable),
        states=STATES,
        batch=Batch(rest[:PAGE_SIZE]),
        troubles=_troubles(request, rest),
        asking=_lines(request).asking,
        window=WINDOW,
        previous=urlencode({**filters, "page": page - 1}) if page > 1 else None,
        following=urlencode({**filters, "page": page + 1}) if len(rest) > PAGE_SIZE else None,
    )


@routes.get("/run", dependencies=[access.MAY_SEE_DAG])
def run_page(request: Request, dag_id: Text, run_id: RunId) -> HTMLResponse:
    """The batch of one DAG run."""
    standings = _standings(request, _read(trainings.of_run, dag_id, run_id))
    troubles, asking = _troubles(request, standings), _lines(request).asking
    return pages.render("run.html", batch=Batch(standings), run_id=run_id, troubles=troubles, asking=asking)


@routes.get("/training", dependencies=[access.MAY_SEE_DAG])
def training_page(
    request: Request, may_edit: access.MayEdit, dag_id: Text, run_id: RunId, task_id: Text, map_index: MapIndex
) -> HTMLResponse:
    """One training."""
    training = _read(trainings.of_task, dag_id, run_id, task_id, map_index)
    if training is None:
        return pages.render("not_ours.html")
    details, more_to_come = None, False
    if training.model_id:
        line = _lines(request)[training.conn_id]
        details = line.details(training.model_id, training.job_id)
        more_to_come = not line.has_told_all(training.model_id)
    (standing,) = _standings(request, [training])
    return pages.training(
        standing,
        details,
        more_to_come=more_to_come,
        troubles=_troubles(request, [standing]),
        asking=_lines(request).asking,
        may_edit=may_edit,
        token=access.form_token(request),
    )


@routes.get("/picture", dependencies=[access.MAY_SEE_DAG])
async def picture(
    request: Request, dag_id: Text, run_id: RunId, task_id: Text, map_index: MapIndex, asset_id: Text
) -> Response:
    """A training image or a sample of one training."""

    def load() -> Response:
        training = _training(dag_id, run_id, task_id, map_index)
        return pictures.load(_lines(request)[training.conn_id], training, asset_id)

    return await anyio.to_thread.run_sync(load, limiter=pictures.limiter())


@routes.post("/cancel", dependencies=[access.MAY_EDIT_DAG, access.FROM_OWN_PAGE, access.AUDITED])
def cancel_training(request: Request, dag_id: Text, run_id: RunId, task_id: Text, map_index: MapIndex) -> HTMLResponse:
    """Cancel one training."""
    training = _training(dag_id, run_id, task_id, map_index)
    return pages.outcome(training, lambda: actions.cancel(_lines(request)[training.conn_id], training))


@routes.post("/epoch", dependencies=[access.MAY_EDIT_DAG, access.FROM_OWN_PAGE, access.AUDITED])
def choose_epoch(
    request: Request,
    dag_id: Text,
    run_id: RunId,
    task_id: Text,
    map_index: MapIndex,
    epoch: Annotated[str, Form(max_length=50)],
) -> HTMLResponse:
    """Choose the epoch that a trained model uses."""
    training = _training(dag_id, run_id, task_id, map_index)
    line = _lines(request)[training.conn_id]
    return pages.outcome(training, lambda: actions.choose_epoch(line, training, epoch))


@routes.get("/static/{name}", dependencies=[access.LOGGED_IN])
def static(name: str) -> Response:
    """Style, script and icons."""
    found = next((file for file in STATIC.iterdir() if file.name == name), None)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return FileResponse(found, headers={"Cache-Control": "no-cache"})


def _lines(request: Request) -> Lines:
    lines: Lines = request.app.state.lines
    return lines


def _read(question: Callable[..., T], *arguments: object, **options: object) -> T:
    """Ask the database, and give its connection back before anybody waits for Scenario."""
    with create_session(scoped=False) as session:
        return question(session, *arguments, **options)


def _training(dag_id: str, run_id: str, task_id: str, map_index: int) -> Training:
    training = _read(trainings.of_task, dag_id, run_id, task_id, map_index)
    if training is None or training.model_id is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "This task trains nothing, or nothing yet.")
    return training


def _standings(request: Request, found: Iterable[Training]) -> list[Standing]:
    found = list(found)
    sights, now = _lines(request).sights(found), time.time()
    standings = []
    for training in found:
        sight = sights.get((training.conn_id, training.model_id or ""))
        standings.append(Standing(training, sight if sight and sight.is_of(training.job_id) else None, now))
    return standings


def _troubles(request: Request, standings: Iterable[Standing]) -> list[Trouble]:
    return _lines(request).troubles(each.training for each in standings if each.moving)


def _matches(standing: Standing, state: str, model_type: str, text: str) -> bool:
    training = standing.training
    words = " ".join((standing.name, standing.task, training.dag_id, training.run_id, training.model_id or ""))
    return (
        (not state or standing.state == state)
        and (not model_type or model_type.casefold() in standing.type.casefold())
        and (not text or text.casefold() in words.casefold())
    )
