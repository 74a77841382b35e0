"""Open alerts, pushed anew to an Alertmanager: there an alert ends when nobody says any more that it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from structlog.stdlib import BoundLogger

from schemas.alert import Alert, AlertState, Severity
from schemas.failure import NotNow
from services.alerts import route
from services.alerts.delivery import Delivered
from services.alerts.notify.alertmanager import Alertmanager
from services.alerts.queue import Queue
from services.alerts.store import AlertStore, Store, place
from services.config.document import Route

_OPEN: Final = (AlertState.FIRING, AlertState.ACKNOWLEDGED)
_PAGE: Final = 500


class Repush:
    """The loop of one receiver."""

    def __init__(
        self,
        receiver: str,
        channel: Alertmanager,
        store: Store,
        routes: Callable[[], Sequence[Route]],
        now_us: Callable[[], int],
    ) -> None:
        assert channel.repush_s is not None
        self._receiver = receiver
        self._channel = channel
        self._alerts: AlertStore = store
        self._queue: Queue = store
        self._routes = routes
        self._now_us = now_us
        self._every_s = channel.repush_s
        self._log: BoundLogger = structlog.get_logger("repush").bind(receiver=receiver)

    async def run(self, stop: asyncio.Event) -> None:
        """Every so often until ``stop``."""
        while not stop.is_set():
            try:
                await self.once()
            except NotNow as wait:
                self._log.warning("repush_waits", why=wait.what)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)

    async def once(self) -> int:
        """Pushes every open alert that is routed here; returns how many were taken."""
        disabled = (await self._queue.disabled()).get(self._receiver)
        if disabled is not None and disabled["address"] == self._channel.address:
            return 0
        routes = [found for found in self._routes() if found.receiver == self._receiver]
        taken, after = 0, None
        while found := await self._alerts.listed(_OPEN, list(Severity), _PAGE, after):
            after = place(found[-1])
            ours: list[Alert] = [
                alert for alert in found if alert.silenced_by is None and route.receivers(routes, alert)
            ]
            if ours:
                outcome = await self._channel.refresh(ours, self._now_us())
                if not isinstance(outcome, Delivered):
                    self._log.warning("repush_failed", problem=outcome.problem)
                    break
                taken += len(ours)
            if len(found) < _PAGE:
                break
        return taken
