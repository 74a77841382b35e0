"""The rules that there are: those of the document, and those that came over the API and lie in Redis.

A name belongs to one of the two: what the file says cannot be changed over the API. Should the file get a rule whose
name the API has already, the file's counts and the other one rests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec
from pydantic import ValidationError
from redis.asyncio import Redis

from schemas.forms import ALERTS_FORM_KEY
from services.alerts import keys
from services.config.document import Document
from services.config.rule import RULE, Rule, cut_problem, problems
from services.state.client import away
from services.state.forms import guarded

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

    @property
    def version(self) -> str:
        """A name of what the rule says: another one as soon as it says something else."""
        said = msgspec.json.encode([self.origin.value, self.given], order="sorted")
        return hashlib.sha256(said).hexdigest()[:16]


class Changed(Exception):
    """The rule is not what the caller believes. ``there`` is what it is, ``None`` when there is none."""

    def __init__(self, there: Entry | None) -> None:
        super().__init__("the rule has changed")
        self.there = there


Expected = Callable[[Entry | None], bool]
"""Whether a rule, as it is before a change, is the one that the caller meant to change."""

# Nothing between the look and the write: two who change a rule at once cannot both be right about what it was.
_PUT: Final = """
local known = redis.call('hget', KEYS[1], ARGV[1]) or ''
if known ~= ARGV[2] then return 'changed' end
if known == '' and redis.call('hlen', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('hset', KEYS[1], ARGV[1], ARGV[3])
return 'stored'
"""
_DELETE: Final = """
local known = redis.call('hget', KEYS[1], ARGV[1]) or ''
if known ~= ARGV[2] then return 'changed' end
redis.call('hdel', KEYS[1], ARGV[1])
return 'gone'
"""


class RuleBook:
    """Calls may raise ``NotNow``."""

    def __init__(self, document: Document, writer: Redis, reader: Redis) -> None:
        self._document = document
        self._reader: Any = reader
        self._put = writer.register_script(guarded(_PUT, ALERTS_FORM_KEY))
        self._delete = writer.register_script(guarded(_DELETE, ALERTS_FORM_KEY))

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

    async def put(self, name: str, body: Mapping[str, Any], expected: Expected | None = None) -> Entry | bool:
        """Stores a rule under its name and says how it reads: with problems it was not stored. ``False`` when there are
        :data:`MOST` already. Raises :class:`Changed` when what is there is not ``expected``."""
        entry = read(self._document, {**body, "name": name})
        if entry.rule is None:
            return entry
        stored = msgspec.json.encode(entry.given)
        while True:
            known = await self._known(name, expected)
            with away():
                outcome = await self._put(keys=[keys.RULES], args=[name, known, stored, MOST])
            if outcome != b"changed":
                return entry if outcome == b"stored" else False

    async def delete(self, name: str, expected: Expected | None = None) -> bool:
        """Forgets a rule of the API. False when there was none. Raises :class:`Changed` as :meth:`put` does."""
        while True:
            known = await self._known(name, expected)
            if not known:
                return False
            with away():
                if await self._delete(keys=[keys.RULES], args=[name, known]) == b"gone":
                    return True

    async def _known(self, name: str, expected: Expected | None) -> bytes:
        """What is stored, empty for nothing. Raises :class:`Changed`."""
        with away():
            stored: bytes = await self._reader.hget(keys.RULES, name) or b""
        there = read(self._document, msgspec.json.decode(stored)) if stored else None
        if expected is not None and not expected(there):
            raise Changed(there)
        return stored


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
