"""The AsyncAPI document in the repository is what the topics and schemas make, and its references lead somewhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import schemas
from schemas.asyncapi import document
from schemas.topics import TOPICS

FOLDER = Path(schemas.__file__).parent
WRITTEN: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text(encoding="utf-8"))


def test_the_document_is_up_to_date() -> None:
    assert document() == WRITTEN, "run: python -m schemas.asyncapi > schemas/asyncapi.yaml"


def test_the_command_writes_the_document() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "schemas.asyncapi"], cwd=FOLDER.parent, capture_output=True, check=True, timeout=60
    )
    assert yaml.safe_load(ran.stdout) == WRITTEN


def test_every_reference_leads_somewhere() -> None:
    references = list(_references(WRITTEN))
    assert len(references) > 20
    for reference in references:
        if reference.startswith("#/"):
            node: Any = WRITTEN
            for step in reference[2:].split("/"):
                node = node[step]
        else:
            assert "$defs" in json.loads((FOLDER / reference).read_text(encoding="utf-8"))


def test_every_topic_is_a_channel_that_somebody_writes_and_somebody_reads() -> None:
    assert set(WRITTEN["channels"]) == set(TOPICS)
    for name, topic in TOPICS.items():
        kafka = WRITTEN["channels"][name]["bindings"]["kafka"]
        assert (kafka["topic"], kafka["partitions"]) == (topic.name, topic.partitions)
        actions = [one["action"] for one in WRITTEN["operations"].values() if one["channel"]["$ref"].endswith(name)]
        assert actions == ["send"] * len(topic.producers) + ["receive"] * len(topic.consumers)


def test_every_header_of_a_topic_is_in_its_message() -> None:
    for name, topic in TOPICS.items():
        (message,) = WRITTEN["channels"][name]["messages"]
        headers = WRITTEN["components"]["messages"][message]["headers"]
        families = [f"{start.removeprefix('^')}*" for start in headers.get("patternProperties", {})]
        assert {*headers["properties"], *families} == set(topic.headers)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
