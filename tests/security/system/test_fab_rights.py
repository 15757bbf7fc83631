"""
Attacks on the pages of a real Airflow with FAB's auth manager, where rights are given DAG by DAG.

The emulator's ledger is the witness: a paid training that still runs was not cancelled.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import time
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import pytest

from airflow_provider_scenario.emulator.server import running_emulator
from tests.harness.waiting import eventually
from tests.security.system.fab import Person, add_user, airflow_with_fab, copy_dags
from tests.witness import Witness

pytestmark = pytest.mark.full

READS_TASKS = (
    ("can_read", "DAG Runs"),
    ("can_read", "Task Instances"),
    ("can_read", "Task Logs"),
    ("can_read", "XComs"),
)
READS_MINE = (("can_read", "DAG:mine"), *READS_TASKS)
EDITS_MINE = (*READS_MINE, ("can_edit", "DAG:mine"))
RIGHTS = {
    "viewer": "Viewer",
    "reader": READS_MINE,
    "editor": EDITS_MINE,
    "forger": (*EDITS_MINE, ("can_create", "XComs"), ("can_edit", "XComs")),
    "blind": (("can_read", "DAG:mine"),),
    "nobody": (),
}
SCRIPT = "\"><script>document.title='hacked'</script>'"
IMAGE = "<img src=x onerror=\"document.title='hacked'\">"
EVERYBODY = ("admin", *RIGHTS, "anonymous")
READ = {"mine": {"admin", "viewer", "reader", "editor", "forger"}, "victims": {"admin", "viewer"}}
EDIT = {"mine": {"admin", "editor", "forger"}, "victims": {"admin"}}

NO_RIGHT = "You may not see or change this DAG, or there is no such DAG."
NOT_OUR_FORM = "This request did not come from the page itself"
TRAININGS = {"mine": ("own_task", 6), "victims": ("secret_task", 1)}
"""The task of a DAG that trains, and how many trainings it has."""
ENDED = {("mine", 1): "failed", ("mine", 2): "success"}
RUN = "same-run"
"""The id of both DAGs' runs, as when both have the same schedule: only the DAG tells them apart."""


@dataclass(frozen=True)
class Target:
    """
    One training that people try to reach.

    :param secrets: what only those may see who may read its DAG.
    """

    dag_id: str
    task_id: str
    map_index: int
    name: str
    model_id: str
    job_id: str
    image_id: str
    secrets: frozenset[str]

    @property
    def query(self) -> str:
        return query(self.dag_id, self.task_id, self.map_index)


def query(dag_id: str, task_id: str, map_index: int = -1) -> str:
    return urlencode({"dag_id": dag_id, "run_id": RUN, "task_id": task_id, "map_index": map_index}, quote_via=quote)


@pytest.fixture(scope="module")
def witness():
    with running_emulator(training_seconds=100_000, training_seconds_by_model={"[ef]*": 1}) as emulator:
        witness = Witness(emulator.url)
        witness.outcome(model="fails*", fail_at=0, error=f"error {SCRIPT}", hint=f"hint {SCRIPT}")
        yield witness


