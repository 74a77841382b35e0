"""Short forms of stored records: Zstandard with a dictionary that is part of this contract.

What a ticket is made of repeats: field by field, ticket by ticket, and its facts say again what the ticket says. The
dictionary (:mod:`schemas.dictionary`) knows the words and the shapes of records in advance, so that even a few hundred
bytes get shorter, and the code that reads and writes records stays one call in C.

A short form begins with the number of its dictionary, 1 to 127: no record that is not one begins so, since MessagePack
arrays begin with 0x90 or more. A dictionary is never changed, or what was written with it could not be read: a better
one gets the next number.
"""

from __future__ import annotations

from base64 import b85decode
from threading import local
from typing import Final

from zstandard import (
    FORMAT_ZSTD1_MAGICLESS,
    STRATEGY_FAST,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
)

from schemas.dictionary import FIRST
from schemas.failure import NotNow

_NUMBER: Final = b"\x01"
_LAST: Final = 0x7F
_FORM: Final = FORMAT_ZSTD1_MAGICLESS
_PARAMETERS: Final = ZstdCompressionParameters(
    window_log=13,
    chain_log=12,
    hash_log=12,
    search_log=1,
    min_match=4,
    target_length=0,
    strategy=STRATEGY_FAST,
    format=_FORM,
    write_content_size=True,
    write_checksum=False,
    write_dict_id=False,
)
_WORDS: Final = b85decode(FIRST.replace("\n", ""))
_WRITTEN_WITH: Final = ZstdCompressionDict(_WORDS)
_WRITTEN_WITH.precompute_compress(compression_params=_PARAMETERS)
_READ_WITH: Final = ZstdCompressionDict(_WORDS)


class _Codec(local):
    """One of each for every thread: they are not made to be shared."""

    def __init__(self) -> None:
        self.compress = ZstdCompressor(dict_data=_WRITTEN_WITH, compression_params=_PARAMETERS).compress
        self.decompress = ZstdDecompressor(dict_data=_READ_WITH, format=_FORM).decompress


_codec: Final = _Codec()


def is_short(stored: bytes) -> bool:
    """Whether :func:`shortened` made it."""
    return 0 < stored[0] <= _LAST


def shortened(record: bytes) -> bytes:
    """The short form of a record."""
    return _NUMBER + _codec.compress(record)


def restored(stored: bytes) -> bytes:
    """The record of a short form. Raises ``NotNow`` for one of a dictionary that is not known here: a newer version
    wrote it, and this replica has to be upgraded before it can go on."""
    if stored[:1] != _NUMBER:
        raise NotNow(f"a stored record has the form {stored[0]}, which a newer version writes: upgrade this replica")
    return _codec.decompress(memoryview(stored)[1:])
