"""CloudEvents in structured mode."""

from __future__ import annotations

from typing import Any

from services.ingest.sample import generic
from services.ingest.sample.case import Case, Post, Sample, posted


def created(case: Case) -> Sample:
    """The generic events, each in an envelope."""
    return Sample(_wrapped(case, "opened", generic.opened(case)), _wrapped(case, "removed", generic.removed(case)))


def _wrapped(case: Case, name: str, event: dict[str, Any]) -> Post:
    envelope = {
        "specversion": "1.0",
        "id": f"{case.name}-{name}",
        "source": "/deskpulse/send-test",
        "type": f"deskpulse.helpdesk.{event['kind']}.v1",
        "time": event["occurred_at"],
        "datacontenttype": "application/json",
        "data": event,
    }
    return posted(envelope, content_type="application/cloudevents+json")
