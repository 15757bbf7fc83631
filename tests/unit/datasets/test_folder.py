from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.datasets import Dataset, read_dataset

from .conftest import CONTENT, JPEG, MP3, PNG, WAV, WEBP, write_files

TRAINING = "name: Hero\ntype: flux.2-dev-lora\nshort_description: A knight.\npreset: subject\nnbEpochs: 5\n"


def lines(*values: object) -> str:
    return "\n".join(json.dumps(value) for value in values)


def captions(dataset: Dataset) -> dict[str, str | None]:
    return {image.name: image.caption for image in dataset.images}


def test_how_many_images_and_recordings_a_dataset_may_have_is_not_ours_to_say(write):
    pictures = {f"{n}.png": PNG for n in range(60)}
    assert len(read_dataset(write("hero", pictures)).images) == 60
    assert len(read_dataset(write("voice", {f"{n}.wav": WAV for n in range(60)})).images) == 60
    folder = write("listed", pictures)
    assert len(read_dataset([f"{folder}/{n}.png" for n in range(60)]).images) == 60


class TestForms:
    def test_captions_lie_beside_the_images_or_in_the_metadata(self, write):
        source = write(
            "hero",
            {
                "b.jpg": JPEG,
                "a.png": PNG,
                "c.WEBP": WEBP,
                "a.txt": "a knight\n",
                "metadata.jsonl": lines(
                    {"file_name": "b.jpg", "text": "a castle", "width": 8}, {"file_name": "c.WEBP"}
                ),
                ".DS_Store": b"\0",
                "._a.png": b"\0",
                "latents.npz": b"\0",
            },
        )
        dataset = read_dataset(source)
        assert list(captions(dataset).items()) == [("a.png", "a knight"), ("b.jpg", "a castle"), ("c.WEBP", None)]
        assert [image.content_type for image in dataset.images] == ["image/png", "image/jpeg", "image/webp"]
        assert [image.size for image in dataset.images] == [len(PNG), len(JPEG), len(WEBP)]
        assert (dataset.pairs, dataset.parameters, dataset.source) == (None, {}, source)

    def test_pairs_are_in_the_metadata_in_either_style(self, write):
        first = {"source": "a.png", "target": "b.png", "instruction": "make it night"}
        second = {"source_file_name": "b.png", "target_file_name": "a.png", "instruction": "make it day"}
        bare = {"source": "b.png", "target": "a.png"}
        note = {"file_name": "a.png", "text": "by day"}
        text = lines(first, note, second, {**bare, "instruction": " "})
        source = write("edit", {"a.png": PNG, "b.png": PNG, "metadata.jsonl": text + "\r\n\n"})
        dataset = read_dataset(source)
        assert dataset.pairs == [first, {**bare, "instruction": "make it day"}, bare]
        assert captions(dataset) == {"a.png": "by day", "b.png": None}

    @pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
    def test_how_it_wants_to_be_trained_lies_beside_it(self, write, suffix):
        values = {
            "name": "Hero",
            "type": "flux.2-dev-lora",
            "shortDescription": "A knight.",
            "preset": "subject",
            "concept_prompt": "hero",
            "samplePrompts": ["hero at night"],
            "nb_epochs": 5,
            "learningRate": "1e-4",
        }
        dataset = read_dataset(write("hero", {"a.png": PNG, f"training.{suffix}": json.dumps(values)}))
        assert dataset.parameters == {
            "conceptPrompt": "hero",
            "samplePrompts": ["hero at night"],
            "nbEpochs": 5,
            "learningRate": 1e-4,
        }
        assert (dataset.name, dataset.type, dataset.short_description, dataset.preset) == (
            "Hero",
            "flux.2-dev-lora",
            "A knight.",
            "subject",
        )

    def test_recordings_have_the_same_form(self, write):
        dataset = read_dataset(write("voice", {"a.wav": WAV, "b.mp3": MP3, "a.txt": "hello"}))
        assert captions(dataset) == {"a.wav": "hello", "b.mp3": None}
        assert [image.content_type for image in dataset.images] == ["audio/wav", "audio/mpeg"]
        assert all(image.is_recording for image in dataset.images)

    def test_an_empty_settings_file_says_nothing(self, write):
        assert read_dataset(write("hero", {"a.png": PNG, "training.yaml": ""})).parameters == {}

    def test_a_byte_order_mark_is_no_part_of_a_caption(self, write):
        assert captions(read_dataset(write("hero", {"a.png": PNG, "a.txt": b"\xef\xbb\xbfa knight"}))) == {
            "a.png": "a knight"
        }

    def test_a_list_may_mix_files_names_captions_and_assets(self, write):
        folder = write("hero", {"a.png": PNG, "b.png": PNG, "a.txt": "a knight"})
        dataset = read_dataset(
            [f"{folder}/a.png", {"path": f"{folder}/b.png", "name": "x", "caption": "y"}, {"asset_id": "asset_1"}]
        )
        assert captions(dataset) == {"a.png": "a knight", "x": "y", "asset_1": None}


