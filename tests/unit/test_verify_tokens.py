"""Secrets that are sent as they are, Salesforce's organisation, Zoho's signed tokens, and the options that choose."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from services.config.reference import vendors
from services.ingest.verify import WAYS, Key, Outcome, Verdict, chosen, secret_problem, verify
from services.ingest.verify.json_web_token import keys_of
from services.ingest.verify.outbound_message import organization_of
from tests.support import signing

AT_S = 1_772_442_000
AT_US = AT_S * 1_000_000
SECRET = "0123456789abcdef"


def asked(
    vendor: str,
    options: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    body: bytes = b"{}",
    secrets: tuple[str, ...] = (SECRET,),
    keys: dict[str, Key] | None = None,
    at_us: int = AT_US,
) -> Verdict:
    scheme = chosen(vendor, options or {}).scheme
    return verify(scheme, headers or {}, body, secrets, at_us, 300, query=query, keys=keys)


HEADER = {"x-webhook-token": SECRET}
BASIC = signing.basic("deskpulse", SECRET)
BEARER = signing.bearer(SECRET)
IN_URL = {"token": SECRET}
SENT = {"header": HEADER, "basic": BASIC, "bearer": BEARER, "url": {}}
TAKES = {
    ("freshdesk", "token"): {"header", "basic"},
    ("freshdesk", "header"): {"header"},
    ("freshdesk", "basic"): {"basic"},
    ("gorgias", "token"): {"header", "url"},
    ("gorgias", "header"): {"header"},
    ("gorgias", "url"): {"url"},
    ("servicenow", "token"): {"header", "basic", "bearer"},
    ("servicenow", "header"): {"header"},
    ("servicenow", "basic"): {"basic"},
    ("servicenow", "bearer"): {"bearer"},
    ("salesforce", "token"): {"header", "bearer"},
    ("salesforce", "header"): {"header"},
    ("salesforce", "bearer"): {"bearer"},
    ("jira", "token"): {"url"},
    ("chatwoot", "token"): {"url"},
    ("zammad", "basic"): {"basic"},
    ("zammad", "bearer"): {"bearer"},
    ("cloudevents", "bearer"): {"bearer"},
    ("zoho_desk", "token"): {"url"},
}


@pytest.mark.parametrize(("vendor", "way"), TAKES)
@pytest.mark.parametrize("place", SENT)
def test_the_secret_counts_in_the_places_of_the_chosen_way_and_nowhere_else(vendor: str, way: str, place: str) -> None:
    query = IN_URL if place == "url" else {}
    verdict = asked(vendor, {"auth": way}, SENT[place], query)
    expected = Verdict(Outcome.ACCEPTED, 0) if place in TAKES[vendor, way] else Verdict(Outcome.MISSING_TOKEN)
    assert verdict == expected
    wrong = asked(vendor, {"auth": way}, SENT[place], query, secrets=("the secret of another source",))
    assert wrong.outcome is (Outcome.BAD_TOKEN if place in TAKES[vendor, way] else Outcome.MISSING_TOKEN)


def test_every_way_without_a_signature_is_among_those_that_are_tried() -> None:
    signed = {"signature", "application", "rule", "v3", "jwt", "soap"}
    assert {(vendor, way) for vendor, ways in WAYS.items() for way in ways if way not in signed} == set(TAKES)


def test_the_verdict_names_the_secret_that_was_sent() -> None:
    assert asked("freshdesk", headers=HEADER, secrets=("new", SECRET)) == Verdict(Outcome.ACCEPTED, 1)


@pytest.mark.parametrize("name", ["token", "secret"])
def test_the_parameter_may_have_our_name_or_the_one_of_vendors_documents(name: str) -> None:
    assert asked("gorgias", query={name: SECRET}).outcome is Outcome.ACCEPTED
    assert asked("gorgias", query={name: ""}).outcome is Outcome.MISSING_TOKEN


def test_a_user_that_is_configured_must_be_the_one_that_is_sent() -> None:
    options = {"auth": "basic", "user": "deskpulse"}
    assert asked("zammad", options, BASIC).outcome is Outcome.ACCEPTED
    assert asked("zammad", options, signing.basic("someone", SECRET)).outcome is Outcome.BAD_TOKEN
    assert asked("zammad", options, {"authorization": "Basic"}).outcome is Outcome.MISSING_TOKEN


def test_without_a_user_a_secret_may_be_the_whole_of_the_credentials() -> None:
    assert asked("freshdesk", headers=BASIC, secrets=(f"deskpulse:{SECRET}",)).outcome is Outcome.ACCEPTED
    assert asked("freshdesk", headers=BASIC, secrets=(f"someone:{SECRET}",)).outcome is Outcome.BAD_TOKEN
    assert asked("freshdesk", headers=signing.basic(SECRET, "x")).outcome is Outcome.BAD_TOKEN


def test_the_header_can_be_named_and_its_secret_is_kept_from_whatever_comes_after() -> None:
    way = chosen("servicenow", {"header": "X-Our-Own"})
    assert verify(way.scheme, {"x-our-own": SECRET}, b"", [SECRET], AT_US, 300).outcome is Outcome.ACCEPTED
    assert way.scheme.private == {"x-our-own", "authorization"}


def test_a_secret_beyond_ascii_is_compared_by_its_bytes() -> None:
    sent = "clé".encode().decode("latin-1")  # as servers hand header values over
    assert asked("freshdesk", headers={"x-webhook-token": sent}, secrets=("clé",)).outcome is Outcome.ACCEPTED


@given(text=st.text(max_size=40), vendor=st.sampled_from(sorted({vendor for vendor, _ in TAKES})))
def test_whatever_a_stranger_sends_is_refused_and_raises_nothing(text: str, vendor: str) -> None:
    for way in WAYS[vendor]:
        if way in ("jwt", "soap"):
            continue
        for value in (text, f"Basic {text}", f"Bearer {text}"):
            headers = {"x-webhook-token": text, "authorization": value, "x-servicenow-signature": text}
            assert asked(vendor, {"auth": way}, headers, {"token": text}).outcome is not Outcome.ACCEPTED


def test_every_secret_is_compared_even_after_one_has_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    honest = hmac.compare_digest

    def watching(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return honest(a, b)

    monkeypatch.setattr(hmac, "compare_digest", watching)
    asked("freshdesk", headers=HEADER, secrets=(SECRET, "s2", "s3"))
    assert compared == [SECRET.encode(), b"s2", b"s3"]


ORGANISATION = "00D000000000001EAA"
SOAP = f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{ORGANISATION}</OrganizationId>
<ActionId>04k</ActionId><Notification><Id>04l</Id></Notification></notifications>
</soapenv:Body></soapenv:Envelope>""".encode()


