"""The worker's own metrics: ``deskpulse_*``, catalogued here with their meaning. Labels are from closed sets."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """What an operator watches of the stream processor. One instance in a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "deskpulse_metrics_events_total",
            "Ticket events read, by outcome: folded, duplicate, dead_letter or too_late.",
            ["outcome"],
            registry=registry,
        )
        self.refolds = Counter(
            "deskpulse_metrics_refolds_total",
            "Tickets folded again from the start, since an event came out of order.",
            registry=registry,
        )
        self.forgotten = Counter(
            "deskpulse_tickets_forgotten_total",
            "Closed tickets that were deleted, since nothing was heard of them for `retention.closed_tickets`.",
            registry=registry,
        )
        self.expired = Counter(
            "deskpulse_metrics_expired_contributions_total",
            "Contributions older than every kept bucket; they change no window that can be read.",
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "deskpulse_metrics_batch_seconds",
            "Time from a batch's fetch to its atomic step in Redis.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=registry,
        )
        self.lag = Gauge(
            "deskpulse_consumer_lag_records",
            "Records in the log that are not in the state yet.",
            ["partition"],
            registry=registry,
        )
        self.clock_lag = Gauge(
            "deskpulse_partition_clock_lag_seconds",
            "How far the partition's clock, which drives SLA timers, is behind the present.",
            ["partition"],
            registry=registry,
        )
        self.watermark = Gauge(
            "deskpulse_watermark_timestamp_seconds",
            "The partition's clock as a Unix time.",
            ["partition"],
            registry=registry,
        )
        self.announced = Counter(
            "deskpulse_sla_events_total", "SLA events written to the outbox, by kind.", ["kind"], registry=registry
        )
        self.announce_delay = Histogram(
            "deskpulse_sla_breach_delay_seconds",
            "From the instant a promise broke to its SLA event, for breaches that the clock found.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60),
            registry=registry,
        )
        self.outbox = Gauge(
            "deskpulse_sla_outbox_events", "SLA events that are not relayed to Kafka yet.", registry=registry
        )
        self.resumed = Counter(
            "deskpulse_partitions_resumed_total",
            "Partitions taken over: fresh, continued, recreated (another log of the same name) or gap (records lost).",
            ["how"],
            registry=registry,
        )
        self.fenced = Counter(
            "deskpulse_fenced_steps_total",
            "Batches that Redis refused, since another worker owns the partition or Redis went back in time.",
            registry=registry,
        )
        self.waits = Counter(
            "deskpulse_metrics_waits_total", "Pauses because a dependency was away.", ["dependency"], registry=registry
        )

        self.recount_partitions = Gauge(
            "deskpulse_recount_partitions",
            "Partitions of this worker whose tickets are still being counted in a segment that was added.",
            registry=registry,
        )
        self.recounted = Counter(
            "deskpulse_recount_tickets_total",
            "Tickets counted in a segment that was added after them.",
            registry=registry,
        )
        self.recompute_partitions = Gauge(
            "deskpulse_recompute_partitions",
            "Partitions of this worker in which promises are still to be made anew, as was asked.",
            registry=registry,
        )
        self.recomputed = Counter(
            "deskpulse_recompute_tickets_total",
            "Tickets whose timers changed since their promises were made anew on request.",
            registry=registry,
        )
        self.version = Gauge(
            "deskpulse_state_version",
            "The oldest version of state that occurs in the partition.",
            ["partition"],
            registry=registry,
        )
        self.written = Gauge(
            "deskpulse_state_written_version", "The version of state that this worker writes.", registry=registry
        )
        self.rewriting_partitions = Gauge(
            "deskpulse_state_rewriting_partitions",
            "Partitions of this worker in which tickets of other versions may be left to rewrite.",
            registry=registry,
        )
        self.rewritten = Counter(
            "deskpulse_state_rewritten_tickets_total",
            "Tickets of other versions that were rewritten in the one that is written now.",
            registry=registry,
        )
        self.values = Gauge(
            "deskpulse_segment_values",
            "Values of a segment that are counted by themselves; at its limit what else comes counts as `other`.",
            ["segment"],
            registry=registry,
        )
        self.refused = Counter(
            "deskpulse_segment_values_refused_total",
            "Values that this worker met and that count as `other`, since their segment is full; each once.",
            ["segment"],
            registry=registry,
        )

    def forget(self, partition: str) -> None:
        """Takes away what was shown of a partition that another worker shows now."""
        for gauge in (self.lag, self.clock_lag, self.watermark, self.version):
            with suppress(KeyError):  # it was lost before it was ever looked at
                gauge.remove(partition)
