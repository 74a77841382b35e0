"""A server that leaves: it answers for a while, tells every client so, and closes no connection under a request."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from services.operate.server import Server

pytestmark = pytest.mark.anyio


async def test_a_server_that_drains_answers_and_ends_each_connection_with_its_answer() -> None:
    app, asked, released = FastAPI(), asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def root() -> str:
        return "here"

    @app.get("/slow")
    async def slow() -> str:
        asked.set()
        await released.wait()
        return "late"

    server = Server(app, "127.0.0.1", 0)
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        before = await client.get("/")
        assert "close" not in before.headers.get("connection", "")
        draining = asyncio.create_task(server.drain(0.2))
        await asyncio.sleep(0)
        kept = await client.get("/")
        assert (kept.text, kept.headers["connection"]) == ('"here"', "close")
        again = await client.get("/")
        assert (again.text, again.headers["connection"]) == ('"here"', "close")
        last = asyncio.create_task(client.get("/slow"))
        await asked.wait()
        await draining
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        released.set()
        await stopping
        assert (await last).text == '"late"', "what was asked before the end is answered"
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
