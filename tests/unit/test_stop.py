"""Signals: the first asks, the second insists."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.operate.stop import signalled

ROOT = Path(__file__).parents[2]
STUBBORN = """
import asyncio
from services.operate.stop import signalled

async def main():
    with signalled() as stop:
        print("ready", flush=True)
        await stop.wait()
        print("asked", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_sets_the_event_and_the_handlers_are_gone_afterwards(which: signal.Signals) -> None:
    before = signal.getsignal(which)
    with signalled() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), which)
        await asyncio.wait_for(stop.wait(), 10)
    assert signal.getsignal(which) is (signal.default_int_handler if which is signal.SIGINT else before)


def test_the_second_signal_ends_a_process_that_will_not_stop() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        assert next(lines) == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert any(line == "asked\n" for line in lines)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 128 + signal.SIGTERM
