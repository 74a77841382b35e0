"""A payload with any value in the place of any other becomes events or is refused: it never takes ingest down."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid
from tests.support.webhooks import Webhooks

VENDORS = ("chatwoot", "cloudevents", "front", "gorgias", "hubspot", "salesforce", "servicenow", "zoho_desk")
LISTS = frozenset({"cloudevents", "hubspot", "salesforce", "zoho_desk"})
"""Vendors whose deliveries may hold several things, and so none."""

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**30, "", " ", "0", "x" * 300, "é", "\x00", "²", "1e400", "nan", "2026-03-02"),
    *("0001-01-01T00:00:00+23:59", [], [None], ["x"], [[]], {}, {"id": []}, {"value": {}}, {"x": {"y": 1}}),
)


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*way, key))


def _with(body: Any, way: tuple[Any, ...], odd: Any) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for part in way[:-1]:
        inner = inner[part]
    inner[way[-1]] = odd
    return changed


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_odd_value_anywhere_is_read_or_refused(vendor: str) -> None:
    webhooks = Webhooks(vendor)
    refused = read = 0
    for name in webhooks.names():
        body, headers = webhooks.body(name), webhooks.headers_of(name)
        for way in _places(body):
            for odd in ODD:
                try:
                    events = webhooks.events(_with(body, way, odd), headers)
                except Invalid:
                    refused += 1
                else:
                    read += 1
                    for event in events:
                        decode_ticket(encode(event))
    assert refused
    assert read


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("body", ODD)
def test_an_odd_body_is_read_or_refused(vendor: str, body: Any) -> None:
    if vendor in LISTS and body == []:
        assert Webhooks(vendor).events(body) == []
    else:
        assert Webhooks(vendor).refusal(body).detail
