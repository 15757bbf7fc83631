"""What a web page, a foreign host and a hostile path may do to the emulator, whose switches need no credentials."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from airflow_provider_scenario.emulator.__main__ import main
from airflow_provider_scenario.emulator.callers import LARGEST_SWITCH, Hosts
from airflow_provider_scenario.emulator.server import running_emulator
from airflow_provider_scenario.emulator.settings import Outcome
from airflow_provider_scenario.emulator.workshop_listing import _compare, _post
from airflow_provider_scenario.emulator.workshop_records import ListedFile

COMMAND = [sys.executable, "-m", "airflow_provider_scenario.emulator", "--port", "0"]
FOREIGN = "https://evil.example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("a secret")
    folder = outside / "served"
    folder.mkdir()
    (folder / "a b").mkdir()
    (folder / "a b" / "c.bin").write_bytes(b"content")
    (folder / "page.html").write_text("<script>fetch('/emulator/reset', {method: 'POST'})</script>")
    (folder / "file").symlink_to(outside / "secret")
    (folder / "folder").symlink_to(outside)
    (folder / "relative").symlink_to("../secret")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "loop").symlink_to("loop")
    (folder / "inside").symlink_to("a b/c.bin")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture(scope="module")
def emulator(folder):
    with running_emulator(files_folder=folder) as emulator:
        yield emulator


def ask(emulator, method, path, body=None, **headers):
    """The path goes out as it is, unlike with clients that tidy it up."""
    address = emulator.address.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = {"host": address, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None:
            sent["content-length"] = str(len(body))
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def status(emulator, method, path, body=None, **headers):
    return ask(emulator, method, path, body, **headers)[0].status


class TestFiles:
    def test_no_switch_changes_the_folder_that_is_served(self, emulator):
        change = json.dumps({"files_folder": "/"}).encode()
        assert status(emulator, "POST", "/emulator/settings", change, content_type="application/json") == 422
        answer, content = ask(emulator, "GET", "/files/etc/passwd")
        assert (answer.status, b"root:" in content) == (404, False)

    @pytest.mark.parametrize(
        "path",
        [
            *("../secret", "%2e%2e/secret", "..%2fsecret", "%2e%2e%2fsecret", "a%20b/../../secret", "./../secret"),
            *("..%5csecret", "..\\secret", "%252e%252e/secret", "..%00/secret", "c.bin%00.png", "%c0%ae%c0%ae/secret"),
            *("/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd", "~/.ssh/id_rsa"),
            *("file", "relative", "folder/secret", "zero", "pipe", "", ".", "a%20b", "x" * 5000),
        ],
    )
    def test_nothing_outside_and_no_special_file_is_served(self, emulator, path):
        answer, content = ask(emulator, "GET", f"/files/{path}")
        assert answer.status == 404
        assert b"a secret" not in content
        assert b"root:" not in content

    def test_a_link_to_itself_is_an_error(self, emulator):
        assert status(emulator, "GET", "/files/loop") >= 400

    @pytest.mark.parametrize("path", ["a%20b/c.bin", "inside"])
    def test_files_in_the_folder_are_served(self, emulator, path):
        assert ask(emulator, "GET", f"/files/{path}")[1] == b"content"

    def test_a_script_in_a_served_page_does_not_have_the_origin_of_the_switches(self, emulator):
        answer, _ = ask(emulator, "GET", "/files/page.html")
        assert answer.getheader("content-security-policy") == "sandbox"
        assert answer.getheader("x-content-type-options") == "nosniff"

    def test_without_a_folder_nothing_is_served(self):
        with running_emulator() as emulator:
            assert status(emulator, "GET", "/files/etc/passwd") == 404


ROUTES = ["/emulator/ledger", "/emulator", "/v1/models", "/scc/x", "/cdn/x", "/files/inside", "/nowhere"]


class TestHost:
    @pytest.mark.parametrize("path", ROUTES)
    @pytest.mark.parametrize(
        "host",
        [
            *(
                "evil.example",
                "evil.example:8321",
                "127.0.0.1.evil.example",
                "localhost.evil.example",
                "127.0.0.1@evil",
            ),
            *("", "0.0.0.0", "10.0.0.1", "[::2]", "[", "127.0.0.1:x", "localhost/", "localhost, evil.example", None),
        ],
    )
    def test_a_name_that_resolves_to_this_machine_is_refused_on_every_route(self, emulator, path, host):
        answer, content = ask(emulator, "GET", path, host=host)
        assert answer.status in (400, 421)  # 400: the HTTP server's own, for a request without Host
        assert len(content) < 500

    def test_two_hosts_are_refused(self, emulator):
        with socket.create_connection(("127.0.0.1", int(emulator.address.rpartition(":")[2])), timeout=60) as line:
            line.sendall(
                b"GET /emulator HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
            )
            assert line.recv(100).split()[1] in (b"400", b"421")

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:1", "127.1.2.3", "[::1]:8321", "[::1]"])
    def test_loopback_names_are_served(self, emulator, host):
        assert status(emulator, "GET", "/emulator", host=host) == 200

    @pytest.mark.parametrize(
        ("address", "names", "allowed", "refused"),
        [
            ("0.0.0.0", (), ["10.0.0.1:8321", "localhost", socket.gethostname()], ["evil.example", "10.0.0.1.evil"]),
            ("::", ("scenario",), ["[fe80::1]", "Scenario:8321"], ["scenario.evil.example"]),
            ("10.0.0.1", ("studio.lan",), ["10.0.0.1", "studio.lan"], ["10.0.0.2", "lan"]),
            ("127.0.0.1", ("host.docker.internal",), ["host.docker.internal:8321"], ["docker.internal"]),
        ],
    )
    def test_other_names_must_be_given_on_the_command_line(self, address, names, allowed, refused):
        hosts = Hosts(address, names)
        assert [host for host in allowed if not hosts.allow(host)] == []
        assert [host for host in refused if hosts.allow(host)] == []


class TestForeignPages:
    @pytest.mark.parametrize("path", ROUTES)
    @pytest.mark.parametrize("origin", [FOREIGN, "null", "", "http://localhost:1", "http://127.0.0.1.evil.example"])
    def test_a_foreign_origin_is_refused_on_every_route(self, emulator, path, origin):
        assert status(emulator, "POST", path, b"{}", origin=origin, content_type="text/plain") == 403

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
    @pytest.mark.parametrize("switch", ["reset", "settings", "faults", "outcomes", "advance"])
    @pytest.mark.parametrize("headers", [{"origin": FOREIGN}, {"sec_fetch_site": "cross-site"}])
    def test_a_foreign_page_cannot_use_a_switch(self, emulator, kind, switch, headers):
        before = len(emulator.state.models), emulator.state.settings, emulator.state.clock_offset
        body = json.dumps({"seconds": 1, "kind": "close"}).encode()
        assert status(emulator, "POST", f"/emulator/{switch}", body, content_type=kind, **headers) == 403
        assert (len(emulator.state.models), emulator.state.settings, emulator.state.clock_offset) == before

    @pytest.mark.parametrize("spelling", ["/emulator/reset", "/%65mulator/reset", "/emulator%2freset"])
    @pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", ""])
    def test_another_port_of_this_machine_is_another_origin_for_switches(self, emulator, spelling, site):
        assert status(emulator, "POST", spelling, b"{}", sec_fetch_site=site) == 403

    def test_a_form_that_opens_the_answer_cannot_use_a_switch(self, emulator):
        sent = {"sec_fetch_site": "cross-site", "sec_fetch_dest": "document"}
        assert status(emulator, "POST", "/emulator/reset", b"", **sent) == 403

    def test_a_link_to_the_list_of_switches_opens(self, emulator):
        sent = {"sec_fetch_site": "cross-site", "sec_fetch_dest": "document"}
        assert status(emulator, "GET", "/emulator", **sent) == 200

    def test_a_foreign_page_cannot_frame_the_page_with_the_switches(self, emulator):
        assert status(emulator, "GET", "/emulator/docs", sec_fetch_site="cross-site", sec_fetch_dest="iframe") == 403
        answer, _ = ask(emulator, "GET", "/emulator/docs")
        assert answer.getheader("content-security-policy") == "frame-ancestors 'none'"

    def test_the_page_with_the_switches_loads_nothing(self, emulator):
        answer, page = ask(emulator, "GET", "/emulator/docs")
        assert (answer.status, answer.getheader("content-type")) == (200, "text/html; charset=utf-8")
        assert b"POST /emulator/settings" in page
        assert re.search(rb"<(script|link|img|style|iframe)|://|src=|href=", page) is None
        assert status(emulator, "GET", "/docs") == status(emulator, "GET", "/redoc") == 404

    def test_no_answer_lets_a_foreign_page_read_it(self, emulator):
        sent = {"origin": FOREIGN, "access_control_request_method": "POST"}
        answer, _ = ask(emulator, "OPTIONS", "/emulator/reset", **sent)
        assert answer.status == 403
        assert not [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")]

    def test_a_page_of_its_own_origin_can_use_switches(self, emulator):
        sent = {"origin": emulator.address, "sec_fetch_site": "same-origin", "content_type": "application/json"}
        assert status(emulator, "POST", "/emulator/advance", b'{"seconds": 0}', **sent) == 200


class TestSwitches:
    def test_the_settings_that_can_be_read_have_no_secrets(self):
        with running_emulator(api_token="token-to-keep") as emulator:
            changed = emulator.switch("settings", api_secret="secret-to-keep")
            read = json.loads(ask(emulator, "GET", "/emulator/settings")[1])
            assert "to-keep" not in json.dumps([changed, read])
            assert emulator.state.settings.api_secret == "secret-to-keep"

    def test_the_refusal_of_a_wrong_value_does_not_show_secrets(self):
        with running_emulator(api_token="token-to-keep") as emulator:
            answer, content = ask(emulator, "POST", "/emulator/settings", b'{"x": 1}', content_type="application/json")
            assert (answer.status, b"to-keep" in content) == (422, False)

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_huge_request_is_refused_before_all_of_it_is_read(self, emulator, chunked):
        with socket.create_connection(("127.0.0.1", int(emulator.address.rpartition(":")[2])), timeout=60) as line:
            length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 1000000000000"
            line.sendall(b"POST /emulator/settings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            line.sendall(length + b"\r\n\r\n")
            block = b"x" * 65536
            block = b"10000\r\n" + block + b"\r\n" if chunked else block
            try:
                for _ in range(2 * LARGEST_SWITCH // 65536):
                    line.sendall(block)
            except ConnectionError:
                pass  # it has answered and hung up
            assert line.recv(100).split()[1] == b"413"


@pytest.fixture
def elsewhere():
    """A server that answers with what the test sets."""

    class Handler(http.server.BaseHTTPRequestHandler):
        redirect = ""

        def do_GET(self):
            self.send_response(302 if self.redirect else 200)
            if self.redirect:
                self.send_header("location", self.redirect)
            self.end_headers()
            while not self.redirect:  # an answer without an end
                try:
                    self.wfile.write(b"x" * 65536)
                except OSError:
                    return

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    server.handler, server.url = Handler, f"http://127.0.0.1:{server.server_port}/"
    yield server
    server.shutdown()
    server.server_close()


def synced(url, size_kb=1.0):
    return ListedFile("mf_1", "v", "a", "0" * 64, url, size_kb, True, 0.0, 0.0, Outcome())


class TestFetching:
    @pytest.mark.parametrize("address", ["ftp://127.0.0.1:9/a", "file:///etc/passwd", "data:,a", "gopher://127.0.0.1/"])
    def test_a_redirect_to_another_protocol_is_not_followed(self, elsewhere, address):
        elsewhere.handler.redirect = address
        with pytest.raises(OSError, match=r"Redirection|unknown url type"):
            _compare(synced(elsewhere.url))
        with pytest.raises(OSError, match="unknown url type"):
            _compare(synced(address))
        assert not isinstance(_post(elsewhere.url, {}), int)

    def test_an_endless_answer_is_read_up_to_the_announced_size(self, elsewhere):
        assert _compare(synced(elsewhere.url)) == "sizeKb is 1, but the file has more"


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*options, **env):
        command = [*COMMAND, "--files", str(tmp_path / "files"), *options]
        process = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, process.stdout.readline()

    yield start
    for process in started:
        process.kill()
        process.communicate()


class TestCommand:
    def test_secrets_come_from_the_environment_and_not_from_the_command_line(self, start, tmp_path):
        secrets = {"API_KEY": "key-of-mine", "API_SECRET": "secret-to-keep", "API_TOKEN": "token-to-keep"}
        process, line = start(**{f"SCENARIO_EMULATOR_{name}": value for name, value in secrets.items()})
        assert line.endswith("(key key-of-mine, secret as given)\n")
        assert "to-keep" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        host, port = line.split()[4].removeprefix("http://").removesuffix("/v1").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        login = base64.b64encode(b"key-of-mine:secret-to-keep").decode()
        connection.request("GET", "/v1/models", headers={"authorization": f"Basic {login}"})
        assert connection.getresponse().status == 200
        connection.close()

        assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700  # made by the emulator
        process.terminate()
        assert process.communicate(timeout=60)[1] == ""  # nothing to warn of

    def test_listening_to_other_machines_prints_a_warning(self, start):
        process, _ = start("--host", "0.0.0.0")
        process.terminate()
        said = process.communicate(timeout=60)[1]
        assert "every machine that reaches this one can use it" in said
        assert said.count("\n") == 1

    def test_help_shows_no_secret_and_a_folder_that_no_other_user_can_create(self, monkeypatch, capsys):
        monkeypatch.setenv("SCENARIO_EMULATOR_API_SECRET", "secret-to-keep")
        monkeypatch.setattr(sys, "argv", ["emulator", "--help"])
        with pytest.raises(SystemExit):
            main()
        said = capsys.readouterr().out
        assert "to-keep" not in said
        assert "~/.cache/scenario-emulator-files" in " ".join(said.split())


LOGIN = "Basic " + base64.b64encode(b"demo:demo").decode()
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "expected"),
    [
        ("GET", f"/cdn/assets/x?Signature=a&Expires={DIGITS}", None, {}, 403),
        ("GET", "/cdn/assets/x?Signature=%C3%A9&Expires=9999999999", None, {}, 403),
        (
            "POST",
            "/scc/spQueryToken",
            b"{}",
            {"x_ca_key": "demo", "x_ca_signature": "x", "x_ca_timestamp": DIGITS},
            400,
        ),
        ("POST", "/v1/models", b"[" * 100_000, {"authorization": LOGIN}, 400),
        ("POST", "/emulator/settings", b"[" * 100_000, {"content_type": "application/json"}, 400),
    ],
    ids=["long time", "odd signature", "long timestamp", "deep", "deep switch"],
)
def test_unusual_values_are_refused_and_break_nothing(emulator, method, path, body, headers, expected):
    assert status(emulator, method, path, body, **headers) == expected


@pytest.mark.parametrize("seconds", ["1e999", "NaN", "1e300", "-1"])
def test_a_time_that_cannot_be_formatted_is_refused(emulator, seconds):
    body = f'{{"seconds": {seconds}}}'.encode()
    assert status(emulator, "POST", "/emulator/advance", body, content_type="application/json") >= 400
    assert emulator.state.clock_offset == 0
