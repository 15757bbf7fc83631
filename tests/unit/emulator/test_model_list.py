from __future__ import annotations

import pytest


def walk(api, path="/models", key="models", **query):
    """The ids on each page, to the end."""
    pages, token = [], {}
    while True:
        answer = api.call("GET", path, **query, **token).json()
        pages.append([row.get("name", row["id"]) if key == "models" else row["jobId"] for row in answer[key]])
        if "nextPaginationToken" not in answer:
            return pages
        token = {"paginationToken": answer["nextPaginationToken"]}


def spread_out(api, count):
    for number in range(count):
        api.model(f"m{number}")
        api.emulator.switch("advance", seconds=1)


def test_the_newest_models_come_first_by_default(api):
    spread_out(api, 3)
    assert walk(api) == [["m2", "m1", "m0"]]
    assert walk(api, sortBy="createdAt", sortDirection="asc") == [["m0", "m1", "m2"]]


def test_a_token_gets_the_next_page_and_the_last_page_has_none(api):
    spread_out(api, 5)
    assert walk(api, pageSize=2) == [["m4", "m3"], ["m2", "m1"], ["m0"]]


def test_a_model_created_between_two_pages_neither_repeats_nor_hides_others(api):
    spread_out(api, 3)
    first = api.call("GET", "/models", pageSize=2).json()
    api.model("newcomer")
    rest = api.call("GET", "/models", pageSize=2, paginationToken=first["nextPaginationToken"]).json()
    assert [row["name"] for row in rest["models"]] == ["m0"]


def test_a_page_may_be_short_though_more_follows(api):
    spread_out(api, 3)
    api.emulator.switch("settings", pages="short")
    assert walk(api, pageSize=4) == [["m2", "m1"], ["m0"]]


def test_a_page_may_be_empty_though_more_follows(api):
    spread_out(api, 3)
    api.emulator.switch("settings", pages="empty")
    assert walk(api, pageSize=2) == [[], ["m2", "m1"], [], ["m0"]]


def test_an_invented_token_is_refused(api):
    assert api.call("GET", "/models", paginationToken="x").status_code == 400


@pytest.mark.parametrize("size", ["0", "501", "-1", "many"])
def test_the_page_size_is_1_to_500(api, size):
    assert api.call("GET", "/models", pageSize=size).status_code == 400


def test_a_row_shows_at_most_three_training_images(api):
    api.model(images=4)
    (row,) = api.call("GET", "/models").json()["models"]
    assert (len(row["trainingImages"]), row["trainingImagesNumber"]) == (3, 4)


def test_the_status_filter_knows_deleted_models_and_ignores_a_status_it_does_not_know(api):
    api.model("new"), api.trained("trained")
    api.call("DELETE", f"/models/{api.model('deleted')}")
    found = {status: walk(api, status=status)[0] for status in ("new", "trained", "failed", "deleted", "draft")}
    assert {status: sorted(names) for status, names in found.items()} == {
        "new": ["new"],
        "trained": ["trained"],
        "failed": [],
        "deleted": ["deleted"],
        "draft": ["deleted", "new", "trained"],
    }
    assert "deletedAt" in api.call("GET", "/models", status="deleted").json()["models"][0]


def test_dates_are_exclusive_bounds_and_need_the_matching_order(api):
    spread_out(api, 3)
    dates = {row["name"]: row["createdAt"] for row in api.call("GET", "/models").json()["models"]}
    assert walk(api, sortBy="createdAt", createdAfter=dates["m0"]) == [["m2", "m1"]]
    assert walk(api, sortBy="createdAt", createdBefore=dates["m1"]) == [["m0"]]
    assert api.call("GET", "/models", createdAfter=dates["m0"]).status_code == 400
    assert api.call("GET", "/models", sortBy="createdAt", createdAfter="yesterday").status_code == 400


def test_type_and_types_exclude_each_other_and_filter_only_public_models(api):
    api.model("mine")
    assert api.call("GET", "/models", type="flux.1", types="flux.1").status_code == 400
    assert walk(api, type="zimage-lora") == [["mine"]]
    assert walk(api, privacy="public", type="flux.1") == [["flux.1-dev"]]


def test_sorting_by_score_needs_privacy_and_status(api):
    assert api.call("GET", "/models", sortBy="score").status_code == 400
    assert api.call("GET", "/models", sortBy="score", privacy="private", status="new").status_code == 200


def test_models_can_be_filtered_by_collection(api):
    api.model("in", collectionIds=["c"]), api.model("out")
    assert walk(api, collectionId="c") == [["in"]]
