"""A TLS door before a plain port, as the proxy that stands before ingest and the API where people run them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def tls_door(host: str, behind: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """The port of a door that shows a certificate for ``host``, before the port ``behind``; and that certificate."""
    certificate, key = folder / "door.pem", folder / "door.key"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    names = ["-addext", f"subjectAltName=DNS:{host}", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*made, *names], check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stop = asyncio.Event()
    running: list[tuple[int, asyncio.AbstractEventLoop]] = []
    opened = threading.Event()

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", behind)
        try:
            await asyncio.gather(_poured(reader, back), _poured(there, writer))
        finally:
            back.close()
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(through, "127.0.0.1", 0, ssl=context)
        async with server:
            running.append((server.sockets[0].getsockname()[1], asyncio.get_running_loop()))
            opened.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert opened.wait(10), "the door is open"
    [(port, loop)] = running
    try:
        yield port, certificate
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _poured(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
