"""One human line for each JSON log line of a service. Pure: what is shown is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

import orjson

LONGEST_VALUE: Final = 120
"""Characters of one field's value; the whole is in the JSON line."""

_COLOURS: Final = {"warning": "33", "error": "31", "critical": "31;1", "service": "36", "time": "2"}
_NOT_FIELDS: Final = frozenset(
    {
        *("time", "service", "level", "event", "logger", "exception", "stack_info", "message"),
        *("alert_id", "event_id"),  # what they name is told by other fields, which a person can read
    }
)
_NOISE: Final = frozenset({"listening", "started", "stopped", "stop_requested", "kafka_connected", "library_message"})
"""What every start and stop brings, and `up` says in its own words."""
_RATE: Final = (3, 5.0)
_RATES: Final = {"simulation_progress": (1, 30.0)}
"""At most so many lines of one event in so many seconds."""


def human(line: str, service: str, *, colour: bool = False, zone: tzinfo | None = None) -> str | None:
    """``line`` for a person, or None when it is not worth one. ``service`` is who printed it.

    What is not JSON (a traceback of a service that could not even start its log) is shown as it is. Instants are
    shown in ``zone``; None is the zone of this machine.
    """
    entry = _entry(line)
    if entry is None:
        return f"{'':8}  {_paint(f'{service:<8}', 'service', colour)}  {line}" if line.strip() else None
    level = str(entry.get("level", "info"))
    event = str(entry.get("event", ""))
    if level == "debug" or (level == "info" and event in _NOISE):
        return None
    what = str(entry.get("message") or "").strip() if event == "library_message" else event.replace("_", " ")
    words = " ".join(what.split())
    fields = " ".join(f"{name}={value}" for name, value in _fields(entry))
    told = f"{words}  {fields}" if fields else words
    return "  ".join(
        (
            _paint(f"{_time(entry.get('time'), zone):8}", "time", colour),
            _paint(f"{entry.get('service') or service:<8}", "service", colour),
            _paint(f"{level:<7}", level, colour),
            told,
        )
    )


class Calm:
    """Keeps a flood of equal events from scrolling everything else away. Warnings and errors always pass."""

    def __init__(self) -> None:
        self._since_s: dict[tuple[str, str], float] = {}
        self._seen: dict[tuple[str, str], int] = {}

    def lets(self, line: str, service: str, now_s: float) -> tuple[bool, int]:
        """Whether to show ``line``, and how many like it were held back before it. ``now_s`` is of a clock that
        never jumps."""
        entry = _entry(line)
        if entry is None or entry.get("level") != "info":
            return True, 0
        key = (service, str(entry["event"]))
        most, period_s = _RATES.get(key[1], _RATE)
        held = 0
        if now_s - self._since_s.get(key, float("-inf")) >= period_s:
            held = max(0, self._seen.get(key, 0) - most)
            self._since_s[key], self._seen[key] = now_s, 0
        self._seen[key] += 1
        return self._seen[key] <= most, held


def as_json(line: str, service: str, level: str = "warning") -> str:
    """``line`` itself when it is a JSON log line, else a JSON log line that holds it."""
    if _entry(line) is not None:
        return line
    held = {"service": service, "level": level, "event": "output", "message": line}
    return orjson.dumps(held).decode()


def _entry(line: str) -> Mapping[str, Any] | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None


def _time(written: object, zone: tzinfo | None) -> str:
    try:
        return datetime.fromisoformat(str(written)).astimezone(zone).strftime("%H:%M:%S")
    except ValueError:
        return ""


def _fields(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in entry.items():
        if name not in _NOT_FIELDS and value is not None and value not in ({}, [], ""):
            yield name, _shown(value)
    if isinstance(raised := entry.get("exception"), str) and raised.strip():
        yield "exception", _shown(raised.strip().splitlines()[-1])


def _shown(value: object) -> str:
    match value:
        case str():
            text = " ".join(value.split())
        case bool() | dict():
            text = orjson.dumps(value, default=str).decode()
        case float():
            text = f"{value:.6g}"
        case list():
            text = ",".join(_shown(item) for item in value)
        case _:
            text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _paint(text: str, what: str, colour: bool) -> str:
    code = _COLOURS.get(what)
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text
