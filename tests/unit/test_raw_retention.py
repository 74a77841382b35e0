"""Raw webhooks for as long as each source says: what is declared, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from schemas.topics import DAY_MS, HOUR_MS, TOPICS, WEBHOOKS, webhooks_of
from services.config.document import ConfigInvalid, parse, raw_retentions

SOURCE = "sources: {shop: {vendor: generic, secrets: ['${SECRET}'], %s}}"


def written(folder: Path, text: str) -> Path:
    file = folder / "deskpulse.yaml"
    file.write_text(text)
    return file


def test_a_topic_of_its_own_is_the_shared_one_but_for_its_name_and_how_long_it_keeps() -> None:
    shared, own = TOPICS[WEBHOOKS], webhooks_of("shop", 2 * DAY_MS)
    assert (own.name, own.config.retention_ms) == ("helpdesk.webhooks.v1.shop", 2 * DAY_MS)
    config = structs.replace(own.config, retention_ms=shared.config.retention_ms, segment_ms=shared.config.segment_ms)
    assert structs.replace(own, name=shared.name, config=config) == shared


@pytest.mark.parametrize(
    ("retention_ms", "segment_ms"),
    [(HOUR_MS, HOUR_MS), (DAY_MS, 3 * HOUR_MS), (8 * DAY_MS, DAY_MS), (400 * DAY_MS, DAY_MS)],
)
def test_nothing_stays_much_longer_than_is_asked_for(retention_ms: int, segment_ms: int) -> None:
    assert webhooks_of("shop", retention_ms).config.segment_ms == segment_ms


def test_retentions_are_read_without_secrets(tmp_path: Path) -> None:
    assert raw_retentions(written(tmp_path, SOURCE % "raw_retention: 36h"), {}) == {"shop": 36 * 3600}
    assert raw_retentions(written(tmp_path, SOURCE % "raw_retention: '${KEEP}'"), {"KEEP": "1d"}) == {"shop": 86_400}
    assert raw_retentions(written(tmp_path, SOURCE % "keep_raw: false"), {}) == {}
    assert raw_retentions(written(tmp_path, ""), {}) == {}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("raw_retention: soon", "sources.shop.raw_retention: 'soon' is not a duration"),
        ("raw_retention: '${KEEP}'", "sources.shop.raw_retention: the environment variable KEEP is not set"),
    ],
)
def test_a_retention_that_cannot_be_is_told(tmp_path: Path, given: str, problem: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        raw_retentions(written(tmp_path, SOURCE % given), {})
    [line] = caught.value.problems
    assert line.startswith(problem)


def test_the_document_refuses_a_retention_of_what_is_not_kept() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse(SOURCE % "keep_raw: false, raw_retention: 1d", {"SECRET": "c2VjcmV0"})
    assert caught.value.problems == [
        "sources.shop: raw_retention: nothing is kept raw with keep_raw: false; leave one of the two out"
    ]


def test_a_source_whose_name_is_no_name_makes_no_topic(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="small letters"):
        raw_retentions(written(tmp_path, 'sources: {"a/b": {raw_retention: 1d}}'), {})