@pytest.fixture(scope="module")
def airflow(witness, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fab")
    connection = {
        "conn_type": "scenario",
        "login": "demo",
        "password": "demo",
        "host": witness.url,
        "extra": {"requests_per_minute": 1_000_000},
    }
    with airflow_with_fab(
        folder / "home", copy_dags(folder / "dags"), connections={"scenario_default": connection}
    ) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def people(airflow) -> dict[str, Person]:
    for dag_id in READ:
        airflow.wait_for_dag(dag_id)  # and FAB has the rights that can be given on it
    admin = Person.logged_in(airflow.url, "admin", airflow.password)
    users = {name: add_user(admin, name, rights) for name, rights in RIGHTS.items()}
    return {"admin": admin, **users, "anonymous": Person(airflow.url, "anonymous")}


@pytest.fixture(scope="module")
def targets(airflow, witness, people) -> dict[str, list[Target]]:
    """The trainings of each DAG, all of which continue, except the second and third of ``mine``."""
    for dag_id in TRAININGS:
        airflow.trigger(dag_id, run_id=RUN)
    found = {}
    for dag_id, (task_id, number) in TRAININGS.items():
        for index in range(number):
            state = ENDED.get((dag_id, index), "deferred")
            airflow.wait_for_task(dag_id, RUN, task_id, [state], map_index=index)
        found[dag_id] = [_target(airflow, witness, dag_id, task_id, index) for index in range(number)]
    return found


def _target(airflow, witness, dag_id, task_id, index) -> Target:
    model_id, job_id = (airflow.xcom(dag_id, RUN, task_id, key, index) for key in ("model_id", "job_id"))
    model = witness.model(model_id)
    images, name = model["trainingImages"], model["name"]
    texts = [name, *(image["description"] for image in images), *model["parameters"]["samplePrompts"]]
    ids = [task_id, model_id, job_id, *(image["id"] for image in images)]
    return Target(dag_id, task_id, index, name, model_id, job_id, images[0]["id"], frozenset([*ids, *texts]))


@pytest.fixture(scope="module")
def mine(targets) -> list[Target]:
    return targets["mine"]


@pytest.fixture(scope="module")
def victim(targets) -> Target:
    return targets["victims"][0]


@pytest.fixture
def victim_continues(witness, victim):
    """Check that the victim's training continues after the test, and that only expected trainings were cancelled."""
    before, canceled = witness.model(victim.model_id)["status"], witness.counts()["canceled"]
    allowed = []
    yield lambda: allowed.append(1)
    assert witness.model(victim.model_id)["status"] == before
    assert witness.counts()["canceled"] == canceled + len(allowed)


def shows(answer, target: Target) -> list[str]:
    return sorted(secret for secret in target.secrets if secret in answer.all)


def shows_any(answer, targets: list[Target]) -> list[str]:
    return sorted({secret for target in targets for secret in shows(answer, target)})


def named(targets: list[Target], name: str) -> Target:
    return next(target for target in targets if target.name == name)


def token_of(person: Person, target: Target) -> str:
    """What the page of this training, which must run, gives a person to change things with."""
    deadline = time.monotonic() + 60
    while True:
        page = person.get(f"/scenario/training?{target.query}").text
        if found := re.search(r'name="token" value="([^"]+)"', page):
            return found[1]
        assert time.monotonic() < deadline, page
        time.sleep(0.3)


def routes(target: Target) -> dict[str, tuple[str, set[str] | None, int]]:
    """Address → its method, who may use it (None: every user who is logged in), and the status that they get."""
    who_reads, who_edits = READ[target.dag_id], EDIT[target.dag_id]
    return {
        "trainings": ("GET", None, 200),
        f"trainings?dag_id={target.dag_id}": ("GET", None, 200),
        "trainings?text=e&state=training": ("GET", None, 200),
        f"run?{target.query}": ("GET", who_reads, 200),
        f"training?{target.query}": ("GET", who_reads, 200),
        f"picture?{target.query}&asset_id={target.image_id}": ("GET", who_reads, 200),
        f"picture?{target.query}&asset_id=asset_of_nobody": ("GET", who_reads, 404),
        "static/page.js": ("GET", None, 200),
        "static/..%2fapp.py": ("GET", set(), 404),
        f"cancel?{target.query}": ("POST", who_edits, 403),  # without a token
        f"epoch?{target.query}": ("POST", who_edits, 403),
    }


def expected(person: str, method: str, route: tuple[str, set[str] | None, int], path: str) -> int:
    allowed, who, status = route
    if ".." in path:
        return 404
    if method != allowed:
        return 405
    if person == "anonymous":
        return 401
    return status if who is None or person in who else 403


@pytest.mark.parametrize("name", EVERYBODY)
def test_every_route_and_method_answers_by_rights_and_shows_no_other_dag(people, targets, victim_continues, name):
    person, wrong = people[name], []
    unreadable = [target for dag_id, some in targets.items() if name not in READ[dag_id] for target in some]
    for target in (targets["mine"][0], targets["victims"][0]):
        for path, route in routes(target).items():
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
                answer = person.ask(method, f"/scenario/{path}", "epoch=1" if method == "POST" else None)
                due, leaked = expected(name, method, route, path), shows_any(answer, unreadable)
                if answer.status != due or leaked:
                    wrong.append((method, path, answer.status, due, leaked))
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in EVERYBODY if name not in EDIT["victims"]])
def test_who_may_not_edit_a_dag_cancels_nothing_of_it_even_with_a_stolen_token(people, victim, victim_continues, name):
    body = urlencode({"token": token_of(people["admin"], victim), "epoch": "1"})
    for action in ("cancel", "epoch"):
        answer = people[name].ask("POST", f"/scenario/{action}?{victim.query}", body)
        assert answer.status == (401 if name == "anonymous" else 403)
        assert NOT_OUR_FORM not in answer.text  # rights are checked before forms
        assert shows(answer, victim) == []


