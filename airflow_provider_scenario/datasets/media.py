"""What a file is by its own bytes, and whether all of it is there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted
from airflow_provider_scenario.client.scenario.image_files import content_type_of
from airflow_provider_scenario.datasets.dimensions import dimensions_of

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp", ".heic", ".heif"})
RECORDINGS = frozenset({".mp3", ".wav", ".m4a", ".flac", ".ogg", ".oga", ".opus", ".aac"})

HEAD, TAIL = 64 * 1024, 4096
"""Bytes at the start and at the end that tell most of what we want to know. The start often holds a thumbnail."""

BLOCK = 1024 * 1024
"""Bytes that are read at once where more of the file is needed."""

MOST_READ = 256 * 1024 * 1024
"""Bytes that are read of one file to find its end. A file that is still undecided then passes: Scenario decides."""

MOST_PARTS = 100_000
"""Segments or chunks that are walked through; a PNG of 800 MB in chunks of 8 KB has so many."""

Read = Callable[[int, int], bytes]
"""Reads the bytes from a start up to an end."""

_MP4_BRANDS = frozenset(
    {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"mp41", b"mp42", b"isom", b"dash"}
    | {b"iso%d" % version for version in range(2, 10)}
)
_PNG_END = b"IEND\xaeB\x60\x82"
_JPEG_END = b"\xff\xd9"
_JPEG_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # markers without a length
_JPEG_SCAN, _JPEG_EOI = 0xDA, 0xD9
_UNKNOWN_LENGTH = (0, 0xFFFFFFFF)  # what programs write that stream a WAV
_SLOPPY = 8
"""Bytes that programs count too many in a WAV: its own header, or the padding behind an odd number of bytes."""


class Media(NamedTuple):
    """
    What a file is.

    :param dimensions: width and height of a picture, where its header says.
    """

    content_type: str
    dimensions: tuple[int, int] | None = None


def check_media(name: str, size: int, read: Read) -> Media:
    """
    Check an image or a recording. Mostly its start and its end are read, and never more than a block is kept.

    :param name: for the message.
    :param size: bytes of the whole file.
    :param read: reads a piece of it.
    :raises InvalidInputError: it is empty, of no kind that Scenario learns from, or cut off.
    """
    if size == 0:
        raise InvalidInputError(f"Training image {quoted(name)} is empty.")
    file = _File(size, read)
    content_type = content_type_of(file.head) or _recording(file.head)
    if content_type is None:
        what = "an SVG, which training does not take" if b"<svg" in file.head.lower() else "no image, by its content"
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
    """Too much would have to be read to tell."""


class _File:
    """A file that is read in blocks, as it is needed; the start, and one block, are in memory."""

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read
        self._left = MOST_READ
        self._start, self._block = 0, self._fetched(0, HEAD)
        self.head = self._block

    def at(self, start: int, length: int) -> bytes:
        """The bytes from here on; fewer where the file ends."""
        self._need(start, length)
        return self._block[start - self._start : start - self._start + length]

    def find(self, wanted: bytes, start: int) -> int | None:
        """Where it is found first, from here on."""
        while start < self.size:
            self._need(start, len(wanted))
            found = self._block.find(wanted, start - self._start)
            if found >= 0:
                return self._start + found
            start = max(start + 1, self._start + len(self._block) - len(wanted) + 1)
        return None

    def tail(self, start: int = 0) -> bytes:
        """The last bytes, of those from here on."""
        return self.at(max(start, self.size - TAIL), TAIL)

    def _need(self, start: int, length: int) -> None:
        """Let the block hold these bytes, as far as the file has them."""
        end = min(start + length, self.size)
        if self._start <= start and end <= self._start + len(self._block):
            return
        if end <= len(self.head):
            self._start, self._block = 0, self.head
        else:
            # The end is looked at alone: a whole block of it would be read for nothing.
            self._block = self._fetched(start, length if end == self.size else BLOCK)
            self._start = start

    def _fetched(self, start: int, length: int) -> bytes:
        end = min(start + length, self.size)
        self._left -= max(0, end - start)
        if self._left < 0:
            raise _UndecidedError
        data = self._read(start, end) if end > start else b""
        if len(data) < end - start:  # it has become shorter since it was measured
            self.size = start + len(data)
        return data


def _recording(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:4] == b"fLaC":
        return "audio/flac"
    if head[:4] == b"OggS":
        return "audio/ogg"
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return "audio/m4a"
    frame = head.lstrip(b"\0")  # what some programs write before the first frame of an MP3
    if frame[:3] == b"ID3":
        return "audio/mpeg"
    if len(frame) > 1 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0:  # a frame of MPEG audio; layer 0 is AAC
        return "audio/mpeg" if frame[1] & 0x06 else "audio/aac"
    return None


def _is_whole(content_type: str, file: _File) -> bool:
    if content_type == "image/png":
        return file.head[12:16] == b"IHDR" and _png_is_whole(file)
    if content_type == "image/jpeg":
        return _jpeg_is_whole(file)
    if file.head[:4] == b"RIFF":
        told = int.from_bytes(file.head[4:8], "little")
        if content_type == "audio/wav":
            return told in _UNKNOWN_LENGTH or told + 8 <= file.size + _SLOPPY
        return told + 8 <= file.size
    return True


def _png_is_whole(file: _File) -> bool:
    """Bytes may follow the end: programs append to a picture, and decoders stop at its last chunk."""
    if file.tail().endswith(_PNG_END):
        return True
    at = 8
    for _ in range(MOST_PARTS):
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

    Before the pixels a thumbnail may end that is a JPEG of its own; among them no end mark can stand, since each
    ``FF`` of the pixels has a zero behind it.
    """
    pixels = _pixels_of_jpeg(file)
    if pixels is None:
        return False
    return _JPEG_END in file.tail(pixels) or file.find(_JPEG_END, pixels) is not None


def _pixels_of_jpeg(file: _File) -> int | None:
    """Where the first scan begins; None if the file ends before it."""
    at = 2
    for _ in range(MOST_PARTS):
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
