"""A webhook receiver on a free port: it verifies signatures as a stranger would, and answers as it is told."""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import FastAPI, Request
from fastapi.responses import Response

from schemas import codec
from schemas.alert import AlertEvent
from services.operate.server import Server

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass(frozen=True)
class Got:
    """One request that carried a valid signature."""

    message_id: str
    event: AlertEvent
    answered: int


@dataclass
class Receiver:
    """``answers`` gives the status of the nth request (from 0); 204 when it is not set."""

    answers: Callable[[int], int] = lambda _: 204
    got: list[Got] = field(default_factory=list)
    forged: list[str] = field(default_factory=list)
    trials: list[str] = field(default_factory=list)
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        app = FastAPI()

        @app.post("/hook")
        async def hook(request: Request) -> Response:
            body, headers = await request.body(), request.headers
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            expected = "v1," + base64.b64encode(hmac.new(KEY, signed, "sha256").digest()).decode()
            if expected not in headers["webhook-signature"].split():
                self.forged.append(headers["webhook-id"])
                return Response(status_code=401)
            if b'"type":"test"' in body:
                self.trials.append(headers["webhook-id"])
                return Response(status_code=204)
            status = self.answers(len(self.got))
            self.got.append(Got(headers["webhook-id"], codec.decode_alert(body), status))
            return Response(status_code=status)

        self.server = Server(app, "127.0.0.1", 0, drain_s=1)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"{self.server.url}/hook"

    def transitions(self, ticket_id: str) -> list[str]:
        """What it took about a ticket, in order."""
        return [
            got.event.transition.value
            for got in self.got
            if got.answered < 300 and got.event.alert.evidence[0].ticket_id == ticket_id
        ]
