"""A dataset that somebody else may write to shows no other file of the worker, and hangs or fills no worker."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.media_files import MAX_FILE
from airflow_provider_scenario.datasets import list_datasets, metadata, read_dataset, settings
from airflow_provider_scenario.storage import Location, StorageError, location

PICTURE = Path(__file__).parents[3] / "example_dags" / "datasets" / "ink-style" / "01-mountains.jpg"
SECRET = "the-fernet-key-of-this-worker"


@pytest.fixture
def secret(tmp_path):
    """A file of the worker that no dataset may show."""
    file = tmp_path / "worker" / "secret.cfg"
    file.parent.mkdir()
    file.write_text(SECRET)
    shutil.copy(PICTURE, file.parent / "private.jpg")
    return file


@pytest.fixture
def hero(tmp_path):
    """A dataset of one picture, in a folder of datasets."""
    folder = tmp_path / "root" / "hero"
    folder.mkdir(parents=True)
    shutil.copy(PICTURE, folder / "a.jpg")
    return folder


@contextmanager
def quick(seconds=10.0):
    """No hang: far above what is measured (0.5 s at most), far below what the attacks took."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


@contextmanager
def small(megabytes=16):
    """Memory is not filled. It makes all that allocates some five times as slow."""
    tracemalloc.start()
    try:
        yield
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < megabytes * 1_000_000


def refused(source, *said):
    """It is refused by one of our own errors that says this, and never shows the secret; returns the message."""
    with pytest.raises(InvalidInputError) as told, quick():
        read_dataset(source)
    for part in said:
        assert part in str(told.value)
    assert SECRET not in str(told.value)
    assert len(str(told.value)) < 3000
    return str(told.value)


class TestLinks:
    @pytest.mark.parametrize("name", ["a.txt", "training.yaml", "training.json", "metadata.jsonl"])
    def test_a_link_out_of_the_dataset_is_refused_by_its_name(self, hero, secret, name):
        (hero / name).symlink_to(secret)
        refused(hero, name, "leads out of")

    def test_a_picture_that_is_a_link_out_of_the_dataset_is_refused(self, hero, secret):
        (hero / "b.jpg").symlink_to(secret.with_name("private.jpg"))
        refused(hero, "b.jpg", "leads out of")

    def test_links_are_followed_to_their_end(self, hero, secret):
        (hero / ".hidden").symlink_to(secret.parent)
        (hero / ".b").symlink_to(".hidden/secret.cfg")
        (hero / "a.txt").symlink_to(".b")
        refused(hero, "a.txt", "leads out of")

    def test_a_folder_of_almost_the_same_name_is_another_one(self, hero, secret):
        shutil.move(secret.parent, f"{hero}-private")
        (hero / "a.txt").symlink_to("../hero-private/secret.cfg")
        refused(hero, "a.txt", "leads out of")

    def test_whether_a_file_is_there_cannot_be_learnt_by_links(self, hero, secret):
        (hero / "a.txt").symlink_to(secret)
        there = refused(hero, "leads out of")
        secret.unlink()
        assert refused(hero, "leads out of") == there

    def test_links_in_a_circle_are_an_error_of_ours(self, hero):
        (hero / "a.txt").symlink_to("a.txt")
        refused(hero, "a.txt", "circle")
        (hero / "training.yaml").symlink_to("training.yaml")
        assert list_datasets(hero.parent) == [{"name": "hero", "images": str(hero)}]

    def test_the_caption_beside_a_picture_of_a_list_is_not_the_authors_choice(self, hero, secret):
        (hero / "a.txt").symlink_to(secret)
        refused([str(hero / "a.jpg")], "a.txt", "leads out of")

    def test_a_file_that_the_author_lists_may_be_a_link(self, hero, secret):
        (hero / "b.jpg").symlink_to(secret.with_name("private.jpg"))
        assert [image.name for image in read_dataset([hero / "b.jpg"]).images] == ["b.jpg"]

    def test_a_link_put_there_between_two_looks_is_not_followed(self, hero, secret, monkeypatch):
        caption = hero / "a.txt"
        caption.write_text("harmless")
        really = os.path.realpath

        def realpath(path, **options):
            resolved = really(path, **options)
            if str(path) == str(caption):
                caption.unlink()
                caption.symlink_to(secret)
            return resolved

        monkeypatch.setattr(os.path, "realpath", realpath)
        refused(hero, "a.txt")

    def test_a_file_that_became_a_link_after_it_was_checked_is_not_uploaded(self, hero, secret):
        (image,) = read_dataset(hero).images
        (hero / "a.jpg").unlink()
        (hero / "a.jpg").symlink_to(secret.with_name("private.jpg"))
        with pytest.raises(InvalidInputError, match="leads out of"):
            image.read()

    def test_a_dataset_that_is_a_link_out_of_the_listed_folder_ends_the_list(self, hero, secret):
        (hero.parent / "private").symlink_to(secret.parent)
        with pytest.raises(InvalidInputError, match="private' leads out of"):
            list_datasets(hero.parent)

    def test_a_training_yaml_that_is_a_link_out_of_its_dataset_is_not_listed(self, hero, tmp_path):
        (tmp_path / "private.yaml").write_text(f"short_description: {SECRET}")
        (hero / "training.yaml").symlink_to(tmp_path / "private.yaml")
        assert list_datasets(hero.parent) == [{"name": "hero", "images": str(hero)}]


