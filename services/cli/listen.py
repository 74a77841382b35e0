"""``deskpulse receivers listen``: a receiver for webhooks that shows what it is sent, and checks every signature."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import orjson

from services import clock

LARGEST: Final = 4 << 20
TOLERANCE_S: Final = 300


@dataclass(frozen=True, slots=True)
class Heard:
    """One message. ``outcome`` is ``accepted``, or what is wrong with its signature."""

    outcome: str
    message_id: str | None
    says: str
    body: Any


def heard(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at_us: int) -> Heard:
    """What a request with these ``headers`` (in lower case) says, and whether one of ``secrets`` signed it."""
    from services.ingest.verify import SCHEMES, Outcome, verify

    outcome = verify(SCHEMES["generic"], headers, body, secrets, at_us, TOLERANCE_S).outcome
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    trusted = outcome is Outcome.ACCEPTED and isinstance(said, dict)
    return Heard(outcome.value, headers.get("webhook-id"), _line(said) if trusted else "", said if trusted else None)


def _line(said: Mapping[str, Any]) -> str:
    """An alert's message, or one of those that have a ``type`` in its place, in one line."""
    match said.get("type"):
        case "test":
            return f"test: {said.get('message')}"
        case "digest":
            return f"digest: {said.get('opened')} opened, {said.get('ended')} ended"
        case "report":
            return "report"
        case _:
            alert = said.get("alert") or {}
            return f"{said.get('transition')}: [{alert.get('severity')}] {alert.get('title')} ({alert.get('alert_id')})"


class Listener:
    """Listens on ``host`` and ``port`` from the start on; ``tell`` hears of each request. Raises ``OSError``."""

    def __init__(self, host: str, port: int, secrets: Sequence[str], tell: Callable[[Heard], None]) -> None:
        turn = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                if not 0 <= length <= LARGEST:
                    self.send_error(413)
                    return
                body = self.rfile.read(length)
                named = {name.lower(): value for name, value in self.headers.items()}
                found = heard(named, body, secrets, clock.now_us())
                self.send_response(204 if found.outcome == "accepted" else 401)
                self.end_headers()
                with turn:
                    tell(found)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that it overrides
                """What there is to say is told."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self.port = int(self._server.server_address[1])

    def run(self) -> None:
        """Until :meth:`stop`."""
        with self._server:
            self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """From any thread, also from ``tell``."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()


def shown(found: Heard) -> dict[str, Any]:
    """As JSON."""
    return asdict(found)
