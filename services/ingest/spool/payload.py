"""The records of one delivery as the bytes of one entry, and back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.failure import Invalid, Reason
from services.stream.record import Outgoing


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A record as it is written. A later version may add a field at the end, with a default."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


_decoder = msgspec.msgpack.Decoder(tuple[_Kept, ...])


def to_bytes(records: Sequence[Outgoing]) -> bytes:
    """The entry of ``records``, in their order."""
    return msgspec.msgpack.encode([_Kept(r.topic, r.key, r.value, tuple(r.headers)) for r in records])


def from_bytes(payload: bytes) -> tuple[Outgoing, ...]:
    """Raises :class:`Invalid` for bytes that :func:`to_bytes` did not make."""
    try:
        kept = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "not an entry of this version's spool") from None
    return tuple(Outgoing(one.topic, one.key, one.value, one.headers) for one in kept)
