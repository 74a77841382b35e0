"""The published schemas and the records in the code say the same, field by field, in both directions."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import NODEFAULT, Struct, inspect

from schemas.json_schema import Schema, closed
from schemas.ticket import OBJECT_OF, TicketEvent
from tests.contract.contracts import CONTRACTS, Contract

_SCALARS = {
    inspect.StrType: {"type": "string"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.BoolType: {"type": "boolean"},
}
_PROSE = ("title", "description")
_TEXT_RULES = ("minLength", "format", "pattern")

each_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.schema_name)


def differences(kind: inspect.Type, root: Schema, node: Schema, at: str = "$") -> Iterator[str]:
    """Where the record's type and the schema's node do not say the same."""
    if isinstance(kind, inspect.UnionType):
        nullable = any(isinstance(one, inspect.NoneType) for one in kind.types)
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    else:
        nullable = False
    node, node_nullable = _plain(root, node)
    if nullable != node_nullable:
        yield f"{at}: null is {'allowed' if nullable else 'refused'} by the record alone"
    match kind:
        case inspect.StructType():
            yield from _struct_differences(kind, root, node, at)
        case inspect.EnumType():
            if node != {"type": "string", "enum": [one.value for one in kind.cls]}:
                yield f"{at}: {kind.cls.__name__} is not {node}"
        case inspect.DateTimeType():
            if node != _plain(root, {"$ref": "#/$defs/instant"})[0] or node.get("format") != "date-time":
                yield f"{at}: not an instant"
        case inspect.VarTupleType():
            if node.get("type") != "array":
                yield f"{at}: not an array"
            else:
                yield from differences(kind.item_type, root, node["items"], f"{at}[]")
        case inspect.DictType():
            if node.get("type") != "object" or "properties" in node:
                yield f"{at}: not a free map"
            else:
                yield from differences(kind.value_type, root, node["additionalProperties"], f"{at}.*")
        case inspect.IntType(ge=least, le=most) if most is not None:
            if node != {"type": "integer", "minimum": least, "maximum": most}:
                yield f"{at}: {kind} is not {node}"
        case _:
            # Which texts are good is more than the record's type says; test_broken_twins holds it to the codec.
            if {name: value for name, value in node.items() if name not in _TEXT_RULES} != _SCALARS[type(kind)]:
                yield f"{at}: {kind} is not {node}"


def _struct_differences(kind: inspect.StructType, root: Schema, node: Schema, at: str) -> Iterator[str]:
    properties = node.get("properties", {})
    fields = {field.encode_name: field for field in kind.fields}
    yield from (f"{at}.{name}: only in the record" for name in fields.keys() - properties.keys())
    yield from (f"{at}.{name}: only in the schema" for name in properties.keys() - fields.keys())
    if set(node.get("required", ())) != {name for name, field in fields.items() if field.required}:
        yield f"{at}: other required fields"
    for name in fields.keys() & properties.keys():
        field, inner = fields[name], dict(properties[name])
        default = field.default
        said = inner.pop("default", None)
        stated = None if default is NODEFAULT or isinstance(default, Struct) else default
        stated = list(stated) if isinstance(stated, tuple) else stated
        if stated != said:
            yield f"{at}.{name}: the default {stated!r} is not {said!r}"
        yield from differences(field.type, root, inner, f"{at}.{name}")


def _plain(root: Schema, node: Schema) -> tuple[Schema, bool]:
    """The node without references and prose, and whether it allows null."""
    if "anyOf" in node:
        real, null = node["anyOf"]
        return _plain(root, real)[0], bool(null == {"type": "null"})
    if "$ref" in node:
        return _plain(root, root["$defs"][node["$ref"].removeprefix("#/$defs/")])
    plain = {name: value for name, value in node.items() if name not in _PROSE}
    if isinstance(plain.get("type"), list):
        real_type, null_type = plain["type"]
        return plain | {"type": real_type}, bool(null_type == "null")
    return plain, False


def _all(contract: Contract, schema: Schema) -> list[str]:
    return list(differences(inspect.type_info(contract.record), schema, schema))


@each_contract
def test_schema_and_record_say_the_same(contract: Contract) -> None:
    assert _all(contract, contract.schema) == []


@each_contract
def test_the_schema_is_a_json_schema_of_2020_12(contract: Contract) -> None:
    assert contract.schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(contract.schema)
    Draft202012Validator.check_schema(closed(contract.schema))


@each_contract
def test_every_property_and_definition_is_described(contract: Contract) -> None:
    schema = contract.schema
    for name, definition in [("$", schema), *schema["$defs"].items()]:
        assert len(definition["description"]) > 10, name
        assert definition["title"], name
        for field, inner in definition.get("properties", {}).items():
            assert len(inner["description"]) > 8, f"{name}.{field}"
            assert "properties" not in inner, f"{name}.{field}: objects are defined in $defs, where closed() looks"


def test_the_conditions_ask_for_the_object_that_each_kind_needs() -> None:
    (contract,) = (contract for contract in CONTRACTS if contract.record is TicketEvent)
    asked: dict[str, str] = {}
    for condition in contract.schema["allOf"]:
        test = condition["if"]["properties"]["kind"]
        (needed,) = condition["then"]["required"]
        asked |= dict.fromkeys(test.get("enum") or [test["const"]], needed)
    assert asked == {kind.value: needed for kind, needed in OBJECT_OF.items()}


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (("properties", "nonsense"), {"type": "string"}),
        (("properties", "source"), None),
        (("properties", "source"), {"type": "integer"}),
        (("properties", "source"), {"type": ["string", "null"]}),
        (("properties", "sequence", "default"), 1),
        (("required",), ["event_id"]),
        (("$defs", "kind", "enum"), ["ticket.created"]),
        (("$defs", "priorityChange", "properties", "to"), {"$ref": "#/$defs/priorityName"}),
        (("$defs", "attributes", "properties", "tags", "items"), {"type": "integer"}),
        (("$defs", "attributes", "properties", "created_at"), {"type": "string"}),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_schema_that_says_something_else_is_noticed(path: tuple[str, ...], change: Any) -> None:
    contract = CONTRACTS[0]
    schema = copy.deepcopy(contract.schema)
    holder = schema
    for step in path[:-1]:
        holder = holder[step]
    if change is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = change
    assert _all(contract, schema) != []
