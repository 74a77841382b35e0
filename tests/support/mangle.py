"""Webhooks that no helpdesk would send: deliveries made from good ones, at random and the same for the same seed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

Pairs = list[tuple[bytes, bytes]]

ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 1e308, -1e-320),
    *(float("nan"), float("inf"), "", " ", "0", "-0", "²", "١٢", "1e400", "nan", "\x00", "\ud800", "a\udfffb"),
    *("é" * 50, "\u202e\ufeff", "👩‍👩‍👧", "x" * 5000, "../../etc", "2026-02-30T25:61:61Z", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59.999999-23:59", "2026-03-02T09:00:00", 253402300800, -62135596801, 1e18, "1772442000000"),
    *([], [None], [[]], ["x", 1], {}, {"id": []}, {"id": None}, {"": ""}, {"\ud800": 1}, [{}] * 30),
)
LARGEST: Final = 1_048_576
"""What ingest reads at most where nothing else is configured."""

_GARBAGE: Final = (
    *(b"", b" ", b"0", b"-1", b"nan", b"1e999", b"9" * 400, b"v1,", b"sha1=", b"sha256=zz", b"====", b"\xff\xfe\x00"),
    *(b"Basic", b"Basic !", b"Bearer", b"Bearer  x", b"a.b.c", b"eyJhbGciOiJub25lIn0.e30.", b"\xc3\x28", b"," * 2000),
    *("²".encode(), "1772442000٠".encode(), b"2026-03-02T09:00:00Z", b"0001-01-01T00:00:00+23:59", b"x" * 20_000),
)
_TYPES: Final = (
    *(b"text/plain", b"", b"application/xml", b"multipart/form-data", b"application/json; charset=utf-7", b"\xff"),
    *(b"application/x-www-form-urlencoded", b"application/cloudevents+json", b"application/cloudevents-batch+json"),
)


def body(rng: Random, good: bytes) -> bytes:
    """One to four changes of what ``good`` says or of its bytes; one in twenty stays as it is."""
    if rng.random() < 0.05:
        return good
    try:
        said = json.loads(good)
    except ValueError:
        return _bytes(rng, good)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        said = _changed(rng, said)
    raw = json.dumps(said, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    return _bytes(rng, raw) if rng.random() < 0.25 else raw


def _changed(rng: Random, said: Any) -> Any:
    """``said`` with one of its values replaced, gone, moved or wrapped."""
    ways = list(_ways(said))
    if not ways or rng.random() < 0.03:
        return rng.choice((ODD[rng.randrange(len(ODD))], [said], {"data": said}, [said] * rng.randrange(12)))
    way = rng.choice(ways)
    changed = copy.deepcopy(said)
    inner = changed
    for part in way[:-1]:
        inner = inner[part]
    last, old = way[-1], inner[way[-1]]
    match rng.randrange(10):
        case 0 | 1:
            del inner[last]
        case 2:
            inner[last] = [old]
        case 3:
            inner[last] = {"value": old, "id": old}
        case 4:
            inner[last] = str(old) if not isinstance(old, str) else (int(old) if old.isdecimal() else old[::-1])
        case 5:
            other = changed
            for part in rng.choice(ways):
                if not isinstance(other, dict | list) or part not in (
                    other if isinstance(other, dict) else range(len(other))
                ):
                    break
                other = other[part]
            inner[last] = copy.deepcopy(other)
        case _:
            inner[last] = copy.deepcopy(rng.choice(ODD))
    return changed


def _ways(value: Any, way: tuple[Any, ...] = ()) -> Any:
    if way:
        yield way
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _ways(inner, (*way, key))


def _bytes(rng: Random, raw: bytes) -> bytes:
    """``raw`` damaged, or other bytes."""
    at = rng.randrange(len(raw) + 1)
    match rng.randrange(14):
        case 0:
            return raw[:at]
        case 1:
            return b""
        case 2:
            return rng.randbytes(rng.randrange(300))
        case 3:
            return raw[:at] + rng.randbytes(rng.randrange(1, 9)) + raw[at:]
        case 4:
            return raw.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")))
        case 5:
            return raw.decode("utf-8", "replace").encode("latin-1", "replace") + b"\xe9"
        case 6:
            depth = rng.choice((100, 1000, 50_000))
            opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
            return raw[:-1] + b',"deep":' + opening * depth + b"1" + closing * depth + b"}"
        case 7:
            return raw.replace(b"{", b'{"id": 1, "id": [], "type": null, "event": 7, ', rng.choice((1, -1)))
        case 8:
            return raw.replace(b"0", rng.choice((b"NaN", b"-Infinity", b"1e400", b"0" * 50, b"9" * 5000)), 3)
        case 9:
            return raw.replace(b'"', rng.choice((b'"\\ud800', b'"\\u0000', b"'", b'"\\x')), rng.randrange(1, 20))
        case 10:
            return raw + rng.choice((raw, b"]", b"\x00", b"\n" * 500))
        case 11 if rng.random() < 0.15:
            return raw[:-1] + b',"long":"' + b"x" * (LARGEST - len(raw) + rng.randrange(-100, 100)) + b'"}'
        case 12 if rng.random() < 0.15:
            return raw.replace(b'":"', b'":"' + b"y" * 100_000, 3).replace(b'": "', b'": "' + b"z" * 100_000, 3)
        case _:
            damaged = bytearray(raw or b"{}")
            for _ in range(rng.randrange(1, 6)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            return bytes(damaged)


@dataclass
class Asked:
    """One request: ``chunks`` is the body as it arrives; ``cut_off`` when the sender goes before its end."""

    path: str
    query: str
    headers: Pairs
    chunks: list[bytes]
    method: str = "POST"
    cut_off: bool = False
    changes: list[str] = field(default_factory=list)

    def change(self, rng: Random, meaning: list[bytes]) -> None:
        """Breaks the request outside its body. ``meaning`` are the names of the headers that are read."""
        change = rng.choice(_CHANGES)
        self.changes.append(change.__name__.strip("_"))
        change(self, rng, meaning)

    def content_type(self, rng: Random) -> None:
        """Says of the body that it is something else."""
        self.headers = [pair for pair in self.headers if pair[0] != b"content-type"]
        if rng.random() < 0.8:
            self.headers.append((b"content-type", rng.choice(_TYPES)))


def _missing(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    gone = rng.choice(meaning)
    asked.headers = [pair for pair in asked.headers if pair[0] != gone]
    asked.query = ""


def _garbage(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    name = rng.choice(meaning)
    asked.headers = [pair for pair in asked.headers if pair[0] != name] + [(name, rng.choice(_GARBAGE))]
    asked.query = "" if rng.random() < 0.5 else asked.query


def _twice(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    pair = (rng.choice(meaning), rng.choice(_GARBAGE))
    asked.headers = [pair, *asked.headers] if rng.random() < 0.5 else [*asked.headers, pair]


def _damaged(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    name = rng.choice(meaning)
    asked.headers = [
        (one, value[: rng.randrange(len(value) + 1)] if one == name else value) for one, value in asked.headers
    ]


def _many(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    asked.headers += [(b"x-%d" % number, rng.randbytes(20)) for number in range(200)]


def _address(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    asked.path = rng.choice(
        ("/webhooks/nobody", "/webhooks", "/webhooks/", "/", "/webhooks/%00", "/webhooks/\ud7ff", "/webhooks/a/b", "//")
    )


def _method(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    asked.method = rng.choice(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"))


def _parameters(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    asked.query = rng.choice(
        ("token=", "token=%ff&secret=%00", "secret=a&secret=b", "&&=&", "token=" + "%" * 999, "²=é")
    )


def _length(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    lie = rng.choice((b"0", b"-1", b"99999999999999999999999", b"abc", b"1, 2", "²".encode(), b"", b"9" * 5000))
    asked.headers = [pair for pair in asked.headers if pair[0] != b"content-length"] + [(b"content-length", lie)]


def _too_long(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    asked.chunks = [b" " * 262_144] * 5


def _in_pieces(asked: Asked, rng: Random, meaning: list[bytes]) -> None:
    whole = b"".join(asked.chunks)[:4000]
    asked.chunks = [whole[at : at + 13] for at in range(0, len(whole), 13)]
    asked.cut_off = rng.random() < 0.5


_CHANGES: Final[tuple[Callable[[Asked, Random, list[bytes]], None], ...]] = (
    *(_missing, _garbage, _garbage, _twice, _damaged, _many, _address, _method, _parameters, _length, _in_pieces),
    *(_missing, _garbage, _garbage, _twice, _damaged, _too_long),
)
