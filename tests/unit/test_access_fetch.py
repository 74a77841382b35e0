"""An issuer's documents over real HTTP: what is fetched, and what is not."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.failure import NotNow
from services import clock
from services.alerts.access.identity import Identity
from services.alerts.access.issuer import Issuer
from services.alerts.access.key_set import KeySet, fetched
from services.config.access import Oidc, Role
from tests.support.issuer import AUDIENCE, TestIssuer

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)


@contextmanager
def listening(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """The URL of a server that answers as told, by path; else 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


async def test_an_issuer_is_found_and_its_tokens_are_taken() -> None:
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
    with listening(answers) as url:
        there = TestIssuer(f"{url}/realms/support")
        for path in ("/.well-known/openid-configuration", "/keys"):
            answers[f"/realms/support{path}"] = (200, {}, json.dumps(there.document(there.url + path)).encode())
        told = Oidc(issuer=there.url, audience=AUDIENCE, roles={"support-leads": Role.LEAD})
        found = await Issuer(told, KeySet(there.url, clock.steady_s)).holder(there.token(AT), AT)
    assert isinstance(found, Identity)
    assert found.name == "kim"


@pytest.mark.parametrize(
    "answer",
    [
        (302, {"location": "/elsewhere"}, b""),
        (500, {}, b"{}"),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b"[" * 100_000),
        (200, {}, b" " * 300_000),
    ],
)
async def test_what_is_no_document_of_an_issuer_gives_no_keys(answer: tuple[int, dict[str, str], bytes]) -> None:
    good = (200, {}, b"{}")
    with listening({"/.well-known/openid-configuration": answer, "/elsewhere": good}) as url:
        with pytest.raises(NotNow):
            await KeySet(url, clock.steady_s).key("first", "RS256")
        if answer[0] != 200 or len(answer[2]) > 262_144:
            with pytest.raises(ValueError, match=r"answered|too large"):
                await fetched(f"{url}/.well-known/openid-configuration")


async def test_an_issuer_that_nobody_answers_for_is_not_now() -> None:
    with listening({}) as url:
        pass
    with pytest.raises(NotNow):
        await KeySet(url, clock.steady_s).key("first", "RS256")
