"""A process that is killed at any moment leaves every delivery that was acknowledged, once and whole."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.ingest.measures import Measures
from services.ingest.spool import Spool, drain
from services.stream.record import Outgoing

ROOT = Path(__file__).parents[2]
ROUNDS = 12

WRITER = """
import asyncio, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from services.ingest.measures import Measures
from services.ingest.spool import Spool, drain, spool as spooling
from services.operate import logs
from services.stream.record import Outgoing

logs.configure("ingest", "error")
spooling.SEGMENT_BYTES = 4096  # small, so that kills hit rotations and deletions too
folder, begin, draining = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "draining"

class Log:
    # A Kafka of one file: what is written to a file survives SIGKILL.
    async def send(self, records, deadline_s):
        with (folder.parent / "log").open("ab") as log:
            log.write(b"".join(r.key + b" " + r.value + b"\\n" for r in records))

async def one(spool, number):
    body = f"{number} " + "x" * (number * 37 % 900)
    records = [Outgoing("tickets", b"%d-%s" % (number, half), body.encode()) for half in (b"a", b"b")]
    await spool.append(records)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()

async def main():
    spool = await Spool.open(folder, 1 << 30, Measures(CollectorRegistry()))
    task = asyncio.create_task(drain(spool, Log())) if draining else None
    number = begin
    while True:
        await asyncio.gather(*(one(spool, number + n) for n in range(8)))
        number += 8

asyncio.run(main())
"""


def _killed_writer(folder: Path, begin: int, mode: str, lines: int) -> list[int]:
    """Lets a writer run until it has acknowledged ``lines`` deliveries, kills it, and returns all it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(begin), mode], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        heard = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        heard += process.stdout.read().splitlines(keepends=True)
    finally:
        process.kill()
        process.communicate(timeout=10)
    # A number without its line's end may be the beginning of a longer one: nobody heard that acknowledgement.
    return [int(line) for line in heard if line.endswith(b"\n")]


class Taken:
    """A Kafka that keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def send(self, records: list[Outgoing], deadline_s: float) -> None:
        self.lines += [f"{r.key.decode()} {r.value.decode()}" for r in records if r.key is not None]


async def _rest(folder: Path) -> tuple[list[str], float]:
    """What is left in the spool, in its order, and how many incidents of damage there were."""
    registry = CollectorRegistry()
    spool = await Spool.open(folder, 1 << 30, Measures(registry))
    taken = Taken()
    task = asyncio.create_task(drain(spool, taken))
    async with asyncio.timeout(60):
        while not spool.empty:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await spool.close()
    damaged = registry.get_sample_value("deskpulse_spool_incidents_total", {"kind": "damaged"}) or 0
    return taken.lines, damaged


def _expected(number: int) -> list[str]:
    return [f"{number}-{half} {number} " + "x" * (number * 37 % 900) for half in "ab"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["filling", "draining"])
async def test_after_every_kill_each_acknowledged_delivery_is_there_whole_and_in_order(
    tmp_path: Path, mode: str
) -> None:
    """Filling: only appended, and read once at the end. Draining: sent while it is appended to, so kills also hit
    between Kafka's acknowledgement, the cursor and the deletion of a segment; a little is sent again then."""
    folder = tmp_path / "spool"
    chance = random.Random(7)
    acknowledged: list[int] = []
    begin = 0
    for _ in range(ROUNDS):
        heard = await asyncio.to_thread(_killed_writer, folder, begin, mode, chance.randint(1, 40))
        acknowledged += heard
        begin += 1000
    assert len(acknowledged) >= ROUNDS
    rest, damaged = await _rest(folder)
    assert damaged == 0
    log = tmp_path / "log"
    sent = log.read_text().splitlines(keepends=True) if log.exists() else []
    # A kill may also cut the last line of the stand-in for Kafka; that entry was not acknowledged by it.
    arrived = [line.rstrip("\n") for line in sent if line.endswith("\n")] + rest
    for number in acknowledged:
        for line in _expected(number):
            assert line in arrived, f"{number} was acknowledged and is gone"
    whole = {line for number in range(begin + 1000) for line in _expected(number)}
    torn = [line for line in arrived if line not in whole]
    assert len(torn) <= (ROUNDS if mode == "draining" else 0), "only where the stand-in's file was cut"
    firsts = list(dict.fromkeys(int(line.split(" ", 1)[1].split(" ")[0]) for line in arrived if line in whole))
    assert firsts == sorted(firsts), "first arrivals are in the order of the appends"
    if mode == "filling":
        assert len(arrived) == len(set(arrived)), "nothing was sent, so nothing is there twice"
