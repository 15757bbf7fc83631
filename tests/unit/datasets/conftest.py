from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Write = Callable[..., Any]


def picture(kind: str, side: int = 8) -> bytes:
    content = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(content, kind)
    return content.getvalue()


def big_png(size: int) -> bytes:
    """A picture that decodes, of about this many bytes: noise that is not compressed."""
    side = int(size**0.5)
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(side)) for y in range(side))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 0)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


PNG, JPEG, WEBP = picture("png"), picture("jpeg"), picture("webp")
WAV = (
    b"RIFF"
    + struct.pack("<I", 36)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    + b"data"
    + b"\0" * 4
)
MP3 = b"ID3\4\0\0\0\0\0\0" + b"\xff\xfb\x90\x00" * 10
CONTENT = {".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".JPG": JPEG, ".webp": WEBP}


def write_into(folder: Path, **files: bytes | str) -> Path:
    """``a__png`` is ``a.png``: what a keyword can hold."""
    return write_files(folder, {name.replace("__", "."): content for name, content in files.items()})


def write_files(folder: Path, files: dict[str, bytes | str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture(params=["on disk", "in a bucket"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Write a dataset by its files and return what an author calls it."""
    if request.param == "on disk":
        return lambda folder, files: str(write_files(tmp_path / folder, files))
    s3, bucket = request.getfixturevalue("s3"), request.getfixturevalue("bucket")

    def upload(folder: str, files: dict[str, bytes | str]) -> str:
        for name, content in files.items():
            s3.pipe_file(f"{bucket}/{folder}/{name}", content if isinstance(content, bytes) else content.encode())
        return f"s3://{bucket}/{folder}"

    return upload
