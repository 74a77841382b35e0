"""What the query API shows of the sample."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from services import clock
from services.cli.send_test.step import Failed

_AGAIN_S: Final = 0.1
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Watch:
    """Asks the API at ``base`` with a token, if one is needed."""

    client: httpx.AsyncClient
    base: str
    token: str | None

    async def get(self, path: str, **query: Any) -> Any:
        """The answer's JSON, ``None`` for 404. Raises :class:`Failed`."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = await self.client.get(f"{self.base}{path}", params=query, headers=headers)
        except httpx.HTTPError as exc:
            raise Failed(
                f"GET {self.base}{path}: no answer ({type(exc).__name__})",
                "start the API (deskpulse up), or say where it is with --api-url",
            ) from None
        if answer.status_code == 404:
            return None
        if answer.status_code in (401, 403):
            raise Failed(
                f"the API answers {answer.status_code}",
                "this command takes the first of api_tokens: give the API the same configuration, or name a variable "
                "with a token of its own by --token-env",
            )
        if answer.status_code != 200:
            raise Failed(f"the API answers {answer.status_code} to GET {path}", "deskpulse doctor")
        return answer.json()

    async def kpis(self, window: str, segment: str) -> dict[str, Any]:
        """KPIs by name; empty for a segment that has none yet."""
        said = await self.get("/v1/kpis", window=window, segment=segment)
        return said["kpis"] if said is not None else {}

    async def alert_of(self, source: str, ticket_id: str) -> Any:
        """The newest alert about the ticket, if there is one."""
        listed = await self.get("/v1/alerts", limit=200)
        for alert in listed["alerts"]:
            if any((one.get("source"), one.get("ticket_id")) == (source, ticket_id) for one in alert["evidence"]):
                return alert
        return None

    async def deliveries_of(self, alert_id: str) -> list[Any]:
        """Messages about the alert, the first ones first."""
        listed = await self.get("/v1/deliveries", limit=200)
        return [one for one in reversed(listed["deliveries"]) if one["alert_id"] == alert_id]


async def until(look: Callable[[], Awaitable[Found]], good: Callable[[Found], bool], wait_s: float) -> Found:
    """What ``look`` finds, as soon as it is ``good``; what it found last after ``wait_s``."""
    end_s = clock.steady_s() + wait_s
    while True:
        found = await look()
        if good(found) or clock.steady_s() > end_s:
            return found
        await asyncio.sleep(_AGAIN_S)