class TestHonestLinks:
    def test_a_config_map_of_kubernetes_is_read(self, tmp_path):
        folder = tmp_path / "hero"
        (folder / "..2026_01_02").mkdir(parents=True)
        shutil.copy(PICTURE, folder / "..2026_01_02" / "a.jpg")
        (folder / "..2026_01_02" / "a.txt").write_text("a caption")
        (folder / "..2026_01_02" / "training.yaml").write_text("name: Hero")
        (folder / "..data").symlink_to("..2026_01_02")
        for name in ("a.jpg", "a.txt", "training.yaml"):
            (folder / name).symlink_to(f"..data/{name}")
        dataset = read_dataset(folder)
        assert [(image.name, image.caption) for image in dataset.images] == [("a.jpg", "a caption")]
        assert dataset.name == "Hero"
        assert list_datasets(tmp_path) == [{"name": "Hero", "images": str(folder)}]
        assert dataset.images[0].read() == PICTURE.read_bytes()

    def test_a_clone_of_git_sync_is_read(self, hero, tmp_path):
        (tmp_path / "current").symlink_to("root")
        (hero / "a.txt").write_text("a caption")
        (listed,) = list_datasets(tmp_path / "current")
        assert listed["images"] == str(tmp_path / "current" / "hero")
        assert [image.caption for image in read_dataset(listed["images"]).images] == ["a caption"]

    def test_a_dataset_that_the_author_names_may_be_a_link(self, hero, tmp_path):
        (tmp_path / "link").symlink_to(hero)
        assert len(read_dataset(tmp_path / "link").images) == 1

    def test_a_dataset_may_be_a_link_to_its_neighbour(self, hero):
        (hero.parent / "again").symlink_to("hero")
        assert [dataset["name"] for dataset in list_datasets(hero.parent)] == ["again", "hero"]

    def test_a_relative_path_is_read(self, hero, monkeypatch):
        (hero / "a.txt").write_text("a caption")
        monkeypatch.chdir(hero)
        for source in (".", ["a.jpg"], "../hero"):
            assert [image.caption for image in read_dataset(source).images] == ["a caption"]


class TestSpecialFiles:
    @pytest.mark.parametrize("name", ["a.txt", "b.jpg", "training.yaml", "metadata.jsonl"])
    def test_a_fifo_is_refused_and_not_waited_for(self, hero, name):
        os.mkfifo(hero / name)
        refused(hero, name, "special file")

    def test_a_fifo_beside_a_picture_of_a_list_is_refused(self, hero):
        os.mkfifo(hero / "a.txt")
        refused([hero / "a.jpg"], "a.txt", "special file")

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin", "/dev/null"])
    def test_a_device_is_refused(self, device):
        refused([device], device)

    def test_a_link_to_an_endless_device_is_refused(self, hero):
        (hero / "a.txt").symlink_to("/dev/zero")
        refused(hero, "a.txt", "leads out of")

    def test_a_socket_is_refused(self, hero, monkeypatch):
        monkeypatch.chdir(hero)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind("a.txt")
            refused(hero, "a.txt", "special file")

    def test_a_folder_in_the_place_of_a_file_is_none(self, hero):
        (hero / "training.yaml").mkdir()
        (hero / "b.jpg").mkdir()
        assert len(read_dataset(hero).images) == 1


