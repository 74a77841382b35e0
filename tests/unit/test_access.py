"""Tokens, allowances and validators: the parts that the gate of the query API decides with."""

import json

import pytest

from services.alerts.access import bucket
from services.alerts.access.access import caller
from services.alerts.access.bucket import Buckets
from services.alerts.access.etag import Again, etag, matches, same
from services.alerts.access.tokens import Tokens
from services.config.access import Role
from services.config.document import ConfigInvalid, Document, parse


def tokens(text: str) -> Document:
    return parse(text, {"A": "first-secret", "B": "second-secret"})


def test_a_plain_token_is_an_administrators_as_it_always_was() -> None:
    found = Tokens(tokens('api_tokens: ["${A}"]').api_tokens).holder("first-secret")
    assert found is not None
    assert (found.role, found.name) == (Role.ADMIN, None)


def test_a_token_may_have_a_role_a_name_and_teams() -> None:
    text = """
api_tokens:
  - "${A}"
  - {token: "${B}", name: Kim, role: lead, teams: [billing]}
"""
    known = Tokens(tokens(text).api_tokens)
    found = known.holder("second-secret")
    assert found is not None
    assert (found.role, found.name, found.teams) == (Role.LEAD, "Kim", {"billing"})
    for wrong in ("", "first-secre", "first-secret ", "third", "Kim", "\udcff"):
        assert known.holder(wrong) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('api_tokens: [""]', "at least 1"),
        ('api_tokens: ["${A}", {token: "${A}", name: x, role: viewer}]', "there twice"),
        ('api_tokens: [{token: "${A}", name: x}, {token: "${B}", name: x}]', "'x' is used twice"),
        ('api_tokens: [{token: "${A}", role: viewer}]', "says whose it is"),
        ('api_tokens: [{token: "${A}", name: x, role: boss}]', "viewer"),
        ('api_tokens: [{token: "${A}", name: x, role: admin, teams: [a]}]', "only a lead"),
        ("api: {requests_per_minute: 0}", "requests_per_minute"),
        ("api: {oidc: {issuer: 'http://login.example.com', audience: a, roles: {x: admin}}}", "https"),
        ("api: {oidc: {issuer: 'https://x.example', audience: a, roles: {}}}", "roles"),
        ("api: {oidc: {issuer: 'https://x.example', audience: a, roles: {x: admin}, algorithms: [HS256]}}", "RS256"),
        ("api: {oidc: {issuer: 'https://x.example', audience: a, roles: {x: admin}, leeway: 1h}}", "at most"),
    ],
)
def test_a_document_with_a_mistake_about_access_is_refused_and_no_secret_is_said(text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said) as caught:
        tokens(text)
    assert "first-secret" not in str(caught.value)


def test_a_token_is_in_no_text_about_the_document() -> None:
    document = tokens('api_tokens: ["${A}", {token: "${B}", name: Kim, role: viewer}]')
    assert "secret" not in repr(document.api_tokens).replace("SecretStr", "")


def test_a_bucket_gives_its_burst_and_then_what_flows_in() -> None:
    buckets = Buckets(per_minute=60, burst=3)
    assert [buckets.take("kim", 100.0).left for _ in range(3)] == [2, 1, 0]
    refused = buckets.take("kim", 100.0)
    assert (refused.wait_s, refused.full_s) == (1, 3)
    assert buckets.take("ana", 100.0).wait_s == 0
    assert buckets.take("kim", 100.9).wait_s == 1
    assert buckets.take("kim", 101.0).wait_s == 0
    assert buckets.take("kim", 1_000_000.0).left == 2
    assert buckets.take("kim", 5.0).left == 1  # a clock that went back takes nothing away


def test_a_slow_bucket_says_how_long_to_wait() -> None:
    buckets = Buckets(per_minute=2, burst=1)
    assert buckets.take("kim", 0.0).wait_s == 0
    assert buckets.take("kim", 0.0).wait_s == 30
    assert buckets.take("kim", 29.5).wait_s == 1
    assert buckets.take("kim", 30.0).wait_s == 0


def test_no_more_callers_are_remembered_than_the_bound_and_the_busy_ones_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "MOST", 100)
    buckets = Buckets(per_minute=60, burst=2)
    for number in range(1000):
        buckets.take(f"address 192.0.2.{number}", 1.0)
        spent = buckets.take("busy", 1.0)
    assert len(buckets) == 100
    assert spent.wait_s > 0


def test_an_address_of_ipv6_stands_for_its_network() -> None:
    assert caller("2001:db8::1") == caller("2001:db8::ffff") != caller("2001:db8:0:1::1")
    assert caller("192.0.2.1") != caller("192.0.2.2")
    assert caller("unix") == "unix"


def test_a_weak_etag_stays_while_only_the_clock_moves_and_a_strong_one_does_not() -> None:
    def body(as_of: str, due_in_s: float, state: str) -> bytes:
        timers = [{"state": state, "due_in_s": due_in_s}]
        return json.dumps({"as_of": as_of, "timers": timers, "next_cursor": None}).encode()

    now, later, other = body("10:00", 5.0, "running"), body("10:01", 4.0, "running"), body("10:01", 4.0, "breached")
    assert etag(now, Again.TICKING) == etag(later, Again.TICKING) != etag(other, Again.TICKING)
    assert etag(now, Again.SAME) != etag(later, Again.SAME)
    assert etag(now, Again.AFRESH) is None


def test_headers_of_conditional_requests_are_read_as_rfc_9110_has_them() -> None:
    assert same('"a", W/"b"', '"b"')
    assert same("*", '"a"')
    assert not same(None, '"a"')
    assert not same('"aa"', '"a"')
    assert matches('"a", "b"', '"b"')
    assert matches("*", '"a"')
    assert not matches("*", None)
    assert not matches('W/"a"', '"a"')
    assert not matches('W/"a"', 'W/"a"')
    assert not matches("a", '"a"')