@pytest.mark.parametrize("configured", [ORGANISATION, ORGANISATION[:15]])
def test_an_outbound_message_counts_with_the_secret_and_from_the_organisation(configured: str) -> None:
    options = {"auth": "soap", "organization_id": configured}
    assert asked("salesforce", options, query=IN_URL, body=SOAP) == Verdict(Outcome.ACCEPTED, 0)
    assert asked("salesforce", options, query={"token": "x"}, body=SOAP).outcome is Outcome.BAD_TOKEN
    assert asked("salesforce", options, body=SOAP).outcome is Outcome.MISSING_TOKEN
    other = SOAP.replace(b"001EAA", b"002EAA")
    assert asked("salesforce", options, query=IN_URL, body=other).outcome is Outcome.WRONG_ACCOUNT
    assert asked("salesforce", options, query=IN_URL, body=b"{}").outcome is Outcome.WRONG_ACCOUNT


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<a/>",
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        BOMB + SOAP[38:],
        b"<a>" * 5000,
        SOAP + b"<more/>",
        SOAP.replace(b"<ActionId>", b"<OrganizationId>00D</OrganizationId><ActionId>"),
        SOAP.replace(b"</soapenv:Envelope>", b""),
    ],
)
def test_what_is_no_outbound_message_has_no_organisation_and_raises_nothing(body: bytes) -> None:
    assert organization_of(body) is None


RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
ZOHO = {"org_id": 4242, "webhook_id": "77"}
CLAIMS = {"iss": "orgId:4242", "aud": "webhookId:77", "iat": AT_S, "exp": AT_S + 60}


