"""What the vendor's pages allow passes, what they forbid is refused unsent: every type, every parameter."""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_scenario.client.errors import InvalidInputError, RequestRefusedError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.trainers import check_parameters
from airflow_provider_scenario.emulator.server import running_emulator
from tests.contract.training_limits import (
    BASE_TYPES,
    EDIT_TYPES,
    PARAMETERS,
    TYPES,
    WHOLE,
    Case,
    cases,
    limits,
    taken,
)
from tests.contract.wire import Reply, recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator

CASES = list(cases())
OF_TYPE: dict[str, list[Case]] = defaultdict(list)
for case in CASES:
    OF_TYPE[case.model_type].append(case)

RIGHT = {
    "silent": ("silent",),
    "may warn": ("silent", "warned"),
    "warned": ("warned",),
    "not silent": ("warned", "refused"),
    "refused": ("refused",),
}
# Where sources disagree or are silent, the service decides.
REACHES = {
    "silent": [("taken", 1)],
    "may warn": [("taken", 1), ("refused by the service", 1)],
    "warned": [("taken", 1), ("refused by the service", 1)],
    "not silent": [("refused", 0), ("taken", 1), ("refused by the service", 1)],
    "refused": [("refused", 0)],
}
TRAIN = "PUT /v1/models/{modelId}/train"
DATA_URL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True, slots=True)
class Service:
    """
    An emulator with a model of each type.

    :param model_ids: by type. Each has an image; those of edit types have pairs.
    """

    emulator: RunningEmulator
    client: ScenarioClient
    model_ids: dict[str, str]

    def ready(self, model_type: str) -> str:
        """The id of the model of a type, as if it had never been trained."""
        model_id = self.model_ids[model_type]
        model = self.emulator.state.models[model_id]
        model.status, model.parameters, model.job = "new", {}, None
        return model_id

    @property
    def seen(self) -> int:
        """How many trainings or quotes have been asked for."""
        return self.emulator.state.ledger.requests[TRAIN]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with (
        running_emulator(training_seconds=1000.0) as emulator,
        ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=emulator.url, max_tries=1) as client,
    ):
        yield Service(emulator, client, {model_type: _ready(emulator, model_type) for model_type in TYPES})


def _ready(emulator: RunningEmulator, model_type: str) -> str:
    """A model that is ready to be trained, of a type that the emulator may not let anybody create."""
    with requests.Session() as session:
        session.auth = ("demo", "demo")

        def call(method: str, path: str, body: Any) -> Any:
            answer = session.request(method, f"{emulator.url}/models{path}", json=body, timeout=60)
            answer.raise_for_status()
            return answer.json()

        kind = model_type if model_type in EDIT_TYPES else "flux.1-lora"
        model_id: str = call("POST", "", {"name": model_type, "type": kind})["model"]["id"]
        lora_id: str = call("POST", "", {"name": "a LoRA", "type": "flux.1-lora"})["model"]["id"]
        images = [
            call(
                "POST",
                f"/{model_id}/training-images",
                {"data": DATA_URL, "name": f"{number}.png"},
            )["trainingImage"]
            for number in range(4)
        ]
        if model_type in EDIT_TYPES:
            pairs = [
                {"sourceId": source["id"], "targetId": target["id"], "instruction": "at night"}
                for source, target in (images[:2], images[2:])
            ]
            call("PUT", f"/{model_id}/training-images/pairs", pairs)
    model = emulator.state.models[model_id]
    model.type = model_type
    if model_type.endswith("-composition"):
        emulator.state.models[lora_id].status = "trained"
        model.concepts = [{"modelId": lora_id, "scale": 1.0}]
    return model_id


def judged(case: Case) -> str:
    """``silent``, ``warned`` or ``refused``; what else is raised, as it is."""
    try:
        return "warned" if check_parameters(case.given, case.model_type).warnings else "silent"
    except InvalidInputError:
        return "refused"
    except Exception as error:
        return repr(error)


def outcome_of(call: Callable[..., Any], model_id: str, parameters: dict[str, Any]) -> str:
    """``taken``, ``refused`` by us, or ``refused by the service``; what else is raised, as it is."""
    try:
        call(model_id, parameters)
    except InvalidInputError:
        return "refused"
    except RequestRefusedError:
        return "refused by the service"
    except Exception as error:
        return repr(error)[:300]
    return "taken"


def test_the_table_has_every_type_and_every_parameter_of_the_pages():
    assert (len(TYPES), len(PARAMETERS), len(BASE_TYPES), len(WHOLE)) == (37, 32, 8, 9)
    assert all(taken(model_type, parameter) in "+?!-" for model_type in TYPES for parameter in PARAMETERS)


