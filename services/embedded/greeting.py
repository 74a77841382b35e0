"""What `deskpulse up` prints once everything runs: addresses, and a webhook to paste into a shell. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.embedded.port import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A source to send an example webhook to, and where a shell gets its secret from.

    ``variable`` is the name of the secret; ``file`` the JSON file that holds it, None when the reader has set the
    variable.
    """

    source: str
    vendor: str
    variable: str
    file: Path | None
    decoded: bool
    """Whether the key is what the base64 after ``whsec_`` stands for, instead of the secret as it stands."""


def addresses(ports: Mapping[str, int], sources: Iterable[str], data: Path) -> list[str]:
    """The table of where things are."""
    url = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    others = f"also on ports {ports['ingest']}, {ports['alerts']}, {ports['api']}"
    rows = [
        ("Live board", url["api"]),
        ("Query API", f"{url['api']}/v1/kpis?window=1h    documentation: {url['api']}/docs"),
        *(("Webhooks", f"POST {url['ingest']}/webhooks/{source}") for source in sources),
        ("Prometheus", f"{url['metrics']}/metrics    {others}"),
        ("Data", str(data)),
    ]
    return [f"  {name:<11} {place}" for name, place in rows]


def curl(example: Example, ingest_port: int) -> str:
    """Shell lines that post one signed webhook; they work in bash, zsh and dash with openssl and curl."""
    return "\n".join((_prepared(example), _posted(example, ingest_port)))


def _prepared(example: Example) -> str:
    if example.file is None:
        secret = f"S=${example.variable}"
    else:
        # One name and value on each line, and nothing in a value that JSON would escape.
        find = f's/.*"{example.variable}": "\\(.*\\)".*/\\1/p'
        secret = f"S=$(sed -n {shlex.quote(find)} {shlex.quote(str(example.file))})"
    if example.vendor == "zendesk":
        fields = (
            r"""\"type\":\"zen:event-type:ticket.created\",\"subject\":\"zen:ticket:$I\",\"time\":\"$T\","""
            r"""\"zendesk_event_version\":\"2022-11-06\",\"event\":{},"""
            r"""\"detail\":{\"id\":\"$I\",\"status\":\"NEW\",\"priority\":\"HIGH\",\"created_at\":\"$T\"}"""
        )
        body = rf'B="{{\"account_id\":1,\"id\":\"try-$I\",{fields}}}"'
        return f"{secret}; I=$(date +%s); T=$(date -u +%Y-%m-%dT%H:%M:%SZ); {body}"
    fields = (
        r"""\"kind\":\"ticket.created\",\"ticket_id\":\"$I\",\"occurred_at\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\","""
        r"""\"ticket\":{\"priority\":\"high\",\"channel\":\"email\"}"""
    )
    return rf'{secret}; T=$(date +%s); I=try-$T; B="{{{fields}}}"'


def _posted(example: Example, port: int) -> str:
    if example.decoded:
        hexadecimal = '$(printf %s "${S#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d " \\n")'
        key = f'-mac HMAC -macopt "hexkey:{hexadecimal}"'
    else:
        key = '-hmac "$S"'
    content = "$T$B" if example.vendor == "zendesk" else "$I.$T.$B"
    signature = f'$(printf %s "{content}" | openssl dgst -sha256 {key} -binary | openssl base64 -A)'
    if example.vendor == "zendesk":
        signed = (
            f'-H "x-zendesk-webhook-signature-timestamp: $T" -H "x-zendesk-webhook-signature: {signature}"'
            ' -H "x-zendesk-webhook-invocation-id: $I"'
        )
    else:
        signed = f'-H "webhook-id: $I" -H "webhook-timestamp: $T" -H "webhook-signature: v1,{signature}"'
    url = f"http://{LOOPBACK}:{port}/webhooks/{example.source}"
    return f'curl -sS {url} -H "content-type: application/json" {signed} --data-binary "$B"; echo'
