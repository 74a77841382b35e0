"""``deskpulse normalise``: what saved payloads become, told as whoever writes a mapping needs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.codec import decode_ticket
from services.cli.app import app

WEBHOOKS = Path(__file__).parents[1] / "fixtures" / "webhooks"
ZENDESK = WEBHOOKS / "zendesk"
TRIGGER = json.loads((ZENDESK / "trigger_status.json").read_text())
FIELDS = ["file", "vendor", "events", "reason", "detail"]


def run(*arguments: str | Path, given: bytes | None = None, **environment: str) -> tuple[int, str, str]:
    told = CliRunner().invoke(app, ["normalise", *map(str, arguments)], input=given, env=environment)
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told.exit_code, told.stdout, told.stderr


def rows(*arguments: str | Path, **more: Any) -> tuple[int, list[dict[str, Any]]]:
    code, out, _ = run("--json", *arguments, **more)
    return code, json.loads(out)


def saved(folder: Path, value: Any, name: str = "body.json") -> Path:
    file = folder / name
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return file


def test_each_file_is_an_object_of_the_same_fields_and_its_events_are_canonical() -> None:
    files = [ZENDESK / "created.json", ZENDESK / "status_on_hold.json"]
    code, told = rows("--vendor", "zendesk", *files)
    assert code == 0
    assert [list(row) for row in told] == [FIELDS, FIELDS]
    assert [row["file"] for row in told] == [str(file) for file in files]
    kinds = [[decode_ticket(json.dumps(event).encode()).kind.value for event in row["events"]] for row in told]
    assert kinds == [["ticket.created"], ["status.changed"]]
    assert {(row["vendor"], row["reason"], row["detail"]) for row in told} == {("zendesk", None, None)}


def test_the_events_are_those_of_the_fixtures() -> None:
    """The same as ingest makes of the same bytes, but for the pseudonyms."""
    _, [row] = rows("--vendor", "zendesk", "--received-at", "2026-03-02T09:00:01Z", ZENDESK / "priority_removed.json")
    [expected] = json.loads((ZENDESK / "priority_removed.events.json").read_text())
    [event] = row["events"]
    assert {name: event[name] for name in expected if name not in ("ticket", "actor")} == {
        name: value for name, value in expected.items() if name not in ("ticket", "actor")
    }


def test_one_file_is_a_list_too_and_several_events_of_one_file_are_in_one_row(tmp_path: Path) -> None:
    event = {"kind": "ticket.created", "ticket_id": "1", "occurred_at": "2026-03-02T09:00:00Z"}
    file = saved(tmp_path, [event, event | {"ticket_id": "2"}])
    code, [row] = rows("--vendor", "generic", file)
    assert code == 0
    assert [one["ticket_id"] for one in row["events"]] == ["1", "2"]


def test_what_is_known_and_says_nothing_is_understood_and_says_why(tmp_path: Path) -> None:
    file = saved(tmp_path, json.loads((ZENDESK / "created.json").read_text()) | {"type": "zen:event-type:user.created"})
    code, [row] = rows("--vendor", "zendesk", file)
    assert (code, row["events"], row["reason"]) == (0, [], None)
    assert len(row["detail"]) > 20


def test_what_is_refused_has_its_reason_and_the_others_are_told_all_the_same(tmp_path: Path) -> None:
    unknown = saved(tmp_path, {"type": "zen:event-type:ticket.sang"}, "unknown.json")
    broken = saved(tmp_path, "{", "broken.json")
    code, told = rows("--vendor", "zendesk", unknown, broken, tmp_path / "no.json", ZENDESK / "created.json")
    assert code == 1
    assert [row["reason"] for row in told] == ["unknown_type", "not_json", "unreadable", None]
    assert [len(row["events"]) for row in told] == [0, 0, 0, 1]
    assert all(row["detail"] for row in told[:3])


def test_the_lines_for_people_say_the_same(tmp_path: Path) -> None:
    broken = saved(tmp_path, "{")
    code, out, _ = run("--vendor", "zendesk", broken, ZENDESK / "created.json")
    assert code == 1
    assert f"{broken}: 0 events; not_json: " in out
    assert f"{ZENDESK / 'created.json'}: 1 event\n" in out
    assert '"kind": "ticket.created"' in out


@pytest.mark.parametrize(
    "headers",
    [
        "X-Zendesk-Webhook-Invocation-Id: 77\n\nContent-Type: application/json\n",
        {"X-Zendesk-Webhook-Invocation-Id": "77"},
        {"id": "helpdesk.tickets.v1.dlq:0:1", "http": {"x-zendesk-webhook-invocation-id": "77"}},
    ],
)
def test_headers_are_read_as_lines_as_json_and_as_a_dead_letter_shows_them(tmp_path: Path, headers: Any) -> None:
    """The invocation is the identity of a trigger's webhook, so another one gives another id."""
    file, body = saved(tmp_path, headers, "headers"), ZENDESK / "trigger_status.json"
    other = saved(tmp_path, {"x-zendesk-webhook-invocation-id": "78"}, "other")
    ids = [rows("--vendor", "zendesk", "--headers", one, body)[1][0]["events"][0]["event_id"] for one in (file, other)]
    again = rows("--vendor", "zendesk", "--headers", file, body)[1][0]["events"][0]["event_id"]
    assert ids[0] == again != ids[1]


