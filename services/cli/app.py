"""The list of commands."""

from __future__ import annotations

import typer

from services.cli import (
    check,
    dlq,
    doctor,
    explain,
    forecast,
    init,
    normalise,
    oncall,
    receivers,
    recompute,
    replay,
    report,
    rules,
    send_test,
    serve,
    silences,
    simulate,
    state,
    topics,
    up,
    version,
)

app = typer.Typer(
    name="deskpulse",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=(
        "Support KPIs, SLA timers and breach alerts from helpdesk webhooks.\n\n"
        "Try it:  deskpulse up --demo\n\n"
        "Begin:   deskpulse init\n\n"
        "Every command explains itself with --help."
    ),
)
app.command("init")(init.init)
app.command("up")(up.up)
app.command("ingest")(serve.ingest)
app.command("metrics")(serve.metrics)
app.command("alerts")(serve.alerts)
app.command("api")(serve.api)
app.add_typer(topics.commands, name="topics")
app.command("check")(check.check)
app.add_typer(rules.commands, name="rules")
app.command("normalise")(normalise.normalise)
app.command("replay")(replay.replay)
app.add_typer(dlq.commands, name="dlq")
app.command("explain")(explain.explain)
app.command("recompute")(recompute.recompute)
app.add_typer(receivers.commands, name="receivers")
app.command("oncall")(oncall.oncall)
app.add_typer(silences.commands, name="silences")
app.command("forecast")(forecast.forecast)
app.command("report")(report.report)
app.command("send-test")(send_test.send_test)
app.command("simulate")(simulate.simulate)
app.add_typer(state.commands, name="state")
app.command("doctor")(doctor.doctor)
app.command("version")(version.version)
