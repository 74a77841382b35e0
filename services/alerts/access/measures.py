"""What an operator sees of who was turned away."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from services.alerts.access.identity import Refused


class Refusals:
    """Counts requests that got no further than the gate."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._total = Counter(
            "deskpulse_api_refused_total",
            "Requests that the query API refused because of who sent them or how many, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in Refused:
            self._total.labels(reason.value)

    def count(self, reason: Refused) -> None:
        """One more."""
        self._total.labels(reason.value).inc()