def test_its_counts_are_printed(capsys):
    expected = Counter(case.expected for case in CASES)
    inside = sum(case.passes and case.where in ("lowest", "highest", "value", "20 characters", "one") for case in CASES)
    with capsys.disabled():
        print(  # noqa: T201 - what the test is for
            f"\n{len(TYPES)} types × {len(PARAMETERS)} parameters: {len(CASES)} cases, {inside} inside the limits"
            f" ({', '.join(f'{count} {name}' for name, count in sorted(expected.items()))});"
            f" {sum(judged(case) in RIGHT[case.expected] for case in CASES)} are judged so"
        )


@pytest.mark.parametrize("model_type", TYPES)
def test_the_check_lets_pass_warns_and_refuses_as_the_pages_say(model_type):
    answers = [(case, judged(case)) for case in OF_TYPE[model_type]]
    assert [f"{case}, but is {answer}" for case, answer in answers if answer not in RIGHT[case.expected]] == []


@pytest.mark.parametrize("model_type", TYPES)
def test_as_a_whole_call_what_may_pass_reaches_the_service_and_what_is_forbidden_does_not(service, model_type):
    wrong = []
    for case in OF_TYPE[model_type]:
        before = service.seen
        answer = outcome_of(service.client.train, service.ready(model_type), case.given)
        sent = service.seen - before
        if (answer, sent) not in REACHES[case.expected]:
            wrong.append(f"{case}, but is {answer} with {sent} sent")
    assert wrong == []


@pytest.mark.parametrize("model_type", TYPES)
def test_what_may_pass_can_be_quoted(service, model_type):
    # A quote does not read the model, so it knows of no type: the service judges by it, and nothing is paid.
    passing = [case for case in OF_TYPE[model_type] if case.passes]
    before = service.seen
    answers = [
        (case, outcome_of(service.client.quote_training, service.ready(model_type), case.given)) for case in passing
    ]
    wrong = [(case, answer) for case, answer in answers if answer not in dict(REACHES[case.expected])]
    assert [f"{case}, but is {answer}" for case, answer in wrong] == []
    assert service.seen - before == len(passing)


def _all_at_once(model_type: str, which: str) -> dict[str, Any]:
    """All parameters that the pages let a type have, each at one of the limits that all sources agree on."""
    together: dict[str, Any] = {}
    for case in OF_TYPE[model_type]:
        if case.expected in ("silent", "may warn") and case.where in (which, "value", "20 characters", "four"):
            together.update(case.given)
    if "validationFrequency" in together:
        together["validationFrequency"] = 0  # must not be above maxTrainSteps
    if TYPES[model_type] == "other":
        together.pop("sampleSourceImages", None)
    return together


@pytest.mark.parametrize("which", ["lowest", "highest"])
@pytest.mark.parametrize("model_type", TYPES)
def test_all_that_a_type_takes_can_be_trained_with_at_once(service, model_type, which):
    model = service.emulator.state.models[service.ready(model_type)]
    before = service.seen
    parameters = _all_at_once(model_type, which)
    answer = outcome_of(service.client.train, model.id, parameters)
    assert answer in ("taken", "refused by the service")
    assert service.seen - before == 1
    if answer == "taken":
        assert {name: model.parameters.get(name) for name in parameters} == parameters


NUMBERS = [name for name in PARAMETERS if limits("flux.1-lora", name)]
A_TYPE = {
    name: next(model_type for sign in "+?" for model_type in TYPES if taken(model_type, name) == sign)
    for name in PARAMETERS
}
ODD_NUMBERS = [
    *("1_0", "１０", "ten", "", " ", "nan", "inf", "0x10", "1e400", "--1"),
    *(float("nan"), float("inf"), float("-inf"), 10**400, -(10**400), True, False),
    *([1], {"a": 1}, (1,), b"1", 1 + 1j, object()),
]


@pytest.mark.parametrize("parameter", NUMBERS)
@pytest.mark.parametrize("value", ODD_NUMBERS, ids=lambda value: f"{type(value).__name__} {str(value)[:12]}")
def test_what_is_not_a_number_is_refused_for_one(parameter, value):
    with pytest.raises(InvalidInputError) as caught:
        check_parameters({parameter: value}, A_TYPE[parameter])
    assert parameter in str(caught.value)
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize("parameter", NUMBERS)
def test_a_number_from_a_template_is_taken_as_the_number(parameter):
    bounds = limits(A_TYPE[parameter], parameter)
    assert bounds is not None
    low = bounds.narrow.low + (bounds.narrow.above and 0.0005)
    checked = check_parameters({parameter: f"{low:g}"}, A_TYPE[parameter])
    assert checked == {parameter: pytest.approx(low)}
    assert not isinstance(checked[parameter], str)


