"""Who sent this webhook: one table of the ways in which vendors authenticate, and pure functions that apply them.

A new vendor is a new entry of :data:`WAYS`. Secrets rotate by overlap: a source lists the new one beside the old
one, and the verdict says which was used, so that an operator sees when the old one is no longer needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.ingest.verify.presented import Key, Outcome, Presented, Scheme, Verdict, says_nothing
from services.ingest.verify.vendors import SCHEMES, WAYS, Chosen, chosen, keys_url, secret_problem

__all__ = [
    "SCHEMES",
    "WAYS",
    "Chosen",
    "Key",
    "Outcome",
    "Presented",
    "Scheme",
    "Verdict",
    "chosen",
    "keys_url",
    "says_nothing",
    "secret_problem",
    "verify",
]


def verify(
    scheme: Scheme,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    at_us: int,
    tolerance_s: int | None,
    target: str = "",
    query: Mapping[str, str] | None = None,
    keys: Mapping[str, Key] | None = None,
) -> Verdict:
    """Whether one of ``secrets`` proves the request, signed at most ``tolerance_s`` away from ``at_us`` either way.

    ``headers`` have lower-case names. ``tolerance_s`` ``None`` leaves times unread (they are still signed).
    ``target`` is the method and the full public URL, ``query`` the URL's parameters, ``keys`` the vendor's public
    keys by their id, each for the schemes that need it.

    Never raises for anything a stranger can send. The time it takes does not depend on which secret fits: all are
    compared. Whether a timestamp is fresh is told only to those who could sign.
    """
    return scheme.verdict(Presented(headers, body, target, query or {}, keys or {}), secrets, at_us, tolerance_s)
