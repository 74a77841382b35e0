"""The list of commands."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

COMMANDS: Final = {
    "init": "init:init",
    "up": "up:up",
    "ingest": "serve:ingest",
    "metrics": "serve:metrics",
    "alerts": "serve:alerts",
    "api": "serve:api",
    "topics": "topics:commands",
    "check": "check:check",
    "rules": "rules:commands",
    "normalise": "normalise:normalise",
    "replay": "replay:replay",
    "dlq": "dlq:commands",
    "explain": "explain:explain",
    "recompute": "recompute:recompute",
    "receivers": "receivers:commands",
    "oncall": "oncall:oncall",
    "silences": "silences:commands",
    "forecast": "forecast:forecast",
    "report": "report:report",
    "send-test": "send_test:send_test",
    "simulate": "simulate:simulate",
    "state": "state:commands",
    "doctor": "doctor:doctor",
    "version": "version:version",
}
"""Where each is: a module of this package, and in it a function or a group."""


class Listed(TyperGroup):
    """Imports a command when it is asked for: to start one must not cost what all the others need."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.commands[cmd_name] = _made(cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS:
            for name in COMMANDS:  # what was meant is looked for among those that are known
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


def _made(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(f"services.cli.{module}"), attribute)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    if not isinstance(found, typer.Typer):
        alone.command(name)(found)
        return typer.main.get_command(alone)
    alone.add_typer(found, name=name)
    return typer.main.get_group(alone).commands[name]


app = typer.Typer(
    name="deskpulse",
    cls=Listed,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def deskpulse() -> None:
    """Support KPIs, SLA timers and breach alerts from helpdesk webhooks.

    Try it:  deskpulse up --demo

    Begin:   deskpulse init

    Every command explains itself with --help.
    """
