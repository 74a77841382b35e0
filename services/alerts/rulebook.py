"""The rules that there are: those of the document, and those that came over the API and lie in Redis.

A name belongs to one of the two: what the file says cannot be changed over the API. Should the file get a rule whose
name the API has already, the file's counts and the other one rests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec
from pydantic import ValidationError
from redis.asyncio import Redis

from services.alerts import keys
from services.config.document import Document
from services.config.rule import RULE, Rule, cut_problem, problems
from services.state.client import away

MOST: Final = 500
"""Rules that the API takes in all."""


class Origin(StrEnum):
    """Where a rule comes from."""

    FILE = "file"
    API = "api"


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule by its name. Without ``rule`` it cannot be evaluated, and ``problems`` says why."""

    name: str
    origin: Origin
    rule: Rule | None
    given: Mapping[str, Any]
    problems: tuple[str, ...] = ()


class RuleBook:
    """Calls may raise ``NotNow``."""

    def __init__(self, document: Document, writer: Redis, reader: Redis) -> None:
        self._document = document
        self._writer: Any = writer
        self._reader: Any = reader

    def follow(self, document: Document) -> None:
        """The file's rules are those of ``document`` from now on."""
        self._document = document

    async def entries(self) -> dict[str, Entry]:
        """Every rule by its name, sorted."""
        with away():
            stored = await self._reader.hgetall(keys.RULES)
        found = {name.decode(): read(self._document, msgspec.json.decode(value)) for name, value in stored.items()}
        found |= {rule.name: Entry(rule.name, Origin.FILE, rule, given(rule)) for rule in self._document.rules}
        return dict(sorted(found.items()))

    async def entry(self, name: str) -> Entry | None:
        """The rule of that name."""
        return (await self.entries()).get(name)

    def of_file(self, name: str) -> bool:
        """Whether the document has a rule of that name."""
        return any(rule.name == name for rule in self._document.rules)

    async def put(self, name: str, body: Mapping[str, Any]) -> Entry | bool:
        """Stores a rule under its name and says how it reads: with problems it was not stored. ``False`` when there are
        :data:`MOST` already."""
        entry = read(self._document, {**body, "name": name})
        if entry.rule is None:
            return entry
        with away():
            if not await self._reader.hexists(keys.RULES, name) and await self._reader.hlen(keys.RULES) >= MOST:
                return False
            await self._writer.hset(keys.RULES, name, msgspec.json.encode(entry.given))
        return entry

    async def delete(self, name: str) -> bool:
        """Forgets a rule of the API. False when there was none."""
        with away():
            return bool(await self._writer.hdel(keys.RULES, name))


def read(document: Document, body: Mapping[str, Any]) -> Entry:
    """A rule as it was given over the API, read and checked against the document."""
    name = str(body.get("name", ""))
    try:
        rule = RULE.validate_python(dict(body))
    except ValidationError as exc:
        return Entry(name, Origin.API, None, dict(body), tuple(problems(exc)))
    problem = cut_problem(rule, document.segments)
    if problem is not None:
        return Entry(name, Origin.API, None, dict(body), (problem,))
    return Entry(name, Origin.API, rule, given(rule))


def given(rule: Rule) -> dict[str, Any]:
    """The rule as JSON, with what it says and not what it leaves out."""
    return rule.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
