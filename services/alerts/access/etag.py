"""Validators of answers (RFC 9110, 8.8 and 13): whether a client already has what it asks for."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Any, Final

import orjson

_CLOCK: Final = frozenset({"as_of", "due_in_s"})
_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class Again(StrEnum):
    """How a client that has an answer asks again (RFC 9110, 13)."""

    AFRESH = "afresh"
    """There is no validator: the answer is of its own moment, or a stream."""
    SAME = "same"
    """A strong ETag of the bytes: 304 while nothing changed."""
    TICKING = "ticking"
    """A weak ETag of everything but the clock (`as_of`, `due_in_s`): 304 while only time has passed."""
    OWN = "own"
    """The route names the version of the thing itself, for If-Match."""


def etag(body: bytes, again: Again) -> str | None:
    """The ETag of an answer; ``None`` where it has none."""
    if again is Again.SAME:
        return f'"{_digest(body)}"'
    if again is Again.TICKING:
        still = orjson.dumps(_still(orjson.loads(body)), option=orjson.OPT_SORT_KEYS)
        return f'W/"{_digest(still)}"'
    return None


def version(body: bytes) -> str:
    """A short name of these bytes, for an ETag that a route makes itself."""
    return _digest(body)


def same(header: str | None, tag: str) -> bool:
    """Whether If-None-Match names ``tag``, by the weak comparison."""
    return header is not None and (header.strip() == "*" or _opaque(tag) in map(_opaque, _TAG.findall(header)))


def matches(header: str, tag: str | None) -> bool:
    """Whether If-Match allows a change of what has ``tag`` now (``None``: there is nothing); it compares strongly."""
    if header.strip() == "*":
        return tag is not None
    return tag is not None and any(one == tag and not one.startswith("W/") for one in _TAG.findall(header))


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _still(one) for name, one in value.items() if name not in _CLOCK}
    return [_still(one) for one in value] if isinstance(value, list) else value


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
