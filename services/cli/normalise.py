"""``deskpulse normalise``: what saved payloads become, for whoever writes a mapping."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer
import yaml

from services.cli import settings
from services.cli.settings import AsJson, print_json

if TYPE_CHECKING:
    from services.ingest.delivery import SourceSettings

PSEUDONYM_KEY: Final = b"deskpulse normalise"
"""Keys the pseudonyms of customers that this command prints, and nothing else: they match no running system's."""

_UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True)
class _How:
    """How payloads are read."""

    source: str
    vendor: str
    headers: Mapping[str, str]
    settings: SourceSettings
    received_at: datetime


def normalise(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Payloads as they were posted, one in each file; - is stdin.")
    ],
    vendor: Annotated[
        str | None,
        typer.Option(metavar="V", help="The vendor, as in the configuration: zendesk, freshdesk, generic, …"),
    ] = None,
    headers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The HTTP headers of the delivery: lines `Name: value`, a JSON object, or what "
            "`deskpulse dlq show --json` printed. Needed where a vendor says something in them.",
        ),
    ] = None,
    options: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|JSON",
            help="The source's `options`: a JSON or YAML file, or the JSON itself.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Read as this source of the configuration: its vendor, options, hash key, `keep`. See --config."
        ),
    ] = None,
    config: settings.Config = None,
    received_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it was received, such as 2026-03-02T09:00Z. Default: now.")
    ] = None,
    hash_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The environment variable with the key of customers' pseudonyms. Default: a fixed key that only this "
            "command has, so that the pseudonyms are the same every time and match no running system's.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the canonical events that saved webhook payloads become, or the reason why there are none.

    Give --vendor, or --source for a configured source. No signature is looked at, nothing is sent or kept.

    Exit code 0 when every payload was understood, be it as nothing that is counted; 1 when one could not be
    understood or read. The others are printed all the same.

    --json prints a list with an object for each FILE: `file`, `vendor`, `events` (canonical events, often one,
    sometimes several or none), `reason` (null, or why it was refused: unknown_type, bad_value, …) and `detail`
    (a sentence, or null). A batch that is readable in part has both events and a reason.

    \b
    Examples:
      deskpulse normalise --vendor zendesk saved/*.json
      deskpulse normalise --vendor zendesk --options '{"statuses": {"en attente": "pending"}}' --json ticket.json
      deskpulse dlq show ID --body | deskpulse normalise --source zendesk --config deskpulse.yaml -
    """
    how = _how(vendor, source, config, options, headers, received_at, hash_key_env)
    told = [_told(file, how) for file in files]
    if as_json:
        print_json(told)
    else:
        for one in told:
            _print(one)
    if any(one["reason"] is not None for one in told):
        raise typer.Exit(1)


def _how(
    vendor: str | None,
    source: str | None,
    config: Path | None,
    options: str | None,
    headers: Path | None,
    received_at: str | None,
    hash_key_env: str | None,
) -> _How:
    from schemas.instant import parse_rfc3339
    from services import clock
    from services.ingest.delivery import SourceSettings
    from services.ingest.normalise import VENDORS, options_problem

    said: Mapping[str, Any] = {}
    read = SourceSettings(PSEUDONYM_KEY)
    if source is not None:
        found = settings.sources(config).get(source)
        if found is None:
            settings.fail(f"--source: no source '{source}' is configured")
        if vendor not in (None, found.vendor):
            settings.fail(f"--vendor: the source '{source}' is of vendor {found.vendor}")
        vendor, said, read = found.vendor, found.settings.options, found.settings
    if vendor is None:
        settings.fail(f"give --vendor (there is: {', '.join(VENDORS)}), or --source for a configured one")
    if vendor not in VENDORS:
        settings.fail(f"--vendor: '{vendor}' is not supported (there is: {', '.join(VENDORS)})")
    if options is not None:
        said = _without_authentication(vendor, _mapping("--options", options))
    if problem := options_problem(vendor, said):
        settings.fail(f"--options: {problem}")
    if hash_key_env is not None:
        key = os.environ.get(hash_key_env, "").encode()
        if not key:
            settings.fail(f"--hash-key-env: {hash_key_env} is not set")
        read = replace(read, hash_key=key)
    try:
        at = clock.now() if received_at is None else parse_rfc3339(received_at)
    except ValueError:
        settings.fail(f"--received-at: '{received_at}' is no time; write for example 2026-03-02T09:00:00Z")
    return _How(source or vendor, vendor, _headers(headers), replace(read, options=said), at)


def _told(file: str, how: _How) -> dict[str, Any]:
    """One row of the answer."""
    from schemas.codec import encode
    from schemas.failure import Invalid
    from services.ingest.delivery import Delivery
    from services.ingest.normalise import normalise as events_of
    from services.ingest.normalise.batch import PartlyInvalid

    row: dict[str, Any] = {"file": file, "vendor": how.vendor, "events": [], "reason": None, "detail": None}
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as exc:
        return row | {"reason": _UNREADABLE, "detail": f"the file cannot be read ({exc.strerror})"}
    delivery = Delivery(how.source, how.vendor, how.headers, body, how.received_at)
    try:
        events = events_of(delivery, how.settings)
    except Invalid as failure:
        events = list(failure.events) if isinstance(failure, PartlyInvalid) else []
        row |= {"reason": failure.reason.value, "detail": failure.detail}
    if not events and row["reason"] is None:
        row["detail"] = "Nothing in this webhook concerns a number that is kept."
    return row | {"events": [orjson.loads(encode(event)) for event in events]}


def _print(row: Mapping[str, Any]) -> None:
    events = row["events"]
    count = f"{len(events)} event{'s' if len(events) != 1 else ''}"
    if row["reason"] is not None:
        typer.echo(f"{row['file']}: {count}; {row['reason']}: {row['detail']}")
    elif events:
        typer.echo(f"{row['file']}: {count}")
    else:
        typer.echo(f"{row['file']}: understood, no event. {row['detail']}")
    for event in events:
        typer.echo(orjson.dumps(event, option=orjson.OPT_INDENT_2).decode())


def _headers(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    text = _text("--headers", file)
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _header_lines(text)
    if isinstance(said, dict) and isinstance(said.get("http"), dict):
        said = said["http"]
    if not isinstance(said, dict) or any(isinstance(value, dict | list) for value in said.values()):
        settings.fail(f"--headers: {file}: a JSON object of names and values is needed")
    return {name.lower(): str(value) for name, value in said.items()}


def _header_lines(text: str) -> dict[str, str]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or " " in name.strip():
            settings.fail(f"--headers: line {number} is not `Name: value`")
        found[name.strip().lower()] = value.strip()
    return found


def _without_authentication(vendor: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What normalising reads of a source's ``options`` as they stand in the configuration."""
    from services.ingest.verify import chosen

    try:
        return chosen(vendor, options).rest
    except ValueError as exc:
        if "auth" in options:
            settings.fail(f"--options: {line}" for line in str(exc).split("\n"))
        return options


def _mapping(option: str, given: str) -> dict[str, Any]:
    text = given if given.lstrip().startswith("{") else _text(option, Path(given))
    try:
        said = orjson.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (orjson.JSONDecodeError, yaml.YAMLError):
        settings.fail(f"{option}: neither JSON nor YAML")
    if not isinstance(said, dict):
        settings.fail(f'{option}: a JSON object is needed, for example {{"statuses": {{"en attente": "pending"}}}}')
    return {str(name): value for name, value in said.items()}


def _text(option: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        settings.fail(f"{option}: {file}: cannot be read ({getattr(exc, 'strerror', None) or 'not UTF-8'})")
