from __future__ import annotations

import copy
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_snake

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.workshop.schemas import (
    LISTED_BASE_MODELS,
    Cover,
    CoverFile,
    File,
    ModelTree,
    SessionParameters,
    Version,
    read_session,
    read_tree,
)

# The vendor's example, with addresses that can be ones.
PAGE = {
    "modelId": "xxxxx",
    "name": "Demo",
    "modelType": "checkpoint",
    "modelDesc": "xxxx",
    "source": "https://xxxx",
    "sourceType": "internal",
    "isOriginal": False,
    "originalCreator": "ccc",
    "originalCreatorHomepage": "https://xxxx",
    "versions": [
        {
            "modelVersionId": "xxxx",
            "name": "v1.2.2-EOL",
            "baseModel": "v1.5",
            "versionDesc": "xxxx",
            "triggerWords": ["rev", "animated", "v1.2.2", "eol"],
            "isAutoCollection": True,
            "covers": [{"cover": "https://xxx.jpeg", "coverFile": {"width": 1920, "height": 1080, "format": "jpeg"}}],
            "files": [
                {
                    "name": "revAnimated_v122EOL.safetensors",
                    "aliasName": "revAnimated_v122EOL",
                    "downloadUrl": "https://xxx",
                    "hash": "ab" * 32,
                    "sizeKb": 5376404.0390625,
                    "isPrimary": True,
                }
            ],
        }
    ],
}
REQUIRED = {
    "": {"modelId", "name", "modelType", "sourceType"},
    "versions[0]": {"modelVersionId", "name", "baseModel"},
    "versions[0].covers[0]": {"cover", "coverFile"},
    "versions[0].covers[0].coverFile": {"width", "height"},
    "versions[0].files[0]": {"name", "aliasName", "downloadUrl", "hash", "sizeKb"},
}
"""What the vendor's page calls required, by where it is."""


def snake(part):
    if isinstance(part, dict):
        return {to_snake(name): snake(value) for name, value in part.items()}
    return [snake(row) for row in part] if isinstance(part, list) else part


def part_at(tree, where):
    for step in where.replace("]", "").replace("[", ".").split("."):
        tree = tree[int(step) if step.isdigit() else step] if step else tree
    return tree


def complaint(tree) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read_tree(tree)
    return str(caught.value)


def changed(where, field, value):
    tree = copy.deepcopy(PAGE)
    part_at(tree, where)[field] = value
    return tree


# Reading and writing


def test_the_vendors_example_is_read_and_sent_as_it_is():
    assert json.dumps(read_tree(PAGE).to_body()) == json.dumps(PAGE)


def test_both_spellings_are_read():
    assert read_tree(snake(PAGE)) == read_tree(PAGE)


@pytest.mark.parametrize("tree", [MappingProxyType(PAGE), {**PAGE, "versions": tuple(PAGE["versions"])}])
def test_any_mapping_and_a_tuple_of_parts_will_do(tree):
    assert read_tree(tree).to_body() == PAGE


def test_the_order_of_the_input_does_not_change_what_is_sent():
    assert list(read_tree(dict(reversed(PAGE.items()))).to_body()) == list(PAGE)


def test_what_was_not_given_is_not_sent():
    least = {name: PAGE[name] for name in REQUIRED[""]}
    assert read_tree({**least, "modelDesc": None}).to_body() == least
    assert read_tree({**least, "versions": []}).to_body() == {**least, "versions": []}


def test_a_tree_can_be_built_of_its_parts():
    tree = ModelTree(
        model_id="hero",
        name="Hero",
        model_type="lora",
        source_type="civitia",
        versions=[
            Version(
                model_version_id="1",
                name="1",
                base_model="v1.5",
                covers=[Cover(cover="https://x/y", cover_file=CoverFile(width=1, height=2))],
                files=[File(name="a", alias_name="b", download_url="https://x/y", hash="c", size_kb=0.5)],
            )
        ],
    )
    assert read_tree(tree) is tree
    assert read_tree(tree.to_body()) == tree


# What is wrong


@pytest.mark.parametrize(
    ("where", "field"), [(where, field) for where, fields in REQUIRED.items() for field in sorted(fields)]
)
def test_what_the_page_requires_is_missed_by_its_path(where, field):
    tree = copy.deepcopy(PAGE)
    del part_at(tree, where)[field]
    path = f"{where}.{field}".removeprefix(".")
    assert complaint(tree).startswith(f"The model tree cannot be sent: {path} is missing (")
    assert complaint(tree).endswith("). Nothing was sent.")


