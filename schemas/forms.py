"""The versions of what lies in Redis. A version is one number for everything that the services keep there.

It is raised when code that does not know the change would misread what lies there or overwrite it wrongly; a field that
is appended with a default is no such change. What every version is stands in docs/guides/upgrade.md.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Known(Struct, frozen=True):
    """What a release can do: it reads versions from ``reads`` and writes versions from ``writes``, both up to
    ``newest``."""

    reads: int
    writes: int
    newest: int

    def refusal(self, oldest: int | None, newest: int) -> str | None:
        """Why state in which versions ``oldest`` (``None``: no partition has any) to ``newest`` occur must not be
        touched by this release, and what to do about it. ``None`` if it can be."""
        if newest > self.newest:
            return (
                f"The state in Redis is of version {newest} and this replica knows versions up to {self.newest}: "
                "upgrade this replica"
            )
        if oldest is not None and oldest < self.reads:
            return (
                f"The state in Redis is of version {oldest} and this replica reads versions from {self.reads} on: "
                "run the release before this one until `deskpulse state` says that nothing is left to rewrite"
            )
        return None


KNOWN: Final = Known(reads=0, writes=1, newest=1)
"""Version 0 is everything from before versions were written down; version 1 is that of tickets as ADR 0018 has them."""

NEWER: Final = "NEWERSTATE"
"""What the error of a script begins with that met a newer version than it knows."""

STATE_KEY: Final = "dp:{state}"
"""Hash: ``hold``, the version above which nothing is to be written, where somebody asked for that."""

READERS_KEY: Final = "dp:{state}:readers"
"""Hash: the processes that read or write state, each with the newest version that it knows and the second in which it
last said so."""

SHARED_FORM_KEY: Final = "dp:{segments}:form"
"""String: the newest version of what all partitions share (``dp:{segments}:…``)."""

ALERTS_FORM_KEY: Final = "deskpulse:{alerts}:form"
"""String: the newest version of what the alerts have there (``deskpulse:{alerts}:…``)."""
