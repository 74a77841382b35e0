"""Payloads of a helpdesk that is not supported: the generic source refuses each, and says what it misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise
from tests.conformance.cases import MISSING, folder

FOLDER = folder()
if FOLDER is None:
    pytest.skip(MISSING, allow_module_level=True)
PAYLOADS = sorted((FOLDER / "webhooks" / "groove").glob("*.json"))


def test_there_are_payloads_of_an_unknown_helpdesk() -> None:
    assert PAYLOADS


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.name)
def test_the_generic_source_says_what_a_foreign_payload_lacks(path: Path) -> None:
    delivery = Delivery("groove", "generic", {}, path.read_bytes(), parse_rfc3339("2026-11-22T11:00:00Z"))
    with pytest.raises(Invalid) as caught:
        normalise(delivery, SourceSettings(b"key"))
    assert caught.value.reason is Reason.MISSING_FIELD
    assert "kind is missing, for example" in caught.value.detail
