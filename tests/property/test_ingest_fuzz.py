"""Mangled webhooks of every vendor are taken or refused, never answered with a failure, and cost no memory that stays.

DESKPULSE_FUZZ is how many: 4,000 where nothing is said.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from services.stream.record import Outgoing
from tests.support.fuzz import MEBIBYTE, SOURCES, Accepting, fuzzing

DELIVERIES = int(os.environ.get("DESKPULSE_FUZZ", "4000"))
MOST_BYTES = 32 * MEBIBYTE
MOST_BLOCKS = 5_000


@pytest.mark.timeout(60 + DELIVERIES // 20)
async def test_mangled_webhooks_are_taken_or_refused_and_leave_nothing_in_memory() -> None:
    async with fuzzing(Accepting()) as fuzz:
        report = await fuzz.run(DELIVERIES)
    print(report)
    assert not report.wrong, "\n".join(report.wrong)
    assert report.grown_bytes < MOST_BYTES, str(report)
    assert report.grown_blocks < MOST_BLOCKS, str(report)
    for status in (200, 400, 401, 404, 405, 413):
        assert report.count(status), f"nothing was answered with {status}: the fuzzing has lost its reach"
    for source in SOURCES:
        assert report.statuses[source][200], f"nothing got as far as the normaliser of {source}"


class Failing:
    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        raise RuntimeError("a bug")


class Hoarding:
    def __init__(self) -> None:
        self.kept: list[list[str]] = []

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        self.kept.append([f"{number} {len(records)}" for number in range(200)])


async def test_a_bug_behind_the_door_is_noticed() -> None:
    async with fuzzing(Failing()) as fuzz:
        report = await fuzz.run(200)
    assert report.count(500)
    assert "answered 500" in report.wrong[0]


async def test_what_stays_in_memory_is_noticed() -> None:
    async with fuzzing(Hoarding()) as fuzz:
        report = await fuzz.run(500)
    assert not report.wrong, "\n".join(report.wrong)
    assert report.grown_blocks > MOST_BLOCKS
