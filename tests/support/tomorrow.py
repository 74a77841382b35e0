"""``python -m tests.support.tomorrow SERVICE``: the release after this one, which has a version 2 of the state.

In it a ticket is packed with another dictionary, which the release of today does not have. (It is the same one under
another number: what matters is who knows it.)
"""

from __future__ import annotations

from schemas import compact, forms

NEWEST = 2
_OTHER = bytes([NEWEST])


def become() -> None:
    """To be called before anything else of ours is imported."""
    forms.KNOWN = forms.Known(reads=0, writes=1, newest=NEWEST)  # type: ignore[misc]
    restored = compact.restored

    def known(stored: bytes) -> bytes:
        return restored(b"\x01" + stored[1:] if stored[:1] == _OTHER else stored)

    compact.restored = known
    from schemas import state

    packed = state.pack

    def pack(entry: state.Entry) -> bytes:
        return _OTHER + packed(entry)[1:] if entry.form == NEWEST else packed(entry)

    state.pack = pack


if __name__ == "__main__":
    become()
    from services.cli import main

    main()
