"""Secrets that are sent as they are: where a vendor cannot sign, whoever knows the secret is believed."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.ingest.verify.presented import Outcome, Presented, Verdict, unbase64

HEADER: Final = "x-webhook-token"
PARAMETERS: Final = ("token", "secret")
"""The URL's parameters that may hold the secret; ours, and the one that vendors' documents show."""


class Place(StrEnum):
    """Where a request may hold the secret."""

    HEADER = "header"
    BEARER = "bearer"
    BASIC = "basic"
    URL = "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The secret itself, in one of ``places``.

    With Basic the secret is the password of ``user``, or, when no user is configured, the password of any user or
    the whole ``user:password``.
    """

    places: tuple[Place, ...]
    header: str = HEADER
    user: str | None = None

    @property
    def signature_header(self) -> str:
        return self.header if Place.HEADER in self.places else "authorization"

    @property
    def timestamp_header(self) -> str | None:
        return None

    @property
    def id_header(self) -> str | None:
        return None

    @property
    def asks(self) -> str:
        words = {
            Place.HEADER: f"the secret in the header {self.header}",
            Place.BEARER: "Authorization: Bearer with the secret",
            Place.BASIC: "Authorization: Basic with the secret as password",
            Place.URL: "?token= with the secret in the URL",
        }
        return ", or ".join(words[place] for place in self.places)

    @property
    def private(self) -> frozenset[str]:
        return frozenset({self.header, "authorization"})

    def verdict(self, presented: Presented, secrets: Sequence[str], at_us: int, tolerance_s: int | None) -> Verdict:
        offered = [credential for credential in self._offered(presented) if credential]
        if not offered:
            return Verdict(Outcome.MISSING_TOKEN)
        fitting: int | None = None
        for index, secret in enumerate(secrets):
            expected = secret.encode("utf-8", "surrogatepass")
            for credential in offered:
                if hmac.compare_digest(expected, credential) and fitting is None:
                    fitting = index
        return Verdict(Outcome.BAD_TOKEN) if fitting is None else Verdict(Outcome.ACCEPTED, fitting)

    def secret_problem(self, secret: str) -> str | None:
        # Proxies and servers cut such a secret out of a header, so no sender could ever present it.
        if secret != secret.strip() or any(ord(character) < 32 for character in secret):
            return "a secret that is sent as it is must not begin or end with white space or hold line breaks"
        return None

    def _offered(self, presented: Presented) -> Iterator[bytes]:
        for place in self.places:
            match place:
                case Place.HEADER:
                    yield _raw(presented.headers.get(self.header, "").strip())
                case Place.BEARER:
                    yield _raw(_credentials(presented, "bearer"))
                case Place.BASIC:
                    yield from self._basic(unbase64(_credentials(presented, "basic")) or b"")
                case Place.URL:
                    for name in PARAMETERS:
                        yield presented.query.get(name, "").encode("utf-8", "surrogatepass")

    def _basic(self, credentials: bytes) -> Iterator[bytes]:
        user, _, password = credentials.partition(b":")
        if self.user is None:
            yield credentials
            yield password
        elif hmac.compare_digest(user, self.user.encode()):
            yield password
        else:
            yield b"" if not credentials else b"\0"  # somebody else's: offered, and never a secret


def _credentials(presented: Presented, kind: str) -> str:
    word, _, rest = presented.headers.get("authorization", "").strip().partition(" ")
    return rest.strip() if word.lower() == kind else ""


def _raw(value: str) -> bytes:
    """The bytes that were sent: servers hand header values over as Latin-1."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