BAD = [
    ({}, r"the folder has no images \(\.avif"),
    ({"training.yaml": TRAINING}, r"the folder has no images \(\.avif, .*\) and no recordings \(\.aac"),
    ({"a.png": PNG, "b.txt": "x"}, "'b.txt' is a caption without an image"),
    ({"a.png": PNG, "a.jpg": JPEG}, "'a.jpg' and 'a.png' have the same stem"),
    ({"a.png": PNG, "a.txt": "x", "a.TXT": "x"}, "'a.TXT' and 'a.txt' are captions of the same image"),
    ({"a.png": PNG, "a.txt": b"\xff\xfe"}, "a.txt' is not UTF-8 text"),
    ({"a.png": PNG, "metadata.jsonl": '\n{"file_name": "a.png"'}, r"metadata.jsonl, line 2 is not JSON .*file_name"),
    ({"a.png": PNG, "metadata.jsonl": "[" * 100_000}, "metadata.jsonl, line 1 is not JSON"),
    ({"a.png": PNG, "metadata.jsonl": "7"}, "line 1 is 7; give an object"),
    ({"a.png": PNG, "metadata.jsonl": lines({"text": "x"})}, "line 1 has 'text'; a caption has 'file_name' and 'text'"),
    ({"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png", "caption": "x"})}, "'caption', but not 'text'"),
    ({"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png", "text": 7})}, "line 1 has the text 7"),
    (
        {"a.png": PNG, "metadata.jsonl": lines({"file_name": "b.png", "text": "x"})},
        "the file_name 'b.png', which is not an image",
    ),
    (
        {"a.png": PNG, "metadata.jsonl": lines(*({"file_name": "a.png", "text": text} for text in "xy"))},
        "line 2: 'a.png' has another caption on an earlier line",
    ),
    (
        {"a.png": PNG, "a.txt": "x", "metadata.jsonl": lines({"file_name": "a.png", "text": "y"})},
        "'a.png' has one caption in 'a.txt' and another in metadata.jsonl",
    ),
    ({"a.png": PNG, "metadata.csv": "file_name,text"}, "metadata.csv is not supported"),
    (
        {"a.png": PNG, "metadata.jsonl": lines({"source": "a.png", "target": "b.png", "instruction": "x"})},
        "line 1 has the target 'b.png', which is not an image in the folder",
    ),
    (
        {"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png"}, {"source": "a.png", "target": "a.png"})},
        "line 2 has 'a.png' as its source and as its target",
    ),
    (
        {"a.png": PNG, "b.png": PNG, "metadata.jsonl": lines(*[{"source": "a.png", "target": "b.png"}] * 2)},
        "line 2 is given twice: metadata.jsonl, line 1 has the same source, target and instruction",
    ),
    (
        {"a.png": PNG, "metadata.jsonl": lines({"source": "a.png", "target": "a.png", "instruction": 7})},
        "line 1 has the instruction 7; give text, or leave it out",
    ),
    ({"a.png": PNG, "metadata.jsonl": lines({"source": "a.png", "instruction": "x"})}, "a pair has 'source', 'target'"),
    (
        {"a.png": PNG, "training.yaml": "nb_epoch: 5"},
        r"training.yaml: parameters: there is no 'nb_epoch' .*Did you mean 'nb_epochs'",
    ),
    ({"a.png": PNG, "training.yml": "nme: Hero"}, r"training.yml: the key 'nme' is not known. Did you mean 'name'"),
    ({"a.png": PNG, "training.json": "{"}, "training.json: the file cannot be read: .*line 1"),
    ({"a.png": PNG, "training.yaml": "a: [1"}, "training.yaml: the file cannot be read: .*line 1"),
    ({"a.png": PNG, "training.yaml": "when: 2026-13-99"}, "training.yaml: the file cannot be read"),
    ({"a.png": PNG, "training.yaml": "- 1"}, "training.yaml: the file holds list; give keys and values"),
    ({"a.png": PNG, "training.yaml": "1: 2"}, "training.yaml: the key 1 is not text"),
    ({"a.png": PNG, "training.yaml": "name: 7"}, "training.yaml: name must be text"),
    ({"a.png": PNG, "training.yaml": "preset: bold"}, "training.yaml: preset is 'bold'; give 'default'"),
    ({"a.png": PNG, "training.yaml": "preset: [bold]"}, "training.yaml: preset is"),
    ({"a.png": PNG, "training.yaml": "type: 5"}, "training.yaml: type must be a model type"),
    ({"a.png": PNG, "training.yaml": "nb_epochs: many"}, "training.yaml: parameters: nb_epochs must be a whole number"),
    ({"a.png": PNG, "training.yaml": "nbEpochs: 1\nnb_epochs: 2"}, "training.yaml: 'nb_epochs' is given twice"),
    (
        {"a.png": PNG, "training.yaml": "", "training.json": "{}"},
        "training.json and training.yaml are in the folder; keep one",
    ),
    ({"a.png": PNG, "b.png": PNG[:-1]}, f"'b.png' cannot be decoded: it is cut off after {len(PNG) - 1} bytes"),
    ({"a.png": b"\x89PNG\r\n\x1a\n"}, "'a.png' cannot be decoded"),
    ({"a.jpg": JPEG[:-2]}, "'a.jpg' cannot be decoded"),
    ({"a.webp": WEBP[:-1]}, "'a.webp' cannot be decoded"),
    ({"a.png": b""}, "'a.png' is empty"),
    ({"a.png": b"not pixels"}, "'a.png' is not an image, by its content"),
    ({"a.png": PNG, "b.wav": WAV}, r"the folder has images \('a.png'\) and recordings \('b.wav'\)"),
]


