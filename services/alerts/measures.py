"""The metrics of the alerts worker and the API: a closed catalogue. Labels are members of enums and receivers."""

from __future__ import annotations

from typing import Final, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.stdlib import BoundLogger

from schemas.alert import AlertEvent

Name = Literal[
    "deskpulse_alerts_transitions_total",  # counter: steps of alerts, by what they were
    "deskpulse_alerts",  # gauge: alerts that there are, by state and severity
    "deskpulse_alert_seconds",  # histogram: from the append of an SLA event to the stored alert
    "deskpulse_alerts_sla_events_total",  # counter: SLA events by whether they were news
    "deskpulse_deliveries_total",  # counter: messages that were settled, by receiver and outcome
    "deskpulse_delivery_attempts_total",  # counter: attempts, by receiver and outcome
    "deskpulse_deliveries_pending",  # gauge: messages that wait
    "deskpulse_receiver_disabled",  # gauge: 1 for a receiver that asked for no more
    "deskpulse_links_total",  # counter: uses of signed links, by action and outcome
    "deskpulse_silences",  # gauge: silences that are active
    "deskpulse_alerts_outbox_records",  # gauge: transitions that Kafka does not have yet
    "deskpulse_alerts_outbox_age_seconds",  # gauge: since when the oldest of them waits
    "deskpulse_rules",  # gauge: rules that there are, where this process evaluates them
    "deskpulse_rules_leads",  # gauge: 1 in the process that evaluates the rules
    "deskpulse_rule_evaluations_total",  # counter: looks at a rule, by outcome: done, failed
    "deskpulse_rule_seconds",  # histogram: a look at one rule with all of its segments
    "deskpulse_reports_total",  # counter: reports that were due, by what became of them
    "deskpulse_explanations_total",  # counter: alerts of rules that began, by whether they were explained
    "deskpulse_rule_success_timestamp_seconds",  # gauge: when a rule was evaluated last, by rule
]

# The budget of an alert is a second; beyond that it is a backlog.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Transitions:
    """Counts and logs every step of an alert that this process made."""

    def __init__(self, registry: CollectorRegistry) -> None:
        meaning = "Steps of alerts."
        self._counter = Counter("deskpulse_alerts_transitions", meaning, ("transition",), registry=registry)
        self._log: BoundLogger = structlog.get_logger("alerts")

    def __call__(self, event: AlertEvent) -> None:
        alert = event.alert
        self._counter.labels(event.transition.value).inc()
        self._log.info(
            "alert_transition",
            transition=event.transition.value,
            alert_id=alert.alert_id,
            fingerprint=alert.fingerprint,
            state=alert.state.value,
            severity=alert.severity.value,
            silenced_by=alert.silenced_by,
        )


class LinkMeasures:
    """What becomes of the signed links in messages, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        meaning = "Uses of signed links."
        self.uses = Counter("deskpulse_links", meaning, ("action", "outcome"), registry=registry)


class Measures:
    """The metric objects of the worker, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(name, meaning, labels, registry=registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(name, meaning, labels, registry=registry)

        self.alerts = gauge("deskpulse_alerts", "Alerts that there are.", "state", "severity")
        self.seconds = Histogram(
            "deskpulse_alert_seconds",
            "From the append of an SLA event to the stored alert.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.sla_events = counter("deskpulse_alerts_sla_events", "SLA events by whether they were news.", "outcome")
        self.deliveries = counter("deskpulse_deliveries", "Messages settled.", "receiver", "outcome")
        self.attempts = counter("deskpulse_delivery_attempts", "Attempts to send.", "receiver", "outcome")
        self.pending = gauge("deskpulse_deliveries_pending", "Messages that wait.")
        self.disabled = gauge("deskpulse_receiver_disabled", "1 for a receiver that is switched off.", "receiver")
        self.silences = gauge("deskpulse_silences", "Silences that are active.")
        self.outbox_records = gauge("deskpulse_alerts_outbox_records", "Transitions that Kafka does not have yet.")
        self.outbox_age = gauge("deskpulse_alerts_outbox_age_seconds", "Since when the oldest of them waits.")


class RuleMeasures:
    """The metric objects of the evaluator, in one registry. Names of rules are labels: there are at most 1000."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rules = Gauge("deskpulse_rules", "Rules that there are.", registry=registry)
        self.leads = Gauge("deskpulse_rules_leads", "1 in the process that evaluates the rules.", registry=registry)
        self.evaluations = Counter("deskpulse_rule_evaluations", "Looks at a rule.", ("outcome",), registry=registry)
        self.seconds = Histogram("deskpulse_rule_seconds", "A look at a rule.", buckets=_SECONDS, registry=registry)
        self.reports = Counter("deskpulse_reports", "Reports that were due.", ("outcome",), registry=registry)
        self.explanations = Counter(
            "deskpulse_explanations", "Alerts of rules that began.", ("outcome",), registry=registry
        )
        self.success = Gauge(
            "deskpulse_rule_success_timestamp_seconds", "When a rule was evaluated last.", ("rule",), registry=registry
        )
