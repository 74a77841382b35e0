"""Every vendor that signs: its signature is accepted, and a changed bit, body, time, address or secret is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.verify import Outcome, Verdict, chosen, verify
from tests.support import signing
from tests.support.signing import Headers

AT_MS = 1_772_442_000_123
AT_US = AT_MS * 1000
BODY = b'{"id": 1, "subject": "K\\u00e9vin", "url": "https:\\/\\/example.com"}'
URL = "https://deskpulse.example.com/webhooks/h?a=1"
TARGET = f"POST{URL}"


@dataclass(frozen=True)
class Case:
    """A vendor's way to sign: ``options`` choose it, ``sign`` is what the vendor does."""

    vendor: str
    sign: Callable[[bytes, str], Headers]
    options: dict[str, Any]
    timed: bool = False

    def verdict(self, headers: Headers, body: bytes = BODY, *secrets: str, at_us: int = AT_US) -> Verdict:
        scheme = chosen(self.vendor, self.options).scheme
        return verify(scheme, headers, body, secrets or ["s1"], at_us, 300, TARGET)


PUBLIC = {"public_url": "https://deskpulse.example.com"}
CASES = {
    "intercom": Case("intercom", signing.intercom, {}),
    "jira": Case("jira", signing.jira, {}),
    "helpscout": Case("helpscout", signing.helpscout, {}),
    "freescout": Case("freescout", signing.freescout, {}),
    "zammad": Case("zammad", signing.zammad, {"auth": "signature"}),
    "servicenow": Case("servicenow", signing.servicenow, {"auth": "signature"}),
    "chatwoot": Case("chatwoot", lambda body, secret: signing.chatwoot(body, secret, AT_MS), {}, timed=True),
    "front": Case("front", lambda body, secret: signing.front(body, secret, AT_MS), {}, timed=True),
    "front application": Case(
        "front", lambda body, secret: signing.front(body, secret, AT_MS), {"auth": "application"}, timed=True
    ),
    "front rule": Case("front", signing.front_rule, {}),
    "hubspot 3": Case("hubspot", lambda body, secret: signing.hubspot(body, secret, AT_MS, URL), PUBLIC, timed=True),
    "hubspot 3 alone": Case(
        "hubspot", lambda body, secret: signing.hubspot(body, secret, AT_MS, URL), {**PUBLIC, "auth": "v3"}, timed=True
    ),
    "hubspot 2": Case("hubspot", lambda body, secret: signing.hubspot_v2(body, secret, URL), PUBLIC),
    "hubspot 1": Case("hubspot", signing.hubspot_v1, PUBLIC),
    "cloudevents": Case(
        "cloudevents",
        lambda body, secret: signing.standard(body, secret.encode(), "m", str(AT_MS // 1000)),
        {},
        timed=True,
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
def test_what_the_vendor_signs_is_accepted_and_the_secret_is_named(case: Case) -> None:
    headers = case.sign(BODY, "s1")
    assert case.verdict(headers, BODY, "s1") == Verdict(Outcome.ACCEPTED, 0)
    assert case.verdict(headers, BODY, "s2", "s1") == Verdict(Outcome.ACCEPTED, 1)


@every_case
def test_another_secret_another_body_and_no_signature_are_refused(case: Case) -> None:
    headers = case.sign(BODY, "s1")
    assert case.verdict(headers, BODY, "the secret of another source").outcome is Outcome.BAD_SIGNATURE
    assert case.verdict(headers, b'{"id": 2}').outcome is Outcome.BAD_SIGNATURE
    assert case.verdict(headers, b"").outcome is Outcome.BAD_SIGNATURE
    assert case.verdict({}).outcome is Outcome.MISSING_SIGNATURE


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items() if case.timed])
def test_a_time_counts_for_five_minutes_either_way_and_cannot_be_moved_or_left_out(case: Case) -> None:
    headers = case.sign(BODY, "s1")
    second = 1_000_000
    assert case.verdict(headers, at_us=AT_US + 299 * second).outcome is Outcome.ACCEPTED
    assert case.verdict(headers, at_us=AT_US + 302 * second).outcome is Outcome.STALE
    assert case.verdict(headers, at_us=AT_US - 302 * second).outcome is Outcome.STALE
    [name] = [name for name in headers if "timestamp" in name]
    moved = {**headers, name: str(int(headers[name]) + 600)}
    assert case.verdict(moved).outcome is Outcome.BAD_SIGNATURE
    without = {key: value for key, value in headers.items() if key != name}
    assert case.verdict(without).outcome in (Outcome.MISSING_TIMESTAMP, Outcome.BAD_SIGNATURE)
    assert case.verdict({**headers, name: ""}).outcome is Outcome.MISSING_TIMESTAMP


@every_case
@given(bit=st.integers(0, len(BODY) * 8 - 1))
def test_any_flipped_bit_of_the_body_is_refused(case: Case, bit: int) -> None:
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    assert case.verdict(case.sign(BODY, "s1"), bytes(changed)).outcome is Outcome.BAD_SIGNATURE


@every_case
@given(text=st.text(st.characters(min_codepoint=1, max_codepoint=255)))
def test_whatever_stands_in_the_headers_is_refused_and_raises_nothing(case: Case, text: str) -> None:
    headers = dict.fromkeys(case.sign(BODY, "s1"), text)
    assert case.verdict(headers, b"[" * 2000).outcome is not Outcome.ACCEPTED


@pytest.mark.parametrize("value", ["sha256=", "sha1=", "sha1", "=", "sha512=00", "sha256=zz"])
@pytest.mark.parametrize("name", ["intercom", "jira", "zammad"])
def test_a_prefix_without_a_digest_or_with_another_hash_is_refused(name: str, value: str) -> None:
    assert CASES[name].verdict({"x-hub-signature": value}).outcome is Outcome.BAD_SIGNATURE


def test_a_bare_digest_without_its_prefix_is_refused() -> None:
    headers = {"x-hub-signature": signing.jira(BODY, "s1")["x-hub-signature"].removeprefix("sha256=")}
    assert CASES["jira"].verdict(headers).outcome is Outcome.BAD_SIGNATURE


def test_hubspots_newest_signature_counts_even_when_an_older_one_beside_it_is_right() -> None:
    case = CASES["hubspot 3"]
    both = signing.hubspot(BODY, "wrong", AT_MS, URL) | signing.hubspot_v2(BODY, "s1", URL)
    assert case.verdict(both).outcome is Outcome.BAD_SIGNATURE
    as_sent = signing.hubspot(BODY, "s1", AT_MS, URL) | signing.hubspot_v2(BODY, "s1", URL)
    assert case.verdict(as_sent).outcome is Outcome.ACCEPTED


def test_a_source_can_refuse_hubspots_versions_without_a_time() -> None:
    for headers in (signing.hubspot_v1(BODY, "s1"), signing.hubspot_v2(BODY, "s1", URL)):
        assert CASES["hubspot 3 alone"].verdict(headers).outcome is Outcome.MISSING_SIGNATURE


@pytest.mark.parametrize("url", ["https://evil.example.com/webhooks/h?a=1", "http" + URL[5:], URL + "&b=2", URL[:-4]])
def test_hubspots_signature_counts_for_one_address_only(url: str) -> None:
    headers = signing.hubspot(BODY, "s1", AT_MS, url)
    assert CASES["hubspot 3"].verdict(headers).outcome is Outcome.BAD_SIGNATURE


def test_hubspots_signature_covers_the_method() -> None:
    headers = signing.hubspot(BODY, "s1", AT_MS, URL, method="GET")
    assert CASES["hubspot 3"].verdict(headers).outcome is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("called", "signed"),
    [
        ("https://h.example.com/a%3Ab%2Fc?d=%40e", "https://h.example.com/a:b/c?d=@e"),
        ("https://h.example.com/a%3ab?c=%24%21%27%28%29%2A%2C%3B%3F", "https://h.example.com/a:b?c=$!'()*,;?"),
        ("https://h.example.com/a%20b%26c", "https://h.example.com/a%20b%26c"),
        ("https://h.example.com/a%3Ab", "https://h.example.com/a%3Ab"),
    ],
)
def test_hubspot_decodes_some_escapes_of_the_address_before_it_signs(called: str, signed: str) -> None:
    headers = signing.hubspot(BODY, "s1", AT_MS, signed)
    scheme = chosen("hubspot", PUBLIC).scheme
    assert verify(scheme, headers, BODY, ["s1"], AT_US, 300, f"POST{called}").outcome is Outcome.ACCEPTED


def test_a_rule_of_front_may_sign_the_body_without_white_space_and_nothing_else() -> None:
    compact = b'{"id":"evt_1","emitted_at":1518309907.474}'
    case, headers = CASES["front rule"], signing.front_rule(compact, "s1")
    assert case.verdict(headers, json.dumps(json.loads(compact), indent=2).encode()).outcome is Outcome.ACCEPTED
    assert case.verdict(headers, b'{"id":"evt_2","emitted_at":1518309907.474}').outcome is Outcome.BAD_SIGNATURE


def test_an_application_webhook_of_front_without_its_time_is_no_rule_webhook() -> None:
    headers = signing.front(BODY, "s1", AT_MS)
    del headers["x-front-request-timestamp"]
    assert CASES["front"].verdict(headers).outcome is Outcome.BAD_SIGNATURE
    application = CASES["front application"]
    assert application.verdict(signing.front_rule(BODY, "s1")).outcome is Outcome.MISSING_TIMESTAMP


def test_the_header_of_a_scripted_signature_can_be_named() -> None:
    scheme = chosen("servicenow", {"auth": "signature", "header": "X-Snow-Mac"}).scheme
    signature = signing.servicenow(BODY, "s1")["x-servicenow-signature"]
    assert verify(scheme, {"x-snow-mac": signature}, BODY, ["s1"], AT_US, 300).outcome is Outcome.ACCEPTED
