"""
Images and recordings: their kind by their first bytes, and how large a file may be in one request.

Not ``filetype`` 1.2 or ``puremagic`` 1.30: they get 7 and 11 of the 27 files in ``tests/contract/test_media_kinds.py``
wrong (such as BigTIFF, HEIF, padded MP3) and take text that begins with ``BM`` for an image.

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

_MP4_BRANDS = frozenset(
    {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"mp41", b"mp42", b"isom", b"dash"}
    | {b"iso%d" % version for version in range(2, 10)}
)


def image_type_of(data: bytes) -> str | None:
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


def recording_type_of(data: bytes) -> str | None:
    """
    The content type of a recording by its first bytes; None if Scenario does not take it.

    :param data: the file, or its first bytes; some programs write many zeros before the first frame of an MP3.
    """
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "audio/wav"
    if data[:4] == b"fLaC":
        return "audio/flac"
    if data[:4] == b"OggS":
        return "audio/ogg"
    if data[4:8] == b"ftyp" and data[8:12] in _MP4_BRANDS:
        return "audio/m4a"
    frame = data.lstrip(b"\0")
    if frame[:3] == b"ID3":
        return "audio/mpeg"
    if len(frame) > 1 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0:  # a frame of MPEG audio; layer 0 is AAC
        return "audio/mpeg" if frame[1] & 0x06 else "audio/aac"
    return None
