"""The query API as a page, made from its OpenAPI description.

python -m services.alerts.api.reference > docs/api.md
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry

from services.alerts.app import build
from services.alerts.feed import Feed
from services.config.document import parse
from services.operate.health import Health
from services.state import client

_NOWHERE: Final = "redis://127.0.0.1:1/0"  # a description asks nobody
_EVERYWHERE: Final = {"400", "401", "403", "422", "429", "503"}
_JSON: Final = "application/json"
_LONGEST: Final = 100
_TITLES: Final = {"kpis": "KPIs", "sla": "SLA"}

Node = Mapping[str, Any]


def description() -> dict[str, Any]:
    """The OpenAPI document as ``/openapi.json`` answers it."""
    writer, reader = client.writer(_NOWHERE), client.reader(_NOWHERE)
    feed = Feed(client.blocking(_NOWHERE, connections=1), reader)
    app = build(parse("", {}), writer=writer, reader=reader, feed=feed, health=Health(), registry=CollectorRegistry())
    found: dict[str, Any] = app.openapi()
    return found


def reference(document: Node) -> str:
    """The text of docs/api.md."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Node) -> Iterator[str]:
    operations = [
        (method.upper(), path, one) for path, methods in document["paths"].items() for method, one in methods.items()
    ]
    yield "# API reference"
    yield ""
    yield "<!-- Made by `python -m services.alerts.api.reference`; change the routes and their examples. -->"
    yield ""
    yield "Every route of the query API, made from its OpenAPI description (`/openapi.json`; to try it, `/docs`)."
    yield "By examples: [query the API](guides/query-the-api.md). Who may do what: [roles](roles.md)."
    yield ""
    yield "## Everywhere"
    yield ""
    yield "Times are RFC 3339 in UTC, durations seconds. Errors are `application/problem+json`: `type`, `title`,"
    yield "`status`, `detail`. Any route may answer these; a route's own are named with it."
    yield ""
    yield "| status | since |"
    yield "|---|---|"
    for status in sorted(_EVERYWHERE):
        yield f"| {status} | {_usual(operations, status)} |"
    for tag in document["tags"]:
        yield ""
        yield f"## {_TITLES.get(tag['name'], tag['name'].capitalize())}"
        yield ""
        yield tag["description"]
        for method, path, one in operations:
            if one["tags"][0] == tag["name"]:
                yield from _operation(method, path, one, document)


def _usual(operations: list[tuple[str, str, Any]], status: str) -> str:
    """What most operations say of a status."""
    said = [one["responses"][status]["description"] for *_, one in operations if status in one["responses"]]
    return max(sorted(set(said)), key=said.count) if said else ""


def _operation(method: str, path: str, one: Node, document: Node) -> Iterator[str]:
    yield ""
    yield f"### {method} {path}"
    yield ""
    yield f"**{one['summary']}.** {one['description'].strip()}"
    if parameters := one.get("parameters"):
        yield ""
        yield "| parameter | in | | |"
        yield "|---|---|---|---|"
        for each in parameters:
            said = _cell(each.get("description", ""))
            yield f"| `{each['name']}` | {each['in']} | {_form(each['schema'], each)} | {said} |"
    if body := one.get("requestBody"):
        yield from _body(body["content"], document)
    own = {status: each for status, each in one["responses"].items() if status not in _EVERYWHERE}
    shown = [(status, each) for status, each in own.items() if not status.startswith("2")]
    if shown:
        yield ""
        yield "| status | since |"
        yield "|---|---|"
        yield from (f"| {status} | {_cell(each['description'])} |" for status, each in shown)
    for status, each in own.items():
        for media, content in each.get("content", {}).items():
            if status.startswith("2") and (example := _example(content)) is not None:
                yield ""
                yield f"Answers {status}, `{media}`:"
                yield ""
                yield "```json" if media == _JSON else "```text"
                yield _pretty(example) if media == _JSON else str(example).rstrip()
                yield "```"
            elif status.startswith("2"):
                yield ""
                yield f"Answers {status}, `{media}`."
        if status == "204":
            yield ""
            yield "Answers 204, without a body."


def _example(content: Node) -> object:
    if "example" in content:
        return content["example"]
    examples = content.get("examples") or {}
    return next((each["value"] for each in examples.values()), None) if isinstance(examples, dict) else examples[0]


def _form(schema: Node, parameter: Node) -> str:
    """Whether it must be there, what it is, and what it is when left out."""
    forms = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    kind = forms[0].get("type", "") if forms else ""
    if kind == "array":
        kind = f"{forms[0]['items'].get('type', 'string')}, repeated"
    said = ["needed"] if parameter.get("required") else []
    said.append(kind)
    if values := forms[0].get("enum") or forms[0].get("items", {}).get("enum"):
        said.append(", ".join(f"`{value}`" for value in values))
    low, high = (forms[0].get(name) for name in ("minimum", "maximum"))
    if low is not None and high is not None:
        said.append(f"{low} to {high}")
    if schema.get("default") is not None:
        said.append(f"else `{schema['default']}`")
    return "; ".join(word for word in said if word)


def _body(content: Node, document: Node) -> Iterator[str]:
    """The fields of a JSON body, and its example."""
    taken = content.get(_JSON)
    if taken is None:
        yield ""
        yield f"Body: {', '.join(f'`{media}`' for media in content)}."
        return
    forms = [each for each in taken["schema"].get("anyOf", [taken["schema"]]) if each.get("type") != "null"]
    model = _followed(forms[0], document) if forms else {}
    if fields := model.get("properties"):
        yield ""
        yield "| in the body | | |"
        yield "|---|---|---|"
        for name, each in fields.items():
            needed = {"required": name in model.get("required", ())}
            yield f"| `{name}` | {_form(_followed(each, document), needed)} | {_cell(each.get('description', ''))} |"
    if (example := _example(taken)) is not None:
        yield ""
        yield "Body:"
        yield ""
        yield "```json"
        yield _pretty(example)
        yield "```"


def _followed(schema: Node, document: Node) -> Node:
    """The schema itself, or the one that it refers to."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Node = document["components"]["schemas"][name] if name else schema
    return found


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def _pretty(value: object, indent: int = 0) -> str:
    """JSON, with what fits into a line in one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= _LONGEST or not isinstance(value, dict | list) or not value:
        return flat
    inner = " " * (indent + 1)
    if isinstance(value, list):
        return "[" + f",\n{inner}".join(_pretty(each, indent + 1) for each in value) + "]"
    rows = (f"{json.dumps(name)}: {_pretty(each, indent + len(name) + 5)}" for name, each in value.items())
    return "{" + f",\n{inner}".join(rows) + "}"


if __name__ == "__main__":
    sys.stdout.write(reference(description()))
