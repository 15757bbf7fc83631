"""A hostile service, and a hostile user of the storage, when a LoRA is re-hosted: nothing is written elsewhere."""

from __future__ import annotations

import json
import os

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.schemas import Asset, Download, Epoch, EpochAsset, Model
from airflow_provider_scenario.publishing.hosting import LONGEST_ID, Hosting, path_part
from airflow_provider_scenario.publishing.lora import LoraTreeBuilder, Overrides, chosen_epochs

CDN = "https://cdn.example.com/loras"
LORA = b"12345678{the weights}"
PATHS = [
    *("../../../dags/evil", "..", ".", "../x", "a/../../b", "a/b", "/etc/cron.d/evil", "//x", "~/.bashrc", "~root"),
    *("..\\..\\dags", "a\\b", "C:\\dags", "\\\\server\\share"),
    *("%2e%2e%2fdags", "%2e%2e", "a%00", "a\0b", "\0", "a\nb", "a\r", "a\tb", " ", "a b", ".hidden", ".a.json.part"),
    *("-rf", "--checkpoint-action=exec=sh", "None", "nul", "CON", "com1.x", "a?b", "a#b"),
    # Characters that look like dots and slashes: fullwidth, one dot leader, two dot leader, division slash after NFKC.
    *("\uff0e\uff0e", "\u2024\u2024", "\u2025", "..\uff0fdags", "\uff0fetc", "a\uff3cb", "a\u2100b"),
    *("a\u202eb", "a\u200bb", "x" * (LONGEST_ID + 1), "ä" * LONGEST_ID, "x" * 10_000_000),
]


class HostileService:
    """As much of a client as publishing needs; it gives what it was made with."""

    def __init__(self, **fields):
        self.mime_type = fields.pop("mimeType", "image/png")
        # Past the checks of the schemas, which may miss what a service sends.
        assets = [EpochAsset.model_construct(asset_id=each["assetId"]) for each in fields.pop("assets", [])]
        epochs = [Epoch.model_construct(epoch=fields.pop("epoch", "000001"), assets=assets)]
        model = {"id": "model_1", "status": "trained", "type": "flux.1-lora", "jobId": "job_1", "thumbnail": None}
        changed = {"id": fields.pop("id", "model_1"), "job_id": fields.pop("jobId", "job_1"), "epochs": epochs}
        self.model = Model.model_validate({**model, **fields}).model_copy(update=changed)
        self.fetched = []

    def download_model(self, model_id, *, epoch):
        return "job_download"

    def get_download(self, job_id):
        return Download.model_validate({"jobId": job_id, "jobStatus": "success", "downloadUrl": "https://x"})

    def fetch_download(self, download):
        self.fetched.append("lora")
        return iter([LORA])

    def get_asset(self, asset_id):
        size = {"width": 8, "height": 8}
        return Asset.model_validate({"id": "asset_1", "mimeType": self.mime_type, "properties": size})

    def fetch_asset(self, asset):
        self.fetched.append("cover")
        return iter([b"import os"])


@pytest.fixture
def storage(tmp_path):
    """Deep enough that what leaves it shows in ``tmp_path``."""
    storage = tmp_path / "a" / "b" / "c" / "storage"
    storage.mkdir(parents=True)
    return storage


def publish(service, storage):
    builder = LoraTreeBuilder(
        service, Hosting(storage, CDN), app_url="https://app", log=lambda _: None, pack_timeout=1, sleep=lambda _: None
    )
    return builder.build(service.model, chosen_epochs(service.model, None), Overrides())


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("value", PATHS, ids=lambda value: ascii(value[:20]))
class TestWhatTheServiceGives:
    @pytest.mark.parametrize("field", ["id", "jobId", "epoch"])
    def test_is_refused_where_it_is_not_the_name_of_one_file(self, storage, tmp_path, field, value):
        service = HostileService(**{field: value})
        with pytest.raises(InvalidInputError, match="nothing was written") as told:
            publish(service, storage)
        assert len(str(told.value)) < 1000
        assert (files(tmp_path), service.fetched) == ([], [])

    def test_is_refused_as_the_id_of_a_picture(self, storage, tmp_path, value):
        with pytest.raises(InvalidInputError, match=r"assetId .* nothing was written"):
            publish(HostileService(assets=[{"assetId": value}]), storage)
        assert [name for name in files(tmp_path) if "000001.safetensors" not in name] == []

    def test_is_refused_at_the_last_door_too(self, storage, tmp_path, value):
        hosting = Hosting(storage, CDN)
        if value in ("a/b", "ä" * LONGEST_ID, "x" * (LONGEST_ID + 1)):  # a path in the folder; a name with a suffix
            value = f"../{value}"
        with pytest.raises(InvalidInputError):
            hosting.host(value, lambda: [b"x"])
        assert files(tmp_path) == []


