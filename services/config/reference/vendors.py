"""What the ``options`` of a source mean, vendor by vendor."""

from __future__ import annotations

from typing import Final

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