@pytest.mark.parametrize("parameter", ["randomCrop", "removeBackgroundNoise", "scaleLr"])
@pytest.mark.parametrize(("text", "meant"), [("True", True), ("true", True), ("False", False), ("false", False)])
def test_a_boolean_from_a_template_is_taken_as_the_boolean(parameter, text, meant):
    checked = check_parameters({parameter: text}, A_TYPE[parameter])
    assert checked[parameter] is meant


@pytest.mark.parametrize("parameter", WHOLE)
def test_a_fraction_is_sent_as_it_is_where_the_api_types_a_number(parameter):
    bounds = limits(A_TYPE[parameter], parameter)
    assert bounds is not None
    value = bounds.narrow.low + 0.5
    checked = check_parameters({parameter: value}, A_TYPE[parameter])
    warnings = list(checked.warnings)
    assert checked == {parameter: value}
    assert any(parameter in warning for warning in warnings)


@pytest.mark.parametrize(("frequency", "passes"), [(9, True), (10, True), (11, False)])
def test_validation_is_not_less_frequent_than_there_are_steps(frequency, passes):
    given = {"validationFrequency": frequency, "maxTrainSteps": 10}
    if passes:
        assert check_parameters(given, "sd-1_5-lora") == given
    else:
        with pytest.raises(InvalidInputError, match="validationFrequency"):
            check_parameters(given, "sd-1_5-lora")


@pytest.mark.parametrize("model_type", sorted(EDIT_TYPES))
@pytest.mark.parametrize(("images", "prompts", "passes"), [(2, 2, True), (1, 2, False), (2, 1, False), (1, 0, False)])
def test_each_source_image_has_its_prompt(model_type, images, prompts, passes):
    given: dict[str, Any] = {"sampleSourceImages": ["asset_1"] * images}
    if prompts:
        given["samplePrompts"] = ["a dog"] * prompts
    if passes:
        assert check_parameters(given, model_type) == given
    else:
        with pytest.raises(InvalidInputError, match="sampleSourceImages"):
            check_parameters(given, model_type)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_each_parameter_may_be_spelled_in_snake_case(parameter):
    # Two words of the vendor's own client are spelled so that no rule gives them.
    snake = {"numUNetTrainSteps": "num_u_net_train_steps"}.get(
        parameter, "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in parameter)
    )
    case = next(case for case in OF_TYPE[A_TYPE[parameter]] if case.parameter == parameter and case.passes)
    given = {(snake if name == parameter else name): value for name, value in case.given.items()}
    assert check_parameters(given, case.model_type) == case.given


class TestWhatIsNotKnownYet:
    def test_a_new_parameter_is_sent_as_it_is_with_a_warning(self, service):
        checked = check_parameters({"zigzagFactor": [1, {"a": None}]}, "flux.1-lora")
        warnings = list(checked.warnings)
        assert checked == {"zigzagFactor": [1, {"a": None}]}
        assert any("zigzagFactor" in warning for warning in warnings)
        assert outcome_of(service.client.quote_training, service.model_ids["flux.1-lora"], checked) == "taken"

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [("nbEpoch", "nbEpochs"), ("nb_epoch", "nb_epochs"), ("learningrate", "learning_rate"), ("rnak", "rank")],
    )
    def test_what_is_near_a_known_name_is_a_mistake(self, wrong, right):
        with pytest.raises(InvalidInputError, match=right):
            check_parameters({wrong: 4}, "flux.1-lora")

    @pytest.mark.parametrize("model_type", ["a-new-model-lora", "flux.3-lora"])
    def test_a_new_type_takes_any_parameter_that_is_well_formed(self, model_type):
        for parameter in PARAMETERS:
            case = next(case for case in OF_TYPE[A_TYPE[parameter]] if case.parameter == parameter and case.passes)
            assert check_parameters(case.given, model_type) == case.given

    @pytest.mark.parametrize("key", ["extra_parameters", "extraParameters"])
    def test_extra_parameters_are_sent_unchecked_with_a_warning(self, key):
        extra = {"nbEpoch": 500, "rank": "big", "zigzagFactor": None}
        parameters = {"nbRepeats": 2, key: extra}
        assert any("zigzagFactor" in warning for warning in check_parameters(parameters, "flux.1-lora").warnings)
        with recorder() as server:
            server.reply = lambda _: Reply(269, b'{"creativeUnitsCost": 1}')
            with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=server.url) as client:
                client.quote_training("model_1", parameters)
        assert [json.loads(sent.body) for sent in server.sent] == [{"parameters": {"nbRepeats": 2, **extra}}]

    def test_what_is_given_twice_is_refused(self):
        with pytest.raises(InvalidInputError, match="rank"):
            check_parameters({"rank": 8, "extra_parameters": {"rank": 16}}, "flux.1-lora")

    @pytest.mark.parametrize("name", ["dryRun", "dry_run", "trainingImagesCount", "originalAssets", "projectId"])
    @pytest.mark.parametrize("inside", [None, "extra_parameters"])
    def test_what_belongs_into_the_query_is_refused_in_the_body(self, service, name, inside):
        # In the body the service ignores it, and trains for money.
        parameters = {inside: {name: True}} if inside else {name: True}
        before = service.seen
        model_id = service.ready("flux.1-lora")
        for call in (service.client.train, service.client.quote_training):
            assert outcome_of(call, model_id, parameters) == "refused"
        assert service.seen == before

    def test_a_secret_among_the_extra_parameters_is_refused(self):
        with pytest.raises(InvalidInputError):
            check_parameters({"extra_parameters": {"wandbKey": "k" * 40}}, "flux.1-lora")