class TestSizes:
    @pytest.mark.parametrize(
        ("name", "limit"),
        [
            ("training.yaml", settings.MAX_BYTES),
            ("training.json", settings.MAX_BYTES),
            ("metadata.jsonl", metadata.MAX_BYTES),
            ("a.txt", metadata.MAX_CAPTION),
        ],
    )
    def test_a_file_that_is_too_large_is_refused_with_its_name_and_the_limit(self, hero, name, limit):
        (hero / name).touch()
        os.truncate(hero / name, 10**12)
        with small():
            refused(hero, name, f"more than {limit} bytes")

    def test_the_largest_files_that_are_read_are(self, hero):
        (hero / "a.txt").write_text("x" * metadata.MAX_CAPTION)
        (hero / "training.yaml").write_text("nb_epochs: 5\n#".ljust(settings.MAX_BYTES, "x"))
        assert [len(image.caption) for image in read_dataset(hero).images] == [metadata.MAX_CAPTION]

    def test_a_caption_in_the_metadata_may_be_as_long_as_one_of_its_own(self, hero):
        for length, is_right in ((metadata.MAX_CAPTION, True), (metadata.MAX_CAPTION + 1, False)):
            (hero / "metadata.jsonl").write_text(json.dumps({"file_name": "a.jpg", "text": "x" * length}))
            if is_right:
                assert len(read_dataset(hero).images[0].caption) == length
            else:
                refused(hero, "metadata.jsonl, line 1", f"more than {metadata.MAX_CAPTION} bytes")

    def test_no_more_is_read_than_the_limit_whatever_a_listing_says(self):
        class Growing:
            """A storage whose file is larger than it has told."""

            asked = None

            def read(self, path, start, end):
                self.asked = (start, end)
                return b"x" * (end - start)

        grown = Growing()
        with pytest.raises(InvalidInputError, match="more than 100 bytes"):
            Location("a.txt", 3, grown).read_text(100)
        assert grown.asked == (0, 101)

    def test_a_picture_that_grows_after_it_was_checked_is_not_read_to_its_end(self, hero):
        (image,) = read_dataset(hero).images
        os.truncate(hero / "a.jpg", 10**12)
        with pytest.raises(StorageError, match=r"'a\.jpg' has grown"), quick(), small():
            image.read()
        assert MAX_FILE < 5_000_000

    def test_a_huge_picture_that_is_none_is_refused_by_its_start_and_its_end(self, hero):
        (hero / "b.jpg").write_bytes(b"\x89PNG\r\n\x1a\n")
        os.truncate(hero / "b.jpg", 10**12)
        refused(hero, "b.jpg")

    def test_a_folder_with_too_many_files_is_refused(self, hero, monkeypatch):
        monkeypatch.setattr(location, "MAX_ENTRIES", 10)
        for number in range(10):
            (hero / f"{number}.npz").touch()
        refused(hero, "hero'", "more than 10 files")


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 10)}]}}\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "aliases": (ALIASES, "anchors (&) and aliases (*) are not read"),
    "merges": (MERGES, "anchors (&) and aliases (*) are not read"),
    "a merge": ("nb_epochs: 5\n<<: {rank: 8}", "merge keys (<<) are not read"),
    "an anchor that is its own alias": ("name: &a [*a]", "anchors (&) and aliases (*) are not read"),
    "depth": ("name: " + "[" * 30_000, "20 lists and mappings inside each other"),
    "depth that ends": ("name: " + "[" * 30_000 + "]" * 30_000, "20 lists and mappings inside each other"),
    "depth by lines": ("".join(f"{' ' * n}a:\n" for n in range(300)), "20 lists and mappings inside each other"),
    "one huge number": ("nb_epochs: 0x" + "f" * 60_000, "too large"),
    "minutes of minutes": ("nb_epochs: 1" + ":1" * 30_000, "too large"),
    "a huge decimal number": ("nb_epochs: " + "9" * 60_000, "cannot be read"),
    "infinity": ("learning_rate: .inf", "too large"),
    "no number": ("learning_rate: .nan", "too large"),
    "a huge key": (f"{'k' * 60_000}: 1", ""),
    "a huge name": (f"name: {'n' * 60_000}", "64"),
    "python": ("name: !!python/object/apply:os.system [id]", "cannot be read"),
    "half a character": ('name: "\\ud800"', "not valid Unicode"),
    "a NUL": ('name: "a\\0"', "NUL"),
    "many keys": ("".join(f"k{n}: 1\n" for n in range(3000)), "3000 names are not known"),
}


class TestYaml:
    @pytest.mark.parametrize(("text", "said"), BOMBS.values(), ids=BOMBS)
    def test_a_file_that_would_fill_the_memory_is_refused(self, hero, text, said):
        assert len(text) < settings.MAX_BYTES
        (hero / "training.yaml").write_text(text)
        refused(hero, "training.yaml", said)

    @pytest.mark.parametrize("bomb", ["aliases", "merges"])
    def test_a_bomb_fills_no_memory_and_is_not_listed(self, hero, bomb):
        (hero / "training.yaml").write_text(BOMBS[bomb][0])
        with quick(), small():
            assert list_datasets(hero.parent) == [{"name": "hero", "images": str(hero)}]

    def test_stars_and_ampersands_in_text_are_text(self, hero):
        (hero / "training.yaml").write_text("name: 'a & *b <<'\nsample_prompts: ['*x', '&y', a << b]\nnb_epochs: 5")
        assert read_dataset(hero).parameters == {"samplePrompts": ["*x", "&y", "a << b"], "nbEpochs": 5}


