"""``deskpulse oncall`` and what ``deskpulse check`` says of schedules."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.app import app

DOCUMENT = """
receivers:
  leads: {webhook: {url: "https://hooks.example/", secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}}
people: {ana: {receivers: [leads]}, ben: {receivers: [leads]}}
schedules:
  support: {timezone: Europe/Paris, rotations: [{people: [ana, ben], start: 2020-01-06}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deskpulse.yaml"
    path.write_text(DOCUMENT)
    return path


def run(*arguments: str | Path) -> tuple[int, str, str]:
    told = CliRunner().invoke(app, [*map(str, arguments)])
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told.exit_code, told.stdout, told.stderr


def test_it_says_who_is_on_call_and_who_is_next(file: Path) -> None:
    code, out, _ = run("oncall", "--config", file, "--at", "2020-01-07T12:00Z")
    assert (code, out) == (0, "support: ana until 2020-01-13T09:00:00+01:00, then ben; alerts go to leads\n")
    code, out, _ = run("oncall", "support", "--config", file, "--at", "2020-01-14T12:00Z", "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert (row["person"], row["source"], row["until"]) == ("ben", "rotation", "2020-01-20T08:00:00Z")


def test_a_schedule_or_a_time_that_is_none_is_refused(file: Path) -> None:
    code, _, err = run("oncall", "nights", "--config", file)
    assert (code, err) == (1, "no schedule nights (there is: support)\n")
    code, _, err = run("oncall", "--config", file, "--at", "tomorrow")
    assert code == 1
    assert "'tomorrow' is no time" in err


def test_check_tells_when_nobody_is_on_call(file: Path) -> None:
    assert run("check", file)[0] == 0
    file.write_text(DOCUMENT.replace("start: 2020-01-06", 'start: 2020-01-06, hours: ["09:00", "18:00"]'))
    code, _, err = run("check", file)
    assert code == 1
    assert "schedules.support: nobody is on call from" in err
