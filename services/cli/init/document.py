"""The YAML document of the answers, with comments for whoever changes it later. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from services.cli.init.answers import DAYS, Answers, Helpdesk
from services.cli.init.secret import ALERTS, BOARD_TOKEN
from services.config.duration import seconds

_HEAD = """\
# What the support team decides. Made by `deskpulse init`; it is yours now.
#
# After every change:   deskpulse check {file}
# A running Deskpulse takes a changed file by itself. ${{NAME}} comes from the environment, or from the .env beside this
# file. Every key: docs/settings.md

# One entry for each helpdesk account. It posts to  POST /webhooks/<name>.
sources:
"""
_AFTER = """
# How numbers can be cut, and over how long they are kept. More dimensions: brand, tier.
segments: [[source], [channel], [team], [priority], [agent], [tag]]
windows: [15m, 1h, 24h, 7d, 28d]

# When a number is worth a message. More to begin with: deploy/config/rules-starter.yaml. See what a rule would have
# said:  deskpulse rules test {file} --days 28
rules:
  - name: nobody-took-it
    type: threshold
    description: Tickets that belong to nobody are answered by nobody.
    kpi: unassigned_backlog
    above: 25
    clear: 15            # it ends below this, so that it does not come and go
    for: 15m             # and only if it lasts
"""


def document(answers: Answers, file: str) -> str:
    """The whole text. ``file`` is how the user calls it."""
    return "".join(_parts(answers, file))


def _parts(answers: Answers, file: str) -> Iterator[str]:
    yield _HEAD.format(file=file)
    for desk in answers.helpdesks:
        yield from _source(desk)
    yield from _calendar(answers)
    yield from _policies(answers)
    yield _AFTER.format(file=file)
    yield from _slow(answers)
    yield from _receivers(answers)
    if answers.board == "token":
        yield (
            "\n# Who may look at the board and ask the API; more, and people who sign in: docs/roles.md\n"
            f'api_tokens:\n  - {{token: "${{{BOARD_TOKEN}}}", name: first-admin, role: admin}}\n'
        )
    else:
        yield "\n# Everybody who reaches its port may use the board and the API. To change that: docs/roles.md\n"
        yield '# api_tokens:\n#   - {token: "${DESKPULSE_API_TOKEN}", name: Kim, role: lead}\n'


def _source(desk: Helpdesk) -> Iterator[str]:
    yield f"  {_text(desk.name)}:      # {desk.guide}\n"
    yield f"    vendor: {desk.vendor}\n"
    yield f'    secrets: ["${{{desk.variable}}}"]      # while you change it: the new one and the old one\n'
    yield f'    hash_key: "${{{desk.variable.removesuffix("SECRET")}HASH_KEY}}"\n'
    yield '    # ticket_url: "https://example.com/tickets/{ticket_id}"   # the link in alerts\n'
    if desk.options:
        yield "    options:\n"
        yield from (f"      {name}: {_text(value)}\n" for name, value in desk.options.items())


def _calendar(answers: Answers) -> Iterator[str]:
    yield "\n# When the team works; promises count in these hours only.\ncalendars:\n  support:\n"
    yield f"    timezone: {_text(answers.timezone)}\n    weekly:\n"
    for day in DAYS:
        if spans := answers.weekly.get(day):
            yield f"      {day}: {json.dumps([list(span) for span in spans])}\n"
    yield "    # country: FR                    # closed on its public holidays\n"
    yield '    # holidays: ["2027-03-29"]       # and on these days\n'
    yield "\nbusiness_calendar: support\n"


def _policies(answers: Answers) -> Iterator[str]:
    promised = {"first_response": answers.first_response, "resolution": answers.resolution}
    promised = {metric: targets for metric, targets in promised.items() if targets}
    if not promised:
        yield "\n# No promises yet: docs/guides/promises-and-hours.md\nsla_policies: []\n"
        return
    yield (
        "\n# Promises. The first policy whose `match` fits a ticket counts; this one fits every ticket, so put others\n"
        "# before it. A ticket without a priority counts as normal.\n"
        'sla_policies:\n  - name: standard\n    calendar: support\n    warn_at: ["75%", "90%"]\n    targets:\n'
    )
    for metric, targets in promised.items():
        told = ", ".join(f"{json.dumps(name) if name == '*' else name}: {length}" for name, length in targets.items())
        yield f"      {metric}: {{{told}}}\n"


def _slow(answers: Answers) -> Iterator[str]:
    target = answers.first_response.get("normal") or answers.first_response.get("*")
    if target is None or seconds(target) < 120:
        return
    minutes = seconds(target) // 60
    yield (
        "  - name: slow-first-answers\n    type: threshold\n"
        "    description: Look at the queue, and at who is on it now.\n"
        "    kpi: first_response_time\n    statistic: business.p90_s\n    window: 1h\n"
        f"    above: {minutes}m\n    clear: {max(1, minutes * 4 // 5)}m\n    for: 20m\n    min_count: 10\n"
    )


def _receivers(answers: Answers) -> Iterator[str]:
    kind, value = answers.alerts.kind, answers.alerts.value
    secret = f'"${{{ALERTS}}}"'
    ways = {
        "here": f'webhook: {{url: "http://127.0.0.1:9009/", secrets: [{secret}], allow_private: true}}',
        "webhook": f"webhook: {{url: {json.dumps(value)}, secrets: [{secret}]}}",
        "slack": f"slack: {{webhook_url: {secret}}}",
        "teams": f"teams: {{workflow_url: {secret}}}",
        "pagerduty": f"pagerduty: {{routing_key: {secret}}}",
    }
    yield "\n# Where alerts go, and which; try it:  deskpulse receivers test\n"
    if kind not in ways:
        yield "# Without routes they are only shown by the board and the API.\nreceivers: {}\nroutes: []\n"
        return
    if kind == "here":
        yield "# This one is `deskpulse receivers listen` on this machine.\n"
    yield f"receivers:\n  leads:\n    {ways[kind]}\n"
    yield "routes:\n  - {receiver: leads}            # all of them; narrower: match: {team: [billing]}\n"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
