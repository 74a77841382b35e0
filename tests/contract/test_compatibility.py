"""Version 1 of a contract stays version 1: what was released is never taken back.

``released/`` keeps each schema as it was released and the examples of that day, one a line. Within a version a
schema may gain optional properties, and that is all: producers of the day before must still be accepted, and
consumers of the day before must still understand. A new name in an enum would be refused by them, so it is a new
version, or a release in which the consumers go first; in that case the released schema is replaced in the same
commit, deliberately and visibly.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.json_schema import Schema
from tests.contract.contracts import CONTRACTS, EXAMPLES, Contract, Example, opened

RELEASED = Path(__file__).parent / "released"
_PROSE = {"title", "description"}

each_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.schema_name)


def released(contract: Contract) -> Schema:
    schema: Schema = json.loads((RELEASED / f"{contract.schema_name}.schema.json").read_text(encoding="utf-8"))
    return schema


def breaks(old: Any, new: Any, at: str = "$") -> Iterator[str]:
    """What ``new`` took back of ``old``, apart from prose. Both are schemas or parts of them."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"{at}: {old!r} became {new!r}"
        return
    may_grow = at.endswith((".properties", ".$defs"))
    for name in old.keys() | new.keys():
        if name in _PROSE and not may_grow:
            continue
        if name not in new:
            yield f"{at}.{name} is gone"
        elif name in old:
            yield from breaks(old[name], new[name], f"{at}.{name}")
        elif not may_grow:
            yield f"{at}.{name} was added"


@each_contract
def test_nothing_that_was_released_is_taken_back(contract: Contract) -> None:
    assert list(breaks(released(contract), contract.schema)) == []


@each_contract
def test_every_example_of_the_release_is_still_accepted(contract: Contract) -> None:
    lines = (RELEASED / f"{contract.schema_name}.examples.jsonl").read_bytes().splitlines()
    assert lines
    for line in lines:
        assert [error.message for error in opened(contract).iter_errors(json.loads(line))] == []
        contract.decode(line)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_consumer_of_the_release_accepts_what_is_written_today(example: Example) -> None:
    validator = Draft202012Validator(released(example.contract))
    assert [error.message for error in validator.iter_errors(example.value)] == []


def test_an_optional_property_and_better_prose_are_no_break() -> None:
    old = released(CONTRACTS[0])
    new = copy.deepcopy(old)
    new["properties"]["language"] = {"description": "Language of the conversation.", "type": ["string", "null"]}
    new["$defs"]["language"] = {"type": "string"}
    new["description"] = new["properties"]["source"]["description"] = "Said better."
    assert list(breaks(old, new)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("properties", "sequence"), None),
        (("properties", "sequence", "type"), "string"),
        (("properties", "sequence", "default"), 1),
        (("properties", "source", "pattern"), "^x"),
        (("properties", "actor"), {"$ref": "#/$defs/actor"}),
        (("required",), ["event_id"]),
        (("$defs", "actor", "required"), ["kind", "id"]),
        (("$defs", "statusName", "enum"), ["new", "open"]),
        (("$defs", "priorityName", "enum"), ["low", "normal", "high", "urgent", "critical"]),
        (("$defs", "message", "properties", "id"), None),
        (("$defs", "merge"), None),
        (("$defs", "merge", "additionalProperties"), False),
        (("allOf",), []),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_break_is_noticed(path: tuple[str, ...], value: Any) -> None:
    old = released(CONTRACTS[0])
    new = copy.deepcopy(old)
    holder = new
    for step in path[:-1]:
        holder = holder[step]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    assert list(breaks(old, new)) != []
