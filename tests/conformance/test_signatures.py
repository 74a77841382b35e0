"""Signature vectors that vendors and their SDKs publish, for the schemes that are in the table."""

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


def _vectors() -> list[Any]:
    found = json.loads((CASES / "signatures.json").read_text())
    return [
        pytest.param(vector, id=f"{vector['vendor']}-{place}")
        for place, vector in enumerate(found)
        if vector["vendor"] in SCHEMES and vector["valid"] is not None
    ]


def parts(vector: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    if "body_file" in vector:
        return headers, (CASES / vector["body_file"]).read_bytes()
    return headers, vector["body"].encode()


def outcome(vector: dict[str, Any], headers: dict[str, str], body: bytes, **more: Any) -> Verdict:
    asked = {"at_us": 0, "tolerance_s": None, **more}
    return verify(SCHEMES[vector["vendor"]], headers, body, [vector["secret"]], **asked)


def test_zendesks_vectors_are_among_those_that_are_checked() -> None:
    assert [vector.values[0]["vendor"] for vector in _vectors()].count("zendesk") >= 4


@pytest.mark.parametrize("vector", _vectors())
def test_a_published_vector_comes_out_as_published(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    assert (outcome(vector, headers, body).outcome is Outcome.ACCEPTED) is vector["valid"]


@pytest.mark.parametrize("vector", _vectors())
def test_a_flipped_bit_in_signature_body_or_timestamp_is_refused(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    scheme = SCHEMES[vector["vendor"]]
    digest = bytearray(base64.b64decode(headers[scheme.signature_header]))
    digest[-1] ^= 1
    forged = {**headers, scheme.signature_header: base64.b64encode(digest).decode()}
    assert outcome(vector, forged, body).outcome is Outcome.BAD_SIGNATURE
    if body:
        assert outcome(vector, headers, bytes([body[0] ^ 1]) + body[1:]).outcome is Outcome.BAD_SIGNATURE
    assert outcome(vector, headers, body + b"\n").outcome is Outcome.BAD_SIGNATURE
    if scheme.timestamp_header is not None:
        moved = {**headers, scheme.timestamp_header: headers[scheme.timestamp_header] + "0"}
        assert outcome(vector, moved, body).outcome is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize("vector", _vectors())
def test_the_body_of_another_vector_is_refused(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    others = [parts(other.values[0])[1] for other in _vectors()]
    assert {outcome(vector, headers, other).outcome for other in others if other != body} == {Outcome.BAD_SIGNATURE}


@pytest.mark.parametrize("vector", _vectors())
def test_a_signed_time_is_fresh_for_five_minutes_and_text_that_is_no_time_never(vector: dict[str, Any]) -> None:
    headers, body = parts(vector)
    scheme = SCHEMES[vector["vendor"]]
    assert scheme.timestamp_header is not None
    try:
        signed_us = from_datetime(parse_rfc3339(headers[scheme.timestamp_header]))
    except ValueError:
        assert outcome(vector, headers, body, tolerance_s=300).outcome is Outcome.MALFORMED_TIMESTAMP
        return
    fresh = {"tolerance_s": 300, "at_us": signed_us + 300 * SECOND_US}
    stale = {"tolerance_s": 300, "at_us": signed_us + 301 * SECOND_US}
    assert outcome(vector, headers, body, **fresh).outcome is Outcome.ACCEPTED
    assert outcome(vector, headers, body, **stale).outcome is Outcome.STALE
