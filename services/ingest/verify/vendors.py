"""The table: how each vendor authenticates, and which options say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from services.ingest.verify import front, hubspot
from services.ingest.verify.json_web_token import JsonWebToken
from services.ingest.verify.outbound_message import OutboundMessage
from services.ingest.verify.presented import Scheme
from services.ingest.verify.signature import (
    Signature,
    hexadecimal,
    hmac_sha1,
    prefixed,
    rfc3339_us,
    standard,
    standard_keys,
    timed,
    unix_s_us,
    versioned,
)
from services.ingest.verify.token import HEADER, Place, Token

Options = Mapping[str, str]
ZOHO_KEYS: Final = "https://desk.zoho.com/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a vendor's sources can authenticate: ``needs`` and ``takes`` name its options."""

    scheme: Callable[[Options], Scheme]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.needs, *self.takes)


def _fixed(scheme: Scheme) -> Way:
    return Way(lambda _: scheme)


def _token(*places: Place) -> Way:
    takes = (*(("header",) if Place.HEADER in places else ()), *(("user",) if Place.BASIC in places else ()))
    return Way(
        lambda options: Token(places=places, header=options.get("header", HEADER).lower(), user=options.get("user")),
        takes=takes,
    )


_STANDARD: Final = Signature(
    signature_header="webhook-signature",
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    instant_us=unix_s_us,
    contents=standard,
    keys=standard_keys,
    offered=versioned,
)
_HEADER, _BEARER, _BASIC, _URL = (_token(place) for place in (Place.HEADER, Place.BEARER, Place.BASIC, Place.URL))

WAYS: Final[Mapping[str, Mapping[str, Way]]] = {
    "chatwoot": {
        "signature": _fixed(
            Signature(
                signature_header="x-chatwoot-signature",
                timestamp_header="x-chatwoot-timestamp",
                instant_us=unix_s_us,
                contents=timed("."),
                encode=hexadecimal,
                offered=prefixed("sha256="),
            )
        ),
        "token": _URL,  # servers from before 2026 do not sign
    },
    "cloudevents": {"signature": _fixed(_STANDARD), "bearer": _BEARER},
    "freescout": {"signature": _fixed(Signature(signature_header="x-freescout-signature", mac=hmac_sha1))},
    "freshdesk": {"token": _token(Place.HEADER, Place.BASIC), "header": _HEADER, "basic": _BASIC},
    # https://dev.frontapp.com/docs/webhooks-1
    "front": {
        "signature": _fixed(front.EITHER),
        "application": _fixed(front.APPLICATION),
        "rule": _fixed(front.RULE),
    },
    "generic": {"signature": _fixed(_STANDARD)},
    "gorgias": {"token": _token(Place.HEADER, Place.URL), "header": _HEADER, "url": _URL},
    # https://developer.helpscout.com/webhooks/
    "helpscout": {"signature": _fixed(Signature(signature_header="x-helpscout-signature", mac=hmac_sha1))},
    "hubspot": {
        "signature": Way(lambda _: hubspot.NEWEST_OFFERED, needs=("public_url",)),
        "v3": Way(lambda _: hubspot.V3, needs=("public_url",)),
    },
    # https://developers.intercom.com/docs/webhooks/webhook-notifications
    "intercom": {
        "signature": _fixed(
            Signature(signature_header="x-hub-signature", mac=hmac_sha1, encode=hexadecimal, offered=prefixed("sha1="))
        )
    },
    # https://developer.atlassian.com/cloud/jira/platform/webhooks/
    "jira": {
        "signature": _fixed(
            Signature(signature_header="x-hub-signature", encode=hexadecimal, offered=prefixed("sha256="))
        ),
        "token": _URL,  # webhooks that apps register are not signed
    },
    "salesforce": {
        "token": _token(Place.BEARER, Place.HEADER),
        "bearer": _BEARER,
        "header": _HEADER,
        "soap": Way(
            lambda options: OutboundMessage(organization_id=options["organization_id"]), needs=("organization_id",)
        ),
    },
    "servicenow": {
        "token": _token(Place.BEARER, Place.BASIC, Place.HEADER),
        "bearer": _BEARER,
        "basic": _BASIC,
        "header": _HEADER,
        "signature": Way(
            lambda options: Signature(signature_header=options.get("header", "x-servicenow-signature").lower()),
            takes=("header",),
        ),
    },
    # lib/user_agent.rb of https://github.com/zammad/zammad
    "zammad": {
        "signature": _fixed(
            Signature(signature_header="x-hub-signature", mac=hmac_sha1, encode=hexadecimal, offered=prefixed("sha1="))
        ),
        "basic": _BASIC,
        "bearer": _BEARER,
    },
    # https://developer.zendesk.com/documentation/webhooks/verifying/
    "zendesk": {
        "signature": _fixed(
            Signature(
                signature_header="x-zendesk-webhook-signature",
                timestamp_header="x-zendesk-webhook-signature-timestamp",
                instant_us=rfc3339_us,
                contents=timed(""),
            )
        )
    },
    "zoho_desk": {
        "jwt": Way(
            lambda options: JsonWebToken(
                signature_header="x-zdesk-jwt",
                issuer=f"orgId:{options['org_id']}",
                audience=f"webhookId:{options['webhook_id']}",
                keys_url=options.get("jwks_url", ZOHO_KEYS),
            ),
            needs=("org_id", "webhook_id"),
            takes=("jwks_url",),
        ),
        "token": _URL,
    },
}
"""By the name that ``vendor`` has in the configuration, then by the name that ``options.auth`` has; the first way
of a vendor is taken when nothing is said."""

