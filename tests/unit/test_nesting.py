"""How deeply a webhook's JSON may be nested: as deep as the parser reads, or as the source says."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Invalid, Reason
from services.config.document import ConfigInvalid, parse
from services.ingest.delivery import MAX_DEPTH, SourceSettings
from services.ingest.normalise import VENDORS, normalise
from services.ingest.normalise.fields import json_of
from services.ingest.source import ready
from tests.support.webhooks import KEY, Webhooks


def nested(depth: int) -> bytes:
    """Objects and arrays in turn, ``depth`` of them, the outermost an object."""
    pairs = [(b'{"a":', b"}") if place % 2 == 0 else (b"[", b"]") for place in range(depth)]
    return b"".join(begin for begin, _ in pairs) + b"1" + b"".join(end for _, end in reversed(pairs))


def reason(body: bytes, max_depth: int) -> Reason | None:
    try:
        json_of(body, max_depth)
    except Invalid as failure:
        return failure.reason
    return None


@pytest.mark.parametrize("bound", [1, 2, 16, 17, 500, MAX_DEPTH])
def test_as_many_levels_as_are_allowed_are_read_and_not_one_more(bound: int) -> None:
    assert reason(nested(bound), bound) is None
    assert reason(nested(bound + 1), bound) is Reason.TOO_DEEP


@pytest.mark.parametrize(
    "body",
    [b'"[[[[{{{{"', b'{"a":"[[[[{{{{"}', b"7", b"[" + b",".join([b"{}"] * 5000) + b"]", b'[{"a":1},{"b":2}]'],
    ids=["text", "text in an object", "a number", "many beside each other", "two"],
)
def test_brackets_in_texts_and_values_beside_each_other_are_not_deep(body: bytes) -> None:
    assert reason(body, 2) is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_keeps_to_the_bound_of_its_source(vendor: str) -> None:
    def refusal(**settings: Any) -> Reason | None:
        headers = {"x-helpscout-event": "convo.created", "x-freescout-event": "convo.created"}
        try:
            normalise(Webhooks(vendor, headers).delivery(nested(40)), SourceSettings(KEY, **settings))
        except Invalid as failure:
            return failure.reason
        return None

    assert refusal(max_depth=39) is Reason.TOO_DEEP
    assert refusal() is not Reason.TOO_DEEP


def test_the_bound_of_a_source_is_what_its_configuration_says() -> None:
    text = "sources: {shop: {vendor: generic, secrets: [whsec_c2VjcmV0]%s}}"
    assert ready(parse(text % "", {}))["shop"].settings.max_depth == MAX_DEPTH
    assert ready(parse(text % ", max_depth: 64", {}))["shop"].settings.max_depth == 64
    for wrong in ("15", "1025", "deep"):
        with pytest.raises(ConfigInvalid, match=r"sources\.shop\.max_depth"):
            parse(text % f", max_depth: {wrong}", {})
