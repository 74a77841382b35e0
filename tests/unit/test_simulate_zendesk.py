"""The simulated webhooks are what Zendesk publishes: shape, words, signature, and the disorder of a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from schemas.instant import SECOND_US, to_datetime
from schemas.ticket import Kind, Status, TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import zendesk as normaliser
from services.simulate.delivery import Delivery as Planned
from services.simulate.delivery import deliveries
from services.simulate.helpdesk import Simulation, plan, story
from services.simulate.life import Deed, Life, live
from services.simulate.scenario import DEMO
from services.simulate.zendesk import Account, Ticket, Webhook, headers, signature, webhooks, weight
from tests.conformance.cases import MISSING, folder

ACCOUNT = Account()
START_US = 1_790_000_000_123_456
SAMPLES = folder()
NEEDS_SAMPLES = pytest.mark.skipif(SAMPLES is None, reason=MISSING)


def told(life: Life, ticket_id: str = "5158") -> list[list[Webhook]]:
    """The webhooks of each step of ``life``."""
    ticket = Ticket(ticket_id, life, START_US)
    steps = []
    for number, step in enumerate(life.steps):
        steps.append(list(webhooks(ACCOUNT, ticket, number, step, START_US + step.at_us)))
        ticket = ticket.after(step)
    return steps


def many(number: int = 400, seed: int = 1) -> list[Life]:
    rng = Random(seed)
    return [live(rng, DEMO, duplicate_of="41") for _ in range(number)]


@cache
def raw_bodies() -> tuple[bytes, ...]:
    return tuple(webhook.body for life in many() for step in told(life) for webhook in step)


def bodies() -> Iterator[dict[str, Any]]:
    yield from map(json.loads, raw_bodies())


def keys(value: Any) -> Any:
    """The names in a JSON value, at every depth, without the values."""
    return {name: keys(inner) for name, inner in value.items()} if isinstance(value, dict) else None


@NEEDS_SAMPLES
@pytest.mark.parametrize(
    "sample",
    [
        "zendesk/ticket.created.json",
        "zendesk/ticket.agent_assignment_changed.json",
        "zendesk/messaging_ticket.message_added.json",
        "_composed/zendesk/ticket.comment_added_min.json",
        "_composed/zendesk/ticket.merged.json",
        "_composed/zendesk/ticket.status_changed_min.json",
        "_composed/zendesk/ticket.tags_changed.json",
    ],
)
def test_every_body_has_exactly_the_names_of_the_published_sample(sample: str) -> None:
    assert SAMPLES is not None
    published = json.loads((Path(SAMPLES) / "webhooks" / sample).read_text())
    ours = [body for body in bodies() if body["type"] == published["type"]]

    assert ours
    for body in ours:
        body["event"].pop("meta", None)
        assert keys(body) == keys(published)
        assert type(body["account_id"]) is type(published["account_id"])


@NEEDS_SAMPLES
def test_the_sequence_is_written_as_in_the_published_sample() -> None:
    assert SAMPLES is not None
    published = json.loads((Path(SAMPLES) / "webhooks/zendesk/ticket.custom_status_changed.json").read_text())
    ours = next(bodies())

    assert keys(ours["event"]["meta"]) == keys(published["event"]["meta"])
    assert ours["event"]["meta"]["sequence"]["id"] > 2**64, "as beyond what a JSON reader expects as theirs"


@NEEDS_SAMPLES
def test_signatures_are_those_of_the_published_vectors() -> None:
    assert SAMPLES is not None
    hooks = Path(SAMPLES) / "webhooks"
    vectors = [one for one in json.loads((hooks / "signatures.json").read_text()) if one["vendor"] == "zendesk"]

    assert vectors
    for vector in vectors:
        body = (hooks / vector["body_file"]).read_bytes() if "body_file" in vector else vector["body"].encode()
        sent = vector["headers"]
        made = signature(vector["secret"], sent["X-Zendesk-Webhook-Signature-Timestamp"], body)
        assert (made == sent["X-Zendesk-Webhook-Signature"]) is vector.get("valid", True)


def test_ids_are_text_words_are_upper_case_and_times_have_nine_digits() -> None:
    for body in bodies():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", body["time"])
        assert body["subject"] == "zen:ticket:5158"
        detail = body["detail"]
        if body["type"].startswith("zen:event-type:messaging_ticket"):
            continue
        assert all(isinstance(value, str | None) for name, value in detail.items() if name.endswith("id"))
        assert detail["status"] in {"NEW", "OPEN", "PENDING", "HOLD", "SOLVED", "CLOSED", "DELETED"}
        assert detail["priority"] in {None, "LOW", "NORMAL", "HIGH", "URGENT"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", detail["created_at"])
        assert detail["created_at"] <= detail["updated_at"]


def test_the_webhooks_of_one_step_share_a_sequence_and_a_snapshot_and_have_ids_of_their_own() -> None:
    seen: set[str] = set()
    for life in many(100):
        for step, hooks in zip(life.steps, told(life), strict=True):
            assert hooks
            assert len(hooks) == weight(step)
            events = [json.loads(hook.body) for hook in hooks]
            sequences = [event["event"]["meta"]["sequence"] for event in events if "meta" in event["event"]]
            assert len({sequence["id"] for sequence in sequences}) <= 1
            assert [sequence["position"] for sequence in sequences] == list(range(1, len(sequences) + 1))
            assert len({json.dumps(event["detail"]) for event in events}) == 1
            assert [event["id"] for event in events] == [hook.event_id for hook in hooks]
            assert len({hook.event_id for hook in hooks}) == len(hooks)
        seen |= {hook.type for hooks in told(life) for hook in hooks}
    assert {"ticket.created", "ticket.comment_added", "ticket.status_changed", "ticket.tags_changed"} <= seen


def test_previous_and_current_join_up_to_the_snapshot() -> None:
    fields = {name: name for name in ("status", "priority")}
    fields |= {"group_assignment": "group_id", "agent_assignment": "assignee_id"}
    for life in many(150):
        known: dict[str, Any] = {}
        for step in told(life):
            for hook in step:
                body = json.loads(hook.body)
                if hook.type == "ticket.created":
                    known = {field: body["detail"][field] for field in fields.values()}
                name = hook.type.removeprefix("ticket.").removesuffix("_changed")
                if name in fields:
                    assert body["event"]["previous"] == known[fields[name]]
                    assert body["event"]["current"] != known[fields[name]]
                    known[fields[name]] = body["event"]["current"]
                    if body["detail"]["status"] != "DELETED":
                        assert body["detail"][fields[name]] == body["event"]["current"]


def canonical(hooks: list[Webhook]) -> list[TicketEvent]:
    settings = SourceSettings(b"k" * 32, {"tiers": {"tier_vip": "vip", "tier_business": "business"}})
    received = to_datetime(START_US + 10**9)
    return [
        event
        for hook in hooks
        for event in normaliser.normalise(Delivery("zendesk", "zendesk", {}, hook.body, received), settings)
    ]


def test_what_ingest_makes_of_the_webhooks_is_the_life_that_was_told() -> None:
    for life in many(200, seed=6):
        for step, hooks in zip(life.steps, told(life), strict=True):
            events = canonical(hooks)
            assert len(events) == len(hooks)
            assert {event.occurred_at for event in events} == {to_datetime(START_US + step.at_us)}
            of = {event.kind: event for event in events}
            if step.deed is Deed.CREATED:
                assert of[Kind.CREATED].ticket.channel == life.channel
                assert of[Kind.CREATED].ticket.status == step.status
                assert of[Kind.CREATED].ticket.priority == step.priority
                assert of[Kind.CREATED].ticket.team == step.team
                tiers = [tag.removeprefix("tier_") for tag in step.tags_added if tag.startswith("tier_")]
                assert of[Kind.CREATED].ticket.tier == (tiers[0] if tiers else None)
            elif step.status is not None:
                change = of[Kind.STATUS_CHANGED].status
                assert change is not None
                assert change.to is step.status
            if step.message is not None:
                message = of[Kind.MESSAGE_ADDED].message
                assert message is not None
                assert message.author is step.actor.kind
                assert message.visibility is step.message
                assert message.opening is (step.deed is Deed.CREATED)
            assert (step.good is not None) is (Kind.CSAT_RECEIVED in of)
            assert (step.into is not None) is (Kind.MERGED in of)
            assert (step.deed in (Deed.DELETED, Deed.MARKED_AS_SPAM)) is (Kind.DELETED in of)
            assert (step.deed is Deed.RESTORED) is (Kind.RESTORED in of)
        assert life.steps[-1].status in {Status.CLOSED, None}


def test_the_signature_covers_the_moment_of_sending_and_the_body() -> None:
    sent = headers(ACCOUNT, "secret", 7, START_US, b"{}")

    assert sent["x-zendesk-webhook-signature-timestamp"] == "2026-09-21T14:13:20Z"
    assert sent["x-zendesk-webhook-signature"] == signature("secret", "2026-09-21T14:13:20Z", b"{}")
    others = [headers(ACCOUNT, "secret", 7, START_US, b"{} "), headers(ACCOUNT, "secret", 7, START_US + 10**6, b"{}")]
    assert all(one["x-zendesk-webhook-signature"] != sent["x-zendesk-webhook-signature"] for one in others)


def simulated(seed: int = 1, **changes: Any) -> Simulation:
    fixed: dict[str, Any] = {"base_url": "http://localhost", "secret": "s", "first_ticket": 1, "demo": True}
    return Simulation(**{**fixed, "seed": seed, "duration_s": 60.0, **changes})


def planned(settings: Simulation, now_us: int = START_US) -> list[Planned]:
    return list(plan(story(settings, now_us), settings))


def test_a_plan_is_the_same_from_the_same_seed_and_another_from_another() -> None:
    first, again, other = (planned(simulated(seed)) for seed in (1, 1, 2))

    assert first == again
    assert [one.webhook for one in first] != [one.webhook for one in other]


@pytest.mark.parametrize("rate", [4.0, 8.0, 500.0])
def test_runs_one_after_the_other_have_tickets_of_their_own_though_their_seed_is_the_same(rate: float) -> None:
    settings = simulated(first_ticket=None, rate=rate, duration_s=6.0)
    first, second = (
        {one.ticket_id for one in story(settings, at_us)} for at_us in (START_US, START_US + 6 * SECOND_US)
    )
    assert first
    assert not first & second


@pytest.mark.parametrize("seed", range(4))
def test_the_first_minute_of_a_demo_shows_everything(seed: int) -> None:
    targets_s = {None: 30, "low": 40, "normal": 30, "high": 22, "urgent": 15}
    created: dict[str, tuple[int, int]] = {}
    answered: dict[str, float] = {}
    live_deeds: list[Deed] = []
    solved_s: list[float] = []
    for happening in story(simulated(seed), START_US):
        step, age_s = happening.step, (happening.at_us - happening.created_us) / SECOND_US
        if happening.number == 0:
            created[happening.ticket_id] = happening.at_us, targets_s[step.priority]
        if step.deed in (Deed.REPLIED, Deed.SOLVED) and happening.ticket_id not in answered:
            answered[happening.ticket_id] = age_s / created[happening.ticket_id][1]
        if step.deed is Deed.SOLVED:
            solved_s.append(age_s)
        if happening.at_us >= START_US:
            live_deeds.append(step.deed)

    shares = list(answered.values())
    assert sum(share <= 0.5 for share in shares) >= 5
    assert sum(0.5 < share <= 1 for share in shares) >= 2, "warned, and then answered in time"
    assert sum(share > 1 for share in shares) >= 2, "first response breached"
    assert sum(seconds <= 60 for seconds in solved_s) >= 5
    assert {Deed.REOPENED, Deed.RATED, Deed.SOLVED, Deed.CREATED} <= set(live_deeds)


def sent(number: int) -> list[tuple[int, Webhook]]:
    return [(n * 50_000, Webhook("1", f"event-{n}", "ticket.created", b"")) for n in range(number)]


def test_deliveries_are_the_webhooks_when_nothing_goes_wrong() -> None:
    assert [(one.at_us, one.webhook) for one in deliveries(sent(50), Random(1))] == sent(50)


def test_some_webhooks_come_twice_and_some_are_overtaken_but_none_is_lost_or_early() -> None:
    delivered = list(deliveries(sent(4000), Random(1), duplicates=0.05, out_of_order=0.1))

    assert [one.at_us for one in delivered] == sorted(one.at_us for one in delivered)
    firsts = [one for one in delivered if not one.redelivery]
    again = [one for one in delivered if one.redelivery]
    due_us = {webhook.event_id: at_us for at_us, webhook in sent(4000)}
    assert {one.webhook.event_id for one in firsts} == set(due_us)
    assert len(firsts) == 4000
    assert 150 < len(again) < 250
    assert all(one.at_us >= due_us[one.webhook.event_id] for one in delivered)
    late = [one for one in firsts if one.at_us > due_us[one.webhook.event_id]]
    assert 330 < len(late) < 470
    order = [due_us[one.webhook.event_id] for one in firsts]
    assert order != sorted(order)
