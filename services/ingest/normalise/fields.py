"""Reading fields of a vendor's JSON: every accessor says in plain words which field is wrong.

No accessor quotes a value: it may be text of a customer.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson

from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339
from services.ingest.delivery import MAX_DEPTH

Object = Mapping[str, Any]
Word = TypeVar("Word")

ID_LENGTH: Final = 200
"""Longest id that is taken; real ones are below 64. Longer ones would only bloat keys."""


def json_of(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """The JSON value of ``body``. Raises :class:`Invalid`: NOT_JSON, or TOO_DEEP where objects and arrays lie within
    one another more than ``max_depth`` times, at most 1024."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        if "depth" in exc.msg:
            raise Invalid(Reason.TOO_DEEP, "the JSON is nested too deeply") from None
        raise Invalid(Reason.NOT_JSON, "the body is not JSON in UTF-8") from None
    if max_depth < MAX_DEPTH and _deeper(value, max_depth):
        raise Invalid(Reason.TOO_DEEP, f"the JSON is nested more than {max_depth} levels deep")
    return value


def _deeper(value: Any, max_depth: int) -> bool:
    """Whether ``value`` has more than ``max_depth`` levels. One level at a time, so that depth costs no stack."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        if not level:
            return False
        inner = (one for outer in level for one in (outer.values() if isinstance(outer, dict) else outer))
        level = [one for one in inner if isinstance(one, dict | list)]
    return bool(level)


def obj(parent: Object, name: str, path: str) -> Object:
    """The object ``name``. Raises :class:`Invalid` when it is missing or something else."""
    value = parent.get(name)
    if isinstance(value, dict):
        return value
    if value is None:
        raise Invalid(Reason.MISSING_FIELD, f"{path} is missing")
    raise Invalid(Reason.BAD_VALUE, f"{path} must be an object")


def identifier(value: Any, path: str) -> str | None:
    """An id as text; ``None`` for what vendors write where there is none: null, ``""`` and ``"0"``."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be an id (text or a whole number)")
    text = str(value).strip()
    if len(text) > ID_LENGTH:
        raise Invalid(Reason.BAD_VALUE, f"{path} is longer than {ID_LENGTH} characters")
    return None if text in ("", "0") else text


def required(value: Any, path: str) -> str:
    """An id that must be there."""
    found = identifier(value, path)
    if found is None:
        raise Invalid(Reason.MISSING_FIELD, f"{path} is missing")
    return found


def boolean(parent: Object, name: str, path: str) -> bool:
    """A flag that must be there."""
    value = parent.get(name)
    if value is None:
        raise Invalid(Reason.MISSING_FIELD, f"{path} is missing")
    if not isinstance(value, bool):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be true or false")
    return value


def instant(value: Any, path: str) -> datetime:
    """A time with an offset."""
    if value is None or value == "":
        raise Invalid(Reason.MISSING_FIELD, f"{path} is missing")
    try:
        if not isinstance(value, str):
            raise ValueError("not text")  # noqa: TRY004, TRY301  # answered like any other text that is not a time
        return parse_rfc3339(value)
    except (ValueError, OverflowError):
        raise Invalid(
            Reason.BAD_VALUE, f"{path} must be a time with its offset from UTC, such as 2026-03-02T09:00:00Z"
        ) from None


def word(value: Any, words: Mapping[str, Word], path: str) -> Word:
    """One of ``words``, whose keys are lower case; the spelling's case does not matter."""
    if not isinstance(value, str):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be text")
    found = words.get(value.strip().lower())
    if found is None:
        raise Invalid(Reason.BAD_VALUE, f"{path} is none of: {', '.join(words)}")
    return found


def words(value: Any, path: str) -> tuple[str, ...]:
    """A list of texts, sorted and each once; null is none."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be a list of texts")
    return tuple(sorted({item.strip() for item in value} - {""}))


@lru_cache(maxsize=4096)  # a ticket's requester comes with each of its events, and often acts too
def pseudonym(hash_key: bytes, customer: str) -> str:
    """A stable stand-in for a customer: cannot be turned back without ``hash_key``, equal for equal customers."""
    return hmac.digest(hash_key, b"customer:" + customer.encode(), "sha256").hex()[:32]
