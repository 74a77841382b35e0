"""What five answers become: understood or refused at once, a document that every service takes, secrets that stay."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

from schemas.ticket import Priority
from services.cli.app import app
from services.cli.check import problems
from services.cli.init import answers as said
from services.cli.init.answers import ALERTS, BOARD, DAYS, Alerts, Answers, Helpdesk
from services.cli.init.document import document
from services.cli.init.files import merged
from services.cli.init.secret import made
from services.config import env_file
from services.config.document import load
from services.config.receiver import KINDS
from services.ingest.normalise import VENDORS
from services.ingest.verify.secret import GIVEN, PLACEHOLDER
from tests.support.command import ROOT

OPTIONS = {"public_url": "https://deskpulse.example.com", "org_id": "4242", "webhook_id": "77"}
ALL = [
    *("--timezone", "UTC", "--hours", "always", "--first-response", "1h", "--resolution", "none"),
    *("--alerts", "here", "--board", "open"),
]


def ran(*arguments: str, **variables: str) -> tuple[int, str, str]:
    told = CliRunner().invoke(app, ["init", *arguments], env=variables)
    return told.exit_code, told.stdout, told.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nobody", "'nobody' is none of: chatwoot"),
        ("zendesk, zendesk", "'zendesk' is there twice"),
        ("EU Desk=zendesk", "'eu desk' is no name"),
        (" , ", "name at least one"),
    ],
)
def test_a_helpdesk_that_is_none_is_refused_with_what_there_is(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        said.helpdesks(text)


def test_helpdesks_may_have_names_and_vendors_may_be_written_as_their_guides_are() -> None:
    assert said.helpdesks("eu=zendesk, zoho-desk") == (Helpdesk("eu", "zendesk"), Helpdesk("zoho_desk", "zoho_desk"))


@pytest.mark.parametrize(
    ("text", "weekly"),
    [
        ("mon-tue 09:00-12:30,13:30-18:00; sat 10:00-14:00", {0: 2, 1: 2, 5: 1}),
        ("always", dict.fromkeys(range(7), 1)),
        ("sun 00:00-24:00", {6: 1}),
    ],
)
def test_hours_are_days_with_spans(text: str, weekly: dict[int, int]) -> None:
    assert {day: len(spans) for day, spans in said.hours(text).items()} == {DAYS[n]: k for n, k in weekly.items()}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "write when the team works"),
        ("weekdays 09:00-18:00", "are no days"),
        ("fri-mon 09:00-18:00", "from mon to sun"),
        ("mon 9-18", "is no time of work"),
        ("mon 18:00-09:00", "is no time of work"),
        ("mon 09:00-24:30", "is no time of work"),
        ("mon 09:00-12:00,11:00-18:00", "begins before 12:00"),
        ("mon-fri 09:00-18:00; wed 10:00-11:00", "wed is there twice"),
    ],
)
def test_hours_that_make_no_sense_are_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        said.hours(text)


def test_promises_are_by_priority_or_one_for_all_or_none() -> None:
    assert said.targets("urgent 30m, low 8h") == {"urgent": "30m", "low": "8h"}
    assert said.targets("4h") == {"*": "4h"}
    assert said.targets("none") == {}
    for wrong in ("soon", "urgent soon", "vip 4h", "urgent 1h, urgent 2h", "0s"):
        with pytest.raises(ValueError, match=r"."):
            said.targets(wrong)


@pytest.mark.parametrize("wrong", ["mail", "webhook", "here=x", "slack=http://hooks.slack.com/x", "pagerduty=short"])
def test_where_alerts_cannot_go_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        said.alerts(wrong)
    assert {"here", "none", *KINDS} >= set(ALERTS)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_can_be_chosen_and_its_configuration_passes_the_check(vendor: str, tmp_path: Path) -> None:
    file = tmp_path / "deskpulse.yaml"
    options = [f"--option={vendor}.{name}={OPTIONS[name]}" for name in said.needed(vendor)]
    code, told, complaint = ran(str(file), "--helpdesk", vendor, *options, *ALL, "--json")
    assert code == 0, complaint
    answer = json.loads(told)
    placed = {row["name"] for row in answer["secrets"] if row["placeholder"]}
    assert placed == ({f"{vendor.upper()}_SECRET"} if vendor in GIVEN else set())
    assert problems(file, env_file.beside(file)) == []
    assert answer["webhooks"] == {vendor: f"https://deskpulse.example.com/webhooks/{vendor}"}
    assert (ROOT / "docs" / "guides" / f"connect-{vendor.replace('_', '-')}.md").is_file()


def test_what_a_vendor_needs_to_know_is_named_when_it_is_missing(tmp_path: Path) -> None:
    code, _, complaint = ran(str(tmp_path / "x.yaml"), "--helpdesk", "zoho_desk", *ALL)
    assert code == 1
    assert "--option zoho_desk.org_id=… is missing" in complaint
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_each_missing_flag_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    code, _, complaint = ran(str(tmp_path / "x.yaml"))
    assert code == 1
    flags = ("--helpdesk", "--timezone", "--hours", "--first-response", "--resolution", "--alerts", "--board")
    assert [line.split()[0] for line in complaint.splitlines()] == list(flags)
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_in_the_env_file_alone_which_only_its_owner_reads_and_none_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "deskpulse.yaml"
    code, told, _ = ran(str(file), "--helpdesk", "generic,gorgias", "--yes")
    env = tmp_path / ".env"
    assert code == 0
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    values = env_file.read(env.read_text())
    assert len(values) == len(set(values.values())) == 6
    for value in values.values():
        assert value not in file.read_text()
        assert value not in told
    _, told, _ = ran(str(tmp_path / "more.yaml"), "--helpdesk", "generic", "--yes", "--show-secrets")
    assert values["GENERIC_SECRET"] in told
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "deskpulse.yaml", "more.yaml"]


def test_nothing_that_is_there_is_overwritten_and_with_force_only_the_document(tmp_path: Path) -> None:
    file, env = tmp_path / "deskpulse.yaml", tmp_path / ".env"
    env.write_text("OTHER='of somebody else'\nGENERIC_SECRET=whsec_c2VjcmV0LW9mLW91cnM=\n")
    file.write_text("{}")
    code, _, complaint = ran(str(file), "--helpdesk", "generic", "--yes")
    assert (code, file.read_text()) == (1, "{}")
    assert "--force" in complaint
    assert ran(str(file), "--helpdesk", "generic", "--yes", "--force")[0] == 0
    known = env_file.read(env.read_text())
    assert known["GENERIC_SECRET"] == "whsec_c2VjcmV0LW9mLW91cnM="
    assert known["OTHER"] == "of somebody else"
    assert "GENERIC_HASH_KEY" in known
    assert set(load(file, known).sources) == {"generic"}


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, complaint = ran(str(tmp_path / "file" / "x.yaml"), "--helpdesk", "generic", "--yes")
    assert code == 1
    assert len(complaint.splitlines()) == 1


def test_on_a_terminal_it_asks_five_questions_and_a_wrong_answer_again(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "services.cli", "init", str(tmp_path / "deskpulse.yaml"), "--show-secrets"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, close_fds=True)
    os.close(theirs)
    lines = ["sendesk", "hubspot", "https://desk.acme.example", "Mars", "UTC", "always", "", "", "here", "open"]
    os.write(ours, "".join(f"{line}\n" for line in lines).encode())
    told = b""
    try:
        while chunk := os.read(ours, 4096):
            told += chunk
    except OSError:
        pass  # Linux says the end of a terminal this way
    assert process.wait(30) == 0, told
    text = told.decode()
    assert "'sendesk' is none of" in text
    assert "'Mars' is no time zone" in text
    assert [f"{n}. " in text for n in range(1, 6)] == [True] * 5
    found = load(tmp_path / "deskpulse.yaml", env_file.beside(tmp_path / "deskpulse.yaml"))
    assert found.sources["hubspot"].options == {"public_url": "https://desk.acme.example"}
    assert f"deskpulse up --config {tmp_path / 'deskpulse.yaml'}" in text


spans = some.sampled_from(["09:00-18:00", "00:00-24:00", "08:30-12:00,13:00-17:30"])
length = some.sampled_from(["90s", "15m", "1h", "36h", "3d"])
promises = some.one_of(
    some.just({}),
    some.builds(lambda one: {"*": one}, length),
    some.dictionaries(some.sampled_from([one.value for one in Priority]), length, min_size=1),
)
desks = some.lists(
    some.builds(
        lambda name, vendor: Helpdesk(name, vendor, {one: OPTIONS[one] for one in said.needed(vendor)}),
        some.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True),
        some.sampled_from(sorted(VENDORS)),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda desk: desk.variable,
)
every = some.builds(
    Answers,
    helpdesks=desks.map(tuple),
    timezone=some.sampled_from(["UTC", "Europe/Paris", "America/St_Johns", "Asia/Kathmandu"]),
    weekly=some.dictionaries(some.sampled_from(DAYS), spans, min_size=1).map(
        lambda days: said.hours("; ".join(f"{day} {hours}" for day, hours in days.items()))
    ),
    first_response=promises,
    resolution=promises,
    alerts=some.sampled_from(
        [
            *(Alerts(kind) for kind in ALERTS if kind != "webhook"),
            Alerts("webhook", "https://example.com/hook?a=1&b='2'"),
            Alerts("slack", "https://hooks.slack.com/services/T0/B0/x"),
            Alerts("pagerduty", "0123456789abcdef0123456789abcdef"),
        ]
    ),
    board=some.sampled_from(BOARD),
)


@settings(max_examples=40)
@given(answers=every)
def test_any_answers_give_a_document_that_the_check_takes(
    answers: Answers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(document(answers, "any.yaml"))
    text, _ = merged("", made(answers))
    assert problems(file, env_file.read(text)) == []


def test_a_placeholder_says_where_the_real_one_is_also_the_second_time() -> None:
    answers = Answers(
        helpdesks=(Helpdesk("zendesk", "zendesk"),),
        timezone="UTC",
        weekly=said.hours("always"),
        first_response={},
        resolution={},
        alerts=Alerts("none"),
        board="open",
    )
    text, first = merged("", made(answers))
    again, second = merged(text, made(answers))
    assert again == text
    assert [one.where for one in first] == [one.where for one in second] == [GIVEN["zendesk"], None]
    pasted = text.replace(env_file.read(text)["ZENDESK_SECRET"], "the-real-one")
    assert PLACEHOLDER in text
    assert [one.where for one in merged(pasted, made(answers))[1]] == [None, None]


def test_an_env_file_is_read_as_compose_reads_it_as_far_as_the_document_asks(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# A=0\nA=1 # one\nexport B='two # 2'\nC=\"3\"\nD=\nE=5\nnonsense\n")
    (tmp_path / "x.yaml").write_text("a: ${A} ${B}\nc: ${C} ${D} ${F}")
    assert env_file.beside(tmp_path / "x.yaml") == {"A": "1", "B": "two # 2", "C": "3"}
    assert env_file.beside(tmp_path / "nowhere" / "x.yaml") == {}
