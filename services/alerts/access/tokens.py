"""The configured tokens."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from services.alerts.access.identity import Identity, Proof
from services.config.access import ApiToken


class Tokens:
    """Which of the configured tokens somebody presents. Only digests are compared, with every one of them, so that the
    time taken tells neither how much of a token was right nor which one it was."""

    def __init__(self, configured: Sequence[ApiToken]) -> None:
        self._known = [
            (
                _digest(token.token.get_secret_value()),
                Identity(
                    key=f"token {token.name}" if token.name is not None else f"unnamed token {number}",
                    name=token.name,
                    role=token.role,
                    proof=Proof.TOKEN,
                    teams=frozenset(token.teams),
                ),
            )
            for number, token in enumerate(configured, 1)
        ]

    def holder(self, presented: str) -> Identity | None:
        """Whose token it is; ``None`` when it is nobody's."""
        digest, found = _digest(presented), None
        for known, identity in self._known:
            if hmac.compare_digest(known, digest):
                found = identity
        return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
