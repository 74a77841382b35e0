"""What each key of the document is, and how it is written; the rules' are in :mod:`services.config.reference.rules`."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from schemas.sla import SlaMetric
from services.config.access import Api, ApiToken, Oidc
from services.config.board import MOST_TILES, BoardChoices
from services.config.document import Document, Escalation, KpiChoices, Policy, Retention, Route, Source
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
from services.config.reference import rules
from services.config.report import ReportPlan
from services.config.schedule import Away, EscalationStep, Override, Quiet, RemoteCalendar, Rotation, Schedule, Somebody
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
    **{model: rules.keys(model) for model in rules.OWN},
}
"""How each key of the document is written, and what it means."""

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

TITLES: Final[tuple[tuple[type[BaseModel], str], ...]] = (
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
"""Models in the order of the page, and what the page calls them."""
