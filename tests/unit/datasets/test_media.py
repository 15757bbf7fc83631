"""What decoders read passes, whatever follows the picture; what is cut off is refused, wherever it was cut."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.datasets import media
from airflow_provider_scenario.datasets.media import check_media

SIDE = 120
NOISE = Image.effect_noise((SIDE, SIDE), 90).convert("RGB")
FILM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 9000  # longer than a block


def saved(kind: str, **options) -> bytes:
    content = io.BytesIO()
    NOISE.save(content, kind, **options)
    return content.getvalue()


def segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def small_chunks(png: bytes) -> bytes:
    """The same picture in chunks of 1000 bytes, as some programs write it."""
    data = zlib.compress(b"".join(b"\0" + row for row in rows()), 0)
    parts = [png_chunk(b"IDAT", data[at : at + 1000]) for at in range(0, len(data), 1000)]
    return png[:33] + b"".join(parts) + png_chunk(b"IEND", b"")


def rows() -> list[bytes]:
    pixels = NOISE.tobytes()
    return [pixels[at : at + 3 * SIDE] for at in range(0, len(pixels), 3 * SIDE)]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


THUMBNAIL = saved("jpeg", quality=30)[:40_000]
EXIF = segment(0xE1, b"Exif\0\0" + THUMBNAIL)
JPEG = saved("jpeg")
JPEGS = {
    "baseline": JPEG,
    "progressive": saved("jpeg", progressive=True),
    "with restart markers": saved("jpeg", restart_marker_blocks=1),
    "with a thumbnail": with_segments(JPEG, EXIF),
    "progressive with thumbnails far from its start": with_segments(
        saved("jpeg", progressive=True), *[segment(0xE2, b"x" * 60_000)] * 3, EXIF, segment(0xFE, THUMBNAIL)
    ),
    "with bytes between its segments": with_segments(JPEG, EXIF, b"\0\0", b"\xff\xff\xff"),
    "in grey": saved("jpeg", quality=99, subsampling=0),
}
PNG = saved("png")
PNGS = {
    "plain": PNG,
    "in small chunks": small_chunks(PNG),
    "with a long text": PNG[:33] + png_chunk(b"tEXt", b"a\0" + b"x" * 200_000) + PNG[33:],
}
PICTURES = {f"jpeg {name}": data for name, data in JPEGS.items()} | {f"png {name}": data for name, data in PNGS.items()}
AFTER = {
    "nothing": b"",
    "a film": FILM,
    "zeros": bytes(5000),
    "a trailer": b"SEFT" * 2000,
    "a picture that is cut off": JPEG[:-500],
}
WORDS = {"jpeg": "image/jpeg", "png": "image/png"}


def checked(data: bytes) -> str:
    return check_media("a", len(data), lambda start, end: data[start:end]).content_type


def decodes(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except (OSError, SyntaxError):
        return False
    return True


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
@pytest.mark.parametrize("name", PICTURES)
def test_what_follows_the_end_of_a_picture_does_not_matter(name, after):
    data = PICTURES[name] + after
    assert decodes(data)
    assert checked(data) == WORDS[name.split()[0]]


@pytest.mark.parametrize("name", PICTURES)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_picture_that_is_cut_off_anywhere_is_refused(name, share):
    data = PICTURES[name]
    with pytest.raises(InvalidInputError):
        checked(data[: int(share * len(data))])


@pytest.mark.parametrize("name", JPEGS)
def test_a_picture_that_ends_with_its_thumbnail_is_refused(name):
    data = JPEGS[name]
    ends = [at + 2 for at in range(len(data) - 2) if data[at : at + 2] == b"\xff\xd9"]
    assert bool(ends) == ("thumbnail" in name or "between" in name)
    for end in ends:
        with pytest.raises(InvalidInputError, match=f"cut off after {end} bytes"):
            checked(data[:end])


@pytest.mark.parametrize("name", PICTURES)
def test_a_download_that_was_filled_up_with_zeros_is_refused(name):
    data = PICTURES[name][: len(PICTURES[name]) * 3 // 4] + bytes(20_000)
    with pytest.raises(InvalidInputError, match="cut off"):
        checked(data)


@pytest.mark.parametrize("kind", ["webp", "gif", "tiff", "avif", "bmp", "png", "jpeg"])
def test_every_kind_of_picture_may_have_bytes_behind_it(kind):
    assert checked(saved(kind) + FILM) == f"image/{kind}"


def test_a_big_tiff_is_a_tiff():
    assert checked(saved("tiff", big_tiff=True)) == "image/tiff"


WAV_DATA = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<I", 101)
WAV_DATA += bytes(101)


@pytest.mark.parametrize("told", [len(WAV_DATA), len(WAV_DATA) + 1, len(WAV_DATA) + 8, 0, 0xFFFFFFFF])
def test_a_wav_whose_header_counts_some_bytes_too_many_is_whole(told):
    assert checked(b"RIFF" + struct.pack("<I", told) + WAV_DATA) == "audio/wav"


def test_a_wav_that_is_cut_off_is_refused():
    with pytest.raises(InvalidInputError, match="cut off"):
        checked((b"RIFF" + struct.pack("<I", len(WAV_DATA)) + WAV_DATA)[:-50])


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (bytes(500) + b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xf3\x40\xc0", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "audio/m4a"),
        (b"\0\0\0\x20ftypiso5\0\0\0\0", "audio/m4a"),
        (b"\0\0\0\x20ftypmp42\0\0\0\0", "audio/m4a"),
    ],
)
def test_a_recording_is_known_by_its_start(start, kind):
    assert checked(start + bytes(100)) == kind


class Storage:
    """Counts what is read of a file that is mostly zeros."""

    def __init__(self, size: int, **parts: bytes) -> None:
        self.size, self.start, self.end = size, parts.get("start", b""), parts.get("end", b"")
        self.reads: list[int] = []

    def read(self, start: int, end: int) -> bytes:
        self.reads.append(end - start)
        assert 0 <= start < end <= self.size
        block = bytearray(end - start)
        for at, part in ((0, self.start), (self.size - len(self.end), self.end)):
            first, last = max(at, start), min(at + len(part), end)
            if first < last:
                block[first - start : last - start] = part[first - at : last - at]
        return bytes(block)


def scan() -> int:
    return JPEG.index(b"\xff\xda")


def test_an_ordinary_picture_is_read_at_its_start_and_its_end_only():
    jpeg = Storage(40_000_000, start=JPEG[: scan() + 20], end=b"\xff\xd9")
    png = Storage(40_000_000, start=PNG[:33], end=PNG[-12:])
    for storage in (jpeg, png):
        check_media("a", storage.size, storage.read)
        assert storage.reads == [media.HEAD, media.TAIL]


def test_a_small_picture_is_read_once():
    storage = Storage(len(PNG), start=PNG)
    check_media("a", storage.size, storage.read)
    assert storage.reads == [len(PNG)]


def test_of_a_big_file_no_more_than_a_block_is_in_memory():
    storage = Storage(30_000_000, start=JPEG, end=b"x" * 5000)
    assert check_media("a", storage.size, storage.read).content_type == "image/jpeg"
    storage = Storage(30_000_000, start=JPEG[: scan() + 20], end=b"x" * 5000)
    with pytest.raises(InvalidInputError, match="cut off"):
        check_media("a", storage.size, storage.read)
    assert max(storage.reads) <= media.BLOCK
    assert sum(storage.reads) < 31_000_000


@pytest.mark.parametrize(
    "start",
    [
        JPEG[: scan() + 20],
        b"\xff\xd8" + b"\xff" * 2_000_000,
        b"\xff\xd8" + segment(0xFE, b"") * 500_000,
        PNG[:33] + png_chunk(b"tEXt", b"") * 200_000,
    ],
    ids=["a scan", "fill bytes", "empty segments", "empty chunks"],
)
def test_a_file_without_an_end_is_given_up_and_the_service_decides(start, monkeypatch):
    monkeypatch.setattr(media, "MAX_READ", 8 * 1024 * 1024)
    storage = Storage(10**12, start=start)
    check_media("a", storage.size, storage.read)
    assert sum(storage.reads) <= media.MAX_READ


def test_a_file_that_becomes_shorter_while_it_is_looked_at_is_refused():
    data = JPEG[: scan() + 20] + bytes(3_000_000)
    with pytest.raises(InvalidInputError, match="cut off"):
        check_media("a", 10_000_000, lambda start, end: data[start:end])


@pytest.mark.parametrize("boundary", [media.HEAD, media.HEAD + media.BLOCK, media.HEAD + 2 * media.BLOCK])
@pytest.mark.parametrize("offset", range(-4, 3))
def test_an_end_that_lies_in_two_blocks_is_found(boundary, offset):
    start = JPEG[: scan() + 20]
    data = start.ljust(boundary + offset, b"x") + b"\xff\xd9" + bytes(media.BLOCK)
    assert checked(data) == "image/jpeg"
