"""The drill of docs/guides/backup.md as it stands there: a copy is taken, the Redis is lost, the copy restored, and the
API answers the same numbers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.embedded.port import free_port
from tests.contract.house import ROOT
from tests.integration.test_api_guide import CONFIG, filled, made
from tests.support.documented import in_text
from tests.support.in_a_thread import served
from tests.support.wait import until

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("redis-check-rdb") is None, reason="needs redis-server and its tools"),
]

GUIDE = "docs/guides/backup.md"
NUMBERS = ("/v1/kpis?window=24h", "/v1/sla/timers", "/v1/alerts", "/v1/tickets/zendesk/5158", "/v1/deliveries")
TICKING = ("as_of", "due_in_s", "elapsed_s", "age_s", "overdue_s")


@contextmanager
def redis(folder: Path, port: int) -> Iterator[None]:
    """A Redis with an append-only file; killed, as a machine that is lost."""
    folder.mkdir()
    arguments = ["--dir", str(folder), "--port", str(port), "--appendonly", "yes", "--save", ""]
    process = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL)
    try:
        until(lambda: answers(port), "Redis answers")
        yield
    finally:
        process.kill()
        process.wait(10)


def answers(port: int) -> bool:
    said = subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True, timeout=10)
    return said.stdout.strip() == "PONG"


def numbers(redis_url: str) -> list[Any]:
    """What the API answers, without what ticks."""
    with served(lambda: made(redis_url)) as url, httpx.Client(base_url=url, trust_env=False) as http:
        http.headers["authorization"] = "Bearer t-admin"
        return [still(http.get(path).raise_for_status().json()) for path in NUMBERS]


def still(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: still(one) for name, one in value.items() if name not in TICKING}
    return [still(one) for one in value] if isinstance(value, list) else value


def typed(text: str, folder: Path, **given: str) -> str:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **given}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, f"{text}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def test_a_redis_that_is_lost_comes_back_with_the_same_numbers(tmp_path: Path) -> None:
    copy, load, start, look = (
        block.text for block in in_text((ROOT / GUIDE).read_text(), GUIDE) if block.language == "bash"
    )
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/deskpulse"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m services.cli "$@"\n')
    command.chmod(0o755)
    (tmp_path / "deskpulse.yaml").write_text(CONFIG)
    given = {"DESKPULSE_REDIS_URL": url, "DESKPULSE_CONFIG": str(tmp_path / "deskpulse.yaml")}
    with redis(tmp_path / "lost", port):
        asyncio.run(filled(url))
        before = numbers(url)
        assert "RDB looks OK" in typed(copy, tmp_path, **given)
    shutil.rmtree(tmp_path / "lost")
    (tmp_path / "new").mkdir()
    given |= {"REDIS_DIR": str(tmp_path / "new"), "REDIS_PORT": str(port)}
    try:
        typed(load, tmp_path, **given)
        assert not answers(port)
        assert int(typed(start, tmp_path, **given).split()[-1]) > 10
        assert numbers(url) == before
        with served(lambda: made(url)) as api:
            typed(look, tmp_path, API=api, **given)
    finally:
        subprocess.run(["redis-cli", "-p", str(port), "shutdown", "nosave"], capture_output=True, timeout=10)
        until(lambda: not answers(port), "Redis has ended")
