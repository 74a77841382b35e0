"""What a running service says about itself: its probes and its ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One time series as it stands."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Scraped:
    """One service. ``alive``: something answers there as Deskpulse does; ``unready`` why it is not ready."""

    alive: bool
    unready: str | None = None
    samples: tuple[Sample, ...] = ()

    def of(self, name: str) -> list[Sample]:
        """The series of that name."""
        return [sample for sample in self.samples if sample.name == name]

    def total(self, name: str) -> float:
        """Their sum."""
        return sum(sample.value for sample in self.of(name))


async def scraped(client: httpx.AsyncClient, base: str) -> Scraped:
    """The service at ``base``; never raises for anything that it does."""
    try:
        alive = await client.get(f"{base}/livez", timeout=TIMEOUT_S)
        if alive.status_code != 200 or b'"status"' not in alive.content:
            return Scraped(False)
        ready = await client.get(f"{base}/readyz", timeout=TIMEOUT_S)
        told = await client.get(f"{base}/metrics", timeout=TIMEOUT_S)
        return Scraped(True, None if ready.status_code == 200 else _why(ready), tuple(_samples(told.text)))
    except (httpx.HTTPError, ValueError):
        return Scraped(False)


def _samples(text: str) -> Iterable[Sample]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield Sample(sample.name, sample.labels, sample.value)


def _why(answer: httpx.Response) -> str:
    try:
        said = answer.json()
        return str(said.get("detail") or said.get("title") or said)
    except (ValueError, AttributeError):
        return f"answers {answer.status_code}"
