from __future__ import annotations

import re

import pytest

from tests.unit.plugin.conftest import CLOSED

WHERE = "dag_id={dag}&run_id=a_run&task_id=train&map_index=-1"
PAGES = ["run?dag_id={dag}&run_id=a_run", f"training?{WHERE}", f"picture?{WHERE}&asset_id=asset_1"]
ACTIONS = [f"cancel?{WHERE}", f"epoch?{WHERE}"]


@pytest.mark.parametrize("page", ["trainings", "static/page.css", "static/page.js", *PAGES])
def test_without_a_login_every_page_is_401_and_says_to_log_in(log_in, page):
    answer = log_in(None).get(page.format(dag="a_dag"))
    assert answer.status_code == 401
    assert "Log in to Airflow" in answer.text


@pytest.mark.parametrize("action", ACTIONS)
def test_without_a_login_every_action_is_401(log_in, action):
    assert log_in(None).post(action.format(dag="a_dag"), data={"epoch": "1"}).status_code == 401


@pytest.mark.parametrize("page", PAGES)
def test_a_dag_that_one_may_not_see_looks_like_one_that_is_not_there(log_in, database, page):
    database.task(CLOSED, model_id="model_of_others")
    answer = log_in("viewer").get(page.format(dag=CLOSED))
    assert answer.status_code == 403
    assert CLOSED not in answer.text
    assert "model_of_others" not in answer.text


def test_the_list_shows_only_what_one_may_see(log_in, database):
    database.task(CLOSED, model_id="model_of_others", fields={"name": "theirs"})
    database.task("a_dag", model_id="model_of_mine", fields={"name": "mine"})
    for_viewer, for_admin = log_in("viewer").get("trainings").text, log_in("admin").get("trainings").text
    assert "mine" in for_viewer
    assert CLOSED not in for_viewer
    assert "theirs" not in for_viewer
    assert CLOSED in for_admin
    assert CLOSED not in log_in("viewer").get(f"trainings?dag_id={CLOSED}").text


@pytest.mark.parametrize("dags", [("a_dag", CLOSED), (CLOSED, "a_dag")])
def test_two_dags_in_one_address_do_not_open_the_closed_one(log_in, database, dags):
    database.task(CLOSED, model_id="model_of_others", fields={"name": "theirs"})
    database.task("a_dag", model_id="model_of_mine", fields={"name": "mine"})
    answer = log_in("viewer").get(f"run?dag_id={dags[0]}&dag_id={dags[1]}&run_id=a_run")
    assert "theirs" not in answer.text
    assert answer.status_code == (403 if dags[-1] == CLOSED else 200)


@pytest.mark.parametrize("everything", ["~", ""])
def test_no_address_stands_for_all_dags(log_in, database, everything):
    database.task(CLOSED, model_id="model_of_others", fields={"name": "theirs"})
    for page in PAGES:
        assert "theirs" not in log_in("viewer").get(page.format(dag=everything)).text


@pytest.mark.parametrize("action", ACTIONS)
def test_who_may_only_read_cannot_act(log_in, database, train, action, emulator):
    database.task(**train())
    viewer = log_in("viewer")
    page = viewer.get(f"training?{WHERE.format(dag='a_dag')}").text
    assert 'method="post"' not in page
    answer = viewer.post(action.format(dag="a_dag"), data={"token": token_of(log_in("user")), "epoch": "000001"})
    assert answer.status_code == 403
    assert emulator.counts()["canceled"] == 0


@pytest.mark.parametrize(
    "forged",
    [
        {"data": {}},
        {"data": {"token": "guessed"}},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
        {"headers": {"Sec-Fetch-Site": "same-site"}},
        {"headers": {"Origin": "https://evil.example"}},
        {"headers": {"Origin": "null"}},
        {"headers": {"Content-Type": "application/x-www-form-urlencoded; also=application/json"}},
    ],
)
def test_another_site_cannot_make_a_browser_cancel(admin, database, train, emulator, forged):
    database.task(**train())
    own = {"data": {"token": token_of(admin)}}
    answer = admin.post(f"cancel?{WHERE.format(dag='a_dag')}", **{**own, **forged})
    assert answer.status_code == 403
    assert emulator.counts()["canceled"] == 0


def test_the_token_of_another_login_is_refused(log_in, database, train, emulator):
    database.task(**train())
    answer = log_in("admin").post(f"cancel?{WHERE.format(dag='a_dag')}", data={"token": token_of(log_in("user"))})
    assert answer.status_code == 403
    assert emulator.counts()["canceled"] == 0


@pytest.mark.parametrize("page", PAGES)
def test_an_id_with_a_nul_which_postgresql_does_not_take_is_refused(log_in, page):
    answer = log_in("viewer").get(page.format(dag="a_dag%00"))
    assert answer.status_code == 400
    assert "dag_id contains a NUL character" in answer.text


@pytest.mark.parametrize("page", ["trainings", "run", "static/page.css", "no-such-page"])
def test_every_answer_forbids_foreign_content(admin, page):
    answer = admin.get(page)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def token_of(browser) -> str:
    page = browser.get(f"training?{WHERE.format(dag='a_dag')}").text
    return re.search(r'name="token" value="([0-9a-f]+)"', page)[1]
