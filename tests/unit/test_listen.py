"""`deskpulse receivers listen`: what is signed is shown, what is not is refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from schemas import standard_webhook
from services import clock
from services.cli.app import app
from services.cli.listen import Heard, Listener, heard
from services.embedded.port import free_port
from tests.support.forked import Forked
from tests.support.wait import until

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
AT_US = 1_772_442_000_000_000
ALERT = {"transition": "breached", "alert": {"severity": "critical", "title": "Broken", "alert_id": "a-1"}}


def headers(body: bytes, at_us: int, secret: str = SECRET) -> dict[str, str]:
    return standard_webhook.headers([secret], "m-1", at_us // 1_000_000, body)


def test_what_a_message_says_is_one_line_and_only_when_its_signature_is_right() -> None:
    said = {
        json.dumps(ALERT): "breached: [critical] Broken (a-1)",
        '{"type": "test", "message": "A test."}': "test: A test.",
        '{"type": "digest", "opened": 3, "ended": 1}': "digest: 3 opened, 1 ended",
        '{"type": "report"}': "report",
    }
    for text, line in said.items():
        body = text.encode()
        assert heard(headers(body, AT_US), body, [SECRET], AT_US).says == line
    forged = heard(headers(b"{}", AT_US, "whsec_YW5vdGhlcg=="), b"{}", [SECRET], AT_US)
    assert (forged.outcome, forged.says, forged.body) == ("bad_signature", "", None)
    assert heard(headers(b"{}", AT_US), b"{}", [SECRET], AT_US + 400_000_000).outcome == "stale"
    assert heard({}, b"not json", [SECRET], AT_US).outcome == "missing_signature"
    assert heard(headers(b"[]", AT_US), b"[]", [SECRET], AT_US).body is None


def test_a_forged_one_is_answered_401_and_a_right_one_204() -> None:
    got: list[Heard] = []
    listener = Listener("127.0.0.1", 0, [SECRET], got.append)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        url, body = f"http://127.0.0.1:{listener.port}/", json.dumps(ALERT).encode()
        now_us = clock.now_us()
        with httpx.Client(trust_env=False) as client:
            assert client.post(url, content=body, headers=headers(body, now_us)).status_code == 204
            assert client.post(url, content=b"{}", headers=headers(body, now_us)).status_code == 401
            assert client.get(url).status_code == 501
    finally:
        listener.stop()
        thread.join(10)
    assert [one.outcome for one in got] == ["accepted", "bad_signature"]


def test_the_command_ends_when_it_heard_enough_and_takes_the_secrets_of_the_configuration(tmp_path: Path) -> None:
    file, port = tmp_path / "deskpulse.yaml", free_port()
    url = f"http://127.0.0.1:{port}/"
    receiver = {"webhook": {"url": url, "secrets": [SECRET], "allow_private": True}}
    file.write_text(json.dumps({"receivers": {"leads": receiver}}))
    arguments = [
        "receivers",
        "listen",
        "leads",
        f"--port={port}",
        "--count=1",
        "--wait=30",
        f"--config={file}",
        "--json",
    ]
    out, err = tmp_path / "out", tmp_path / "err"
    process = Forked("services.cli", arguments, dict(os.environ), out=out, err=err)

    def answered() -> bool:
        body = json.dumps(ALERT).encode()
        try:
            return httpx.post(url, content=body, headers=headers(body, clock.now_us()), trust_env=False).is_success
        except httpx.TransportError:
            return False

    until(answered, "the command listens", timeout_s=30)
    assert process.wait(20) == 0, err.read_text()
    line = json.loads(out.read_text().splitlines()[0])
    assert (line["outcome"], line["body"]["alert"]["title"]) == ("accepted", "Broken")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_when_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    file, out = tmp_path / "deskpulse.yaml", tmp_path / "out"
    receiver = {"webhook": {"url": "http://127.0.0.1:9/", "secrets": [SECRET], "allow_private": True}}
    file.write_text(json.dumps({"receivers": {"leads": receiver}}))
    command = ["receivers", "listen", "--port=0", f"--config={file}"]
    process = Forked("services.cli", command, dict(os.environ), out=out)
    until(lambda: out.is_file() and "listening on" in out.read_text(), "it listens", timeout_s=30)
    process.send(number)
    assert process.wait(20) == 0, out.read_text()


def test_without_a_webhook_receiver_or_with_a_taken_port_it_says_so_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "deskpulse.yaml"
    file.write_text("{}")
    told = CliRunner().invoke(app, ["receivers", "listen", f"--config={file}"])
    assert (told.exit_code, told.stderr.splitlines()[0][:35]) == (1, "the configuration has no webhook re")
    file.write_text(json.dumps({"receivers": {"a": {"webhook": {"url": "https://x.example", "secrets": [SECRET]}}}}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = CliRunner().invoke(app, ["receivers", "listen", f"--port={port}", f"--config={file}"])
    assert told.exit_code == 1
    assert "cannot listen there" in told.stderr
    told = CliRunner().invoke(app, ["receivers", "listen", "b", f"--config={file}"])
    assert "no webhook receiver 'b' (there is: a)" in told.stderr
