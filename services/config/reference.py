"""The reference of everything that can be set, made from the code that reads it.

python -m services.config.reference > docs/settings.md
python -m services.config.reference --env > .env.example
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from schemas.sla import SlaMetric
from schemas.ticket import Priority, Status
from services.config import rule_reference
from services.config.access import Api, ApiToken, Oidc
from services.config.board import MOST_TILES, BoardChoices
from services.config.document import Document, Escalation, KpiChoices, Policy, Retention, Route, Source
from services.config.environment import Environment
from services.config.forecast import ForecastChoices
from services.config.links import Links
from services.config.receiver import (
    AlertmanagerReceiver,
    AppriseReceiver,
    Digest,
    EmailReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    TeamsReceiver,
    WebhookReceiver,
)
from services.config.report import ReportPlan
from services.config.rule import Pair, Threshold
from services.config.schedule import Away, EscalationStep, Override, Quiet, RemoteCalendar, Rotation, Schedule, Somebody
from services.config.segment import DIMENSIONS
from services.config.silence import PlannedSilence
from services.config.template import NAMES

_ROLE: Final = "`viewer`, `lead` or `admin`"
KEYS: Final[dict[type[BaseModel], dict[str, tuple[str, str]]]] = {
    Document: {
        "sources": ("name: source", "The helpdesk accounts that post webhooks, by the name in their address."),
        "calendars": ("name: calendar", "When the team works. Policies name one."),
        "business_calendar": (
            "name",
            (
                "The calendar in which every duration is also kept. Without it, the first one; without any, every hour "
                "counts. A ticket under a policy with a calendar is measured in that one."
            ),
        ),
        "sla_policies": (
            "list of policies",
            "Promises. The first policy whose `match` fits counts; for `group_ownership` the first that names it.",
        ),
        "segments": (
            "list of lists of dimensions",
            (
                "How KPIs can be cut. Each list is a cut, by one dimension or by several together. Every value costs "
                "memory in Redis."
            ),
        ),
        "segment_limit": (
            "number",
            (
                "How many values each segment may have, 1 to 100000. What comes after that counts as `other`, and "
                "keeps doing so: a value's place is never taken away, and a segment that was once full stays so."
            ),
        ),
        "segment_limits": ("segment: number", "Another limit for single segments, as in `{agent: 200}`."),
        "windows": ("list of durations", "The rolling windows that KPIs can be asked for and are exported for."),
        "kpis": ("mapping", "What the definitions of KPIs leave open."),
        "retention": ("mapping", "How long the state remembers what is done with."),
        "forecast": ("mapping", "What nobody can count of the work that comes; see [forecast](guides/forecast.md)."),
        "rules": (
            "list of rules",
            (
                "When a KPI is worth a message, up to 500; see [writing a rule](guides/write-a-rule.md). `/v1/rules` "
                "takes more."
            ),
        ),
        "receivers": ("name: receiver", "Where alerts can go."),
        "people": ("name: person", "Who can be on call; see [on call](guides/on-call.md)."),
        "schedules": ("name: schedule", "Who is on call when. Routes name one instead of a receiver."),
        "routes": (
            "list of routes",
            (
                "Which alerts go where; every route that matches is used. Without routes alerts are only shown by the "
                "API and the board."
            ),
        ),
        "silences": ("list of silences", "Planned work during which alerts are nobody's news; others come by the API."),
        "reports": (
            "list of reports",
            "Digests for leaders, each due at its times; see [leaders' digests](guides/leaders-digest.md).",
        ),
        "api_tokens": (
            "list of secrets or tokens",
            (
                "Bearer tokens of the query API. A secret alone is an administrator without a name. Without any, and "
                "without `api.oidc`, the API answers everybody who can reach its port."
            ),
        ),
        "api": ("mapping", "Who else may ask the query API, who sees single agents, and how often each may ask."),
        "board": ("mapping", "What the live board shows."),
        "board_url": ("URL", "Where people reach the query API and the board: messages link to it."),
        "runbooks_url": ("URL", "Where people read the runbooks; the file's name is added. For links in messages."),
        "links": (
            "see below",
            "Lets people acknowledge and snooze from a message. Default: nobody can.",
        ),
    },
    ApiToken: {
        "token": ("secret", "What is sent as `Authorization: Bearer …`. Make it with `openssl rand -hex 32`."),
        "role": (_ROLE, "[What its holder may do](roles.md)."),
        "name": ("text", "Whose it is: shown with what is done with it, and in the log. Needed with `role`."),
        "teams": ("list of teams", "Of a lead: acts only on alerts of these teams. Empty: of all."),
    },
    Api: {
        "agents_visible_to": (_ROLE, "From which role on numbers about single agents are shown."),
        "requests_per_minute": (
            "number",
            (
                "How many requests each token, person or (where nobody is asked) address may send, on average. Each "
                "API process counts for itself."
            ),
        ),
        "burst": ("number", "How many of them at once."),
        "streams": ("number", "How many live streams each may have open in a process, besides."),
        "oidc": ("mapping", "An OpenID Connect issuer whose access tokens are taken too."),
    },
    Oidc: {
        "issuer": (
            "URL",
            "As in the tokens' `iss`. Its keys are found by discovery (`/.well-known/openid-configuration`).",
        ),
        "audience": ("text", "What must be in the tokens' `aud`: this API, not another of the same issuer."),
        "roles": ("claim value: role", "Which role a value of the claim gives; of several the highest."),
        "role_claim": ("name or path", "The claim with the values: `roles`, `groups`, `realm_access.roles`."),
        "name_claim": ("name or path", "The claim that says who it is, for what they do and the log; else `sub`."),
        "teams_claim": (
            "name or path",
            "The claim with the teams that a lead may act for. With it, a lead without a team is refused.",
        ),
        "algorithms": (
            "list of algorithms",
            "Signatures that are taken: RS, PS and ES of 256, 384 and 512, and EdDSA; no shared secrets.",
        ),
        "leeway": ("duration", "How far the issuer's clock may be from ours, at most 5m."),
    },
    Source: {
        "vendor": (
            "name",
            "Which product posts; decides the signature and how payloads are read. One of those under `options.auth`.",
        ),
        "secrets": (
            "list of secrets",
            "The webhook's signing secrets. During a change list the new and the old one: both are accepted.",
        ),
        "tolerance_s": ("seconds", "How far the signed time may be from ours, 1 to 86400."),
        "keep": (
            "list of `subject`, `message_body`, `requester_name`, `requester_email`",
            "What of a person stands in canonical events (`helpdesk.tickets.v1`, 90 days), where the webhook has it.",
        ),
        "keep_raw": ("true, false", "Whether every webhook is also kept as it came in (`helpdesk.webhooks.v1`)."),
        "raw_retention": (
            "duration",
            (
                "Keeps the raw webhooks in a topic of their own, `helpdesk.webhooks.v1.<name>`, for so long; "
                "`deskpulse topics apply` creates it. Without it they lie with the others, for 7 days."
            ),
        ),
        "max_depth": ("number", "How deeply a webhook's JSON may be nested, 16 to 1024; deeper is a dead letter."),
        "hash_key": (
            "secret",
            (
                "Keys the pseudonyms of customers. Without it the first of `secrets` does, so set one before you "
                "change secrets: with another key a customer gets a new pseudonym."
            ),
        ),
        "ticket_url": ("URL with `{ticket_id}`", "Where a ticket can be opened; the link in alerts."),
        "allow_from": (
            "list of addresses or networks",
            (
                "Who may post, as in `192.0.2.0/24`; others are answered 403. Empty is everybody. Behind a proxy set "
                "`DESKPULSE_TRUSTED_PROXIES` too."
            ),
        ),
        "max_per_s": (
            "number",
            "Deliveries in a second, and ten times as many at once; then 429. Only those with a right signature count.",
        ),
        "max_concurrent": ("number", "Requests of this source that are read or answered at a time; then 429."),
        "spool": (
            "true, false, `auto`",
            (
                "Whether webhooks are accepted and kept on disk while Kafka is away. `auto`: yes, except for vendors "
                "that send again later by their own word: Zendesk, HubSpot, Jira, Salesforce with `auth: soap`."
            ),
        ),
        "delivery_delay": (
            "duration",
            (
                "For a helpdesk that delivers late: warnings and breaches are announced by so much later, so that a "
                "reply that is on its way is waited for. `breached_at` stays when it broke, `detected_at` when told."
            ),
        ),
        "options": ("mapping", "How the vendor authenticates, and what is particular to it, see below."),
    },
    Policy: {
        "name": ("name", "Stands in alerts; each is used once."),
        "match": ("dimension: list of values", "What a ticket must have; of each dimension one of the values."),
        "calendar": ("name", "The calendar in which the targets are counted. Without it every hour counts."),
        "warn_at": ("list of shares or durations", "When to warn: `75%` of the target, or `15m` before its end."),
        "targets": (
            "metric: {priority: duration}",
            'The promises. `"*"` is every other priority; a ticket without one counts as `normal`; `null` promises '
            "nothing. Metrics: " + ", ".join(f"`{metric}`" for metric in SlaMetric) + ".",
        ),
        "pause_on": (
            "metric: list of statuses",
            (
                "In which statuses a metric's clock stands still. Default: `requester_wait` on `pending`, `agent_work` "
                "on `pending` and `on_hold`, the others never."
            ),
        ),
        "next_response_from": (
            "`first_reply`, `first_message`",
            "Whether `next_response` begins only after the first reply, or with the customer's first later message.",
        ),
    },
    BoardChoices: {
        "title": ("text", "Stands above it."),
        "kpis": (
            "list of KPIs",
            f"The tiles, at most {MOST_TILES}: a KPI, or a number of it such as `first_response_time.p50_s`.",
        ),
        "window": ("one of `windows`", "Of the tiles and the workload. By default `24h`, or the longest there is."),
    },
    KpiChoices: {
        "first_contact_days": (
            "days",
            "How long a ticket must stay solved to count as `first_contact_resolution`, 1 to 90 times 24 hours.",
        ),
        "escalation": ("mapping", "What counts as an escalation besides one that the helpdesk says was raised."),
    },
    Retention: {
        "closed_tickets": (
            "duration or `never`",
            (
                "A solved, closed, merged or deleted ticket of which nothing was heard for so long is forgotten: its "
                "facts leave Redis, its numbers stay. An event that is older than this when it comes, of a ticket that "
                "is not there, is refused as `too_late`, once Deskpulse has run for so long. At least "
                "`kpis.first_contact_days`."
            ),
        ),
    },
    ReportPlan: {
        "name": ("name", "Names it in the API and to the command line."),
        "leader": (
            "name of a person",
            "Whom it is for: one of `people`. Without `receiver` it goes to theirs, or to those of their cover.",
        ),
        "receiver": (
            "name",
            "A receiver, a schedule (whoever is on call then) or a person, instead. No PagerDuty, no Alertmanager.",
        ),
        "when": ("text", "`daily 08:30`, `weekdays 08:30`, `weekly mon 08:30` or `weekly mon,thu 08:30`."),
        "timezone": ("IANA zone", "Of that time. Default: the leader's, else UTC."),
        "scope": ("segment", "The tickets that it tells of: `all`, or a configured segment, as in `team:billing`."),
        "focus": ("list of KPIs", "Up to three that are shown day by day."),
        "calendar": ("name of a calendar", "Not on days on which this one is closed; the next one tells of them too."),
        "people": ("true or false", "Whether agents may be praised by name."),
        "in_quiet_hours": ("true or false", "Whether it comes in quiet hours of its receiver too."),
        "late_by": ("duration", "How late it may come when no worker was there, 1m to 7d; after that it is left out."),
    },
    ForecastChoices: {
        "calendar": (
            "name of a calendar",
            "Which days are closed, and in which zone a day begins. Default: `business_calendar`, else the first one.",
        ),
        "handle_time": (
            "segment: duration",
            (
                'What an agent spends on one ticket, `"*"` for every segment that has none of its own, as in '
                '`{"*": 12m, "team:billing": 20m}`. Without it, the pace of the last four weeks is taken.'
            ),
        ),
        "occupancy": ("percentage", "The part of an hour of presence that can be spent so, 20% to 100%."),
    },
    Escalation: {
        "priorities": ("list of priorities", "A rise from a known lower priority to one of these."),
        "teams": ("list of teams", "A move to one of these from a team that is none of them."),
    },
    Receiver: {
        "webhook": ("mapping", "A URL that gets every alert as signed JSON."),
        "slack": ("mapping", "A channel in Slack."),
        "teams": ("mapping", "A channel or chat in Microsoft Teams."),
        "pagerduty": ("mapping", "A service in PagerDuty."),
        "alertmanager": ("mapping", "An Alertmanager, or what takes the webhooks of one."),
        "email": ("mapping", "Mailboxes."),
        "apprise": ("mapping", "Anything else, by Apprise. Needs `pip install deskpulse[apprise]`."),
        "message": (
            "text",
            (
                "Your words in place of the alert's, for `slack`, `teams`, `email` and `apprise`, in their markup. "
                "Placeholders: " + ", ".join(f"`{{{name}}}`" for name in NAMES) + "."
            ),
        ),
        "digest": (
            "mapping, `false`",
            (
                "When messages are gathered. By default they are for `slack`, `teams`, `pagerduty`, `email` and "
                "`apprise`, as below, and never for `webhook` and `alertmanager`."
            ),
        ),
        "quiet": ("`{hours, …}`", "When messages to it wait; see [on call](guides/on-call.md)."),
        "links": ("true or false", "Whether its messages carry links that act, where `links` are configured."),
    },
    Digest: {
        "after": ("number", "So many messages in `per` go out at once, each by itself. 1 to 10000."),
        "per": ("duration", "The time in which `after` counts."),
        "every": ("duration", "How long those beyond are gathered before they go out as one. It is how late they are."),
        "worst": ("number", "How many alerts a digest names, 1 to 30; the link leads to all."),
    },
    SlackReceiver: {
        "webhook_url": ("secret URL", "Of an incoming webhook: posts only."),
        "token": ("secret", "Of a bot (`xoxb-…`) with `chat:write`: also updates an alert's message, and threads."),
        "channel": ("id", "Where the bot posts, such as `C0123ABCD`. It must be a member."),
        "api_url": ("URL", "Slack's Web API."),
        "allow_private": ("true, false", "As for webhooks; also allows http."),
    },
    TeamsReceiver: {
        "workflow_url": ("secret URL", "Of a workflow that posts what its webhook gets."),
        "allow_private": ("true, false", "As for webhooks; also allows http."),
    },
    PagerDutyReceiver: {
        "routing_key": ("secret", "The integration key of an Events API v2 integration."),
        "url": ("URL", "For the EU service region: `https://events.eu.pagerduty.com/v2/enqueue`."),
        "allow_private": ("true, false", "As for webhooks; also allows http."),
    },
    AlertmanagerReceiver: {
        "push_url": ("URL", "An Alertmanager, without `/api/v2`: alerts are pushed to it."),
        "webhook_url": ("secret URL", "What takes webhooks in Alertmanager's version 4."),
        "bearer_token": ("secret", "Sent with each request, if set."),
        "repush": ("duration", "How often open alerts are pushed anew; after four missed pushes they end there."),
        "allow_private": ("true, false", "As for webhooks; also allows http."),
    },
    EmailReceiver: {
        "host": ("name", "The SMTP server."),
        "port": ("number", "587 for `starttls`, 465 for `tls`, 25 for `none`."),
        "tls": ("`starttls`, `tls`, `none`", "How it is protected. `none` only in your network, without a password."),
        "username": ("text", "If the server wants one."),
        "password": ("secret", "Goes with `username`."),
        "sender": ("address", "Whom the mails are from."),
        "to": ("list of addresses", "Who gets them, at most 100."),
        "ca_file": ("path", "Certificates to trust in place of the system's, as PEM."),
        "allow_private": ("true, false", "As for webhooks."),
    },
    AppriseReceiver: {
        "url": ("secret URL", "As Apprise has it, such as `ntfys://…`."),
        "allow_private": ("true, false", "As for webhooks; also allows the machine's own notifications."),
    },
    WebhookReceiver: {
        "url": ("URL", "Where to post, with http or https."),
        "secrets": ("list of secrets", "Sign each message (Standard Webhooks); each adds a signature."),
        "allow_private": (
            "true, false",
            "Whether the address may be on a private network. Without it only public addresses are posted to.",
        ),
    },
    Route: {
        "receiver": ("name", "One of `receivers`. Give this or `schedule`."),
        "schedule": ("name", "One of `schedules`: whoever is on call when the alert changes."),
        "match": ("label: list of values", "What an alert's labels must have; empty takes every alert."),
        "quiet": ("`{hours, …}`", "When its messages wait; see [on call](guides/on-call.md)."),
        "escalate": (
            "list of `{after, to}`",
            "Whom else to tell while nobody acknowledges. Of the routes that fit, the first that has steps counts.",
        ),
    },
    Quiet: {
        "hours": ("list of [from, to]", "Quiet within them. Hours that end before they begin go on past midnight."),
        "days": ("list of weekdays", "On which these hours begin."),
        "timezone": ("IANA name", "Of `hours`, which need it."),
        "calendar": ("name", "Instead of hours: one of `calendars`, and quiet is when it is closed."),
        "exceptions": ("list of severities", "What does not wait. `[]` for everything waits."),
    },
    Links: {
        "secrets": (
            "list of secrets",
            "The first signs, the others still count. Changing all of them ends every link. `openssl rand -base64 32`",
        ),
        "valid": ("duration", "How long after what the message tells, from `5m` to `30d`."),
    },
    PlannedSilence: {
        "name": ("name", "Its id in alerts and in `/v1/silences`."),
        "match": ("label: list of values", "As in a route; at least one label. All of them must fit."),
        "comment": ("text", "Why."),
        "timezone": ("IANA name", "Of the times without an offset."),
        "since": ("date or time", "Once: from then on."),
        "until": ("date or time", "Once: until then. A date is included."),
        "hours": (
            "list of [from, to]",
            "Instead: every week within them. Those that end before they begin end a day later.",
        ),
        "days": ("list of weekdays", "On which these hours begin."),
    },
    EscalationStep: {
        "after": ("duration", "Since the alert fired, from `1m` to `7d`; each step later than the one before."),
        "to": ("name", "A receiver, a schedule (whoever is on call then) or a person (or their cover)."),
    },
    Somebody: {
        "receivers": ("list of names", "Of `receivers`: all of them are used."),
        "cover": ("name", "The person who stands in while this one is away."),
        "away": ("list of `{from, to}`", "When this person is not on call, by dates (both included) or times."),
        "timezone": ("IANA name", "Of the times in `away`."),
    },
    Away: {
        "since": ("date or time", 'As `2026-12-24`, or `"2026-12-24 18:00"`.'),
        "until": ("date or time", "A date is included, a time is not."),
    },
    Schedule: {
        "timezone": ("IANA name", "Of every time in the schedule."),
        "rotations": ("list of rotations", "The first that is on duty counts."),
        "overrides": ("list of `{from, to, person}`", "Before everything else; the last that covers the time counts."),
        "calendar": (
            "file, or `{url: …}`",
            "An iCalendar file or address whose events are shifts; see [on call](guides/on-call.md).",
        ),
        "otherwise": (
            "name",
            "The receiver for when nobody is on call. Without it, all of the schedule's people are told then.",
        ),
    },
    RemoteCalendar: {
        "url": ("secret", "Where the calendar is: https, or `webcal`. Redirects are not followed."),
        "refresh": ("duration", "How often it is read, from `1m` to `1d`."),
        "allow_private": ("true or false", "Allows addresses in your network, and http."),
    },
    Rotation: {
        "people": ("list of names", "In the order of their turns."),
        "start": ("date", "Of the first turn. Nobody is on duty before."),
        "length": ("duration", "Of a turn by the clock on the wall, from `1h` to `366d`."),
        "hand_over": ("time of day", "When a turn ends and the next one begins."),
        "days": ("list of weekdays", "On which the rotation is on duty."),
        "hours": (
            "list of [from, to]",
            "When on these days. Hours that end before they begin go on past midnight. All day without it.",
        ),
    },
    Override: {
        "since": ("date or time", "In the schedule's zone, where it has none."),
        "until": ("date or time", "A date is included, a time is not."),
        "person": ("name", "Who is on call then."),
    },
    **{model: rule_reference.keys(model) for model in rule_reference.OWN},
}
"""How each key of the document is written, and what it means."""

OPTIONS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "zendesk": {
        "teams": ("group id: team", "What a group is called here; otherwise its id."),
        "statuses": ("word: status", "Your language's words for statuses in trigger bodies, as in `{offen: open}`."),
        "priorities": ("word: priority", "Your language's words for priorities in trigger bodies."),
        "timezone": ("IANA name", "Of times in trigger bodies that have no offset. Else `UTC`."),
        "tiers": ("tag: tier", "Zendesk has no tiers: tags that stand for them. The first that a ticket has counts."),
        "bots": ("list of user ids", "Agents that are programs: what they write is never a reply."),
    },
    "generic": {},
    "zammad": {
        "teams": ("group: team", "What a group is called here; otherwise its name."),
        "statuses": ("state: status", "Own ticket states, and your language's words for the others."),
        "priorities": ("name: priority", "Own priorities, as in `{4 very high: urgent}`."),
        "triggers": ("trigger: event", "What your triggers tell, if they are not called by the names of the events."),
        "tiers": ("tag: tier", "Tags that stand for tiers. The first that a ticket has counts."),
        "vip_tier": ("tier", "The tier of customers and organisations that are marked as VIP."),
        "bots": ("list of user ids", "Agents that are programs: what they write is never a reply."),
    },
    "cloudevents": {},
    "zoho_desk": {
        "teams": ("department id: team", "What a department is called here; otherwise its id."),
        "statuses": ("name: status", "Your own statuses. Others count by the type that Zoho gives them."),
        "priorities": ("name: priority", "Your own priorities."),
        "bots": ("list of agent ids", "Agents that are programs: what they write is never a reply."),
    },
    "salesforce": {
        "teams": ("queue id: team", "What a queue is called here, by its id of 18 characters; otherwise its id."),
        "statuses": ("value: status", "The values of your status picklist."),
        "priorities": ("value: priority", "The values of your priority picklist."),
        "actions": ("ActionId: event", "What an outbound message tells, such as `case_created`."),
        "csat": ("field: scale", "Fields that hold the answer of a survey: `{CSAT__c: {worst: 1, best: 5}}`."),
        "bots": ("list of user ids", "Users that are programs, by their ids of 18 characters."),
    },
    "servicenow": {
        "teams": ("sys_id: team", "What an assignment group is called here; otherwise its sys_id."),
        "states": ("table: {code: status}", "Tables and state codes of your own."),
        "priorities": ("code: priority", "Priority codes of your own."),
        "timezone": ("IANA name", "Of the times in the body, where the script takes displayed values. Else `UTC`."),
        "bots": ("list of sys_ids", "Users that are programs: what they write is never a reply."),
    },
    "chatwoot": {
        "teams": ("team id: team", "What a team is called here; otherwise its id."),
        "statuses": ("status: status", "Other meanings of `open`, `pending`, `snoozed` and `resolved`."),
        "tiers": ("label: tier", "Labels that stand for tiers. The first that a conversation has counts."),
        "bots": ("list of user ids", "Users that are programs: what they write is never a reply."),
    },
    "gorgias": {
        "teams": ("team id: team", "What a team is called here; otherwise its id."),
        "statuses": ("word: status", "Other meanings of `open` and `closed`."),
        "priorities": ("word: priority", "Your own priorities."),
        "snoozed": ("status", "The status of a snoozed ticket, which Gorgias shows as closed. Without it `pending`."),
        "tiers": ("tag: tier", "Tags that stand for tiers. The first that a ticket has counts."),
        "bots": ("list of user ids", "Users that are programs: what they write is never a reply."),
    },
    "front": {
        "teams": ("inbox id: team", "What an inbox is called here; otherwise it is a team by its id."),
        "tiers": ("tag: tier", "Tags that stand for tiers. The first that a conversation has counts."),
        "snoozed": ("status", "The status of a snoozed conversation. Without it `pending`."),
        "archived": ("status", "The status of an archived conversation. Without it `solved`."),
        "bots": ("list of teammate ids", "Teammates that are programs: what they write is never a reply."),
    },
    "hubspot": {
        "teams": ("team id: team", "What a team is called here; otherwise its id."),
        "stages": ("stage id: status", "The stages of your own pipelines; those of the support pipeline are known."),
        "priorities": ("word: priority", "Your own priorities."),
        "csat": (
            "property: scale",
            "Ticket properties that hold the answer of a survey: `{my_survey: {worst: 1, best: 5}}`.",
        ),
    },
    "freescout": {
        "statuses": ("word: status", "Other meanings of `active` (`open`), `pending` and `closed`."),
        "teams": ("mailbox id: team", "What a mailbox is called as a team; otherwise its id."),
        "tiers": ("tag: tier", "Tags that stand for tiers. The first that a conversation has counts."),
        "bots": ("list of user ids", "Users that are programs: what they write is never a reply."),
    },
    "helpscout": {
        "statuses": ("word: status", "Other meanings of `active` (`open`), `pending` and `closed`."),
        "teams": ("inbox id: team", "What an inbox is called as a team; otherwise its id."),
        "tiers": ("tag: tier", "Tags that stand for tiers. The first that a conversation has counts."),
        "bots": ("list of user ids", "Users that are programs: what they write is never a reply."),
    },
    "jira": {
        "teams": ("value: team", "What a value of `team_field` is called here; otherwise as it is."),
        "statuses": ("name or id: status", "Your site's own statuses. Others count by name, then by their category."),
        "priorities": ("name or id: priority", "Your site's own priorities."),
        "team_field": ("field id", "The custom field that holds the team, such as `customfield_10001`."),
        "csat_field": ("field id", "The custom field that holds the customer's rating from 1 to 5."),
        "tiers": ("label: tier", "Labels that stand for tiers. The first that an issue has counts."),
        "bots": ("list of account ids", "Accounts that are programs: what they write is never a reply."),
        "ticket_ids": (
            "`key`, `id`",
            "Whether tickets are named `SUP-12` (default) or by the number that survives a move.",
        ),
    },
    "intercom": {
        "teams": ("team id: team", "What a team is called here; otherwise its id."),
        "statuses": (
            "state: status",
            "Other meanings of `open`, `snoozed`, `closed` and of the categories of ticket states.",
        ),
        "priorities": ("word: priority", "Other meanings of `priority` (`high`) and `not_priority` (`normal`)."),
        "tiers": ("tag: tier", "Tags that stand for tiers. The first that a conversation has counts."),
        "bots": ("list of teammate ids", "Teammates that are programs: what they write is never a reply."),
    },
    "freshdesk": {
        "teams": ("group: team", "What a group is called here; otherwise its name."),
        "statuses": ("word or code: status", "Own statuses, and your language's words: `{In the lab: on_hold}`."),
        "priorities": ("word or code: priority", "Your language's words for priorities."),
        "ratings": ("answer: -3 to 3", "The answers of your survey, from the worst to the best."),
        "timezone": ("IANA name", "The account's, if the template has `ticket_created_at`."),
        "agents": ("address: id", "What an agent is called here; otherwise a pseudonym of the address."),
        "tiers": ("tag: tier", "Tags that stand for tiers. The first that a ticket has counts."),
    },
}
"""The ``options`` of a source of each vendor."""

AUTH: Final[dict[str, dict[str, str]]] = {
    "chatwoot": {"signature": "The webhook's secret signs.", "token": "For servers that do not sign: in the URL."},
    "cloudevents": {"signature": "As for `generic`.", "bearer": "`Authorization: Bearer`."},
    "freescout": {"signature": "The module's secret key signs."},
    "freshdesk": {
        "token": "In the header (`header`), or as password of Basic (`user`).",
        "header": "Only in the header (`header`).",
        "basic": "Only as password of Basic (`user`).",
    },
    "front": {
        "signature": "Application webhooks with the app's signing key, rules with the API secret: list what you use.",
        "application": "Only application webhooks.",
        "rule": "Only rule webhooks, which carry no time.",
    },
    "generic": {"signature": "Standard Webhooks."},
    "gorgias": {
        "token": "In the header (`header`) or in the URL.",
        "header": "Only in the header (`header`).",
        "url": "Only in the URL.",
    },
    "helpscout": {"signature": "The app's secret key signs."},
    "hubspot": {
        "signature": "The app's client secret signs, version 3 where it is sent, else 2 or 1. Needs `public_url`.",
        "v3": "Only version 3: the older ones carry no time. Needs `public_url`.",
    },
    "intercom": {"signature": "The app's client secret signs."},
    "jira": {"signature": "The webhook's secret signs.", "token": "For webhooks that are not signed: in the URL."},
    "salesforce": {
        "token": "As `Authorization: Bearer` or in the header (`header`).",
        "bearer": "Only as `Authorization: Bearer`.",
        "header": "Only in the header (`header`).",
        "soap": "Outbound Messages: in the URL, and from `organization_id` alone, which it needs.",
    },
    "servicenow": {
        "token": "As `Authorization: Bearer`, as password of Basic (`user`), or in the header (`header`).",
        "bearer": "Only as `Authorization: Bearer`.",
        "basic": "Only as password of Basic (`user`).",
        "header": "Only in the header (`header`).",
        "signature": "Base64 of HMAC-SHA256 over the body, in the header (`header`, else `X-ServiceNow-Signature`).",
    },
    "zammad": {
        "signature": "The webhook's token signs.",
        "basic": "The password of Basic (`user`).",
        "bearer": "`Authorization: Bearer`.",
    },
    "zendesk": {"signature": "The webhook's signing secret signs."},
    "zoho_desk": {
        "jwt": "In the URL, and Zoho's own signed token for `org_id` and `webhook_id`, which it needs (`jwks_url`).",
        "token": "Only in the URL: until the webhook exists and has an id.",
    },
}
"""What ``options.auth`` may be for each vendor, the default first."""

AUTH_OPTIONS: Final[dict[str, tuple[str, str]]] = {
    "header": ("name", "The header that holds the secret. Without it `X-Webhook-Token`."),
    "user": ("name", "The user of Basic. Without it any, and a secret may be `user:password`."),
    "public_url": ("URL", "What the helpdesk calls, up to `/webhooks/`: it is signed too, and `Host` is not believed."),
    "organization_id": ("id", "The Salesforce organisation, 15 or 18 letters and digits."),
    "org_id": ("id", "The Zoho organisation."),
    "webhook_id": ("id", "The webhook in Zoho Desk."),
    "jwks_url": (
        "URL",
        (
            "Where Zoho shows its public keys; each data centre has its own, as in "
            "`https://desk.zoho.eu/.well-known/jwks.json`. Without it that of `desk.zoho.com`."
        ),
    ),
}
"""What the ways to authenticate take beside ``auth``."""

CALENDAR: Final[dict[str, tuple[str, str]]] = {
    "timezone": ("IANA name", "Such as `Europe/Paris`; daylight saving time is its business."),
    "weekly": (
        "day: list of [from, to]",
        'Open hours of `mon` to `sun`, times in quotes: `["09:00", "12:30"]`. Up to `"48:00"`: the next day.',
    ),
    "country": (
        "ISO 3166 code",
        'Closed on its public holidays: `FR`, `"NO"`. See [promises and hours](guides/promises-and-hours.md).',
    ),
    "subdivision": ("code", 'And on those of this part of the country: `"57"`, `BY`, `CA`.'),
    "holidays": ("list of dates", 'Closed on these dates: `"2026-12-25"`.'),
    "annual_holidays": ("list of month-day", 'Closed every year: `"01-01"`.'),
    "overrides": ("date: list of [from, to]", "The hours of one date, before all of the above."),
    "breaks": ("list of {date, start, end}", "Closed for a while on one date."),
}
"""The keys of a calendar."""

_TITLES: Final[tuple[tuple[type[BaseModel], str], ...]] = (
    (Document, "The document"),
    (Source, "`sources.<name>`"),
    (Policy, "`sla_policies[]`"),
    (BoardChoices, "`board`"),
    (KpiChoices, "`kpis`"),
    (Escalation, "`kpis.escalation`"),
    (Retention, "`retention`"),
    (ForecastChoices, "`forecast`"),
    (ReportPlan, "`reports[]`"),
    (Receiver, "`receivers.<name>`"),
    (Digest, "`receivers.<name>.digest`"),
    (WebhookReceiver, "`receivers.<name>.webhook`"),
    (SlackReceiver, "`receivers.<name>.slack`"),
    (TeamsReceiver, "`receivers.<name>.teams`"),
    (PagerDutyReceiver, "`receivers.<name>.pagerduty`"),
    (AlertmanagerReceiver, "`receivers.<name>.alertmanager`"),
    (EmailReceiver, "`receivers.<name>.email`"),
    (AppriseReceiver, "`receivers.<name>.apprise`"),
    (Somebody, "`people.<name>`"),
    (Away, "`people.<name>.away[]`"),
    (Schedule, "`schedules.<name>`"),
    (RemoteCalendar, "`schedules.<name>.calendar`"),
    (Rotation, "`schedules.<name>.rotations[]`"),
    (Override, "`schedules.<name>.overrides[]`"),
    (Route, "`routes[]`"),
    (Quiet, "`quiet` of routes and receivers"),
    (EscalationStep, "`routes[].escalate[]`"),
    (PlannedSilence, "`silences[]`"),
    (Links, "`links`"),
    (ApiToken, "`api_tokens[]`"),
    (Api, "`api`"),
    (Oidc, "`api.oidc`"),
)


def settings() -> str:
    """The text of docs/settings.md."""
    return "\n".join(_settings()) + "\n"


def example() -> str:
    """The text of .env.example."""
    return "\n".join(_example()) + "\n"


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "<!-- Made by `python -m services.config.reference`; change it there. -->"
    yield ""
    yield "What the team decides is in one YAML document; where things are is in the environment."
    yield "`deskpulse check FILE` says what is wrong with a document, `deskpulse doctor` what is wrong with the rest."
    yield ""
    yield "## Environment"
    yield ""
    yield "| variable | default | |"
    yield "|---|---|---|"
    for name, field in Environment.model_fields.items():
        yield f"| `DESKPULSE_{name.upper()}` | {_default(field.default)} | {field.description} |"
    yield (
        "| `DESKPULSE_SECRETS_DIR` | | A folder whose files hold settings, each named like its variable in lower case "
        "(`deskpulse_kafka_sasl_password`). A variable that is set comes first. |"
    )
    yield ""
    yield "## YAML"
    yield ""
    yield (
        "The file that `DESKPULSE_CONFIG` names. `${NAME}` in any text takes a value from the environment; a name that "
        "is not set is a mistake. Unknown keys are mistakes too. Every service reads the document once, at its start."
    )
    yield ""
    yield (
        "Durations: `90s`, `15m`, `4h`, `3d`, `2w`; a day is 24 hours of the clock that measures. Names: lower-case "
        "letters, digits, `-` and `_`."
    )
    yield ""
    yield f"Dimensions: {_list(DIMENSIONS)}. Statuses: {_list(Status)}. Priorities: {_list(Priority)}."
    for model, title in _TITLES:
        yield from _table(f"### {title}", _rows(model))
        if model is Source:
            yield from _authentication()
            for vendor, options in OPTIONS.items():
                if options:
                    rows = [(key, form, "", meaning) for key, (form, meaning) in options.items()]
                    yield from _table(f"#### `options`, vendor `{vendor}`", rows)
            rows = [(key, form, "", meaning) for key, (form, meaning) in CALENDAR.items()]
            yield from _table("### `calendars.<name>`", rows)
    yield from _table("### `rules[]`: what every rule has", _rows(Threshold, rule_reference.COMMON))
    for model in rule_reference.OWN:
        title = "### `rules[].pairs[]`" if model is Pair else f"### `rules[]`, `type: {_type(model)}`"
        yield from _table(title, _rows(model, rule_reference.own(model)))


def _type(model: type[BaseModel]) -> str:
    return str(model.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]


def _authentication() -> Iterator[str]:
    yield ""
    yield "#### `options.auth`: how the vendor authenticates"
    yield ""
    yield (
        "The first way of a vendor is taken when nothing is said. Where the secret is sent as it is, make it with "
        "`openssl rand -hex 32`; in the URL it is `?token=…` or `?secret=…`, and proxies may log it: let yours not."
    )
    yield ""
    yield "| vendor | `auth` | |"
    yield "|---|---|---|"
    for vendor, ways in AUTH.items():
        for way, meaning in ways.items():
            yield f"| {vendor} | `{way}` | {meaning} |"
    rows = [(option, form, "", meaning) for option, (form, meaning) in AUTH_OPTIONS.items()]
    yield from _table("#### `options` that a way to authenticate takes", rows)


def _rows(model: type[BaseModel], names: Iterable[str] | None = None) -> Iterator[tuple[str, str, str, str]]:
    for name in names if names is not None else model.model_fields:
        field = model.model_fields[name]
        form, meaning = KEYS[model][name]
        yield field.alias or name, form, "needed" if field.is_required() else _default(field.default), meaning


def _table(title: str, rows: Any) -> Iterator[str]:
    yield ""
    yield title
    yield ""
    yield "| key | written as | default | |"
    yield "|---|---|---|---|"
    for key, form, default, meaning in rows:
        yield f"| `{key}` | {form} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined or value in ((), {}, "") or isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{'+'.join(one) if isinstance(one, tuple) else one}`" for one in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _list(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _example() -> Iterator[str]:
    yield "# Copy to .env, which docker compose reads. Made by `python -m services.config.reference --env`."
    yield ""
    yield "# Secrets that deploy/config/deskpulse.yaml names. Zendesk shows its own beside the webhook; make the other"
    yield '# with:  echo "whsec_$(openssl rand -base64 32)"'
    yield "ZENDESK_SECRET="
    yield "GENERIC_SECRET="
    yield ""
    yield "# Where things are. docker-compose.yml sets the first ones itself. Shown are the defaults."
    for name, field in Environment.model_fields.items():
        yield ""
        yield f"# {field.description}"
        secret = SecretStr in getattr(field.annotation, "__args__", ())
        value = "" if field.default is None or secret else field.default
        shown = (
            value.as_posix() if isinstance(value, Path) else str(value).lower() if isinstance(value, bool) else value
        )
        yield f"# DESKPULSE_{name.upper()}={shown}"


if __name__ == "__main__":
    sys.stdout.write(example() if sys.argv[1:] == ["--env"] else settings())
