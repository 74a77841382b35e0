"""What the document may say of receivers, and how it is told what is wrong."""

import pytest

from services.alerts.notify import channels
from services.config import document
from services.config.document import ConfigInvalid, Document

KEY = "0123456789abcdef0123456789abcdef"


def parsed(receiver: str) -> Document:
    return document.parse(f"receivers: {{leads: {{{receiver}}}}}", {"HOOK": "https://hooks.example/T0/s3cret"})


@pytest.mark.parametrize(
    ("receiver", "said"),
    [
        ("", "receivers.leads: a receiver is exactly one of webhook, slack,"),
        (
            "webhook: {url: 'https://a.example', secrets: [x]}, teams: {workflow_url: '${HOOK}'}",
            "this has webhook and teams",
        ),
        ("pigeon: {}", "receivers.leads.pigeon: "),
        (
            "slack: {}",
            "receivers.leads.slack: give either webhook_url (incoming webhook), or token and channel (a bot)",
        ),
        ("slack: {token: xoxb-1}", "receivers.leads.slack: channel: belongs to token"),
        ("slack: {webhook_url: 'http://a.example/s3cret'}", "webhook_url: use https://"),
        (
            "slack: {webhook_url: 's3cret'}",
            "receivers.leads.slack.webhook_url: not an address such as https://host/path",
        ),
        ("teams: {workflow_url: 'https://u:s3cret@a.example'}", "must not hold a user name or a password"),
        ("pagerduty: {routing_key: s3cret}", "routing_key: an integration key of Events API v2 has 32 characters"),
        ("pagerduty: {routing_key: ''}", "receivers.leads.pagerduty.routing_key: empty"),
        ("alertmanager: {}", "give either push_url"),
        ("alertmanager: {push_url: 'https://am.example', repush: 0s}", "receivers.leads.alertmanager.repush: "),
        ("email: {host: a, sender: nobody, to: [x@y.example]}", "'nobody' is no mail address"),
        ("email: {host: a, sender: x@y.example, to: []}", "receivers.leads.email.to: "),
        ("email: {host: a, sender: x@y.example, to: [x@y.example], username: u}", "username and password: give both"),
        (
            "email: {host: a, sender: x@y.example, to: [x@y.example], tls: none}",
            "tls: none is only for a server in your",
        ),
        ("email: {host: a, sender: x@y.example, to: [x@y.example], ca_file: /no/such}", "ca_file: cannot be read"),
        ("teams: {workflow_url: '${HOOK}'}, message: '{titel}'", "there is no placeholder {titel}; there is: title,"),
        ("teams: {workflow_url: '${HOOK}'}, message: '{title.__class__}'", "there is no placeholder {title.__class__}"),
        ("teams: {workflow_url: '${HOOK}'}, message: '{title!r:>9}'", "there is no placeholder {title!r:>9}"),
        ("teams: {workflow_url: '${HOOK}'}, message: 'a { brace'", "write a brace that is no placeholder twice"),
        (f"pagerduty: {{routing_key: {KEY}}}, message: x", "message: pagerduty has a fixed format"),
        ("teams: {workflow_url: '${HOOK}'}, digest: {after: 0}", "receivers.leads.digest"),
        ("webhook: {url: 'https://a.example', secrets: ['whsec_s3cret!']}", "receivers.leads.webhook.secrets[0]: "),
        ("webhook: {url: 'ftp://a.example', secrets: [x]}", "receivers.leads.webhook.url: not an address"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_never_with_the_secret(receiver: str, said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parsed(receiver)
    problems = "\n".join(refused.value.problems)
    assert said in problems
    assert "s3cret" not in problems


def test_receivers_of_people_are_gathered_and_those_of_machines_are_not_unless_they_say_so() -> None:
    people = parsed("teams: {workflow_url: '${HOOK}'}").receivers["leads"]
    machine = parsed("webhook: {url: 'https://a.example', secrets: [x]}").receivers["leads"]
    assert people.gathering is not None
    assert (people.gathering.after, people.gathering.per, people.gathering.every) == (10, "1m", "1m")
    assert machine.gathering is None
    never = parsed("teams: {workflow_url: '${HOOK}'}, digest: false").receivers["leads"]
    assert never.gathering is None
    asked = parsed("webhook: {url: 'https://a.example', secrets: [x]}, digest: {after: 3}").receivers["leads"]
    assert asked.gathering is not None
    assert asked.gathering.after == 3


def test_secrets_are_not_shown_with_the_document() -> None:
    found = parsed("slack: {webhook_url: '${HOOK}'}")
    assert "s3cret" not in repr(found)
    assert "s3cret" not in found.model_dump_json()


def test_what_only_apprise_knows_is_found_by_the_check() -> None:
    pytest.importorskip("apprise", reason="the optional dependency Apprise is not installed")
    assert channels.problems(parsed("apprise: {url: 'nosuch://s3cret'}")) == [
        "receivers.leads.apprise: no URL that Apprise knows, see https://github.com/caronc/apprise/wiki"
    ]
    assert channels.problems(parsed("teams: {workflow_url: '${HOOK}'}")) == []