def test_what_the_page_does_not_require_is_not_missed():
    optional = [
        (where, field) for where, fields in REQUIRED.items() for field in part_at(PAGE, where) if field not in fields
    ]
    for where, field in optional:
        tree = copy.deepcopy(PAGE)
        del part_at(tree, where)[field]
        assert read_tree(tree).to_body() == tree, (where, field)
    assert len(optional) == 13


F, V, C = "versions[0].files[0]", "versions[0]", "versions[0].covers[0]"


@pytest.mark.parametrize(
    ("where", "field", "value", "message"),
    [
        ("", "modelId", 5, "modelId is 5 and must be text: your own id of the model"),
        ("", "modelId", "", "modelId is '' and must be text"),
        ("", "modelId", "None", "modelId is 'None' and must be text"),
        ("", "name", None, "name is None and must be text"),
        ("", "modelType", "LORA", "modelType is 'LORA' and must be 'checkpoint', 'lora', 'textualinversion' or 'vae'"),
        ("", "sourceType", "civitai", "sourceType is 'civitai' and must be 'liblib', 'civitia' (spelled so)"),
        ("", "source", "example.com", "source is 'example.com' and must be an http(s) address"),
        ("", "isOriginal", "yes", "isOriginal is 'yes' and must be true or false"),
        ("", "versions", {"a": 1}, "versions is {'a': 1} and must be a list of versions"),
        ("versions", 0, "v1", "versions[0] is 'v1' and must be an object: a version"),
        (V, "triggerWords", ["a", 5], "versions[0].triggerWords[1] is 5 and must be a list of texts"),
        (V, "baseModel", " ", "versions[0].baseModel is ' ' and must be text"),
        (V, "isAutoCollection", 1, "versions[0].isAutoCollection is 1 and must be true or false"),
        (C, "cover", "s3://x/y", "versions[0].covers[0].cover is 's3://x/y' and must be an http(s) address"),
        (C, "coverFile", [], "versions[0].covers[0].coverFile is [] and must be an object"),
        (f"{C}.coverFile", "width", "1_0", "versions[0].covers[0].coverFile.width is '1_0' and must be a number"),
        (f"{C}.coverFile", "width", "１０", "versions[0].covers[0].coverFile.width is '１０' and must be a number"),
        (f"{C}.coverFile", "width", "9" * 5000, "versions[0].covers[0].coverFile.width is '9999"),
        (f"{C}.coverFile", "width", "wide", "versions[0].covers[0].coverFile.width is 'wide' and must be a number"),
        (f"{C}.coverFile", "height", 0, "versions[0].covers[0].coverFile.height is 0 and must be a number above 0"),
        (F, "sizeKb", True, "versions[0].files[0].sizeKb is True and must be a number above 0"),
        (F, "sizeKb", float("inf"), "versions[0].files[0].sizeKb is inf and must be a number above 0"),
        (F, "hash", 5, "versions[0].files[0].hash is 5 and must be text: the file's hash"),
        (F, "downloadUrl", "https://x /y", "versions[0].files[0].downloadUrl is 'https://x /y' and must be an http(s)"),
        (F, "downloadUrl", "https://[x", "versions[0].files[0].downloadUrl is 'https://[x' and must be an http(s)"),
        (F, "isPrimary", "yes", "versions[0].files[0].isPrimary is 'yes' and must be true or false"),
        (F, "sizeKB", 5, "versions[0].files[0].sizeKB is not a field of a file (Did you mean 'sizeKb'?"),
        ("", "baseModel", "v1.5", "baseModel is not a field of a model (It is a field of a version. If the"),
        (V, "download_url", "x", "versions[0].download_url is not a field of a version (It is a field of a file."),
        (F, "roleId", "x", "versions[0].files[0].roleId is not a field of a file (It is a field of the session par"),
        (V, "files", "", "versions[0].files is '' and must be a list of files"),
        (V, 5, 5, "versions[0] has a field 5, whose name must be text"),
        (V, "extra_fields", ["a"], "versions[0].extraFields is ['a'] and must be a dictionary of fields"),
        (V, "extraFields", {"name": "1"}, "versions[0].name is given twice, also in extraFields"),
        ("", "sessionMode", 10, "sessionMode is not a field of a model: it is a session parameter"),
        ("", "extra_fields", {"apiToken": "x"}, "apiToken is not a field of a model: give it as api_token"),
        (F, "size_kb", 5, "versions[0].files[0].size_kb is given twice, also as sizeKb"),
        ("", "apiToken", "x", "apiToken is not a field of a model: give it as api_token"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(where, field, value, message):
    assert message in complaint(changed(where, field, value))


def test_everything_wrong_is_told_at_once():
    tree = copy.deepcopy(PAGE)
    del tree["name"]
    tree["modelType"] = "LoRa"
    tree["model_description"] = tree["unknown"] = 1
    version = tree["versions"][0]
    tree["versions"].append(copy.deepcopy(version))
    version["files"].append({"isPrimary": True, "name": "b"})
    del version["baseModel"]
    told = complaint(tree).removesuffix(". Nothing was sent.").split(": ", 1)[1].split("; ")
    assert [line.split(" ", 1)[0] for line in told] == [
        "name",
        "modelType",
        "versions[0].baseModel",
        "versions[0].files[1].aliasName",
        "versions[0].files[1].downloadUrl",
        "versions[0].files[1].hash",
        "versions[0].files[1].sizeKb",
        "model_description",
        "versions[1].modelVersionId",
        "versions[0]",
    ]


def test_a_version_has_at_most_one_primary_file():
    [file] = PAGE["versions"][0]["files"]
    message = "versions[0] has 2 primary files (files[0], files[1]) and must have at most one"
    two = changed(V, "files", [file, {**file, "name": "b"}, {**file, "name": "c", "isPrimary": False}])
    assert message in complaint(two)
    with pytest.raises(InvalidInputError, match="2 primary files"):
        ModelTree(**snake(two))
    assert message in complaint(changed(V, "files", [file, {**file, "name": "b", "isPrimary": "true"}]))
    assert read_tree(changed(V, "files", [file, {**file, "name": "b", "isPrimary": None}]))


@pytest.mark.parametrize("spelled", [dict, snake])
def test_two_versions_have_two_ids(spelled):
    twice = spelled({**PAGE, "versions": PAGE["versions"] * 2})
    assert "versions[1].modelVersionId is the same as that of versions[0]" in complaint(twice)


@pytest.mark.parametrize("value", [None, 5, "hero", [PAGE]])
def test_what_is_no_tree_at_all_is_told(value):
    assert complaint(value).startswith("The model tree must be an object with fields, not ")


def test_a_signed_address_does_not_reach_the_message_nor_a_repr():
    signed = "ftp://user:secret-1@files.test/a?Signature=secret-2"
    assert "secret" not in complaint(changed(F, "downloadUrl", signed))
    assert "secret" not in complaint(changed(V, "files", {"downloadUrl": signed}))
    assert "secret" not in repr(read_tree(changed(F, "downloadUrl", "https://files.test/a?Signature=secret-2")))


@pytest.mark.parametrize("make", [lambda: File(name="a"), lambda: CoverFile(width=1, height=2, formt="png")])
def test_a_part_that_is_made_by_itself_is_checked_in_the_same_way(make):
    with pytest.raises(
        InvalidInputError, match=r"The (file|coverFile) cannot be sent: .*(missing|Did you mean 'format')"
    ):
        make()


# What passes although it is not as the page has it

NOT_REQUIRED = [
    *[("", field) for field in ("modelDesc", "source", "isOriginal", "originalCreator", "originalCreatorHomepage")],
    *[("", "versions"), (V, "covers"), (V, "files"), (V, "versionDesc"), (V, "triggerWords"), (V, "isAutoCollection")],
    *[(f"{C}.coverFile", "format"), (F, "isPrimary")],
]


@pytest.mark.parametrize(("where", "field"), NOT_REQUIRED)
def test_null_is_the_same_as_absent_where_the_page_does_not_say_required(where, field):
    absent = copy.deepcopy(PAGE)
    del part_at(absent, where)[field]
    assert read_tree(changed(where, field, None)).to_body() == absent


@pytest.mark.parametrize("blank", ["", " \n"])
@pytest.mark.parametrize(
    ("where", "field"),
    [("", "source"), ("", "originalCreatorHomepage"), ("", "isOriginal"), (V, "isAutoCollection"), (F, "isPrimary")],
)
def test_what_a_template_without_a_value_gives_is_not_sent(where, field, blank):
    absent = copy.deepcopy(PAGE)
    del part_at(absent, where)[field]
    assert read_tree(changed(where, field, blank)).to_body() == absent


@pytest.mark.parametrize(("where", "field"), [("", "modelDesc"), ("", "originalCreator"), (V, "versionDesc")])
def test_empty_text_is_sent_where_a_text_may_be_empty(where, field):
    assert read_tree(changed(where, field, "")).to_body() == changed(where, field, "")


@pytest.mark.parametrize(
    ("where", "field", "text", "sent"),
    [
        ("", "isOriginal", "True", True),
        (V, "isAutoCollection", "false", False),
        (F, "isPrimary", " TRUE ", True),
        (F, "sizeKb", "5376404.04", 5376404.04),
        (f"{C}.coverFile", "width", "1920", 1920),
        (f"{C}.coverFile", "height", "1e3", 1000.0),
    ],
)
def test_text_of_a_template_passes_where_it_plainly_is_the_value(where, field, text, sent):
    assert json.dumps(read_tree(changed(where, field, text)).to_body()) == json.dumps(changed(where, field, sent))


PARTS = ["", V, C, f"{C}.coverFile", F]


@pytest.mark.parametrize("where", PARTS)
def test_a_field_that_is_not_listed_is_sent_as_it_is_with_one_warning(where):
    tree = changed(where, "somethingNew", {"a": [1, None]})
    read = read_tree(tree)
    assert read.to_body() == tree
    [warning] = read.warnings()
    assert warning.startswith(f"{where}.somethingNew: the service does not list this field".removeprefix("."))


def test_a_field_that_is_in_many_objects_is_one_warning():
    tree = copy.deepcopy(PAGE)
    [version] = tree["versions"]
    version["files"] = [{**version["files"][0], "name": str(at), "isPrimary": None, "tag": 1} for at in range(50)]
    assert [warning.partition(":")[0] for warning in read_tree(tree).warnings()] == [
        "versions[0].files[0].tag (and 49 more)"
    ]


@pytest.mark.parametrize("spelling", ["extra_fields", "extraFields"])
@pytest.mark.parametrize("where", PARTS)
def test_extra_fields_are_sent_as_they_are_even_those_with_the_name_of_a_near_miss(where, spelling):
    extra = {"nme": None, "forma": 1, "somethingNew": {"a": 1}}
    read = read_tree(changed(where, spelling, extra))
    sent = copy.deepcopy(PAGE)
    part_at(sent, where).update(extra)
    assert read.to_body() == sent
    assert read.warnings() == []
    assert read_tree(read.to_given()) == read


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [("", "modelType", "dora"), ("", "modelId", "None"), (F, "downloadUrl", "oss://bucket/key"), (F, "sizeKb", "?")],
)
def test_a_listed_field_in_extra_fields_is_sent_without_a_check(where, field, value):
    tree = copy.deepcopy(PAGE)
    part = part_at(tree, where)
    del part[field]
    part["extra_fields"] = {field: value}
    read = read_tree(tree)
    assert read.to_body() == changed(where, field, value)
    assert read_tree(json.loads(json.dumps(read.to_given()))).to_body() == read.to_body()


def test_versions_in_extra_fields_are_sent_whatever_they_are():
    for versions in (5, [], [7, {"files": 5}], None, {"a": []}):
        tree = {name: value for name, value in PAGE.items() if name != "versions"}
        read = read_tree({**tree, "extra_fields": {"versions": versions}})
        assert read.to_body() == {**tree, "versions": versions}
        read.warnings()


@pytest.mark.parametrize(("field", "value"), [("modelType", "controlnet"), ("sourceType", "tenant")])
def test_a_type_that_is_not_listed_is_sent_with_a_warning(field, value):
    tree = read_tree({**PAGE, field: value})
    assert tree.to_body()[field] == value
    [warning] = tree.warnings()
    assert warning.startswith(f"{field} is {value!r}, which the service does not list; it may refuse it. Listed are ")


@pytest.mark.parametrize(("where", "path"), [("", "name"), (V, "versions[0].name")])
def test_the_name_none_is_sent_with_a_warning(where, path):
    tree = changed(where, "name", "None")
    assert read_tree(tree).to_body() == tree
    [warning] = read_tree(tree).warnings()
    assert warning == f"{path} is 'None', the text that a template or an XCom without a value gives"


# What may be wrong


def test_the_vendors_example_gives_no_concern():
    assert read_tree(PAGE).warnings() == []


@pytest.mark.parametrize("base_model", LISTED_BASE_MODELS)
def test_a_base_model_of_the_page_gives_no_concern(base_model):
    assert read_tree(changed(V, "baseModel", base_model)).warnings() == []


def test_a_base_model_that_is_not_listed_is_a_concern_and_is_sent():
    tree = read_tree(changed(V, "baseModel", "flux.2"))
    [warning] = tree.warnings()
    assert warning.startswith("versions[0].baseModel is 'flux.2', which the service does not list; it may refuse it.")
    assert tree.to_body()["versions"][0]["baseModel"] == "flux.2"


def test_a_hash_that_is_no_sha_256_and_what_has_no_file_are_warnings():
    assert "versions[0].files[0].hash is 'a9f3'" in read_tree(changed(F, "hash", "a9f3")).warnings()[0]
    assert read_tree(changed(V, "files", [])).warnings() == ["versions[0].files is empty: there is no file to list"]
    assert read_tree(changed("", "versions", [])).warnings() == ["versions is empty: there is no file to list"]


# Session parameters


def test_session_parameters_are_read_in_both_spellings():
    given = {"roleId": "r", "sessionMode": 20, "expiredInSeconds": 60, "customResourceConfigId": "a,b"}
    assert read_session(given) == read_session(snake(given)) == SessionParameters(**snake(given))
    assert read_session(given).to_body() == given
    assert read_session(None).to_body() == {}


@pytest.mark.parametrize(
    ("field", "value", "right"),
    [
        ("roleId", 5, "text: the id of a role"),
        ("sessionMode", 15, "10 (session) or 20 (inference)"),
        ("sessionMode", "session", "10 (session) or 20 (inference)"),
        ("expiredInSeconds", 0, "a whole number above 0: seconds"),
        ("expiredInSeconds", 1.5, "a whole number above 0: seconds"),
        ("expiredInSeconds", True, "a whole number above 0: seconds"),
        ("customResourceConfigId", "a,", "text: ids of resource configurations, separated by commas"),
        ("customResourceConfigId", ["a"], "text: ids of resource configurations, separated by commas"),
    ],
)
def test_a_wrong_session_parameter_is_told_with_what_would_be_right(field, value, right):
    with pytest.raises(InvalidInputError) as caught:
        read_session({field: value})
    assert str(caught.value) == (
        f"The session parameters cannot be sent: {field} is {value!r} and must be {right}. Nothing was sent."
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"customResourceConfigId": " a, b ,c"}, {"customResourceConfigId": "a,b,c"}),
        ({"sessionMode": "20", "expiredInSeconds": "3600"}, {"sessionMode": 20, "expiredInSeconds": 3600}),
        ({"expiredInSeconds": 60.0}, {"expiredInSeconds": 60}),
        (dict.fromkeys(("roleId", "sessionMode", "expiredInSeconds", "customResourceConfigId"), ""), {}),
        ({"region": "cn"}, {"region": "cn"}),
        ({"extra_fields": {"roleIds": ["a"], "sessionMode": 30}}, {"roleIds": ["a"], "sessionMode": 30}),
    ],
)
def test_a_session_parameter_passes_as_templates_give_it_and_what_is_not_listed_as_it_is(given, sent):
    read = read_session(given)
    assert json.dumps(read.to_body(), sort_keys=True) == json.dumps(sent, sort_keys=True)
    assert len(read.warnings()) == (1 if "region" in given else 0)


