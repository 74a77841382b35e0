"""Signatures: what is accepted, what is refused, and that nothing a stranger sends can raise."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339
from services.ingest.verify import SCHEMES, Outcome, Verdict, secret_problem, verify

ZENDESK, GENERIC = SCHEMES["zendesk"], SCHEMES["generic"]
AT = "2026-03-02T09:00:00Z"
AT_US = from_datetime(parse_rfc3339(AT))
UNIX = AT_US // SECOND_US
BODY = b'{"id": 1}'
KEY = b"0123456789abcdef0123456789abcdef"
WHSEC = "whsec_" + base64.b64encode(KEY).decode()


def zendesk(secret: str = "s1", timestamp: str = AT, body: bytes = BODY) -> dict[str, str]:
    signature = base64.b64encode(hmac.digest(secret.encode(), timestamp.encode() + body, "sha256")).decode()
    return {"x-zendesk-webhook-signature": signature, "x-zendesk-webhook-signature-timestamp": timestamp}


def standard(key: bytes = KEY, unix: str = str(UNIX), body: bytes = BODY, name: str = "msg_1") -> dict[str, str]:
    signature = base64.b64encode(hmac.digest(key, f"{name}.{unix}.".encode() + body, "sha256")).decode()
    return {"webhook-id": name, "webhook-timestamp": unix, "webhook-signature": f"v1,{signature}"}


def test_a_zendesk_signature_over_timestamp_and_body_is_accepted() -> None:
    assert verify(ZENDESK, zendesk(), BODY, ["s1"], AT_US, 300) == Verdict(Outcome.ACCEPTED, 0)


def test_the_verdict_names_the_secret_that_signed() -> None:
    assert verify(ZENDESK, zendesk("old"), BODY, ["new", "old"], AT_US, 300) == Verdict(Outcome.ACCEPTED, 1)


def test_a_secret_that_is_not_configured_is_refused_even_if_it_is_zendesks_test_secret() -> None:
    public = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
    assert verify(ZENDESK, zendesk(public), BODY, ["s1"], AT_US, 300).outcome is Outcome.BAD_SIGNATURE
    assert verify(ZENDESK, zendesk(public), BODY, ["s1", public], AT_US, 300).secret_index == 1


@pytest.mark.parametrize(
    ("shift_s", "outcome"), [(300, "accepted"), (-300, "accepted"), (301, "stale"), (-301, "stale")]
)
def test_the_tolerance_holds_in_both_directions_and_includes_its_bound(shift_s: int, outcome: str) -> None:
    for scheme, headers, secret in ((ZENDESK, zendesk(), "s1"), (GENERIC, standard(), WHSEC)):
        assert verify(scheme, headers, BODY, [secret], AT_US + shift_s * SECOND_US, 300).outcome.value == outcome


@pytest.mark.parametrize(
    "timestamp", ["1234", "yesterday", "2026-03-02T09:00:00", "0001-01-01T00:00:00+14:00", "9" * 400]
)
def test_a_signed_timestamp_that_is_no_time_is_malformed_and_unread_without_a_freshness_check(timestamp: str) -> None:
    headers = zendesk(timestamp=timestamp)
    assert verify(ZENDESK, headers, BODY, ["s1"], AT_US, 300).outcome is Outcome.MALFORMED_TIMESTAMP
    assert verify(ZENDESK, headers, BODY, ["s1"], AT_US, None).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("unix", ["1.5", "-5", "٣", "1_000", "9" * 21])
def test_a_standard_timestamp_is_whole_seconds(unix: str) -> None:
    assert verify(GENERIC, standard(unix=unix), BODY, [WHSEC], AT_US, 300).outcome is Outcome.MALFORMED_TIMESTAMP


def test_a_forged_malformed_timestamp_is_told_only_that_the_signature_is_bad() -> None:
    headers = {**zendesk(), "x-zendesk-webhook-signature-timestamp": "1234"}
    assert verify(ZENDESK, headers, BODY, ["s1"], AT_US, 300).outcome is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("scheme", "missing", "outcome"),
    [
        ("zendesk", "x-zendesk-webhook-signature", Outcome.MISSING_SIGNATURE),
        ("zendesk", "x-zendesk-webhook-signature-timestamp", Outcome.MISSING_TIMESTAMP),
        ("generic", "webhook-signature", Outcome.MISSING_SIGNATURE),
        ("generic", "webhook-timestamp", Outcome.MISSING_TIMESTAMP),
        ("generic", "webhook-id", Outcome.MISSING_ID),
    ],
)
@pytest.mark.parametrize("empty", [True, False])
def test_every_header_of_the_scheme_is_needed(scheme: str, missing: str, outcome: Outcome, empty: bool) -> None:
    headers = zendesk() if scheme == "zendesk" else standard()
    headers.pop(missing)
    if empty:
        headers[missing] = ""
    assert verify(SCHEMES[scheme], headers, BODY, ["s1", WHSEC], AT_US, 300).outcome is outcome


def test_a_list_of_signatures_is_accepted_when_one_of_them_fits() -> None:
    good = standard()
    other = standard(key=b"another key")["webhook-signature"]
    headers = {**good, "webhook-signature": f"v1a,AAAA nonsense {other} {good['webhook-signature']}"}
    assert verify(GENERIC, headers, BODY, [WHSEC], AT_US, 300) == Verdict(Outcome.ACCEPTED, 0)


@pytest.mark.parametrize("value", ["v1", "v1,", "v2,{}", "{}", ",", "v1,\xff\xfe", "v1, {}"])
def test_a_malformed_signature_list_is_refused_and_raises_nothing(value: str) -> None:
    good = standard()["webhook-signature"].removeprefix("v1,")
    headers = {**standard(), "webhook-signature": value.format(good)}
    assert verify(GENERIC, headers, BODY, [WHSEC], AT_US, 300).outcome is Outcome.BAD_SIGNATURE


def test_the_specifications_own_example_verifies() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, the vector of its reference libraries.
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at_us = 1_614_265_330 * SECOND_US
    assert verify(GENERIC, headers, b'{"test": 2432232314}', [secret], at_us, 300).outcome is Outcome.ACCEPTED


def test_a_secret_without_the_prefix_works_as_text_and_as_base64() -> None:
    text = base64.b64encode(KEY).decode()
    assert verify(GENERIC, standard(key=text.encode()), BODY, [text], AT_US, 300).outcome is Outcome.ACCEPTED
    assert verify(GENERIC, standard(key=KEY), BODY, [text], AT_US, 300).outcome is Outcome.ACCEPTED


def test_a_body_that_is_not_text_is_verified_like_any_other() -> None:
    body = bytes(range(256))
    assert verify(GENERIC, standard(body=body), body, [WHSEC], AT_US, 300).outcome is Outcome.ACCEPTED


def test_an_unusable_secret_is_told_before_the_first_webhook() -> None:
    assert secret_problem("generic", "whsec_not base64!") == "after whsec_ there must be base64"
    assert secret_problem("generic", "whsec_") is not None
    assert secret_problem("zendesk", "  ") == "the secret is empty"
    assert secret_problem("generic", WHSEC) is None


@given(bit=st.integers(0, len(BODY) * 8 - 1))
def test_any_flipped_bit_of_the_body_is_refused(bit: int) -> None:
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    assert verify(ZENDESK, zendesk(), bytes(changed), ["s1"], AT_US, None).outcome is Outcome.BAD_SIGNATURE
    assert verify(GENERIC, standard(), bytes(changed), [WHSEC], AT_US, None).outcome is Outcome.BAD_SIGNATURE


@given(
    scheme=st.sampled_from(sorted(SCHEMES)),
    values=st.lists(st.text(st.characters(min_codepoint=1, max_codepoint=255)), min_size=3, max_size=3),
    body=st.binary(max_size=64),
)
def test_whatever_a_stranger_sends_is_refused_and_raises_nothing(scheme: str, values: list[str], body: bytes) -> None:
    rule = SCHEMES[scheme]
    names = [name for name in (rule.signature_header, rule.timestamp_header, rule.id_header) if name is not None]
    headers = dict(zip(names, values, strict=False))
    assert verify(rule, headers, body, ["s1", WHSEC], AT_US, 300).outcome is not Outcome.ACCEPTED


def test_every_secret_is_compared_even_after_one_has_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    honest = hmac.compare_digest

    def watching(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return honest(a, b)

    monkeypatch.setattr(hmac, "compare_digest", watching)
    verify(ZENDESK, zendesk("s1"), BODY, ["s1", "s2", "s3"], AT_US, 300)
    assert len(compared) == 3
    assert len({hashlib.sha256(one).digest() for one in compared}) == 3
