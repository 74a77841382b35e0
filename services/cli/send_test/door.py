"""Through the door: a sample posted as its vendor would, and what the answer means."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import httpx

from services.cli.send_test.step import Failed
from services.ingest.sample import Post
from services.ingest.source import Ready
from services.ingest.verify.presented import Presented
from services.ingest.verify.sign import signed
from services.ingest.verify.token import PARAMETERS

TIMEOUT_S: Final = 30.0


async def post(client: httpx.AsyncClient, base: str, source: Ready, sent: Post, at_us: int, message_id: str) -> Any:
    """The answer's JSON, or its text where a vendor wants another; signed with the first secret of ``source``.

    Raises :class:`Failed` when ingest did not take it, and :class:`OnlyTheVendor`.
    """
    path = f"/webhooks/{source.name}"
    # What HubSpot signs is the address that is configured, whatever way the sample takes.
    target = f"POST{source.public_url}{path}" if source.public_url else ""
    presented = Presented(dict(sent.headers), sent.body, target)
    proof = signed(source.scheme, presented, source.secrets[0], at_us, message_id)
    query = f"?{urlencode(proof.query)}" if proof.query else ""
    return await knock(client, f"{base}{path}{query}", sent.body, {**sent.headers, **proof.headers}, source)


async def knock(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str], source: Ready) -> Any:
    """One POST. Raises :class:`Failed`."""
    try:
        answer = await client.post(url, content=body, headers=headers)
    except httpx.HTTPError as exc:
        where = url.partition("?")[0]
        raise Failed(
            f"POST {where}: no answer ({type(exc).__name__})",
            "start ingest (deskpulse up), or say where it is with --url",
        ) from None
    if answer.status_code != 200:
        raise _refusal(answer, source)
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return {"accepted": 1, "duplicates": 0, "dead_lettered": 0}
    said = answer.json()
    if said.get("dead_lettered"):
        raise Failed(
            f"200, and kept as a dead letter: {said.get('reason')}: {said.get('detail')}",
            "the source's options do not understand its vendor's payload: deskpulse dlq list, then deskpulse check",
        )
    return said


_FIXES: Final[dict[int, str]] = {
    403: "send from an address that the source's allow_from lists",
    404: "ingest runs with another configuration: give --config, or restart it with this one",
    413: "raise DESKPULSE_MAX_BODY_BYTES",
    429: "the source is at its limits (max_per_s, max_concurrent), or Kafka is away: try again, then deskpulse doctor",
    503: "Kafka is away: deskpulse doctor",
}


def _refusal(answer: httpx.Response, source: Ready) -> Failed:
    try:
        said = answer.json()
        detail = f"{answer.status_code} {said['title']}: {said['detail']}"
        stale = said["type"].endswith(":stale")
    except (ValueError, KeyError, TypeError):
        detail, stale = f"{answer.status_code}, and no problem+json: something else answers at this address", False
    if answer.status_code == 401:
        fix = (
            "set the clocks: deskpulse doctor"
            if stale
            else f"ingest has other secrets for sources.{source.name} than this command: same --config and variables, "
            "then restart ingest"
        )
        return Failed(detail, fix)
    return Failed(detail, _FIXES.get(answer.status_code, "say where ingest is with --url"))


async def greet(client: httpx.AsyncClient, base: str, source: Ready) -> None:
    """Zoho's own question whether the address is there, with the secret in it. Raises :class:`Failed`."""
    query = urlencode({PARAMETERS[0]: source.secrets[0]})
    url = f"{base}/webhooks/{source.name}?{query}"
    await knock(client, url, b"[]", {"content-type": "application/json"}, source)