@pytest.mark.parametrize(
    "parameters",
    ["", "{}", 0, False, [], [("rank", 4)], b"", 1.5, object()],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_what_is_not_a_dictionary_is_refused_and_not_taken_for_none(service, parameters):
    model_id = service.ready("flux.1-lora")
    before = service.seen
    with pytest.raises(InvalidInputError):
        check_parameters(parameters, "flux.1-lora")
    for call in (service.client.train, service.client.quote_training):
        assert outcome_of(call, model_id, parameters) == "refused"
    assert service.seen == before


@pytest.mark.parametrize("model_type", TYPES)
def test_every_documented_type_can_be_asked_for_and_changed_to(service, model_type):
    ledger, client = service.emulator.state.ledger, service.client
    before = ledger.requests["POST /v1/models"], ledger.requests["PUT /v1/models/{modelId}"]
    concepts = service.emulator.state.models[service.model_ids["flux.1-composition"]].concepts
    made_of = [{"model_id": concepts[0]["modelId"], "scale": 1}] if model_type.endswith("-composition") else None
    with contextlib.suppress(RequestRefusedError):  # 31 types or 37: sources disagree
        client.create_model(name="hero", type=model_type, **({"concepts": made_of} if made_of else {}))
    with contextlib.suppress(RequestRefusedError):
        client.update_model(service.ready("flux.1-lora"), type=model_type)
    service.emulator.state.models[service.model_ids["flux.1-lora"]].type = "flux.1-lora"
    after = ledger.requests["POST /v1/models"], ledger.requests["PUT /v1/models/{modelId}"]
    assert after == (before[0] + 1, before[1] + 1)


def test_a_kontext_lora_with_fewer_than_two_pairs_is_for_the_service_to_judge(service, caplog):
    # The guide asks for two pairs of the modern edit types; of Kontext no source says so.
    model_id = service.ready("flux.1-kontext-lora")
    model = service.emulator.state.models[model_id]
    pairs, before = model.pairs, service.seen
    model.pairs = pairs[:1]
    try:
        answer = outcome_of(service.client.train, model_id, {})
    finally:
        model.pairs = pairs
    assert answer in ("taken", "refused by the service")
    assert service.seen == before + 1
    assert any("pair" in record.getMessage() for record in caplog.records)


def test_more_than_fifty_images_are_for_the_service_to_judge(service, caplog):
    # The guide recommends 50 at most; a plan may allow fewer or more.
    model_id = service.ready("flux.1-lora")
    state = service.emulator.state
    model = state.models[model_id]
    images, before = model.training_images, service.seen
    asset = state.assets[next(iter(images))]
    more = {f"asset_{number}": replace(asset, id=f"asset_{number}") for number in range(47)}
    state.assets.update(more)
    model.training_images = {**images, **dict.fromkeys(more, 0.0)}
    try:
        answer = outcome_of(service.client.train, model_id, {})
    finally:
        model.training_images = images
    assert answer in ("taken", "refused by the service")
    assert service.seen == before + 1
    assert any("50" in record.getMessage() for record in caplog.records)
