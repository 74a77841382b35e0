"""Payloads as published, or composed from documentation: each means what it says, or is refused by name.

``expected/<vendor>.py`` says what. ``MEANING``: by file name, what must be true of each event, in order (none: the
payload is understood and no number is made of it). ``REFUSED``: the reason. ``HEADERS``, where a vendor's headers
have a meaning: by file name, those it came with.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid
from schemas.instant import parse_rfc3339
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise
from tests.conformance.cases import MISSING, folder
from tests.support.planted import planted

FOLDER = folder()
if FOLDER is None:
    pytest.skip(MISSING, allow_module_level=True)
CASES = FOLDER / "webhooks"

RECEIVED = parse_rfc3339("2026-11-22T11:00:00Z")
EXPECTED = {
    path.stem: importlib.import_module(f"tests.conformance.expected.{path.stem}")
    for path in sorted((Path(__file__).parent / "expected").glob("[a-z]*.py"))
}


def _payloads() -> list[Any]:
    return [
        pytest.param(vendor, path, id=f"{path.parent.relative_to(CASES)}/{path.name}")
        for vendor in EXPECTED
        for name in (vendor, f"_composed/{vendor}")
        for path in sorted((CASES / name).glob("*.json"))
    ]


def made(vendor: str, path: Path) -> list[dict[str, Any]]:
    headers = getattr(EXPECTED[vendor], "HEADERS", {}).get(path.name, {})
    delivery = Delivery(vendor, vendor, headers, path.read_bytes(), RECEIVED)
    return [msgspec.json.decode(encode(event)) for event in normalise(delivery, SourceSettings(b"key"))]


def at(event: dict[str, Any], path: str) -> Any:
    value: Any = event
    for part in path.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize("vendor", EXPECTED)
def test_every_payload_has_a_meaning_here_and_every_meaning_its_payload(vendor: str) -> None:
    names = {param.values[1].name for param in _payloads() if param.values[0] == vendor}
    assert names == EXPECTED[vendor].MEANING.keys() | EXPECTED[vendor].REFUSED.keys()


@pytest.mark.parametrize(("vendor", "path"), _payloads())
def test_a_payload_means_what_it_says_or_is_refused_by_name(vendor: str, path: Path) -> None:
    expected = EXPECTED[vendor]
    if path.name in expected.REFUSED:
        with pytest.raises(Invalid) as caught:
            made(vendor, path)
        assert caught.value.reason.value == expected.REFUSED[path.name]
        assert len(caught.value.detail) > 20
        return
    events, meanings = made(vendor, path), expected.MEANING[path.name]
    assert [event["kind"] for event in events] == [meaning["kind"] for meaning in meanings]
    for event, meaning in zip(events, meanings, strict=True):
        assert {name: at(event, name) for name in meaning} == meaning
        assert decode_ticket(msgspec.json.encode(event)).key.startswith(f"{vendor}:")


@pytest.mark.parametrize(("vendor", "path"), _payloads())
def test_no_text_name_or_address_of_a_payload_is_in_an_event_or_in_a_reason(vendor: str, path: Path) -> None:
    mark = "planted.person@customer.example"
    headers = getattr(EXPECTED[vendor], "HEADERS", {}).get(path.name, {})
    body = json.dumps(planted(json.loads(path.read_bytes()), mark)).encode()
    try:
        events = normalise(Delivery(vendor, vendor, headers, body, RECEIVED), SourceSettings(b"key"))
        said = b"".join(map(encode, events)).decode()
    except Invalid as refused:
        said = refused.detail
    assert mark not in said.lower()