@pytest.mark.parametrize("name", sorted(READ["mine"]))
def test_the_pages_show_what_one_may_read(people, mine, name):
    """Else a page that is always empty would pass all attacks."""
    for path in ("trainings", f"run?{mine[0].query}", f"training?{mine[0].query}"):
        eventually(lambda path=path: mine[0].name in html.unescape(people[name].get(f"/scenario/{path}").text))
    picture = f"/scenario/picture?{mine[0].query}&asset_id={mine[0].image_id}"
    eventually(lambda: people[name].get(picture).content.startswith(b"\xff\xd8"))


def test_the_list_shows_nothing_to_who_may_read_a_dag_but_not_its_tasks(people, targets):
    for path in ("trainings", "trainings?dag_id=mine", "trainings?text=a", "trainings?page=2"):
        answer = people["blind"].get(f"/scenario/{path}")
        assert answer.status == 200
        assert [secret for some in targets.values() for secret in shows_any(answer, some)] == []


TASKS = {
    "a task that is not ours": ("nothing", -1),
    "a task of ours that has not begun": ("later", -1),
    "a training of one's own": ("own_task", 4),
}


@contextlib.contextmanager
def forged_xcoms(people, task_id: str, map_index: int, victim: Target):
    """Make a task's XComs name the victim's model for a while, as a user may who can write XComs in ``mine``."""
    where = f"/api/v2/dags/mine/dagRuns/{RUN}/taskInstances/{task_id}/xcomEntries"
    place = f"map_index={map_index}&stringify=false"
    entries = people["forger"].api("GET", where)["xcom_entries"]
    keys = {entry["key"] for entry in entries if entry["map_index"] == map_index}
    before = {key: people["forger"].api("GET", f"{where}/{key}?{place}")["value"] for key in keys}
    forged = {
        "_link_ScenarioModelLink": f"https://app.scenario.com/models/{victim.model_id}",
        "return_value": {"model_id": victim.model_id, "job_id": victim.job_id, "status": "training"},
        "job_id": victim.job_id,
        "model_id": victim.model_id,
    }
    for key, value in forged.items():
        if key in before:
            people["forger"].api("PATCH", f"{where}/{key}", {"value": value, "map_index": map_index})
        else:
            people["forger"].api("POST", where, {"key": key, "value": value, "map_index": map_index})
    yield query("mine", task_id, map_index)
    for key in forged:
        if key in before:
            people["admin"].api("PATCH", f"{where}/{key}", {"value": before[key], "map_index": map_index})
        else:
            people["admin"].api("DELETE", f"{where}/{key}?map_index={map_index}")


@pytest.mark.parametrize("what", TASKS)
def test_posted_xcoms_show_nothing_of_another_dags_training(people, targets, victim, victim_continues, what):
    secrets = victim.secrets - {victim.model_id, victim.job_id}  # which the forger knew before
    leaked = set()
    with forged_xcoms(people, *TASKS[what], victim) as where:
        for _ in range(3):  # what is not known at the first look may be at the next
            for path in (f"training?{where}", f"run?{where}", "trainings", "trainings?dag_id=mine", "trainings?text=a"):
                answer = people["forger"].get(f"/scenario/{path}")
                assert answer.status == 200
                leaked |= {(path.partition("?")[0], secret) for secret in secrets if secret in answer.all}
            time.sleep(1)
        picture = people["forger"].get(f"/scenario/picture?{where}&asset_id={victim.image_id}")
    assert leaked == set()
    assert picture.status in (404, 409)