@pytest.mark.parametrize(("files", "said"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_told_with_the_dataset_and_the_file(tmp_path, files, said):
    folder = write_files(tmp_path / "hero", files)
    with pytest.raises(InvalidInputError, match=said) as told:
        read_dataset(folder)
    assert str(folder) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("nothing", [None, 7, {}, [], [None], ["/nowhere/a.png"], "/nowhere"])
def test_what_is_no_dataset_at_all_is_told(nothing):
    with pytest.raises(InvalidInputError):
        read_dataset(nothing)


def test_a_file_for_a_folder_is_told(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(InvalidInputError, match=r"images: '.*a\.png' is not a folder\. Give the folder of a dataset"):
        read_dataset(tmp_path / "a.png")


def test_a_link_to_a_folder_is_one(tmp_path):
    (tmp_path / "link").symlink_to(write_files(tmp_path / "hero", {"a.png": PNG}))
    assert captions(read_dataset(tmp_path / "link")) == {"a.png": None}


def test_a_link_to_nothing_is_told(tmp_path):
    write_files(tmp_path, {"a.png": PNG})
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InvalidInputError, match=r"b\.png"):
        read_dataset(tmp_path)


def test_a_folder_nobody_may_read_is_told_and_may_be_tried_again(tmp_path, monkeypatch):
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)  # root may read everything
    with pytest.raises(InvalidInputError, match="cannot be read: PermissionError: Permission denied") as told:
        read_dataset(tmp_path)
    assert not told.value.permanent


# --- any dataset there is

LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\ufeff")
STEMS = st.text("abzAB01 -_.()ü騎é", min_size=1, max_size=12).filter(lambda stem: not stem.startswith("."))
CAPTIONS = st.none() | st.text(LETTERS, max_size=60)
NOTED = st.sampled_from(["beside", "noted", "both"])
IMAGES = st.dictionaries(STEMS, st.tuples(st.sampled_from(sorted(CONTENT)), CAPTIONS, NOTED), min_size=1, max_size=12)
SIXTY_EXAMPLES = settings(max_examples=60)


def written(
    folder: Path, images: dict[str, tuple[str, str | None, str]], pairs: list[dict[str, str]], ascii_: bool
) -> None:
    notes: list[dict[str, str]] = list(pairs)
    for stem, (suffix, caption, where) in images.items():
        write_files(folder, {stem + suffix: CONTENT[suffix]})
        if caption is not None and where != "noted":
            write_files(folder, {f"{stem}.txt": caption})
        if caption is not None and where != "beside":
            notes.append({"file_name": stem + suffix, "text": caption})
    if notes:
        text = "\n".join(json.dumps(note, ensure_ascii=ascii_) for note in notes)
        write_files(folder, {"metadata.jsonl": text})


@SIXTY_EXAMPLES
@given(images=IMAGES, data=st.data(), ascii_=st.booleans())
def test_any_dataset_that_is_written_is_read_back_the_same(images, data, ascii_):
    names = [stem + suffix for stem, (suffix, _, _) in images.items()]
    pair = st.fixed_dictionaries(
        {"source": st.sampled_from(names), "target": st.sampled_from(names)},
        optional={"instruction": st.text(LETTERS, min_size=1).map(str.strip).filter(bool)},
    ).filter(lambda pair: pair["source"] != pair["target"])
    pairs = (
        data.draw(st.lists(pair, max_size=4, unique_by=lambda pair: tuple(sorted(pair.items()))))
        if len(names) > 1
        else []
    )
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), images, pairs, ascii_)
        dataset = read_dataset(folder)
    assert captions(dataset) == {
        stem + suffix: (caption or "").strip() or None for stem, (suffix, caption, _) in images.items()
    }
    assert dataset.pairs == (pairs or None)


