"""Width and height of an image, from its header; the image is not decoded."""

from __future__ import annotations

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""Reads a number of bytes from a start; fewer where the file ends. Arguments: start, number."""

_MAX_SEGMENTS = 1000
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # markers of segments that begin a frame
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


def dimensions_of(content_type: str, head: bytes, read_at: ReadAt) -> tuple[int, int] | None:
    """
    Return width and height.

    :param head: the start of the file.
    :return: None for a recording, a TIFF, or a header without them.
    """
    found: tuple[int, int] | None = None
    match content_type:
        case "image/png":
            found = _big(head[16:20]), _big(head[20:24])
        case "image/jpeg":
            found = _of_jpeg(read_at)
        case "image/webp":
            found = _of_webp(head)
        case "image/gif":
            found = _little(head[6:8]), _little(head[8:10])
        case "image/bmp":
            found = _of_bmp(head)
        case "image/avif" | "image/heic" | "image/heif":
            found = _of_heif(head)
    return found if found and min(found) > 0 else None


def _of_jpeg(read_at: ReadAt) -> tuple[int, int] | None:
    """From the first frame outside of other segments: a thumbnail lies within one."""
    place = 2
    for _ in range(_MAX_SEGMENTS):
        segment = read_at(place, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker in _JPEG_FRAMES:
            return _big(segment[7:9]), _big(segment[5:7])
        if marker == 0xFF:
            place += 1
        elif marker in _JPEG_STANDALONE:
            place += 2
        else:
            place += 2 + _big(segment[2:4])
    return None


def _of_webp(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8X":
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case b"VP8L":
            bits = _little(head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
    return None


def _of_bmp(head: bytes) -> tuple[int, int]:
    if _little(head[14:18]) == 12:
        return _little(head[18:20]), _little(head[20:22])
    height = int.from_bytes(head[22:26], "little", signed=True)  # negative where it is stored from top to bottom
    return _little(head[18:22]), abs(height)


def _of_heif(head: bytes) -> tuple[int, int] | None:
    """The largest dimensions in the header: the others belong to its tiles and its thumbnail."""
    found, place = [], head.find(b"ispe")
    while place >= 0:
        found.append((_big(head[place + 8 : place + 12]), _big(head[place + 12 : place + 16])))
        place = head.find(b"ispe", place + 4)
    return max(found, key=lambda size: size[0] * size[1], default=None)


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
