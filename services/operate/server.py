"""A FastAPI app served by uvicorn inside the running loop; signals stay with the process that owns them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class PortTaken(Exception):
    """The address cannot be listened on; the message is one line for the operator."""


class Server:
    """Serves ``app`` between :meth:`start` and :meth:`stop`. Port 0 takes a free one; see :attr:`port`.

    The app's lifespan is not run: a service starts and stops its parts itself, in an order it chose.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, drain_s: int = 10) -> None:
        self._host = host
        self._wanted = port
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._app = _Leaving(app)
        self._server = _Quiet(
            uvicorn.Config(
                self._app,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=drain_s,
            )
        )

    @property
    def port(self) -> int:
        """The port that is listened on; known once :meth:`start` returned."""
        assert self._socket is not None, "not started"
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Where this machine reaches the server."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Returns when connections are accepted. Raises :class:`PortTaken` when the address cannot be had."""
        self._socket = _bound(self._host, self._wanted)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http-server")
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait({up, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            await self._task
            raise RuntimeError("the HTTP server ended before it listened")

    async def drain(self, seconds: float) -> None:
        """Goes on answering for so long, with the last answer on every connection: who asked before and finds that this
        process is not ready goes elsewhere meanwhile. Returns when the time is over."""
        self._app.leaving = True
        await asyncio.sleep(seconds)

    async def stop(self) -> None:
        """Stops listening, lets requests in flight finish (bounded by ``drain_s``) and returns."""
        if self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._task = None


class _Leaving:
    """The app, whose answers can be made the last ones on their connections. A connection that is kept is closed by the
    server at some moment, and a request that is sent at that moment is lost; one that was told so is not used again."""

    def __init__(self, app: ASGIApp) -> None:
        self.leaving = False
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.leaving:
            return await self._app(scope, receive, send)

        async def last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        return await self._app(scope, receive, last)


class _Quiet(uvicorn.Server):
    """Uvicorn without its signal handlers, and with an event that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.up.set()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
    except OSError as exc:
        raise PortTaken(f"Cannot listen on {host}:{port}: {exc.strerror}.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as exc:
        listener.close()
        raise PortTaken(
            f"Cannot listen on {host}:{port}: {exc.strerror}. Stop what uses this port or choose another one."
        ) from None
    listener.setblocking(False)
    return listener