@pytest.mark.parametrize("value", PATHS[:12], ids=ascii)
def test_in_a_bucket_it_is_refused_too(value):
    with pytest.raises(InvalidInputError, match="nothing was written"):
        publish(HostileService(epoch=value), "memory://loras")


@pytest.mark.parametrize("value", ["flux.1-dev", "000001", "last", "model_8Xk", "a+b@c:d", "水墨", "x" * LONGEST_ID])
def test_an_id_that_is_harmless_is_published(storage, value):
    tree = publish(HostileService(id=value, jobId=value, epoch=value, assets=[{"assetId": value}]), storage)
    assert tree["modelId"] == value
    assert (storage / value / value / f"{value}.safetensors").read_bytes() == LORA
    assert (storage / value / "covers" / f"{value}.png").is_file()


@pytest.mark.parametrize(
    "mime_type",
    [
        *("image/py", "image/sh", "image/html", "image/svg+xml", "image/svg", "image/php", "image/so", "image/pth"),
        *(
            "py",
            "text/html",
            "application/png",
            "image/png/../../x.py",
            "image/../../x",
            "image/",
            "image/png\0.py",
            "",
        ),
        *("image/json", "image/" + "a" * 1_000_000, "image/ｐｙ", None),
    ],
    ids=lambda kind: ascii(kind)[:30],
)
def test_a_cover_of_an_unknown_kind_is_not_written(storage, mime_type):
    service = HostileService(assets=[{"assetId": "asset_1"}], mimeType=mime_type)
    (version,) = publish(service, storage)["versions"]
    assert (version["covers"], service.fetched) == ([], ["lora"])
    assert [name for name in files(storage) if "covers" in name] == []


@pytest.mark.parametrize(("mime_type", "kind"), [("image/jpeg", "jpeg"), ("image/PNG", "png"), ("image/webp", "webp")])
def test_a_cover_of_a_known_kind_has_its_suffix(storage, mime_type, kind):
    publish(HostileService(assets=[{"assetId": "asset_1"}], mimeType=mime_type), storage)
    assert f"model_1/covers/asset_1.{kind}" in files(storage)


class TestLinksInTheStorage:
    @pytest.mark.parametrize("link", ["model_1", "model_1/job_1"])
    def test_a_folder_that_leads_elsewhere_is_not_written_to(self, storage, tmp_path, link):
        dags = tmp_path / "dags"
        dags.mkdir()
        (storage / link).parent.mkdir(exist_ok=True)
        (storage / link).symlink_to(dags)
        with pytest.raises(InvalidInputError, match="outside the storage"):
            publish(HostileService(), storage)
        assert files(dags) == []

    @pytest.mark.parametrize("name", ["000001.safetensors", "000001.safetensors.json"])
    def test_a_file_that_leads_elsewhere_is_neither_read_nor_replaced(self, storage, tmp_path, name):
        secret = tmp_path / "secret"
        secret.write_text(json.dumps({"sha256": "0" * 64, "size": 1}))
        link = storage / "model_1" / "job_1" / name
        link.parent.mkdir(parents=True)
        link.symlink_to(secret)
        with pytest.raises(InvalidInputError, match="outside the storage"):
            publish(HostileService(), storage)
        assert link.is_symlink()

    def test_a_pipe_in_the_place_of_a_note_is_refused_without_waiting_for_it(self, storage):
        place = storage / "model_1" / "job_1" / "000001.safetensors.json"
        place.parent.mkdir(parents=True)
        os.mkfifo(place)
        with pytest.raises(InvalidInputError, match="not a regular file"):
            publish(HostileService(), storage)

    def test_a_storage_that_is_itself_a_link_is_used(self, storage, tmp_path):
        (tmp_path / "link").symlink_to(storage)
        publish(HostileService(), tmp_path / "link")
        assert "model_1/job_1/000001.safetensors" in files(storage)

    def test_a_link_that_stays_in_the_storage_is_followed(self, storage):
        (storage / "elsewhere").mkdir()
        (storage / "model_1").symlink_to("elsewhere")
        publish(HostileService(), storage)
        assert "elsewhere/job_1/000001.safetensors" in files(storage)


@pytest.mark.parametrize("note", ['{"sha256": "a", "size": 1e999}', "[" * 100_000, '{"size": NaN}', "{}", "null", ""])
def test_a_note_that_somebody_has_spoilt_is_written_anew(storage, note):
    place = storage / "model_1" / "job_1" / "000001.safetensors.json"
    place.parent.mkdir(parents=True)
    place.write_text(note)
    publish(HostileService(), storage)
    assert json.loads(place.read_text())["size"] == len(LORA)


def test_half_a_character_is_no_name():
    """The schema drops it; where it comes another way it is refused."""
    with pytest.raises(InvalidInputError, match=r"epoch is .* nothing was written"):
        path_part("epoch", "\ud800")
