"""A validator that accepts everything passes every example: so each example has twins that are broken in one
place, and both the schema and the codec must refuse every one of them."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.failure import Invalid
from schemas.json_schema import Schema
from schemas.ticket import OBJECT_OF, Kind
from tests.contract.contracts import EXAMPLES, Example, opened, sealed

Path = tuple[str | int, ...]
Twin = tuple[str, Any]

_WRONG_TYPE: dict[type, list[Any]] = {
    str: [7, [], {}],
    int: ["7", 7.5, []],
    float: ["7.5", []],
    bool: ["yes", 7],
    list: [{}, "x"],
    dict: [[], "x", 7],
}


def twins(schema: Schema, value: Any) -> Iterator[Twin]:
    """Every copy of ``value`` that is broken in one place, with the name of the break."""
    for path, node, item in _places(schema, schema, value, ()):
        where = "$" + "".join(f".{step}" for step in path)
        for name in node.get("required", ()):
            yield f"{where} without {name}", _replaced(value, path, {k: v for k, v in item.items() if k != name})
        if "enum" in node:
            yield f"{where} with an unknown name", _replaced(value, path, "no-such-name")
        if node.get("format") == "date-time":
            for wrong in ("yesterday", "2026-02-30T09:00:00Z"):
                yield f"{where} = {wrong}", _replaced(value, path, wrong)
        if node.get("format") == "uuid":
            for wrong in ("", "1", item.upper(), f"{{{item}}}"):
                yield f"{where} = {wrong}", _replaced(value, path, wrong)
        # null is tried everywhere too: where it is allowed, the schema says so and there is no break.
        wrongs = [] if item is None else _WRONG_TYPE[type(item)]
        if node.get("type") == "number":
            wrongs = _WRONG_TYPE[float]
        nullable = item is None or "null" in node.get("type", ()) or node.get("nullable", False)
        for wrong in wrongs if nullable else [*wrongs, None]:
            yield f"{where} = {wrong!r}", _replaced(value, path, wrong)
    needed = OBJECT_OF.get(Kind(value["kind"])) if value.get("kind") in set(Kind) else None
    if needed is not None:
        yield f"$ without {needed}", {k: v for k, v in value.items() if k != needed}
        yield f"$.{needed} = None", {**value, needed: None}


def _places(root: Schema, node: Schema, value: Any, path: Path) -> Iterator[tuple[Path, Schema, Any]]:
    node = _resolved(root, node)
    yield path, node, value
    if isinstance(value, dict):
        for name, item in value.items():
            inner = node.get("properties", {}).get(name) or node["additionalProperties"]
            yield from _places(root, inner, item, (*path, name))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(root, node["items"], item, (*path, index))


def _resolved(root: Schema, node: Schema) -> Schema:
    if "anyOf" in node:
        real, null = node["anyOf"]
        assert null == {"type": "null"}
        return {**_resolved(root, real), "nullable": True}
    if "$ref" in node:
        return dict(root["$defs"][node["$ref"].removeprefix("#/$defs/")])
    return node


def _replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    twin = copy.deepcopy(value)
    holder = twin
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = new
    return twin


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_broken_twin_is_refused_by_schema_and_codec(example: Example) -> None:
    accepted_by_schema, accepted_by_codec, tried = [], [], 0
    validator = opened(example.contract)
    for name, twin in twins(example.contract.schema, example.value):
        tried += 1
        if validator.is_valid(twin):
            accepted_by_schema.append(name)
        try:
            example.contract.decode(json.dumps(twin).encode())
        except Invalid:
            continue
        accepted_by_codec.append(name)
    assert tried > 20
    assert (accepted_by_schema, accepted_by_codec) == ([], [])


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_unknown_property_is_ignored_by_consumers_and_refused_to_producers(example: Example) -> None:
    for path, node, item in _places(example.contract.schema, example.contract.schema, example.value, ()):
        if isinstance(item, dict) and "properties" in node:
            twin = _replaced(example.value, path, {**item, "not_in_v1": 1})
            assert opened(example.contract).is_valid(twin)
            assert not sealed(example.contract).is_valid(twin)
            expected = example.contract.decode(json.dumps(example.value).encode())
            assert example.contract.decode(json.dumps(twin).encode()) == expected


@pytest.mark.parametrize("name", ["source", "ticket_id"])
def test_an_empty_id_is_refused_by_schema_and_codec(name: str) -> None:
    example = EXAMPLES[0]
    twin = {**example.value, name: ""}
    assert not opened(example.contract).is_valid(twin)
    with pytest.raises(Invalid, match=name):
        example.contract.decode(json.dumps(twin).encode())


@pytest.mark.parametrize("name", ["occurred_at", "received_at"])
def test_a_time_without_offset_is_refused_by_schema_and_codec(name: str) -> None:
    example = EXAMPLES[0]
    twin = {**example.value, name: "2026-03-02T09:00:00"}
    assert not opened(example.contract).is_valid(twin)
    with pytest.raises(Invalid, match=r"offset|timezone"):
        example.contract.decode(json.dumps(twin).encode())