SCHEMES: Final[Mapping[str, Scheme]] = {
    vendor: way.scheme(dict.fromkeys(way.needs, "")) for vendor, ways in WAYS.items() for way in [*ways.values()][:1]
}
"""What each vendor does when nothing is said, for those who need no option."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a source's ``options`` say about authentication: ``rest`` are the others, for normalising."""

    way: str
    scheme: Scheme
    public_url: str
    rest: Mapping[str, Any]


def chosen(vendor: str, options: Mapping[str, Any]) -> Chosen:
    """How a source of ``vendor`` authenticates. Raises ``ValueError`` with a line for each thing that cannot work,
    each beginning with the option's name."""
    ways = WAYS[vendor]
    name = options.get("auth", next(iter(ways)))
    way = ways.get(name) if isinstance(name, str) else None
    if way is None:
        raise ValueError(f"auth: '{name}' is no way of {vendor} to authenticate (there is: {', '.join(ways)})")
    said: dict[str, str] = {}
    problems = []
    for option in way.options:
        value = options.get(option)
        if value is None or value == "":
            if option in way.needs:
                problems.append(f"{option}: needed for auth '{name}': {_MEANS[option]}")
            continue
        # YAML reads an id of digits as a number.
        said[option] = str(value)
        if isinstance(value, bool) or not isinstance(value, str | int) or not _FORMS[option](said[option]):
            problems.append(f"{option}: must be {_MEANS[option]}")
    if problems:
        raise ValueError("\n".join(problems))
    rest = {option: value for option, value in options.items() if option not in {"auth", *way.options}}
    return Chosen(name, way.scheme(said), said.get("public_url", "").rstrip("/"), rest)


def secret_problem(vendor: str, secret: str, scheme: Scheme | None = None) -> str | None:
    """What is wrong with a configured secret, as one sentence without the secret; ``None`` when it can be used.

    ``scheme`` is the one that the source has chosen; without it the vendor's first one.
    """
    if not secret.strip():
        return "the secret is empty"
    return (scheme or SCHEMES[vendor]).secret_problem(secret)


def keys_url(scheme: Scheme) -> str | None:
    """Where the public keys are that ``scheme`` verifies with; ``None`` for the schemes that need none."""
    return scheme.keys_url if isinstance(scheme, JsonWebToken) else None


def _is_base_url(text: str) -> bool:
    parts = _url(text)
    return parts is not None and parts[0] in ("https", "http") and "/webhooks/" not in text and "?" not in text


def _is_keys_url(text: str) -> bool:
    parts = _url(text)
    return parts is not None and (parts[0] == "https" or parts[1] in ("127.0.0.1", "::1", "localhost"))


def _url(text: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return None
    return (parts.scheme, host) if host and "@" not in parts.netloc else None


_MEANS: Final[Mapping[str, str]] = {
    "header": "the name of a header, such as X-Webhook-Token",
    "jwks_url": "an https URL of a JSON Web Key Set",
    "org_id": "the organisation's id, which stands in the token as orgId",
    "organization_id": "the organisation's id, 15 or 18 letters and digits",
    "public_url": "the address that the helpdesk calls, up to /webhooks/, such as https://deskpulse.example.com",
    "user": "a user's name without a colon",
    "webhook_id": "the webhook's id, which stands in the token as webhookId",
}
_FORMS: Final[Mapping[str, Callable[[str], bool]]] = {
    "header": lambda text: re.fullmatch(r"[A-Za-z0-9-]{1,64}", text) is not None,
    "jwks_url": _is_keys_url,
    "org_id": lambda text: re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is not None,
    "organization_id": lambda text: re.fullmatch(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?", text) is not None,
    "public_url": _is_base_url,
    "user": lambda text: ":" not in text,
    "webhook_id": lambda text: re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is not None,
}