@pytest.mark.parametrize("what", TASKS)
def test_posted_xcoms_change_nothing_of_another_dags_training(people, mine, victim, victim_continues, what):
    forger, own = people["forger"], named(mine, "of xcoms")
    token = token_of(forger, mine[0])
    with forged_xcoms(people, *TASKS[what], victim) as where:
        epoch = forger.ask("POST", f"/scenario/epoch?{where}", urlencode({"token": token, "epoch": "1"}))
        cancel = forger.ask("POST", f"/scenario/cancel?{where}", urlencode({"token": token}))
    assert epoch.status in (404, 409)
    if cancel.status == 200:  # the page trusts the worker's sealed claim and rendered fields, not XComs
        assert (where, own.model_id in cancel.text) == (own.query, True)
        victim_continues()
    else:
        assert cancel.status in (404, 409)


def test_only_a_form_of_the_page_itself_cancels(people, mine, victim_continues):
    editor, own = people["editor"], named(mine, "of forms")
    token, foreign = token_of(editor, own), token_of(people["forger"], own)
    here, elsewhere = editor.url, "https://evil.example"
    cross = {"Sec-Fetch-Site": "cross-site"}
    refused = {
        "no token": ({}, {}),
        "an empty token": ({"token": ""}, {}),
        "another person's token": ({"token": foreign}, {}),
        "a token that is cut": ({"token": token[:-1]}, {}),
        "a token that is not ASCII": ({"token": "é"}, {}),
        "another site": ({"token": token}, {"Origin": elsewhere}),
        "no origin to speak of": ({"token": token}, {"Origin": "null"}),
        "another port": ({"token": token}, {"Origin": "http://127.0.0.1:1"}),
        "another site, says the browser": ({"token": token}, cross),
        "another site that names ours": ({"token": token}, {**cross, "Origin": here}),
        "a sibling of our site": ({"token": token}, {"Sec-Fetch-Site": "same-site", "Origin": here}),
        "typed by hand": ({"token": token}, {"Sec-Fetch-Site": "none"}),
    }
    where, wrong = f"/scenario/cancel?{own.query}", []
    for what, (form, headers) in refused.items():
        answer = editor.ask("POST", where, urlencode(form), headers)
        if answer.status != 403 or NOT_OUR_FORM not in answer.text:
            wrong.append((what, answer.status))
    assert wrong == []
    assert editor.ask("POST", f"{where}&token={token}", "").status == 403  # a token in the address is none
    victim_continues()
    assert editor.ask("POST", where, urlencode({"token": token}), {"Sec-Fetch-Site": "same-origin"}).status == 200


def test_the_audit_log_names_who_has_cancelled_what_whatever_else_is_sent(people, mine, victim_continues):
    editor, own = people["editor"], named(mine, "of the audit log")
    token = token_of(editor, own)
    where = f"/scenario/cancel?owner=admin&user=admin&event=nothing&dag_run_id=other&logical_date=x&{own.query}"
    assert people["reader"].ask("POST", where, urlencode({"token": token})).status == 403
    assert editor.ask("POST", where, urlencode({"token": "x"})).status == 403
    # JSON and a form at once: Airflow's audit log reads the one, a form's field the other.
    both = json.dumps({"dag_id": "victims", "task_id": "nothing", "run_id": "x", "y": "&token=TOKEN&"})
    types = {"Content-Type": "application/x-www-form-urlencoded; also=application/json"}
    victim_continues()
    assert editor.ask("POST", where, both.replace("TOKEN", token), types).status == 403
    editor.ask("POST", where, urlencode({"token": token}))
    logged = people["admin"].api("GET", "/api/v2/eventLogs?event=cancel_training&limit=1000")["event_logs"]
    logged = [entry for entry in logged if json.loads(entry["extra"]).get("map_index") == str(own.map_index)]
    assert logged != []
    for entry in logged:
        named_there = [entry[field] for field in ("owner", "dag_id", "run_id", "task_id")]
        assert named_there == ["editor", "mine", RUN, "own_task"]


