from __future__ import annotations

import os

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.image_files import (
    MAX_FILE,
    MAX_REQUEST,
    TrainingImageFile,
    content_type_of,
    image_of,
    read_image,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


def image(name: str) -> TrainingImageFile:
    return TrainingImageFile(name, PNG, "image/png")


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"II*\0\x08", "image/tiff"),
        (b"MM\0*\0", "image/tiff"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"\0\0\0\x20ftypheic", "image/heic"),
        (b"\0\0\0\x20ftypmif1", "image/heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x1cftypmsf1\0\0\0\0msf1hevcmif1", "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "image/avif"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1heic", "image/heif"),  # behind the box
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42heic", None),
        (b"II+\0\x08", "image/tiff"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "image/bmp"),
        (b"BMW and other cars", None),
        (b"MM\0+\0", "image/tiff"),
        (b"\0\0\0\x20ftypmp42", None),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (b"%PDF-1.7", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_an_image_is_known_by_its_first_bytes(data, content_type):
    assert content_type_of(data) == content_type


def test_a_file_is_read_under_its_name_whatever_its_suffix_says(tmp_path):
    file = tmp_path / "hero.jpg"
    file.write_bytes(PNG)
    assert read_image(file) == TrainingImageFile("hero.jpg", PNG, "image/png")
    assert read_image(str(file)) == read_image(file)


def test_a_repr_does_not_hold_the_picture():
    assert repr(image("a.png")) == "TrainingImageFile('a.png', 24 bytes, 'image/png')"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"hello", "no image, by its content"),
        (b'<?xml version="1.0"?><SVG xmlns="x"/>', "an SVG, which training does not take"),
        (PNG + b"\0" * MAX_FILE, "at most 4.7 MB"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(tmp_path, data, problem):
    (tmp_path / "hero.png").write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"'hero\.png'.*" + problem):
        read_image(tmp_path / "hero.png")
    with pytest.raises(InvalidInputError, match=problem):
        image_of("hero.png", data)


def test_the_largest_file_fits_into_one_request():
    data = PNG + b"\0" * (MAX_FILE - len(PNG))
    assert image_of("a.png", data).content_type == "image/png"
    assert (MAX_FILE + 2) // 3 * 4 < MAX_REQUEST


def test_a_file_that_is_too_large_is_not_even_read(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(50 * 1024**3)
    with pytest.raises(InvalidInputError, match="huge"):
        read_image(tmp_path / "huge.png")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.png", "no such file"),
        ("folder", "but a folder"),
        ("pipe", "is no file"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, name, problem):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match=problem):
        read_image(tmp_path / name)


def test_a_path_with_a_null_character_is_refused():
    with pytest.raises(InvalidInputError):
        read_image("a\0b.png")


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    """A file of /proc refuses even root to read it, where there are no bits to set."""
    file = tmp_path / "a.png"
    file.symlink_to("/proc/self/mem")
    with pytest.raises(InvalidInputError):
        read_image(file)
