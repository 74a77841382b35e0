"""Where a request comes from, behind proxies or not, and whether a source takes requests from there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks like ``192.0.2.7`` and ``2001:db8::/32``. Raises ``ValueError``."""
    return tuple(ip_network(text.strip()) for text in texts if text.strip())


def client(peer: str | None, forwarded: Sequence[str], proxies: Sequence[Network]) -> Address | None:
    """The address of the sender; ``None`` when it cannot be known.

    ``peer`` is who opened the connection, ``forwarded`` the values of ``X-Forwarded-For``. That header is believed
    only as far as proxies of ours wrote it: from its end, until the first address that is no proxy of ours. What
    stands before that is the sender's own claim.
    """
    found = _address(peer)
    hops = [hop for value in forwarded for hop in value.split(",")]
    while found is not None and hops and within(found, proxies):
        found = _address(hops.pop())
    return found


def within(address: Address | None, allowed: Sequence[Network]) -> bool:
    """Whether ``address`` is in one of the networks."""
    return address is not None and any(address in network for network in allowed)


def _address(text: str | None) -> Address | None:
    try:
        found = ip_address((text or "").strip())
    except ValueError:
        return None
    # A socket that takes both families shows IPv4 peers this way.
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