def jwk(key: rsa.RSAPrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def key_set(*keys: dict[str, Any]) -> bytes:
    return orjson.dumps({"keys": keys})


KEYS = keys_of(key_set(jwk(RSA, "k1")))


def signed(claims: dict[str, Any], key: Any = RSA, kid: str = "k1", algorithm: str = "RS256") -> dict[str, str]:
    return {"x-zdesk-jwt": jwt.encode(claims, key, algorithm, headers={"kid": kid})}


def zoho(headers: dict[str, str], **more: Any) -> Outcome:
    asking = {"query": IN_URL, "keys": KEYS, "body": b'[{"eventType": "Ticket_Add"}]', **more}
    return asked("zoho_desk", ZOHO, headers, **asking).outcome


def test_a_token_of_zoho_counts_with_the_secret_in_the_url() -> None:
    headers = signed(CLAIMS)
    assert zoho(headers) is Outcome.ACCEPTED
    assert zoho(headers, query={}) is Outcome.MISSING_TOKEN
    assert zoho(headers, query={"token": "guessed"}) is Outcome.BAD_TOKEN
    assert zoho({}) is Outcome.MISSING_SIGNATURE


def test_a_key_that_is_not_known_is_said_only_to_those_who_know_the_secret() -> None:
    headers = signed(CLAIMS, kid="k2")
    assert zoho(headers) is Outcome.UNKNOWN_KEY
    assert zoho(headers, query={"token": "guessed"}) is Outcome.BAD_TOKEN


@pytest.mark.parametrize(
    ("claims", "outcome"),
    [
        ({"iss": "orgId:1"}, Outcome.WRONG_ACCOUNT),
        ({"aud": "webhookId:1"}, Outcome.WRONG_ACCOUNT),
        ({"iss": None}, Outcome.BAD_SIGNATURE),
        ({"aud": None}, Outcome.BAD_SIGNATURE),
        ({"exp": AT_S - 301}, Outcome.STALE),
        ({"exp": AT_S - 299}, Outcome.ACCEPTED),
        ({"iat": AT_S + 301}, Outcome.STALE),
        ({"nbf": AT_S + 301}, Outcome.STALE),
        ({"exp": None, "iat": AT_S - 301}, Outcome.STALE),
        ({"exp": None, "iat": AT_S - 299}, Outcome.ACCEPTED),
        ({"exp": None, "iat": None}, Outcome.MALFORMED_TIMESTAMP),
        ({"exp": "tomorrow"}, Outcome.MALFORMED_TIMESTAMP),
        ({"exp": 1e300}, Outcome.MALFORMED_TIMESTAMP),
        ({"aud": ["webhookId:77", "x"]}, Outcome.ACCEPTED),
    ],
)
def test_a_token_is_bound_to_the_organisation_the_webhook_and_a_time(claims: dict[str, Any], outcome: Outcome) -> None:
    merged = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    assert zoho(signed(merged)) is outcome


def test_a_token_by_another_key_or_algorithm_is_refused() -> None:
    assert zoho(signed(CLAIMS, OTHER_RSA)) is Outcome.BAD_SIGNATURE
    # The classic: the public key taken for a shared secret, or no signature at all.
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').rstrip(b"=").decode()
    payload = signed(CLAIMS)["x-zdesk-jwt"].split(".")[1]
    assert zoho({"x-zdesk-jwt": f"{head}.{payload}."}) is Outcome.BAD_SIGNATURE
    assert zoho(signed(CLAIMS, "a shared secret of thirty-two bytes and more", algorithm="HS256")) is (
        Outcome.BAD_SIGNATURE
    )


@given(place=st.integers(0, len(signed(CLAIMS)["x-zdesk-jwt"]) - 1), character=st.characters(max_codepoint=255))
def test_a_token_that_was_changed_anywhere_is_refused_and_raises_nothing(place: int, character: str) -> None:
    text = signed(CLAIMS)["x-zdesk-jwt"]
    changed = text[:place] + character + text[place + 1 :]
    # The last character of base64 holds bits that stand for nothing.
    if changed != text and place != len(text) - 1:
        assert zoho({"x-zdesk-jwt": changed}) is not Outcome.ACCEPTED


def test_the_probe_of_an_address_without_a_token_is_taken_if_it_says_nothing() -> None:
    assert zoho({}, body=b"") is Outcome.ACCEPTED
    assert zoho({}, body=b" [] ") is Outcome.ACCEPTED
    assert zoho({}, body=b"", query={}) is Outcome.MISSING_TOKEN
    assert zoho({"x-zdesk-jwt": "forged"}, body=b"[]") is Outcome.BAD_SIGNATURE


def test_only_keys_that_may_sign_are_taken_from_a_key_set() -> None:
    small = jwk(rsa.generate_private_key(65537, 1024), "small")
    listed = key_set(
        jwk(RSA, "good", use="sig", alg="RS256"),
        jwk(RSA, "for encryption", use="enc"),
        jwk(RSA, "another algorithm", alg="RS512"),
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0"},
        small,
    )
    assert list(keys_of(listed)) == ["good"]


@pytest.mark.parametrize("document", [b"", b"[]", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [1]}', b"<html>"])
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError):
        keys_of(document)


def test_the_reference_explains_every_way_of_every_vendor_and_every_option() -> None:
    assert {vendor: tuple(ways) for vendor, ways in WAYS.items()} == {
        vendor: tuple(ways) for vendor, ways in vendors.AUTH.items()
    }
    options = {option for ways in WAYS.values() for way in ways.values() for option in way.options}
    assert options == set(vendors.AUTH_OPTIONS)


BASE_URL = "the address that the helpdesk calls, up to /webhooks/, such as https://deskpulse.example.com"


@pytest.mark.parametrize(
    ("vendor", "options", "line"),
    [
        ("jira", {"auth": "jwt"}, "auth: 'jwt' is no way of jira to authenticate (there is: signature, token)"),
        (
            "jira",
            {"auth": ["token"]},
            "auth: '['token']' is no way of jira to authenticate (there is: signature, token)",
        ),
        ("hubspot", {}, f"public_url: needed for auth 'signature': {BASE_URL}"),
        ("hubspot", {"auth": "v3", "public_url": "h"}, f"public_url: must be {BASE_URL}"),
        (
            "salesforce",
            {"auth": "soap", "organization_id": "x"},
            "organization_id: must be the organisation's id, 15 or 18 letters and digits",
        ),
        ("freshdesk", {"header": "X Y"}, "header: must be the name of a header, such as X-Webhook-Token"),
        ("freshdesk", {"user": "a:b"}, "user: must be a user's name without a colon"),
        (
            "zoho_desk",
            {**ZOHO, "jwks_url": "http://desk.zoho.com/x"},
            "jwks_url: must be an https URL of a JSON Web Key Set",
        ),
    ],
)
def test_what_cannot_work_is_told_with_what_there_is(vendor: str, options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError) as caught:
        chosen(vendor, options)
    assert str(caught.value) == line


@pytest.mark.parametrize("url", ["deskpulse.example.com", "https://", "https://u:p@h", "https://h/webhooks/hubspot", 7])
def test_a_public_address_is_a_whole_one_up_to_the_webhooks(url: object) -> None:
    with pytest.raises(ValueError, match="public_url: must be"):
        chosen("hubspot", {"public_url": url})


def test_options_about_authentication_are_kept_from_normalising_and_the_others_are_not() -> None:
    way = chosen("hubspot", {"auth": "v3", "public_url": "https://h.example.com/base/", "stages": {"1": "new"}})
    assert (way.way, way.public_url, way.rest) == ("v3", "https://h.example.com/base", {"stages": {"1": "new"}})
    assert chosen("jira", {"header": "X-Other"}).rest == {"header": "X-Other"}, "not an option of this way"


def test_a_secret_that_no_header_could_carry_is_told() -> None:
    scheme = chosen("freshdesk", {}).scheme
    assert "white space" in (secret_problem("freshdesk", "secret\n", scheme) or "")
    assert secret_problem("freshdesk", SECRET, scheme) is None
    assert secret_problem("freshdesk", "", scheme) == "the secret is empty"
