"""A bucket as it lies in Redis, read without the reader."""

from __future__ import annotations

from typing import Any

import msgspec


async def held(redis: Any, key: str) -> dict[str, int | str]:
    """Its fields, and its version as ``@`` where it has one; nothing where there is no bucket."""
    match await redis.type(key):
        case b"string":
            packed = await redis.get(key)
            version = {}
            if packed.startswith(b"@"):
                version, packed = {"@": packed[1:13].decode()}, packed[13:]
            return {**(msgspec.msgpack.decode(packed) or {}), **version}
        case b"hash":
            fields = {name.decode(): value.decode() for name, value in (await redis.hgetall(key)).items()}
            return {name: value if name == "@" else int(value) for name, value in fields.items()}
    return {}