@pytest.mark.parametrize("as_file", [True, False])
def test_options_are_the_sources_vocabulary(tmp_path: Path, as_file: bool) -> None:
    body = saved(tmp_path, TRIGGER | {"status": "En attente"})
    assert [row["reason"] for row in rows("--vendor", "zendesk", body)[1]] == ["bad_value"]
    options = {"statuses": {"en attente": "pending"}}
    given = str(saved(tmp_path, options, "options.json")) if as_file else json.dumps(options)
    code, [row] = rows("--vendor", "zendesk", "--options", given, body)
    assert code == 0, row
    assert row["events"][0]["status"]["to"] == "pending"


def test_a_configured_source_brings_its_name_vendor_options_and_hash_key(tmp_path: Path) -> None:
    config = "sources: {shop: {vendor: zendesk, secrets: [s], hash_key: '${K}', options: {tiers: {vip: gold}}}}"
    file = saved(tmp_path, config, "deskpulse.yaml")
    body = ZENDESK / "status_on_hold.json"
    code, [row] = rows("--source", "shop", "--config", file, body, K="one key")
    assert (code, row["vendor"]) == (0, "zendesk")
    [event] = row["events"]
    assert (event["source"], event["ticket"]["tier"]) == ("shop", "gold")
    _, [other] = rows("--source", "shop", "--config", file, body, K="another key")
    _, [given] = rows("--vendor", "zendesk", "--hash-key-env", "K", body, K="one key")
    _, [default] = rows("--vendor", "zendesk", body)
    pseudonyms = [one["events"][0]["ticket"]["requester"] for one in (row, given, other, default)]
    assert pseudonyms[0] == pseudonyms[1]
    assert len(set(pseudonyms)) == 3


def test_what_a_configured_source_keeps_of_a_person_is_shown_and_nothing_by_default(tmp_path: Path) -> None:
    config = "sources: {shop: {vendor: zendesk, secrets: [s], keep: [subject]}, bare: {vendor: zendesk, secrets: [s]}}"
    file = saved(tmp_path, config, "deskpulse.yaml")
    body = ZENDESK / "status_on_hold.json"
    _, [shop] = rows("--source", "shop", "--config", file, body)
    assert shop["events"][0]["personal"] == {"subject": "Invoice"}
    for arguments in (("--source", "bare", "--config", file, body), ("--vendor", "zendesk", body)):
        _, [row] = rows(*arguments)
        assert "personal" not in row["events"][0]


def test_a_payload_may_come_from_stdin() -> None:
    code, [row] = rows("--vendor", "zendesk", "-", given=(ZENDESK / "created.json").read_bytes())
    assert (code, row["file"], len(row["events"])) == (0, "-", 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.json"], "give --vendor (there is: "),
        (["--vendor", "nobody", "x.json"], "--vendor: 'nobody' is not supported (there is: "),
        (["--vendor", "zendesk", "--options", '{"colour": 1}', "x"], "--options: Object contains unknown field"),
        (["--vendor", "zendesk", "--options", "[1]", "x"], "--options: [1]: cannot be read"),
        (["--vendor", "zendesk", "--options", '{"a"', "x"], "--options: neither JSON nor YAML"),
        (["--vendor", "zendesk", "--headers", "no.txt", "x"], "--headers: no.txt: cannot be read"),
        (["--vendor", "zendesk", "--received-at", "noon", "x"], "--received-at: 'noon' is no time"),
        (["--vendor", "zendesk", "--hash-key-env", "NO_KEY", "x"], "--hash-key-env: NO_KEY is not set"),
    ],
)
def test_mistakes_of_the_command_line_are_one_line(arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(said)
    assert len(err.splitlines()) == 1
