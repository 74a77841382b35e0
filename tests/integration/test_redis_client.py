"""Redis by every kind of address that the settings allow."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest
from redis.asyncio import Redis

from services.embedded.redis import redis_binary
from services.state import client
from tests.support.wait import eventually


@pytest.mark.parametrize("make", [client.writer, client.reader, client.blocking])
async def test_a_socket_on_this_machine_is_an_address(make: Callable[[str], Redis]) -> None:
    folder = Path(mkdtemp(prefix="dp", dir="/tmp"))  # a socket's path may have 107 bytes at most
    socket = folder / "redis.sock"
    server = subprocess.Popen(
        [str(redis_binary()), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        await eventually(socket.exists, "Redis listens", timeout_s=20)
        redis = make(f"unix://{socket}")
        assert await redis.set("place", "here")
        assert await redis.get("place") == b"here"
        await redis.aclose()
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder)