# Any tree at all

text = st.text(min_size=1, max_size=20).filter(lambda value: value.strip() not in ("", "None"))
address = st.from_regex(r"https?://[a-z]{1,8}\.test/[a-z0-9]{0,8}(\?[A-Za-z]{1,8}=[a-f0-9]{1,8})?", fullmatch=True)
size = st.integers(1, 10**9) | st.floats(0.001, 1e9)
flag = st.booleans()


def part(required, optional):
    return st.fixed_dictionaries(required, optional=optional)


cover = part({"cover": address, "coverFile": part({"width": size, "height": size}, {"format": text})}, {})
file = part(
    {"name": text, "aliasName": text, "downloadUrl": address, "hash": text, "sizeKb": size}, {"isPrimary": flag}
)
version = part(
    {"modelVersionId": text, "name": text, "baseModel": text},
    {
        "versionDesc": st.text(max_size=20),
        "triggerWords": st.lists(text, max_size=3),
        "isAutoCollection": flag,
        "covers": st.lists(cover, max_size=2),
        "files": st.lists(file, max_size=2).filter(lambda files: sum(file.get("isPrimary", 0) for file in files) < 2),
    },
)
model = part(
    {
        "modelId": text,
        "name": text,
        "modelType": st.sampled_from(["checkpoint", "lora", "textualinversion", "vae"]),
        "sourceType": st.sampled_from(["liblib", "civitia", "hugging_face", "internal"]),
    },
    {
        "modelDesc": st.text(max_size=20),
        "source": address,
        "isOriginal": flag,
        "originalCreator": st.text(max_size=20),
        "originalCreatorHomepage": address,
        "versions": st.lists(version, max_size=2, unique_by=lambda version: version["modelVersionId"]),
    },
)


