from __future__ import annotations

import pytest
import requests

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.schemas import Upload

SIGNED = "https://storage.scenario.test/uploads/1?Expires=1&Signature=a-secret-signature"
UPLOAD = Upload.model_validate({"id": "upload_1", "parts": [{"number": 1, "url": SIGNED}]})
PART = b"1"


@pytest.fixture
def netrc(tmp_path, monkeypatch):
    """A file from which requests would take a login by itself."""
    file = tmp_path / "netrc"
    file.write_text("machine storage.scenario.test login other password else\n")
    monkeypatch.setenv("NETRC", str(file))


def test_a_part_goes_to_its_signed_address_and_nothing_goes_with_it(client, service, netrc):
    service.answers((200, b""))
    client.put_part(UPLOAD, 1, PART)
    (sent,) = service.sent
    assert (sent.method, sent.path, sent.body) == ("PUT", "/uploads/1", 1)
    assert sent.query == {"Expires": "1", "Signature": "a-secret-signature"}
    assert not {"authorization", "content-type", "cookie"} & {name.lower() for name in sent.headers}


@pytest.mark.parametrize("trouble", [(503, b"<Error/>"), (429, b""), requests.ConnectionError("reset")])
def test_a_part_is_sent_again_after_a_failure_that_may_pass(client, service, slept, trouble):
    service.answers(trouble, (200, b""))
    client.put_part(UPLOAD, 1, PART)
    assert (len(service.sent), len(slept)) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, b"<Error><Code>AccessDenied</Code></Error>"), "the storage answered 403 .*AccessDenied"),
        ((302, b"", {"Location": SIGNED}), "the storage answered 302"),
        ((503, b""), "the storage answered 503"),
        (requests.ConnectionError(SIGNED), "send part 1 of upload upload_1"),
    ],
)
def test_the_message_about_a_refused_part_is_without_its_signature(client, service, answer, said):
    service.answers(answer)
    with pytest.raises(ServiceError, match=said) as caught:
        client.put_part(UPLOAD, 1, PART)
    assert "a-secret-signature" not in str(caught.value)
    assert not caught.value.permanent
    assert not caught.value.maybe_done


def test_a_part_without_an_address_is_an_error(client, service):
    with pytest.raises(ServiceError, match="no address"):
        client.put_part(UPLOAD, 2, PART)
    assert service.sent == []


def test_addresses_are_not_shown():
    assert "signature" not in repr(UPLOAD).lower()
    assert "signature" not in repr(UPLOAD.parts[0]).lower()


def test_a_completion_is_not_sent_twice(client, service):
    service.answers((500, {}))
    with pytest.raises(ServiceError) as caught:
        client.complete_upload("upload_1")
    assert (len(service.sent), caught.value.maybe_done) == (1, True)