@SIXTY_EXAMPLES
@given(
    images=IMAGES,
    name=st.sampled_from(["metadata.jsonl", "training.yaml", "training.json", "extra.txt", "extra.png", "a"]),
    content=st.binary(max_size=200) | st.text(LETTERS, max_size=200).map(str.encode),
)
def test_whatever_lies_in_a_folder_nothing_but_our_own_error_is_raised(images, name, content):
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), images, [], ascii_=False)
        write_files(Path(folder), {name: content})
        try:
            assert isinstance(read_dataset(folder), Dataset)
        except InvalidInputError as told:
            assert folder in str(told)  # noqa: PT017 - either is right


@SIXTY_EXAMPLES
@given(kind=st.sampled_from(sorted(CONTENT)), share=st.floats(0, 1, exclude_max=True))
def test_an_image_that_is_cut_off_anywhere_is_told(kind, share):
    content = CONTENT[kind]
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {f"a{kind}": content[: int(share * len(content))]})
        with pytest.raises(InvalidInputError, match=f"'a{kind}'"):
            read_dataset(folder)


@SIXTY_EXAMPLES
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(LETTERS),
        lambda inside: st.lists(inside) | st.dictionaries(st.text(LETTERS), inside),
        max_leaves=8,
    ),
    key=st.sampled_from(
        ["name", "type", "preset", "short_description", "nb_epochs", "samplePrompts", "rank", "learning_rate", "what"]
    ),
)
def test_whatever_the_settings_say_nothing_but_our_own_error_is_raised(value, key):
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {"a.png": PNG, "training.json": json.dumps({key: value})})
        try:
            assert isinstance(read_dataset(folder), Dataset)
        except InvalidInputError as told:
            assert "training.json" in str(told)  # noqa: PT017 - either is right