def places(part, schema=ModelTree, where=""):
    """Each required field that is there: the part that holds it, its name and its path."""
    for name, info in schema.model_fields.items():
        if info.is_required():
            yield part, info.alias or name, f"{where}.{info.alias or name}".removeprefix(".")
    inside = {ModelTree: [("versions", Version)], Version: [("covers", Cover), ("files", File)]}
    for name, kind in inside.get(schema, ()):
        for at, row in enumerate(part.get(name, ())):
            yield from places(row, kind, f"{where}.{name}[{at}]")
    if schema is Cover:
        yield from places(part["coverFile"], CoverFile, f"{where}.coverFile")


@given(tree=model)
def test_any_tree_is_sent_as_it_came_in_either_spelling(tree):
    assert read_tree(tree).to_body() == tree
    assert read_tree(snake(tree)).to_body() == tree


@given(tree=model, data=st.data())
def test_every_missing_field_is_named_and_no_other(tree, data):
    all_places = list(places(tree))
    chosen = data.draw(st.sets(st.integers(0, len(all_places) - 1), min_size=1))
    # From the inside out: what is in a part that goes is not missed any more.
    gone = sorted((all_places[index] for index in chosen), key=lambda place: -len(place[2]))
    for holder, field, _ in gone:
        del holder[field]
    paths = {path for _, _, path in gone}
    expected = {path for path in paths if not any(path.startswith(f"{other}.") for other in paths)}
    told = complaint(tree).removeprefix("The model tree cannot be sent: ").split("; ")
    assert {line.partition(" is missing")[0] for line in told if " is missing (" in line} == expected


