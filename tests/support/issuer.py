"""An OpenID Connect issuer for tests: its keys, its documents, and the tokens that it signs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

URL: Final = "https://login.example.com/realms/support"
AUDIENCE: Final = "deskpulse"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A new private key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


class TestIssuer:
    """Answers discovery and key set from memory; ``away`` raises what it holds instead. Counts the questions."""

    __test__ = False

    def __init__(self, url: str = URL) -> None:
        self.url = url
        self.keys: dict[str, Key] = {"first": rsa_key()}
        self.away: Exception | None = None
        self.asked: list[str] = []
        self.about: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}

    async def fetch(self, url: str) -> bytes:
        """The document at ``url``."""
        self.asked.append(url)
        if self.away is not None:
            raise self.away
        return json.dumps(self.document(url)).encode()

    def document(self, url: str) -> dict[str, Any]:
        """As JSON would have it. Raises ``KeyError``."""
        return {
            f"{self.url}/.well-known/openid-configuration": self.about,
            f"{self.url}/keys": {"keys": [public(kid, key) for kid, key in self.keys.items()]},
        }[url]

    def token(self, at: datetime, kid: str = "first", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that it signs at ``at`` for an hour; a claim of ``None`` is left out."""
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "8f2c",
            "iat": at,
            "exp": at + timedelta(hours=1),
            "preferred_username": "kim",
            "roles": ["support-leads"],
        } | claims
        key = self.keys[kid]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        kept = {name: value for name, value in said.items() if value is not None}
        head = {"kid": kid} | (headers or {})
        return jwt.encode(kept, key, algorithm, headers={name: one for name, one in head.items() if one is not None})


def public(kid: str, key: Key) -> dict[str, Any]:
    """The public half as a JSON Web Key."""
    algorithm: Any = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return dict(algorithm.to_jwk(key.public_key(), as_dict=True)) | {"kid": kid, "use": "sig"}
