"""``GET /models`` with its filters, some of which it ignores silently."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_scenario.emulator import checks
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.views import PREVIEWED_IMAGES, model_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_scenario.emulator.records import Model
    from airflow_provider_scenario.emulator.state import State

routes = Routes()
LARGEST_PAGE, DEFAULT_PAGE = 500, 100
STATUSES = ("new", "training", "trained", "failed", "deleted")
RECENTLY = 30 * 24 * 3600
Item = TypeVar("Item")
Position = tuple[float, str]


@routes.serve("GET", "/models")
def list_models(call: Call) -> Answer:
    query = call.query
    size = checks.page_size(query, default=DEFAULT_PAGE, most=LARGEST_PAGE)
    public = query.get("privacy", "private") == "public"
    checks.one_of(query.get("privacy", "private"), "privacy", ("private", "public"))
    if "type" in query and "types" in query:
        raise Refusal(400, 'The parameters "type" and "types" cannot be used together')
    key = _sort_key(query, public=public)
    descending = query.get("sortDirection", "desc") == "desc"
    checks.one_of(query.get("sortDirection", "desc"), "sortDirection", ("asc", "desc"))
    kept = _public_filter(call) if public else _private_filter(call)
    within = _dates(query)
    models = [model for model in call.state.models.values() if kept(model) and within(model)]

    def order(model: Model) -> Position:
        return key(model), model.id

    models.sort(key=order, reverse=descending)
    page, token = take_page(call.state, models, size, query.get("paginationToken"), order, descending=descending)
    answer: dict[str, object] = {
        "models": [model_view(call.state, model, call.base, call.now, PREVIEWED_IMAGES) for model in page]
    }
    if token is not None:
        answer["nextPaginationToken"] = token
    return Answer(answer)


def _sort_key(query: dict[str, str], *, public: bool) -> Callable[[Model], float]:
    sort_by = query.get("sortBy", "score" if public else "createdAt")
    checks.one_of(sort_by, "sortBy", ("createdAt", "updatedAt", "score") if public else ("createdAt", "score"))
    if sort_by == "score" and not public and not ("privacy" in query and "status" in query):
        raise Refusal(400, '"sortBy" score requires the parameters "privacy" and "status"')
    return (lambda model: model.updated_at) if sort_by == "updatedAt" else (lambda model: model.created_at)


def _private_filter(call: Call) -> Callable[[Model], bool]:
    """Filter by status and collection. ``type``, ``types`` and ``tags`` are ignored: they filter public models only."""
    status, collection = call.query.get("status"), call.query.get("collectionId")

    def kept(model: Model) -> bool:
        if model.privacy == "public" or (collection is not None and collection not in model.collection_ids):
            return False
        if status == "deleted":
            return model.deleted_at is not None and call.now - model.deleted_at <= RECENTLY
        if status in STATUSES:
            return model.deleted_at is None and model.status == status
        # An unknown status switches the filter off: deleted models are listed too.
        return status is not None or model.deleted_at is None

    return kept


def _public_filter(call: Call) -> Callable[[Model], bool]:
    types = {name for name in (call.query.get("types") or call.query.get("type") or "").split(",") if name}
    tags = {tag for tag in call.query.get("tags", "").split(",") if tag}
    return lambda model: (
        model.privacy == "public"
        and (not types or model.type in types)
        and (not tags or not tags.isdisjoint(model.tags))
    )


def _dates(query: dict[str, str]) -> Callable[[Model], bool]:
    """Filter by creation or update strictly between the given dates; each date needs its own ``sortBy``."""
    bounds = {
        name: checks.moment(query, name) for name in ("createdAfter", "createdBefore", "updatedAfter", "updatedBefore")
    }
    for name, bound in bounds.items():
        needed = "createdAt" if name.startswith("created") else "updatedAt"
        if bound is not None and query.get("sortBy") != needed:
            raise Refusal(400, f'"{name}" requires the parameter "sortBy" to be "{needed}"')
    # Compare milliseconds, as the JSON has them: a model must not be 'after' its own createdAt.
    return lambda model: (
        _after(model.created_at, bounds["createdAfter"])
        and _before(model.created_at, bounds["createdBefore"])
        and _after(model.updated_at, bounds["updatedAfter"])
        and _before(model.updated_at, bounds["updatedBefore"])
    )


def _after(moment: float, bound: float | None) -> bool:
    return bound is None or int(moment * 1000) > round(bound * 1000)


def _before(moment: float, bound: float | None) -> bool:
    return bound is None or int(moment * 1000) < round(bound * 1000)


def take_page(
    state: State,
    items: Sequence[Item],
    size: int,
    token: str | None,
    order: Callable[[Item], Position],
    *,
    descending: bool,
) -> tuple[Sequence[Item], str | None]:
    """
    One page, and the token of the next one or None.

    The token holds the last item's place in the order: items that appear or vanish between two calls make no other
    item repeat or get lost.
    """
    number, reached = _read_token(token)
    if reached is not None:
        items = [item for item in items if (order(item) < reached if descending else order(item) > reached)]
    if state.settings.pages == "short":
        size = max(1, size // 2)
    if state.settings.pages == "empty" and number % 2 == 0:
        size = 0
    page = items[:size]
    more = size < len(items)
    reached = order(page[-1]) if page else reached
    return page, _write_token(number + 1, reached) if more else None


def _write_token(number: int, reached: Position | None) -> str:
    return base64.urlsafe_b64encode(json.dumps([number, reached]).encode()).decode()


def _read_token(token: str | None) -> tuple[int, Position | None]:
    if token is None:
        return 0, None
    try:
        number, reached = json.loads(base64.urlsafe_b64decode(token))
        return int(number), None if reached is None else (float(reached[0]), str(reached[1]))
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):  # binascii.Error is a ValueError
        raise Refusal(400, "Invalid pagination token") from None
