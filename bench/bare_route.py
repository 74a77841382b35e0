"""What ingest is compared with: a FastAPI route that reads the body and answers ``{}``, served by the same uvicorn
settings in the same kind of event loop. Run as ``python -m bench.bare_route PORT``."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from fastapi import FastAPI, Request

from services.embedded.port import LOOPBACK
from services.operate.server import Server
from services.operate.stop import signalled

app = FastAPI(docs_url=None, redoc_url=None)


@app.post("/webhooks/{source}")
async def post(source: str, request: Request) -> dict[str, str]:
    """Nothing but reading the body."""
    await request.body()
    return {}


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """That it listens."""
    return {}


async def main(port: int) -> None:
    """Serves until SIGINT or SIGTERM."""
    with signalled() as stop:
        server = Server(app, LOOPBACK, port)
        await server.start()
        await stop.wait()
        await server.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
