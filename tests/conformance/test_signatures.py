"""Signature vectors that vendors and their SDKs publish, and some computed by their documents, for every vendor."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339
from services.ingest.verify import SCHEMES, Outcome, Verdict, verify
from tests.conformance.cases import MISSING, folder

FOLDER = folder()
if FOLDER is None:
    pytest.skip(MISSING, allow_module_level=True)
CASES = FOLDER / "webhooks"
ALL = json.loads((CASES / "signatures.json").read_text())
# One published vector is without its body, which holds a real person's address.
VECTORS = [
    pytest.param(vector, id=f"{vector['vendor']}-{place}")
    for place, vector in enumerate(ALL)
    if vector.get("body") is not None or "body_file" in vector
]


def parts(vector: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    if "body_file" in vector:
        return headers, (CASES / vector["body_file"]).read_bytes()
    return headers, vector["body"].encode()


def signature_header(headers: dict[str, str]) -> str:
    [name] = [name for name in headers if "-signature" in name and not name.endswith(("-version", "-timestamp"))]
    return name


def timestamp_header(headers: dict[str, str]) -> str | None:
    return next((name for name in headers if name.endswith("-timestamp")), None)


def outcome(vector: dict[str, Any], headers: dict[str, str], body: bytes, **more: Any) -> Verdict:
    target = vector["method"] + vector["url"] if "url" in vector else ""
    asked = {"at_us": 0, "tolerance_s": None, "target": target, "secrets": [vector["secret"]], **more}
    return verify(SCHEMES[vector["vendor"]], headers, body, **asked)


def flipped(signature: str) -> str:
    """The signature with its last bit the other way round, written as before."""
    prefix, equals, digits = signature.partition("=")
    if prefix in ("sha1", "sha256") or len(signature) == 64:
        digits = digits if prefix in ("sha1", "sha256") else signature
        changed = f"{int(digits, 16) ^ 1:0{len(digits)}x}"
        return f"{prefix}{equals}{changed}" if prefix in ("sha1", "sha256") else changed
    digest = bytearray(base64.b64decode(signature))
    digest[-1] ^= 1
    return base64.b64encode(digest).decode()


def test_every_vendor_that_signs_has_a_vector_that_is_checked() -> None:
    checked = {vector.values[0]["vendor"] for vector in VECTORS}
    assert checked == {vector["vendor"] for vector in ALL}
    assert len(VECTORS) == len(ALL) - 1


@pytest.mark.parametrize("vector", VECTORS)
def test_a_published_vector_comes_out_as_published(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    assert (outcome(vector, headers, body).outcome is Outcome.ACCEPTED) is vector["valid"]


@pytest.mark.parametrize("vector", VECTORS)
def test_a_flipped_bit_in_signature_body_timestamp_or_address_is_refused(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    name = signature_header(headers)
    forged = {**headers, name: flipped(headers[name])}
    assert forged != headers
    assert outcome(vector, forged, body).outcome is Outcome.BAD_SIGNATURE
    if body:
        assert outcome(vector, headers, bytes([body[0] ^ 1]) + body[1:]).outcome is Outcome.BAD_SIGNATURE
    assert outcome(vector, headers, body + b"x").outcome is Outcome.BAD_SIGNATURE
    if timed := timestamp_header(headers):
        moved = {**headers, timed: headers[timed] + "0"}
        assert outcome(vector, moved, body).outcome is Outcome.BAD_SIGNATURE
    if "url" in vector:
        elsewhere = f"{vector['method']}{vector['url']}/"
        assert outcome(vector, headers, body, target=elsewhere).outcome is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize("vector", VECTORS)
def test_the_body_of_another_vector_is_refused(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    others = [parts(other.values[0])[1] for other in VECTORS]
    assert {outcome(vector, headers, other).outcome for other in others if other != body} == {Outcome.BAD_SIGNATURE}


@pytest.mark.parametrize("vector", VECTORS)
def test_the_secret_of_another_source_is_refused_and_the_right_one_is_named(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    assert outcome(vector, headers, body, secrets=["another"]).outcome is Outcome.BAD_SIGNATURE
    both = outcome(vector, headers, body, secrets=["another", vector["secret"]])
    assert both == Verdict(Outcome.ACCEPTED, 1)


def signed_us(timestamp: str) -> int | None:
    """The instant of a vector's timestamp: RFC 3339, milliseconds or seconds; ``None`` for what is no time."""
    if timestamp.isdigit():
        return {10: int(timestamp) * SECOND_US, 13: int(timestamp) * 1000}.get(len(timestamp))
    return from_datetime(parse_rfc3339(timestamp))


TIMED = [vector for vector in VECTORS if timestamp_header(parts(vector.values[0])[0])]


def test_the_vendors_that_sign_a_time_are_among_those_that_are_checked() -> None:
    assert {vector.values[0]["vendor"] for vector in TIMED} == {"zendesk", "hubspot", "front", "chatwoot"}


@pytest.mark.parametrize("vector", TIMED)
def test_a_signed_time_is_fresh_for_five_minutes_and_text_that_is_no_time_never(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    at_us = signed_us(headers[timestamp_header(headers) or ""])
    if at_us is None:
        assert outcome(vector, headers, body, tolerance_s=300).outcome is Outcome.MALFORMED_TIMESTAMP
        return
    for shift_s, expected in ((300, Outcome.ACCEPTED), (-300, Outcome.ACCEPTED), (301, Outcome.STALE)):
        shifted = outcome(vector, headers, body, tolerance_s=300, at_us=at_us + shift_s * SECOND_US)
        assert shifted.outcome is expected
