"""Documents with people and schedules, without writing them out each time."""

from typing import Any

from schemas.instant import from_datetime, parse_rfc3339
from services.alerts.oncall import Roster
from services.config.document import Document

HOOK = {"webhook": {"url": "https://hooks.example/", "secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}}


def at_us(text: str) -> int:
    """The instant of RFC 3339 text."""
    return from_datetime(parse_rfc3339(text))


def document(people: dict[str, Any], **schedule: Any) -> Document:
    """One schedule ``support`` in Paris; each person has a receiver named like them."""
    whole = {name: {"receivers": [name], **given} for name, given in people.items()}
    return Document.model_validate(
        {
            "receivers": dict.fromkeys([*people, "fallback"], HOOK),
            "people": whole,
            "schedules": {"support": {"timezone": "Europe/Paris", **schedule}},
        }
    )


def roster(people: dict[str, Any], **schedule: Any) -> Roster:
    """As :func:`document`, worked out."""
    return Roster(document(people, **schedule))