@pytest.mark.parametrize(
    "text",
    ["[" * 60_000, '{"a":' * 12_000, f'{{"nb_epochs": {"9" * 60_000}}}', '{"nb_epochs": 1e999}', '{"name": "\\ud800"}',
     '{"nb_epochs": NaN}', '{"nb_epochs": 99999999999999999999}', '{"name": ' + "[" * 50 + "]" * 50 + "}"],
    ids=range(8),
)  # fmt: skip
def test_json_that_is_no_settings_is_refused(hero, text):
    (hero / "training.json").write_text(text)
    refused(hero, "training.json")


@pytest.mark.parametrize(
    "line",
    [b"[" * 2_000_000, b"\n" * 2_000_000 + b"x", b'{"a": 1}\n' * 200_000, b'{"file_name": "' + b"x" * 1_000_000 + b'"}',
     json.dumps({"x" * 1_000_000: 1}).encode(), b'{"file_name": "a.jpg", "text": "\\ud800"}',
     b'{"file_name": "a.jpg", "text": ' + b"9" * 1_000_000 + b"}", b"\xff" * 1_000_000],
    ids=range(8),
)  # fmt: skip
def test_metadata_that_is_none_is_refused(hero, line):
    (hero / "metadata.jsonl").write_bytes(line)
    with pytest.raises(InvalidInputError, match=r"metadata\.jsonl") as told, quick():
        read_dataset(hero)
    assert len(str(told.value)) < 1000


class TestNames:
    def test_a_name_that_is_not_utf_8_is_refused_where_it_would_be_sent(self, hero):
        shutil.copy(PICTURE, os.fsencode(hero) + b"/\xff.jpg")
        refused(hero, "not valid Unicode")
        os.mkdir(os.fsencode(hero.parent) + b"/\xff")  # noqa: PTH102
        with pytest.raises(InvalidInputError, match="not valid Unicode"):
            list_datasets(hero.parent)

    def test_a_name_with_a_line_break_makes_no_second_line(self, hero):
        (hero / "b\nERROR: c.txt").write_text("x")
        assert "\n" not in refused(hero, "is a caption without an image")


class TestWhereSomebodyElseChooses:
    """``list_datasets(params["folder"], inside=…)``: who may trigger a DAG chooses a folder there, and no other."""

    @pytest.mark.parametrize("chosen", ["", ".", "./", "{root}", "{root}/"])
    def test_the_folder_itself_may_be_chosen(self, hero, chosen):
        listed = list_datasets(chosen.format(root=hero.parent), inside=hero.parent)
        assert listed == list_datasets(str(hero.parent), inside=f"{hero.parent}/")
        assert listed == [{"name": "hero", "images": str(hero)}]

    @pytest.mark.parametrize("chosen", ["root", "root/", "./root", "{root}/root"])
    def test_a_folder_in_it_may_be_chosen(self, hero, chosen):
        root = hero.parent.parent
        listed = list_datasets(chosen.format(root=root), inside=str(root))
        assert listed == [{"name": "hero", "images": str(hero)}]

    @pytest.mark.parametrize(
        "chosen",
        ["/", "..", "../worker", "a/../..", "//", "{root}/../worker", "{root}-private", "/etc", "file:///", "local:///etc",
         "http://127.0.0.1:1/", "s3://bucket", "{root}/x://y"],
    )  # fmt: skip
    def test_no_other_folder_and_no_address_may_be_chosen(self, hero, secret, chosen):
        with pytest.raises(InvalidInputError, match="does not lie in"):
            list_datasets(chosen.format(root=hero.parent), inside=hero.parent, missing_ok=True)

    def test_a_link_out_of_it_may_not_be_chosen(self, hero, secret):
        (secret.parent / "dataset").mkdir()
        (hero / "link").symlink_to(secret.parent)
        with pytest.raises(InvalidInputError, match="link' leads out of"):
            list_datasets("hero/link", inside=hero.parent)

    def test_in_a_bucket_it_is_the_same(self):
        for chosen in ("s3://other/characters", "s3://me@bucket/characters", "../x", "http://127.0.0.1:1/"):
            with pytest.raises(InvalidInputError, match="does not lie in"):
                list_datasets(chosen, inside="s3://bucket/characters")
        assert Location.of("s3://bucket/characters").subfolder("a/b").text == "s3://bucket/characters/a/b"
        assert Location.of("s3://c@bucket/x").subfolder("s3://c@bucket/x/a").text == "s3://c@bucket/x/a"
