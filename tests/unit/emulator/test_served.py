"""The folder under ``/files``, which stands for a studio's own web server."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_scenario.emulator.server import running_emulator


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "not there" / "served"


@pytest.fixture
def emulator(folder):
    with running_emulator(files_folder=folder) as emulator:
        yield emulator


def get(emulator, path):
    return httpx.get(f"{emulator.address}/files/{path}", timeout=60)


def test_files_in_the_folder_need_no_credentials(emulator, folder):
    (folder / "a b").mkdir()
    (folder / "a b" / "c.bin").write_bytes(b"content")
    assert get(emulator, "a%20b/c.bin").content == b"content"


def test_other_files_are_not_found(emulator, folder):
    assert get(emulator, "nothing").status_code == 404
    assert folder.is_dir()


def test_nothing_outside_the_folder_is_served(emulator, folder):
    (folder.parent / "secret").write_text("secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    for path in ("../secret", "%2e%2e/secret", "link"):
        assert get(emulator, path).status_code == 404
