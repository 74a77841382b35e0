"""Signed webhooks as whole HTTP/1.1 requests, ready to be written to a socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec

from bench.configuration import SECRET
from schemas.instant import SECOND_US
from services import clock
from services.simulate import zendesk
from services.simulate.helpdesk import Simulation, plan, story


@cache
def bodies(number: int, seed: int = 20) -> tuple[bytes, ...]:
    """The first ``number`` webhook bodies of a simulated helpdesk that began a while ago; no copies, none late."""
    settings = Simulation(
        base_url="http://127.0.0.1:9",
        secret=SECRET,
        seed=seed,
        rate=20,
        duration_s=3600,
        day_s=None,
        duplicates=0,
        out_of_order=0,
        first_ticket=1_000_000 * seed,
    )
    began_us = clock.now_us() - 3600 * SECOND_US
    return tuple(delivery.webhook.body for delivery in islice(plan(story(settings, began_us), settings), number))


def signed(made: Iterable[bytes]) -> list[bytes]:
    """A Zendesk request for each body, signed now: good for five minutes."""
    account, at_us = zendesk.Account(), clock.now_us()
    return [
        request("zendesk", body, zendesk.headers(account, SECRET, number, at_us, body))
        for number, body in enumerate(made)
    ]


def request(source: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The request as bytes."""
    lines = [f"POST /webhooks/{source} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def written(requests: list[bytes], file: Path) -> Path:
    """``file``, holding the requests for ``bench.sender``."""
    file.write_bytes(msgspec.msgpack.encode(requests))
    return file
