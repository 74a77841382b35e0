"""One vendor's webhooks in tests: its fixtures, and the events that normalising makes of them.

``fixtures/webhooks/<vendor>/<name>.json`` is what the vendor posts, ``<name>.events.json`` the canonical events of it,
``<name>.headers.json`` the headers that mean something, where there are any.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid
from schemas.instant import parse_rfc3339
from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise

FIXTURES = Path(__file__).parents[1] / "fixtures" / "webhooks"
KEY = b"a key for tests"
RECEIVED_AT = parse_rfc3339("2026-03-02T09:00:01Z")


@dataclass(frozen=True)
class Webhooks:
    """The webhooks of ``vendor``, all of them with ``headers`` unless a fixture or a test says otherwise."""

    vendor: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The names of all fixtures."""
        return sorted(path.stem for path in (FIXTURES / self.vendor).glob("*.json") if "." not in path.stem)

    def body(self, name: str) -> Any:
        return json.loads((FIXTURES / self.vendor / f"{name}.json").read_text())

    def with_changes(self, name: str, changes: Mapping[str, Any]) -> Any:
        """The fixture ``name`` with values replaced; ``a.b.0.c`` is the way to one. ``...`` takes it out."""
        body = copy.deepcopy(self.body(name))
        for way, value in changes.items():
            *parts, last = way.split(".")
            inner = body
            for part in parts:
                inner = inner[int(part) if isinstance(inner, list) else part]
            if value is ...:
                del inner[last]
            else:
                inner[int(last) if isinstance(inner, list) else last] = value
        return body

    def headers_of(self, name: str) -> Mapping[str, str]:
        path = FIXTURES / self.vendor / f"{name}.headers.json"
        return json.loads(path.read_text()) if path.exists() else self.headers

    def delivery(
        self, body: Any, headers: Mapping[str, str] | None = None, received_at: datetime = RECEIVED_AT
    ) -> Delivery:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Delivery("desk", self.vendor, self.headers if headers is None else headers, raw, received_at)

    def events(self, body: Any, headers: Mapping[str, str] | None = None, **options: Any) -> list[TicketEvent]:
        return normalise(self.delivery(body, headers), SourceSettings(KEY, options))

    def event(self, body: Any, headers: Mapping[str, str] | None = None, **options: Any) -> TicketEvent:
        [found] = self.events(body, headers, **options)
        return found

    def refusal(self, body: Any, headers: Mapping[str, str] | None = None, **options: Any) -> Invalid:
        with pytest.raises(Invalid) as caught:
            self.events(body, headers, **options)
        return caught.value

    def check(self, name: str) -> None:
        """The fixture becomes exactly the events beside it, and each of them can be read back."""
        raw = (FIXTURES / self.vendor / f"{name}.json").read_bytes()
        made = [json.loads(encode(one)) for one in self.events(raw, self.headers_of(name))]
        assert made == json.loads((FIXTURES / self.vendor / f"{name}.events.json").read_text())
        for one in made:
            assert decode_ticket(json.dumps(one).encode()).source == "desk"

    def written(self, name: str) -> bytes:
        """All events of a fixture as they would be sent on."""
        return b"".join(encode(one) for one in self.events(self.body(name), self.headers_of(name)))
