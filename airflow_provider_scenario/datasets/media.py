"""Checks a file by its own bytes: its kind, its dimensions, and whether it is complete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted
from airflow_provider_scenario.client.scenario.media_files import image_type_of, recording_type_of
from airflow_provider_scenario.datasets.dimensions import dimensions_of

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp", ".heic", ".heif"})
RECORDINGS = frozenset({".mp3", ".wav", ".m4a", ".flac", ".ogg", ".oga", ".opus", ".aac"})

HEAD, TAIL = 64 * 1024, 4096
"""Bytes read at the start and at the end; mostly they are enough. The start often holds a thumbnail."""

BLOCK = 1024 * 1024
"""Bytes read at once where more of the file is needed."""

MAX_READ = 256 * 1024 * 1024
"""Bytes read of one file to find its end. If it is not found by then, the file passes and Scenario decides."""

MAX_SEGMENTS = 100_000
"""Segments or chunks read of one file; a PNG of 800 MB in chunks of 8 KB has as many."""

Read = Callable[[int, int], bytes]
"""Reads the bytes from a start up to an end."""

_PNG_END = b"IEND\xaeB\x60\x82"
_JPEG_END = b"\xff\xd9"
_JPEG_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # markers without a length
_JPEG_SCAN, _JPEG_EOI = 0xDA, 0xD9
_UNKNOWN_LENGTH = (0, 0xFFFFFFFF)  # programs that stream a WAV write one of these
_WAV_TOLERANCE = 8
"""Bytes by which the length in a WAV may be too large: some programs count its header, or padding."""


class Media(NamedTuple):
    """
    The kind of a file.

    :param dimensions: width and height of an image, where its header has them.
    """

    content_type: str
    dimensions: tuple[int, int] | None = None


def check_media(name: str, size: int, read: Read) -> Media:
    """
    Check an image or a recording. Mostly its start and its end are read; at most one block is kept in memory.

    :param name: for the message.
    :param size: bytes of the whole file.
    :param read: reads a piece of it.
    :raises InvalidInputError: it is empty, cut off, or not of a kind that Scenario trains with.
    """
    if size == 0:
        raise InvalidInputError(f"Training image {quoted(name)} is empty.")
    file = _File(size, read)
    content_type = image_type_of(file.head) or recording_type_of(file.head)
    if content_type is None:
        is_svg = b"<svg" in file.head.lower()
        what = "an SVG, which training does not take" if is_svg else "not an image, by its content"
        raise InvalidInputError(
            f"Training image {quoted(name)} is {what}. Use PNG, JPEG or WebP; for voices MP3, WAV, M4A, FLAC or OGG."
        )
    dimensions = None
    with suppress(_UndecidedError):
        dimensions = dimensions_of(content_type, file.head, file.at)
    try:
        whole = _is_whole(content_type, file)
    except _UndecidedError:
        whole = True
    if not whole:
        raise InvalidInputError(f"Training image {quoted(name)} cannot be decoded: it is cut off after {size} bytes.")
    return Media(content_type, dimensions)


class _UndecidedError(Exception):
    """Too much of the file would have to be read."""


class _File:
    """A file that is read in blocks when they are needed; its start and one block are in memory."""

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read
        self._left = MAX_READ
        self._start, self._block = 0, self._fetched(0, HEAD)
        self.head = self._block

    def at(self, start: int, length: int) -> bytes:
        """Some bytes from ``start`` on; fewer where the file ends."""
        self._need(start, length)
        return self._block[start - self._start : start - self._start + length]

    def find(self, wanted: bytes, start: int) -> int | None:
        """The first position of some bytes, from ``start`` on."""
        while start < self.size:
            self._need(start, len(wanted))
            found = self._block.find(wanted, start - self._start)
            if found >= 0:
                return self._start + found
            start = max(start + 1, self._start + len(self._block) - len(wanted) + 1)
        return None

    def tail(self, start: int = 0) -> bytes:
        """The last bytes, of those from ``start`` on."""
        return self.at(max(start, self.size - TAIL), TAIL)

    def _need(self, start: int, length: int) -> None:
        """Read the block with these bytes, unless it is in memory."""
        end = min(start + length, self.size)
        if self._start <= start and end <= self._start + len(self._block):
            return
        if end <= len(self.head):
            self._start, self._block = 0, self.head
        else:
            # At the end of the file nothing more is needed: a whole block would be read in vain.
            self._block = self._fetched(start, length if end == self.size else BLOCK)
            self._start = start

    def _fetched(self, start: int, length: int) -> bytes:
        end = min(start + length, self.size)
        self._left -= max(0, end - start)
        if self._left < 0:
            raise _UndecidedError
        data = self._read(start, end) if end > start else b""
        if len(data) < end - start:  # the file has become shorter
            self.size = start + len(data)
        return data


def _is_whole(content_type: str, file: _File) -> bool:
    if content_type == "image/png":
        return file.head[12:16] == b"IHDR" and _png_is_whole(file)
    if content_type == "image/jpeg":
        return _jpeg_is_whole(file)
    if file.head[:4] == b"RIFF":
        length = int.from_bytes(file.head[4:8], "little")
        if content_type == "audio/wav":
            return length in _UNKNOWN_LENGTH or length + 8 <= file.size + _WAV_TOLERANCE
        return length + 8 <= file.size
    return True


def _png_is_whole(file: _File) -> bool:
    """Bytes may follow the end: programs append to a picture, and decoders stop at its last chunk."""
    if file.tail().endswith(_PNG_END):
        return True
    at = 8
    for _ in range(MAX_SEGMENTS):
        chunk = file.at(at, 8)
        if len(chunk) < 8 or not chunk[4:].isalpha():
            return False
        at += 8 + int.from_bytes(chunk[:4], "big") + 4
        if chunk[4:] == b"IEND":
            return at <= file.size
    raise _UndecidedError


def _jpeg_is_whole(file: _File) -> bool:
    """
    Bytes may follow the end: the film of a motion photo has megabytes.

    An end mark before the pixels may belong to a thumbnail, which is a JPEG of its own. Among the pixels there is no
    other end mark, since a zero follows each ``FF`` there.
    """
    pixels = _pixels_of_jpeg(file)
    if pixels is None:
        return False
    return _JPEG_END in file.tail(pixels) or file.find(_JPEG_END, pixels) is not None


def _pixels_of_jpeg(file: _File) -> int | None:
    """Where the first scan begins; None if the file ends before."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = file.find(b"\xff", at)  # decoders skip bytes between segments too
        if found is None:
            return None
        segment = file.at(found, 4)
        if len(segment) < 4 or segment[1] == _JPEG_EOI:
            return None
        if segment[1] == 0xFF:
            at = found + 1
        elif segment[1] in _JPEG_STANDALONE:
            at = found + 2
        else:
            length = int.from_bytes(segment[2:], "big")
            if length < 2:
                return None
            at = found + 2 + length
            if segment[1] == _JPEG_SCAN:
                return at
    raise _UndecidedError
