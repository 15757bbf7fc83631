"""The folder under ``/files``, which stands for a studio's own web server."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture
def folder(emulator, tmp_path):
    emulator.switch("settings", files_folder=str(tmp_path / "served"))
    yield tmp_path / "served"
    emulator.switch("reset")


def get(emulator, path):
    return httpx.get(f"{emulator.address}/files/{path}", timeout=10)


def test_what_lies_in_the_folder_can_be_fetched_by_anybody(emulator, folder):
    (folder / "a b").mkdir(parents=True)
    (folder / "a b" / "c.bin").write_bytes(b"content")
    assert get(emulator, "a%20b/c.bin").content == b"content"


def test_what_does_not_is_not_found(emulator, folder):
    assert get(emulator, "nothing").status_code == 404
    assert folder.is_dir()


def test_nothing_outside_the_folder_is_served(emulator, folder):
    folder.mkdir()
    (folder.parent / "secret").write_text("secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    for path in ("../secret", "%2e%2e/secret", "link"):
        assert get(emulator, path).status_code == 404
