"""``deskpulse receivers test``: a test message to each receiver, and what it answered."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.app import app
from tests.support import vendors

pytestmark = pytest.mark.anyio


async def run(*arguments: str | Path) -> tuple[int, str, str]:
    told = await asyncio.to_thread(CliRunner().invoke, app, ["receivers", "test", *map(str, arguments)])
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told.exit_code, told.stdout, told.stderr


async def test_each_receiver_is_tried_and_says_what_it_answered(tmp_path: Path) -> None:
    teams, slack = vendors.teams(), vendors.slack_webhook()
    await teams.start()
    await slack.start()
    file = tmp_path / "deskpulse.yaml"
    file.write_text(f"""
receivers:
  leads: {{teams: {{workflow_url: "{teams.url("workflow?sig=secret")}", allow_private: true}}}}
  chat: {{slack: {{webhook_url: "{slack.url("services/T0/B0/wrong")}", allow_private: true}}}}
""")
    try:
        code, out, _ = await run("--config", file, "--json")
        assert (code, json.loads(out)) == (
            1,
            [
                {"receiver": "chat", "kind": "slack", "outcome": "refused", "problem": "HTTP 400"},
                {"receiver": "leads", "kind": "teams", "outcome": "delivered", "problem": None},
            ],
        )
        assert (await run("leads", "--config", file))[:2] == (0, "leads  teams  delivered\n")
    finally:
        await teams.stop()
        await slack.stop()
    assert len(teams.got) == 2
    code, _, err = await run("nobody", "--config", file)
    assert code != 0
    assert "no receiver nobody (there is: chat, leads)" in err
