"""
Training images on disk: found, recognised by their first bytes, and small enough to be sent in one request.

Everything is checked before anything is sent, so that a dataset is not left half uploaded because of its last file.
Imported while DAG files are parsed: nothing but the standard library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted
from airflow_provider_scenario.client.values import MAX_REQUEST

if TYPE_CHECKING:
    from os import PathLike

ENVELOPE = 16 * 1024
"""Bytes kept free for what surrounds the file: field names, file name, the gateway's own wrapping."""

MAX_FILE = (MAX_REQUEST - ENVELOPE) // 4 * 3
"""Bytes of the largest file: Base64 makes four bytes of three."""

HEADER = 512
"""Bytes at the start of a file that tell its kind: a HEIF lists in some 100 what it is compatible with."""

_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes of the header behind "BM", which alone is too short a mark

_HEIF_BRANDS = (
    {b"avif": "image/avif", b"avis": "image/avif"}
    | dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "image/heic")
    | dict.fromkeys((b"mif1", b"msf1", b"miaf"), "image/heif")
)


class TrainingImageFile(NamedTuple):
    """
    A file as it goes into a dataset.

    :param name: file name; unique within a dataset, so that a retry finds what is there.
    :param data: the bytes.
    :param content_type: such as ``image/png``, from the first bytes, not from the name.
    """

    name: str
    data: bytes
    content_type: str

    def __repr__(self) -> str:
        return f"TrainingImageFile({self.name!r}, {len(self.data)} bytes, {self.content_type!r})"


def content_type_of(data: bytes) -> str | None:
    """
    The content type of an image by its first bytes; None if it is none that Scenario takes.

    :param data: the file, or its first :data:`HEADER` bytes.
    """
    data = bytes(data[:HEADER])
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):  # the last two are BigTIFF
        return "image/tiff"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if data[4:8] == b"ftyp":
        return _heif(data)
    return None


def _heif(data: bytes) -> str | None:
    """By its brands: ``mif1`` says HEIF only, and the compatible brands behind it which kind."""
    end = min(int.from_bytes(data[:4], "big"), len(data))
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]
    main = _HEIF_BRANDS.get(brands[0])
    if main != "image/heif":
        return main
    kinds = [_HEIF_BRANDS.get(brand) for brand in brands]
    return next((kind for kind in ("image/avif", "image/heic") if kind in kinds), main)


def read_image(path: str | PathLike[str]) -> TrainingImageFile:
    """
    Read a training image.

    :param path: of a PNG, JPEG, WebP, GIF, AVIF, TIFF, BMP or HEIC file.
    :raises InvalidInputError: there is no such file, it cannot be read, is empty, is no image, or is too large to be
        sent in one request. Nothing was sent.
    """
    file = Path(path)
    try:
        if not file.exists():
            raise InvalidInputError(f"Training image {quoted(path)}: there is no such file.")
        if not file.is_file():
            raise InvalidInputError(f"Training image {quoted(path)} is no file{' but a folder' * file.is_dir()}.")
        _check_size(file.name, file.stat().st_size)
        data = file.read_bytes()
    except (OSError, ValueError) as problem:
        if isinstance(problem, InvalidInputError):
            raise
        raise InvalidInputError(f"Training image {quoted(path)} cannot be read: {_reason(problem)}.") from problem
    return image_of(file.name, data)


def image_of(name: str, data: bytes) -> TrainingImageFile:
    """
    Check a training image that is in memory, such as one read from object storage.

    :raises InvalidInputError: it is empty, no image, or too large to be sent in one request.
    """
    _check_size(name, len(data))
    content_type = content_type_of(data)
    if content_type is None:
        what = "an SVG, which training does not take" if b"<svg" in data[:1024].lower() else "no image, by its content"
        raise InvalidInputError(f"Training image {quoted(name)} is {what}. Use PNG, JPEG or WebP.")
    return TrainingImageFile(name, data, content_type)


def _reason(problem: OSError | ValueError) -> str:
    """Without the path, which the message has already and which may be long."""
    return str(getattr(problem, "strerror", None) or problem)[:200]


def _check_size(name: str, size: int) -> None:
    if size == 0:
        raise InvalidInputError(f"Training image {quoted(name)} is empty.")
    if size > MAX_FILE:
        raise InvalidInputError(
            f"Training image {quoted(name)} has {size / 1e6:.1f} MB; at most {MAX_FILE / 1e6:.1f} MB go into one "
            "request (6 MB when encoded). Make it smaller, or upload it as an asset and give its id."
        )