# Anything at all

NAMES = [
    *("modelId", "name", "modelType", "sourceType", "isOriginal", "source", "versions", "files", "covers", "cover"),
    *("coverFile", "width", "sizeKb", "size_kb", "hash", "baseModel", "triggerWords", "isPrimary", "modelVersionId"),
    *("extra_fields", "extraFields", "apiToken", "roleId", "sessionMode", "expiredInSeconds"),
    *("modelTyp", "new", "\ud83d", "", "x" * 100_000),
]
LONG = "https://user:secret@files.test/a?Signature=" + "x" * 50_000
ODD = [LONG, "\ud83d", "None", b"\xff" * 100, 10**5000, -(10**400), object(), {1}, 1j, float("nan"), list]
# By its place: Python does not print the longest number, nor would anybody read it.
odd = st.integers(0, len(ODD) - 1).map(lambda at: ODD[at])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5) | st.integers(), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(tree=model, data=st.data(), wrong=anything)
def test_any_change_of_a_tree_is_accepted_or_an_error_of_bounded_length(tree, data, wrong):
    holders = [holder for holder, _, _ in places(tree)]
    data.draw(st.sampled_from(holders))[data.draw(st.sampled_from(NAMES))] = wrong
    accepted_or_told(read_tree, tree)


@given(value=anything)
def test_anything_is_accepted_or_an_error_of_bounded_length(value):
    accepted_or_told(read_tree, value)
    accepted_or_told(read_session, value)


def accepted_or_told(read, value):
    part = told = None
    try:
        part = read(value)
    except InvalidInputError as problem:
        told = str(problem)
    if told is not None:
        assert len(told.encode()) < 4_000
        assert "secret" not in told
    else:
        json.dumps(part.to_body(), ensure_ascii=False, allow_nan=False).encode()
        assert read(part.to_given()) == part
        assert all(len(warning.encode()) < 1_000 for warning in part.warnings())


def test_a_loop_that_makes_the_same_mistake_ten_thousand_times_is_told_shortly():
    [version] = PAGE["versions"]
    wrong = [{"modelVersionId": str(at), "name": "x" * 10_000, "baseModel": 5} for at in range(10_000)]
    told = complaint({**PAGE, "versions": [version, *wrong]})
    assert "versions[1].baseModel is 5 and must be text" in told
    assert " more. Nothing was sent." in told
    assert len(told) < 4_000


def test_a_tree_without_end_is_told():
    endless = copy.deepcopy(PAGE)
    endless["new"] = endless
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for tree in (endless, {**PAGE, "new": deep}):
        assert complaint(tree).startswith("The model tree cannot be written as JSON: ")
