"""What a file is by its own bytes, and whether all of it is there."""

from __future__ import annotations

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.images import content_type_of

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff", ".heic", ".heif"})
RECORDINGS = frozenset({".mp3", ".wav", ".m4a", ".flac", ".ogg", ".oga", ".opus", ".aac"})

HEAD, TAIL = 1024, 4096
"""Bytes at the start and at the end that tell all we want to know."""

_PNG_END = b"IEND\xaeB\x60\x82"
_JPEG_END = b"\xff\xd9"
_UNKNOWN_LENGTH = (0, 0xFFFFFFFF)  # what programs write that stream a WAV


def check_media(name: str, size: int, head: bytes, tail: bytes) -> str:
    """
    Check an image or a recording.

    :param name: for the message.
    :param size: bytes of the whole file.
    :param head: its first bytes.
    :param tail: its last bytes.
    :return: its content type.
    :raises InvalidInputError: it is empty, of no kind that Scenario learns from, or cut off.
    """
    if size == 0:
        raise InvalidInputError(f"Training image {name!r} is empty.")
    content_type = content_type_of(head) or _recording(head)
    if content_type is None:
        what = "an SVG, which training does not take" if b"<svg" in head.lower() else "no image, by its content"
        raise InvalidInputError(
            f"Training image {name!r} is {what}. Use PNG, JPEG or WebP; for voices MP3, WAV, M4A, FLAC or OGG."
        )
    if not _whole(content_type, size, head, tail):
        raise InvalidInputError(f"Training image {name!r} cannot be decoded: it is cut off after {size} bytes.")
    return content_type


def _recording(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:4] == b"fLaC":
        return "audio/flac"
    if head[:4] == b"OggS":
        return "audio/ogg"
    if head[4:8] == b"ftyp" and head[8:12] in (b"M4A ", b"M4B ", b"mp42", b"isom"):
        return "audio/mp4"
    if head[:3] == b"ID3":
        return "audio/mpeg"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # a frame of MPEG audio; layer 0 is AAC
        return "audio/mpeg" if head[1] & 0x06 else "audio/aac"
    return None


def _whole(content_type: str, size: int, head: bytes, tail: bytes) -> bool:
    if content_type == "image/png":
        return head[12:16] == b"IHDR" and _PNG_END in tail
    if content_type == "image/jpeg":
        return _JPEG_END in tail
    if head[:4] == b"RIFF":
        told = int.from_bytes(head[4:8], "little")
        return told + 8 <= size or (content_type == "audio/wav" and told in _UNKNOWN_LENGTH)
    return True
