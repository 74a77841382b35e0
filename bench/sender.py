"""A sender of prepared HTTP requests that is not itself the bottleneck: raw keep-alive connections, nothing parsed
but the status and the length.

Run as ``python -m bench.sender PORT FILE CONNECTIONS RATE``; ``FILE`` is a MessagePack array of whole requests.
With ``RATE`` 0 every connection sends its next request when it has the answer. Otherwise request *n* is due at
*n*/``RATE`` seconds, whatever the server does, and its latency counts from then: a server that stalls is not spared
the requests that would have come. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter, deque
from pathlib import Path

import msgspec
import orjson
import uvloop

from bench.table import percentile
from services.clock import steady_s

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class _Run:
    def __init__(self, requests: list[bytes]) -> None:
        self.left = deque(requests)
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.idle: deque[_Connection] = deque()
        self.unanswered = len(requests)
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.over = asyncio.Event()
        self.paced = False

    def answered(self, connection: _Connection, status: str, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)
        self.unanswered -= 1
        if not self.unanswered:
            self.over.set()
        elif self.waiting:
            connection.send(*self.waiting.popleft())
        elif self.paced or not self.left:
            self.idle.append(connection)
        else:
            connection.send(steady_s(), self.left.popleft())


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = b""
        self._since_s = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.over.set()

    def send(self, since_s: float, request: bytes) -> None:
        assert self._transport is not None
        self._since_s = since_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self._received, 0, end)
        if len(self._received) < end + 4 + (int(found[1]) if found else 0):
            return
        status, self._received = self._received[9:12].decode(), b""
        self._run.answered(self, status, steady_s() - self._since_s)


async def main(port: int, requests: list[bytes], connections: int, rate: float) -> None:
    """Sends all requests and prints how it went; a connection that the server closes ends it early."""
    run = _Run(requests)
    run.paced = rate > 0
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port))[1] for _ in range(connections)]
    began_s = steady_s()
    if run.paced:
        run.idle.extend(made)
        await _paced(run, rate, began_s)
    else:
        for connection in made:
            if run.left:
                connection.send(steady_s(), run.left.popleft())
    await run.over.wait()
    seconds = steady_s() - began_s
    told = {
        "answered": len(run.latencies),
        "unanswered": run.unanswered,
        "seconds": seconds,
        "rate": len(run.latencies) / seconds,
        "statuses": run.statuses,
        "p50_ms": percentile(run.latencies, 0.5) * 1e3,
        "p99_ms": percentile(run.latencies, 0.99) * 1e3,
    }
    print(orjson.dumps(told).decode(), flush=True)


async def _paced(run: _Run, rate: float, began_s: float) -> None:
    number = 0
    while run.left and not run.over.is_set():
        while run.left and began_s + number / rate <= steady_s():
            due_s, request = began_s + number / rate, run.left.popleft()
            number += 1
            if run.idle:
                run.idle.popleft().send(due_s, request)
            else:
                run.waiting.append((due_s, request))
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    prepared = msgspec.msgpack.decode(Path(sys.argv[2]).read_bytes())
    uvloop.run(main(int(sys.argv[1]), prepared, int(sys.argv[3]), float(sys.argv[4])))