MIXTURES = (
    # The DAG twice, in other cases and spellings.
    "dag_id=mine&dag_id=victims&TASK",
    "dag_id=victims&dag_id=mine&TASK",
    "dag_id=mine&TASK&dag_id=victims",
    "dag_id=victims&TASK&dag_id=mine",
    "dag_id=mine&DAG_ID=victims&TASK",
    "DAG_ID=mine&dag_id=victims&TASK",
    "dag_id=mine&dag%5Fid=victims&TASK",
    "dag%5Fid=victims&TASK",
    "dag%5Fid=mine&dag_id=victims&TASK",
    "dag_id=%76ictims&TASK",
    "dag_id=VICTIMS&TASK",
    "dag_id=victims%00&TASK",
    "dag_id=mine%00victims&TASK",
    "dag_id=%20victims&TASK",
    "dag_id=victims%20&TASK",
    "dag_id=mine%26dag_id=victims&TASK",
    "dag_id=mine;dag_id=victims&TASK",
    "dag_id=mine,victims&TASK",
    "dag_id[]=mine&dag_id[]=victims&TASK",
    "dag_id=mine'+OR+'1'='1&TASK",
    "dag_id=%25&TASK",
    "dag_id=DAG:mine&TASK",
    "dag_id=DAG:victims&TASK",
    "dag_id=DAG%20Run:victims&TASK",
    "dag_id=~&TASK",
    "dag_id=&TASK",
    "TASK",
    # Tasks of the one in the other.
    "dag_id=mine&run_id=RUN&run_id=RUN&task_id=secret_task&map_index=0",
    "dag_id=mine&run_id=RUN&task_id=victims.secret_task&map_index=0",
    "dag_id=mine&run_id=%2e%2e/%2e%2e/victims/RUN&task_id=secret_task&map_index=0",
    "dag_id=mine&run_id=~&task_id=secret_task&map_index=0",
    "dag_id=mine&run%5Fid=RUN&task_id=secret_task&map_index=0",
    "dag_id=mine&run_id=RUN&dag_run_id=RUN&task_id=secret_task&map_index=0",
    "dag_id=mine&run_id=&task_id=&map_index=",
    "dag_id=mine&run_id=%ff%fe&task_id=%ff&map_index=%ff",
    # Places within a task that make no sense.
    *(
        f"dag_id=mine&run_id=RUN&task_id=secret_task&map_index={index}"
        for index in (
            "-2",
            "x",
            "1e9",
            "0x0",
            "%2b0",
            "%200",
            "0.0",
            "9" * 9,
            "9" * 30,
            "%D9%A0",
            "0&map_index=1",
            "%00",
        )
    ),
    *(
        f"dag_id=DAG&TASK&region_id={region}"
        for region in ("x", "'", "%00", "%F0%9F%92%A9", "x" * 251, "x&region_index=-2", "x&region_index=2147483648")
    ),
)
PATHS = (
    "scenario/training",
    "scenario/run",
    "scenario/picture",
    "scenario//training",
    "scenario/./training",
    "scenario/%2e%2e/scenario/training",
    "scenario/../scenario/training",
    "scenario/x/../training",
    "scenario/training/",
    "scenario/training/victims",
    "scenario/training;dag_id=victims",
    "scenario/training%3Fdag_id=victims",
    "scenario/Training",
    "Scenario/training",
    "scenario/static/../training",
    "scenario%2Ftraining",
)


@pytest.mark.parametrize("name", ["reader", "forger", "blind", "nobody", "anonymous"])
def test_no_spelling_of_an_address_leads_to_another_dag(people, mine, victim, victim_continues, name):
    person, wrong = people[name], []
    token = token_of(people["forger"], mine[0])
    for mixture in MIXTURES:
        task = f"run_id={RUN}&task_id=secret_task&map_index=0"
        for dag_id in ("mine", "victims") if "=DAG&" in mixture else ("",):
            address = mixture.replace("=DAG&", f"={dag_id}&").replace("TASK", task).replace("RUN", RUN)
            gets = [f"/{path}?{address}&asset_id={victim.image_id}" for path in PATHS[:3]]
            answers = {("GET", target): person.get(target) for target in gets}
            for body in (f"token={token}", f"token={token}&dag_id=mine", f"token={token}&dag_id=victims"):
                target = f"/scenario/cancel?{address}"
                answers["POST", target, body] = person.ask("POST", target, body)
            wrong += _wrong(answers, victim)
    gets = [
        f"/{path}?{address}&asset_id={victim.image_id}" for path in PATHS for address in (mine[0].query, victim.query)
    ]
    wrong += _wrong({("GET", target): person.get(target) for target in gets}, victim)
    assert wrong == []


