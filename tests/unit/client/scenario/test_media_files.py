from __future__ import annotations

import pytest

from airflow_provider_scenario.client.scenario.media_files import (
    MAX_FILE,
    MAX_REQUEST,
    image_type_of,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


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
    assert image_type_of(data) == content_type


def test_the_largest_file_fits_into_one_request():
    assert (MAX_FILE + 2) // 3 * 4 < MAX_REQUEST
