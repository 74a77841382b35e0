"""The metrics of ingest: a closed catalogue. Nothing else in this package makes a metric.

The label ``source`` takes only names of configured sources, and ``unknown``; ``outcome``, ``kind`` and ``reason``
are members of enums.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Final, Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

Name = Literal[
    "deskpulse_webhooks_total",  # counter: requests by what became of them
    "deskpulse_webhook_seconds",  # histogram: from the first byte of a request to its answer, accepted ones only
    "deskpulse_signature_secret_total",  # counter: deliveries by the secret that signed them; shows rotation
    "deskpulse_ingest_events_total",  # counter: canonical events that Kafka or the spool has
    "deskpulse_ingest_dead_letters_total",  # counter: deliveries that could not be normalised, by reason
    "deskpulse_dedupe_degraded_total",  # counter: look-ups that passed through because Redis was away
    "deskpulse_ingest_in_flight",  # gauge: verified deliveries that wait for Kafka now
    "deskpulse_spool_records",  # gauge: deliveries on disk that Kafka may not have
    "deskpulse_spool_bytes",  # gauge: what the spool takes on the disk, without what was set aside
    "deskpulse_spool_oldest_seconds",  # gauge: how long the oldest of them has waited
    "deskpulse_spool_appended_total",  # counter: deliveries that were put into the spool
    "deskpulse_spool_drained_total",  # counter: deliveries out of the spool that Kafka acknowledged
    "deskpulse_spool_recovered_total",  # counter: deliveries that an earlier process left in it
    "deskpulse_spool_incidents_total",  # counter: what was set aside, by kind
]

UNKNOWN_SOURCE: Final = "unknown"

# Senders give up after 5 to 12 seconds; the ones that matter are answered within a few milliseconds.
_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Fate(StrEnum):
    """What became of a request, where verifying it had not the last word (see ``verify.Outcome`` for those)."""

    ACCEPTED = "accepted"
    SPOOLED = "spooled"
    DUPLICATE = "duplicate"
    NOTHING_TO_SAY = "nothing_to_say"
    DEAD_LETTERED = "dead_lettered"
    UNKNOWN_SOURCE = "unknown_source"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    CUT_OFF = "cut_off"
    NOT_JSON = "not_json"
    BUSY = "busy"
    GREETED = "greeted"
    NOT_ALLOWED = "not_allowed"
    TOO_MANY = "too_many"
    KEYS_AWAY = "keys_away"
    KAFKA_AWAY = "kafka_away"
    SPOOL_FULL = "spool_full"
    SPOOL_UNWRITABLE = "spool_unwritable"


class Measures:
    """The metric objects, in one registry.

    What every webhook counts is remembered by its labels: finding it in the metric costs more than counting, and the
    labels are few.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        webhooks = _counter("deskpulse_webhooks", "Requests by outcome.", ("source", "outcome"), registry)
        seconds = Histogram(
            "deskpulse_webhook_seconds",
            "Time from the first byte to the answer of accepted webhooks.",
            ("source",),
            buckets=_SECONDS,
            registry=registry,
        )
        secrets = _counter(
            "deskpulse_signature_secret",
            "Verified deliveries by the place of the secret in the source's list.",
            ("source", "secret"),
            registry,
        )
        events = _counter(
            "deskpulse_ingest_events", "Events that Kafka or the spool has.", ("source", "kind"), registry
        )
        self.webhook: Callable[[str, str], Counter] = cache(lambda source, outcome: webhooks.labels(source, outcome))
        self.seconds: Callable[[str], Histogram] = cache(lambda source: seconds.labels(source))
        self.secret: Callable[[str, int | None], Counter] = cache(
            lambda source, place: secrets.labels(source, str(place))
        )
        self.event: Callable[[str, str], Counter] = cache(lambda source, kind: events.labels(source, kind))
        self.dead_letters = _counter(
            "deskpulse_ingest_dead_letters", "Deliveries that could not be normalised.", ("source", "reason"), registry
        )
        self.degraded = Counter(
            "deskpulse_dedupe_degraded", "Look-ups that passed through because Redis was away.", registry=registry
        )
        self.in_flight = Gauge(
            "deskpulse_ingest_in_flight", "Verified deliveries waiting for Kafka.", registry=registry
        )
        self.spool_records = Gauge("deskpulse_spool_records", "Deliveries in the spool.", registry=registry)
        self.spool_bytes = Gauge("deskpulse_spool_bytes", "Size of the spool on disk.", registry=registry)
        self.spool_oldest = Gauge(
            "deskpulse_spool_oldest_seconds", "How long the oldest delivery in the spool waits.", registry=registry
        )
        self.spool_appended = Counter("deskpulse_spool_appended", "Deliveries put into the spool.", registry=registry)
        self.spool_drained = Counter("deskpulse_spool_drained", "Deliveries sent out of the spool.", registry=registry)
        self.spool_recovered = Counter(
            "deskpulse_spool_recovered", "Deliveries found in the spool at the start.", registry=registry
        )
        self.spool_incidents = _counter(
            "deskpulse_spool_incidents", "What the spool had to set aside.", ("kind",), registry
        )


def _counter(name: str, meaning: str, labels: tuple[str, ...], registry: CollectorRegistry) -> Counter:
    return Counter(name, meaning, labels, registry=registry)
