"""Who may ask ingest how much and from where, and when the public keys of a vendor are asked for."""

from __future__ import annotations

from ipaddress import ip_address

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from schemas.failure import NotNow
from services.config.document import ConfigInvalid, parse
from services.ingest.address import client, networks, within
from services.ingest.limit import BURST_S, Full, Limit
from services.ingest.public_keys import AGAIN_S, FAILED_S, FRESH_S, STALE_S, PublicKeys

PROXIES = networks(["127.0.0.1", "10.0.0.0/8", "::1", " "])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("198.51.100.9", [], "198.51.100.9"),
        ("198.51.100.9", ["192.0.2.7"], "198.51.100.9"),
        ("127.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", ["198.51.100.9, 192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        ("127.0.0.1", ["198.51.100.9", "192.0.2.7 , 10.1.2.3"], "192.0.2.7"),
        ("::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:127.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("127.0.0.1", ["nonsense"], None),
        ("127.0.0.1", [""], None),
        (None, ["192.0.2.7"], None),
        ("testclient", [], None),
    ],
)
def test_a_sender_is_who_our_own_proxies_saw(peer: str | None, forwarded: list[str], found: str | None) -> None:
    assert client(peer, forwarded, PROXIES) == (None if found is None else ip_address(found))


def test_an_unknown_address_is_in_no_network() -> None:
    assert not within(None, networks(["0.0.0.0/0", "::/0"]))
    assert within(ip_address("2001:db8::7"), networks(["192.0.2.0/24", "2001:db8::/32"]))


def test_a_network_that_is_none_is_told_with_its_place() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse("sources: {a: {vendor: zendesk, secrets: [s], allow_from: [192.0.2.7, 192.0.2.7/24]}}", {})
    assert caught.value.problems == ["sources.a.allow_from[1]: 192.0.2.7/24 has host bits set"]


def test_a_rate_can_be_saved_for_ten_seconds_and_is_paid_back_with_time() -> None:
    limit = Limit(per_s=2, concurrent=1)
    for _ in range(2 * BURST_S):
        limit.spend(100.0)
    with pytest.raises(Full) as caught:
        limit.spend(100.0)
    assert caught.value.wait_s == 0.5
    limit.spend(100.5)
    with pytest.raises(Full):
        limit.spend(100.5)
    for _ in range(2 * BURST_S):
        limit.spend(10_000.0)
    with pytest.raises(Full):
        limit.spend(10_000.0)


def test_a_place_is_free_again_once_its_request_has_left() -> None:
    limit = Limit(per_s=1, concurrent=1)
    limit.enter()
    with pytest.raises(Full):
        limit.enter()
    limit.leave()
    limit.enter()


RSA = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)


class Vendor:
    """A key server and a clock; ``names`` None is a server that is away."""

    def __init__(self) -> None:
        self.names: list[str] | None = ["k1"]
        self.asked = 0
        self.now_s = 1000.0

    async def fetch(self, url: str) -> bytes:
        self.asked += 1
        if self.names is None:
            raise TimeoutError
        return orjson.dumps({"keys": [{**RSA, "kid": name} for name in self.names]})

    def keys(self) -> PublicKeys:
        return PublicKeys("https://keys.example.com", lambda: self.now_s, self.fetch)


async def test_keys_are_asked_for_when_one_is_missing_and_at_most_once_a_minute() -> None:
    vendor = Vendor()
    keys = vendor.keys()
    assert dict(keys.known) == {}
    await keys.look_up()
    vendor.names = ["k2"]
    await keys.look_up()
    assert (set(keys.known), vendor.asked) == ({"k1"}, 1)
    vendor.now_s += AGAIN_S
    await keys.look_up()
    assert (set(keys.known), vendor.asked) == ({"k2"}, 2), "a key that was rotated out is gone"


async def test_an_old_set_is_asked_for_again_and_serves_for_a_day_while_the_vendor_is_away() -> None:
    vendor = Vendor()
    keys = vendor.keys()
    await keys.look_up()
    vendor.now_s += FRESH_S
    assert dict(keys.known) == {}
    vendor.names = None
    await keys.look_up()
    assert set(keys.known) == {"k1"}
    assert vendor.asked == 2
    vendor.now_s += FAILED_S
    await keys.look_up()
    assert vendor.asked == 3
    vendor.now_s += STALE_S
    with pytest.raises(NotNow):
        await keys.look_up()


async def test_a_server_that_is_away_is_asked_every_few_seconds_only() -> None:
    vendor = Vendor()
    vendor.names = None
    keys = vendor.keys()
    for _ in range(3):
        with pytest.raises(NotNow):
            await keys.look_up()
    assert vendor.asked == 1
    vendor.now_s += FAILED_S
    vendor.names = ["k1"]
    await keys.look_up()
    assert set(keys.known) == {"k1"}


async def test_a_set_without_a_usable_key_does_not_replace_a_good_one() -> None:
    vendor = Vendor()
    keys = vendor.keys()
    await keys.look_up()
    vendor.names = []
    vendor.now_s += AGAIN_S
    await keys.look_up()
    assert set(keys.known) == {"k1"}
