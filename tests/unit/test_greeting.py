"""The webhook that `deskpulse up` prints: every shell must make of it what ingest takes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from schemas.ticket import Kind
from services.clock import now, now_us
from services.embedded.greeting import Example, curl
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise
from services.ingest.verify import SCHEMES, Outcome, verify

PLAIN = base64.b64encode(b"\xfb\xff\xbe" * 8).decode()  # full of + and /
STANDARD = "whsec_" + base64.b64encode(bytes(range(32))).decode()

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


def pasted(shell: str, text: str, folder: Path, variables: dict[str, str]) -> tuple[str, dict[str, str], bytes]:
    """The URL, the headers and the body that curl is called with."""
    stand_in = folder / "curl"
    stand_in.write_text("#!/bin/sh\nfor one; do printf '%s\\0' \"$one\"; done\n")
    stand_in.chmod(0o755)
    env = {**variables, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([shell, "-c", text], env=env, capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    arguments = done.stdout.rstrip("\n").split("\0")[:-1]
    headers = {}
    for place, argument in enumerate(arguments):
        if argument == "-H":
            name, _, value = arguments[place + 1].partition(": ")
            headers[name] = value
    return arguments[1], headers, arguments[arguments.index("--data-binary") + 1].encode()


@needs_openssl
@pytest.mark.parametrize("shell", [shell for shell in ("bash", "dash", "zsh") if shutil.which(shell)])
@pytest.mark.parametrize(
    ("vendor", "secret"),
    [("generic", PLAIN), ("generic", STANDARD), ("generic", "a pass phrase"), ("zendesk", PLAIN)],
)
@pytest.mark.parametrize("from_file", [True, False])
def test_what_is_pasted_is_signed_and_opens_a_ticket(
    shell: str, vendor: str, secret: str, from_file: bool, tmp_path: Path
) -> None:
    file = tmp_path / "it's here" / "secrets.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"OTHER": "x", "SHOP_SECRET": secret}, indent=2))
    example = Example(
        source="shop",
        vendor=vendor,
        variable="SHOP_SECRET",
        file=file if from_file else None,
        decoded=vendor == "generic" and secret.startswith("whsec_"),
    )
    variables = {} if from_file else {"SHOP_SECRET": secret}
    url, headers, body = pasted(shell, curl(example, 8080), tmp_path, variables)

    assert url == "http://127.0.0.1:8080/webhooks/shop"
    verdict = verify(SCHEMES[vendor], headers, body, [secret], now_us(), 300)
    assert verdict.outcome is Outcome.ACCEPTED
    delivery = Delivery("shop", vendor, headers, body, now())
    (event,) = normalise(delivery, SourceSettings(b"key", {}))
    assert event.kind is Kind("ticket.created")


def test_the_secret_itself_is_not_printed() -> None:
    example = Example(source="shop", vendor="generic", variable="SHOP_SECRET", file=None, decoded=False)
    assert "S=$SHOP_SECRET" in curl(example, 8080)
    assert len(curl(example, 8080).splitlines()) == 2
