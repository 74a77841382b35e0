"""JSON lines on stderr: an ``event`` in snake_case and fields. Never a payload, a secret or an address."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

_LIBRARIES = (
    *("uvicorn", "uvicorn.error", "uvicorn.access", "aiokafka", "kafka", "faust", "mode", "asyncio"),
    *("httpx", "httpcore", "redis"),
    *("services.stream.runtime", "services.stream.faust_app"),  # where Faust's supervision logs our classes
)
_SENSITIVE = (
    *("secret", "token", "authorization", "signature", "password", "cookie", "hash_key"),
    *("body", "payload"),
)


def configure(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends structlog and the standard library's logging to ``stream`` (stderr) as JSON lines.

    Libraries speak from WARNING on. May be called again; the last call counts.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _Named(service),
        structlog.processors.format_exc_info,
        redacted,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[foreign, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def redacted(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Blanks the value of every field whose name speaks of a secret or of a message, at any depth."""
    return {key: _blanked(key, value) for key, value in event.items()}


def foreign(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Gives a line of a library the house form: a constant event name, its sentence as a field."""
    record = event.get("_record")
    event["message"] = event.get("event")
    event["event"] = "library_message"
    if isinstance(record, logging.LogRecord):
        event["logger"] = record.name
    return event


class Sampled:
    """Lets one of many equal lines through: what a stranger can trigger must not fill the disk.

    :meth:`allows` is true for the first ``key`` in every ``period_s``; keys beyond ``keys`` at once share one.
    """

    def __init__(self, period_s: float = 60.0, keys: int = 256) -> None:
        self._period_s = period_s
        self._keys = keys
        self._last: dict[str, float] = {}

    def allows(self, key: str, now_s: float) -> bool:
        """Whether to write the line now; ``now_s`` is of a clock that never jumps."""
        if key not in self._last and len(self._last) >= self._keys:
            key = ""
        last = self._last.get(key)
        if last is not None and now_s - last < self._period_s:
            return False
        self._last[key] = now_s
        return True


class _Named:
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = self._service
        return event


def _blanked(key: str, value: Any) -> Any:
    lowered = key.lower()
    if any(word in lowered for word in _SENSITIVE):
        return "***"
    if isinstance(value, dict):
        return {inner: _blanked(str(inner), item) for inner, item in value.items()}
    return value


def _json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