def _wrong(answers, victim):
    """Answers that are no refusal, or show more than nothing of the victim."""
    return [
        (*request, answer.status, leaked)
        for request, answer in answers.items()
        if (leaked := [secret for secret in shows(answer, victim) if secret not in "".join(request)])
        or answer.status >= 500
        or (request[0] == "POST" and answer.status not in (400, 401, 403, 404, 405))
    ]


def test_nothing_that_the_service_or_a_dag_says_becomes_markup(people, mine):
    admin, (running, failing, trained) = people["admin"], mine[:3]
    eventually(lambda: "The training failed:" in admin.get(f"/scenario/training?{failing.query}").text)
    prompt, *_ = trained.secrets & {IMAGE + SCRIPT}
    pages = {
        "trainings": {running.name, failing.name, trained.name},
        f"run?{running.query}": {running.name, failing.name, trained.name},
        f"training?{running.query}": running.secrets - {prompt},
        f"training?{failing.query}": {failing.name, f"error {SCRIPT}", f"hint {SCRIPT}"},
        f"training?{trained.query}": trained.secrets,
        f"trainings?{urlencode({'text': SCRIPT, 'type': IMAGE})}": {SCRIPT, IMAGE},
        f"run?{urlencode({'dag_id': 'mine', 'run_id': SCRIPT})}": {SCRIPT},
        f"training?{urlencode({'dag_id': SCRIPT, 'run_id': SCRIPT, 'task_id': SCRIPT})}": set(),
    }
    for path, texts in pages.items():
        # A page does not wait for all that Scenario says of a training: that comes with a later look.
        eventually(lambda path=path, texts=texts: is_all_text(admin, path, texts))


def is_all_text(person, path, texts):
    """Whether a page shows all of these by now; whatever it shows, nothing on it may run."""
    markup = Markup()
    markup.feed(person.get(f"/scenario/{path}").text)
    assert markup.active == OUR_SCRIPTS, path
    return all(any(text in found for found in markup.texts) for text in texts)


OUR_SCRIPTS = {("script", "static/theme.js"), ("script", "static/page.js")}


class Markup(HTMLParser):
    """A page as a browser reads it: what could run, and what is only text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.active: set[tuple[str, str]] = set()
        self.texts: list[str] = []
        self._within = ""

    def handle_starttag(self, tag, attrs):
        self._within = tag
        values = dict(attrs)
        self.texts += [value for value in values.values() if value]
        if tag in ("script", "iframe", "object", "embed", "svg", "math", "base") or "http-equiv" in values:
            self.active.add((tag, values.get("src") or "inline"))
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcdoc", "formaction"):
                self.active.add((tag, name))
            if name in ("src", "href", "action") and re.match(r"\s*[a-z]*:", value or "", re.IGNORECASE):
                self.active.add((tag, value or ""))
            if tag == "img" and name == "src" and not str(value).startswith("picture?"):
                self.active.add((tag, str(value)))

    def handle_data(self, data):
        self.texts.append(data)


def test_a_browser_runs_none_of_it(airflow, browser, people, mine):
    context = browser.new_context(base_url=airflow.url)
    context.add_cookies([{"name": "_token", "value": people["admin"].cookie, "url": airflow.url}])
    page = context.new_page()
    for path in ("trainings", f"run?{mine[0].query}", *(f"training?{target.query}" for target in mine[:3])):
        page.goto(f"/scenario/{path}")
        page.get_by_text(SCRIPT).first.wait_for()
        assert page.locator("img[src=x]").count() == 0
        assert page.title() != "hacked"
    context.close()
