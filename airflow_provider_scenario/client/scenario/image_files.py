"""
Training images in one request: recognised by their first bytes, and how large they may be.

Imported while DAG files are parsed: nothing but the standard library.
"""

from __future__ import annotations

from airflow_provider_scenario.client.values import MAX_REQUEST

ENVELOPE = 16 * 1024
"""Bytes of a request that surround the file: field names, file name, the gateway's own wrapping."""

MAX_FILE = (MAX_REQUEST - ENVELOPE) // 4 * 3
"""Bytes of the largest file: Base64 makes four bytes of three."""

HEADER = 512
"""Bytes at the start of a file that are read: a HEIF lists its compatible brands in some 100."""

_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # sizes of the header after "BM": two letters alone would match text

_HEIF_BRANDS = (
    {b"avif": "image/avif", b"avis": "image/avif"}
    | dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "image/heic")
    | dict.fromkeys((b"mif1", b"msf1", b"miaf"), "image/heif")
)


def content_type_of(data: bytes) -> str | None:
    """
    The content type of an image by its first bytes; None if Scenario does not take it.

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
    """By its brands: ``mif1`` means HEIF only; the compatible brands after it name the kind."""
    end = min(int.from_bytes(data[:4], "big"), len(data))
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]
    main = _HEIF_BRANDS.get(brands[0])
    if main != "image/heif":
        return main
    kinds = [_HEIF_BRANDS.get(brand) for brand in brands]
    return next((kind for kind in ("image/avif", "image/heic") if kind in kinds), main)
