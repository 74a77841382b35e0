"""Every channel against a server that holds it to the vendor's documented format, and fails in every way it can."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from msgspec.structs import replace

from schemas.alert import AlertEvent
from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts import state
from services.alerts.delivery import Delivered, Outcome, Refused, Retry
from services.alerts.message import Message, Over, Trial
from services.alerts.notify import outbound
from services.alerts.notify.alertmanager import Alertmanager
from services.alerts.notify.channels import Channel, channel
from services.config import document
from tests.support import vendors
from tests.support.news import AT, acknowledged, done, fired, gathered, notice, odd
from tests.support.vendors import ROUTING_KEY, STALL, TOKEN, Vendor, speaking

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

AT_US = from_datetime(AT)
NASTY = "<!channel> & *bold* _it_ [x](http://evil.example) {{DATE(2026-01-01)}} <at>ana</at> </p><script> \u202e\x07"


@dataclass(frozen=True)
class Kind:
    """One kind of receiver: its stand-in and how it is configured. ``own`` has a message of the operator's."""

    vendor: Callable[[], Vendor]
    path: str
    settings: str
    own: str | None = None


KINDS = {
    "slack webhook": Kind(
        vendors.slack_webhook,
        "services/T0/B0/secret",
        "slack: {{webhook_url: '{url}', allow_private: true}}",
        "<!here> *{title}*: {detail}",
    ),
    "slack bot": Kind(
        vendors.slack_api,
        "api",
        f"slack: {{{{token: {TOKEN}, channel: leads, api_url: '{{url}}', allow_private: true}}}}",
        "*{title}*: {detail}",
    ),
    "teams": Kind(
        vendors.teams,
        "workflows/1/triggers/manual/paths/invoke?api-version=1&sig=secret",
        "teams: {{workflow_url: '{url}', allow_private: true}}",
        "**{title}**: {detail}",
    ),
    "pagerduty": Kind(
        vendors.pagerduty,
        "v2/enqueue",
        f"pagerduty: {{{{routing_key: {ROUTING_KEY}, url: '{{url}}', allow_private: true}}}}",
    ),
    "alertmanager push": Kind(
        vendors.alertmanager_api, "am/", "alertmanager: {{push_url: '{url}', allow_private: true}}"
    ),
    "alertmanager webhook": Kind(
        vendors.alertmanager_webhook, "hook", "alertmanager: {{webhook_url: '{url}', allow_private: true}}"
    ),
}


def configured(kind: str, url: str, more: str = "", *, private: bool = True) -> Channel:
    settings = KINDS[kind].settings.format(url=url)
    if not private:
        settings = settings.replace("allow_private: true", "allow_private: false").replace("http:", "https:")
    text = f"""
board_url: https://deskpulse.example
runbooks_url: https://wiki.example/runbooks
receivers: {{leads: {{{settings}{more}}}}}
"""
    return channel(document.parse(text, {}), "leads")


@dataclass
class Line:
    """A channel and the vendor at its other end."""

    kind: str
    vendor: Vendor
    channel: Channel

    async def send(self, message: Message) -> Outcome:
        return await self.channel.send(message, AT_US)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as found:
        yield found


async def opened(stack: AsyncExitStack, kind: str, more: str = "") -> Line:
    vendor = KINDS[kind].vendor()
    await vendor.start()
    stack.push_async_callback(vendor.stop)
    found = configured(kind, vendor.url(KINDS[kind].path), more)
    stack.push_async_callback(found.close)
    return Line(kind, vendor, found)


def life() -> list[AlertEvent]:
    """Everything that can happen to an alert."""
    warned = fired(SlaKind.WARNING)
    taken = acknowledged(warned.alert)
    breached = fired(SlaKind.BREACHED, taken.alert, 2)
    quiet = done(state.snooze(breached.alert, "ana", AT + timedelta(hours=1), AT))
    woken = state.wake(quiet.alert, AT + timedelta(hours=1))
    assert woken is not None
    assert woken.event is not None
    return [warned, taken, breached, quiet, woken.event, fired(SlaKind.FULFILLED, woken.after, 3)]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_message_of_an_alerts_life_is_as_the_vendor_documents_it(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    handle = None
    for event in life():
        found = await line.send(notice(event, handle))
        assert isinstance(found, Delivered), (event.transition, found, line.vendor.wrong)
        handle = handle or found.handle
    assert isinstance(await line.send(Trial("trial-1", "leads")), Delivered)
    assert line.vendor.wrong == []
    assert len(line.vendor.got) >= 7
    assert "test" in json.dumps(line.vendor.got[-1]).lower()


@pytest.mark.parametrize(
    ("kind", "own"), [(kind, own) for kind in KINDS for own in (False, True) if not own or KINDS[kind].own]
)
async def test_words_from_elsewhere_are_never_markup(stack: AsyncExitStack, kind: str, own: bool) -> None:
    more = f", message: {json.dumps(KINDS[kind].own)}" if own else ""
    line = await opened(stack, kind, more)
    event = odd(fired(team=NASTY), NASTY * 20, NASTY * 100)
    found = await line.send(notice(event))
    if kind.startswith("slack") and own and "<!here>" in (KINDS[kind].own or ""):
        assert line.vendor.wrong
        assert "<!here>" in line.vendor.wrong[0], "the operator's own markup stays, and nothing else is any"
        assert line.vendor.wrong[0].count("<") == 1
        return
    assert isinstance(found, Delivered), line.vendor.wrong
    said = json.dumps(line.vendor.got[0], ensure_ascii=False)
    assert "\x07" not in said
    assert "\u202e" not in said or kind.startswith(("alertmanager", "pagerduty"))
    if kind == "teams":
        body = line.vendor.got[0]["attachments"][0]["content"]["body"]
        parsed = [element["text"] for element in body if element["type"] == "TextBlock"]
        parsed += [fact["value"] for element in body if element["type"] == "FactSet" for fact in element["facts"]]
        assert parsed
        assert not any("{{" in text or "[x](" in text or "<at>" in text for text in parsed)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_digest_of_two_thousand_is_as_the_vendor_documents_it(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    events = [fired(ticket_id=str(number), team=f"Team {number % 30}") for number in range(2000)]
    found = await line.send(gathered(*events))
    assert isinstance(found, Delivered), line.vendor.wrong
    (said,) = line.vendor.got
    text = json.dumps(said)
    if kind.startswith("alertmanager"):
        assert all(f"zendesk:{number}:" in text for number in (0, 999, 1999)), "machines get every alert"
        return
    assert "2000 alerts (2000 critical)" in text
    assert "https://deskpulse.example/v1/deliveries/digest-1" in text
    assert text.count("promise broken") == 10
    assert "other 1464" in text or kind == "pagerduty"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_digest_of_ends_only_says_so(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    ends = [fired(SlaKind.FULFILLED, fired(ticket_id=str(n)).alert, 2, ticket_id=str(n)) for n in range(5)]
    assert isinstance(await line.send(gathered(*ends)), Delivered)
    assert line.vendor.wrong == []
    if kind == "pagerduty":
        assert line.vendor.got == [], "nobody is paged by ends"
    elif not kind.startswith("alertmanager"):
        assert "5 alerts ended" in json.dumps(line.vendor.got)


@pytest.mark.parametrize("kind", KINDS)
async def test_too_many_requests_are_tried_again_when_the_vendor_says(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    line.vendor.answers.append(Response(status_code=429, headers={"retry-after": "37"}))
    assert await line.send(notice(fired())) == Retry("HTTP 429", 37.0)
    assert isinstance(await line.send(notice(fired())), Delivered)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_vendor_in_trouble_is_tried_again(stack: AsyncExitStack, kind: str, status: int) -> None:
    line = await opened(stack, kind)
    line.vendor.answers.append(HTMLResponse("<h1>Oops, secret-of-a-stranger</h1>" * 9999, status_code=status))
    assert await line.send(notice(fired())) == Retry(f"HTTP {status}")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_vendor_will_never_take_is_refused_in_few_words(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    line.vendor.answers.append(PlainTextResponse("no, because secret-of-a-stranger", status_code=400))
    found = await line.send(notice(fired()))
    assert isinstance(found, Refused)
    assert not found.gone
    assert found.problem == "HTTP 400"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_redirect_is_never_followed(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    line.vendor.answers.append(RedirectResponse("http://127.0.0.1:1/", status_code=307))
    assert isinstance(await line.send(notice(fired())), Refused)
    assert len(line.vendor.got) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_vendor_that_does_not_answer_is_given_up_in_time(
    stack: AsyncExitStack, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.3)
    line = await opened(stack, kind)
    line.vendor.answers.append(STALL)
    found = await line.send(notice(fired()))
    assert isinstance(found, Retry)
    assert found.perhaps, "it may have been taken: only the very same message may follow"


@pytest.mark.parametrize("kind", KINDS)
async def test_garbage_in_place_of_an_answer_is_survived(
    stack: AsyncExitStack, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.5)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    half = head + b"content-length: 100\r\n\r\n{"
    for chunks, endless in [
        ((b"\x16\x03\x01\x02\x00 what?\r\n\r\n",), b""),
        ((), b""),
        ((half,), b""),
        ((head + b"\r\n",), b"\x00" * 65_536),
        ((head + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope",), b""),
        ((b"HTTP/1.1 999 what\r\ncontent-length: 0\r\n\r\n",), b""),
    ]:
        async with speaking(*chunks, endless=endless) as url:
            found = configured(kind, f"{url}/{KINDS[kind].path}")
            answer = await found.send(notice(fired()), AT_US)
            await found.close()
            assert isinstance(answer, Delivered | Retry | Refused)
            if endless == b"" and not chunks:
                assert answer == Retry("the connection broke (RemoteProtocolError)", perhaps=True)


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_goes_to_a_private_address_unless_that_is_allowed(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    shy = configured(kind, line.vendor.url(KINDS[kind].path), private=False)
    found = await shy.send(notice(fired()), AT_US)
    await shy.close()
    assert found == Refused(outbound.PRIVATE)
    assert line.vendor.got == []


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_there_was_surely_not_told(kind: str) -> None:
    found = configured(kind, "http://127.0.0.1:9/" + KINDS[kind].path)
    answer = await found.send(notice(fired()), AT_US)
    await found.close()
    assert isinstance(answer, Retry)
    assert not answer.perhaps


@pytest.mark.parametrize("kind", KINDS)
async def test_an_alert_of_a_rule_has_no_ticket_and_links_to_its_numbers(stack: AsyncExitStack, kind: str) -> None:
    line = await opened(stack, kind)
    event = fired()
    path = "/v1/kpis/first_response_time/series?window=24h&step=15m&segment=team%3ABilling"
    page = "/kpis/first_response_time?window=24h&segment=team%3ABilling"
    labels = {"rule": "slow", "metric": "first_response_time", "severity": "critical"}
    alert = replace(event.alert, evidence=(), labels=labels, query=path, due_at=None, breached_at=None)
    assert isinstance(await line.send(notice(replace(event, alert=alert))), Delivered)
    assert line.vendor.wrong == []
    said = json.dumps(line.vendor.got).replace("&amp;", "&")
    assert f"https://deskpulse.example{page}" in said or kind.startswith("alertmanager")


# Slack


@pytest.mark.parametrize(
    ("status", "error", "meaning"),
    [
        (400, "invalid_payload", Refused("HTTP 400 invalid_payload")),
        (403, "action_prohibited", Refused("HTTP 403 action_prohibited")),
        (404, "channel_not_found", Refused("HTTP 404 channel_not_found", gone=True)),
        (404, "no_service", Refused("HTTP 404 no_service", gone=True)),
        (410, "channel_is_archived", Refused("HTTP 410 channel_is_archived", gone=True)),
        (500, "rollup_error", Retry("HTTP 500 rollup_error")),
        (429, "rate_limited", Retry("HTTP 429 rate_limited")),
        (200, "invalid_token", Refused("HTTP 200 invalid_token", gone=True)),
    ],
)
async def test_slacks_words_for_errors_are_understood(
    stack: AsyncExitStack, status: int, error: str, meaning: Outcome
) -> None:
    line = await opened(stack, "slack webhook")
    line.vendor.answers.append(PlainTextResponse(error, status_code=status))
    assert await line.send(notice(fired())) == meaning


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ({"ok": False, "error": "invalid_auth"}, Refused("HTTP 200 invalid_auth", gone=True)),
        ({"ok": False, "error": "is_archived"}, Refused("HTTP 200 is_archived", gone=True)),
        ({"ok": False, "error": "not_in_channel"}, Refused("HTTP 200 not_in_channel")),
        ({"ok": False, "error": "invalid_blocks"}, Refused("HTTP 200 invalid_blocks")),
        ({"ok": False, "error": "ratelimited"}, Retry("HTTP 200 ratelimited")),
        ({"ok": False, "error": "internal_error"}, Retry("HTTP 200 internal_error")),
        ({"ok": False, "error": "<b>odd</b>"}, Retry("HTTP 200 with an answer that is not Slack's", perhaps=True)),
        ({"no": "idea"}, Retry("HTTP 200 with an answer that is not Slack's", perhaps=True)),
        ({"ok": True}, Delivered()),
    ],
)
async def test_a_200_of_slacks_api_is_no_success_by_itself(
    stack: AsyncExitStack, said: dict[str, Any], meaning: Outcome
) -> None:
    line = await opened(stack, "slack bot")
    line.vendor.answers.append(JSONResponse(said))
    assert await line.send(notice(fired())) == meaning


async def test_a_bot_keeps_one_message_for_each_alert_and_what_happens_is_in_its_thread(stack: AsyncExitStack) -> None:
    line = await opened(stack, "slack bot")
    warned, taken, breached, *_ = life()
    first = await line.send(notice(warned))
    assert first == Delivered("C0123ABCD/1700000000.000100/own")
    assert await line.send(notice(taken, first.handle)) == first
    assert await line.send(notice(breached, first.handle)) == first
    assert line.vendor.paths == [
        *("api/chat.postMessage", "api/chat.update", "api/chat.postMessage", "api/chat.update", "api/chat.postMessage")
    ]
    assert {body["thread_ts"] for body in line.vendor.got[2::2]} == {"1700000000.000100"}
    assert [body.get("reply_broadcast", False) for body in line.vendor.got[2::2]] == [False, True]


async def test_news_of_an_alert_that_a_digest_told_of_go_into_the_digests_thread(stack: AsyncExitStack) -> None:
    line = await opened(stack, "slack bot")
    event = fired()
    told = await line.send(gathered(event, fired(ticket_id="9")))
    assert told == Delivered("C0123ABCD/1700000000.000100/digest")
    await line.send(notice(fired(SlaKind.FULFILLED, event.alert, 2), told.handle))
    assert line.vendor.paths == ["api/chat.postMessage", "api/chat.postMessage"], "a digest is not overwritten"
    assert line.vendor.got[1]["thread_ts"] == "1700000000.000100"


async def test_a_message_that_was_deleted_in_slack_does_not_stop_the_news(stack: AsyncExitStack) -> None:
    line = await opened(stack, "slack bot")
    event = fired()
    first = await line.send(notice(event))
    assert isinstance(first, Delivered)
    line.vendor.answers.append(JSONResponse({"ok": False, "error": "message_not_found"}))
    line.vendor.answers.append(JSONResponse({"ok": False, "error": "thread_not_found"}))
    assert isinstance(await line.send(notice(fired(SlaKind.FULFILLED, event.alert, 2), first.handle)), Delivered)
    assert "thread_ts" not in line.vendor.got[-1]


# Teams


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (
            PlainTextResponse(
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
            ),
            Retry("HTTP 200 with HTTP 429 inside"),
        ),
        (
            PlainTextResponse("… Microsoft Teams endpoint returned HTTP error 413 with ContextId …"),
            Refused("HTTP 200 with HTTP 413 inside"),
        ),
        (PlainTextResponse("1"), Delivered()),
        (Response(status_code=401), Refused("HTTP 401", gone=True)),
        (Response(status_code=404), Refused("HTTP 404", gone=True)),
    ],
)
async def test_teams_throttles_with_200_and_says_so_in_the_text(
    stack: AsyncExitStack, answer: Response, meaning: Outcome
) -> None:
    line = await opened(stack, "teams")
    line.vendor.answers.append(answer)
    assert await line.send(notice(fired())) == meaning


async def test_a_card_names_as_many_alerts_as_teams_takes(stack: AsyncExitStack) -> None:
    line = await opened(stack, "teams", ", digest: {worst: 30}")
    events = [odd(fired(ticket_id="9" * 200 + str(number)), "🎫" * 400) for number in range(40)]
    assert isinstance(await line.send(gathered(*events)), Delivered)
    assert line.vendor.wrong == []


# PagerDuty


async def test_an_incident_is_triggered_acknowledged_and_resolved_by_the_alerts_id(stack: AsyncExitStack) -> None:
    line = await opened(stack, "pagerduty")
    for event in life():
        await line.send(notice(event))
    actions = [body["event_action"] for body in line.vendor.got]
    assert actions == ["trigger", "acknowledge", "trigger", "acknowledge", "trigger", "resolve"]
    assert len({body["dedup_key"] for body in line.vendor.got}) == 1
    assert [body["payload"]["severity"] for body in line.vendor.got if "payload" in body] == [
        *("warning", "critical", "critical")
    ]
    hrefs = [link["href"] for link in line.vendor.got[0]["links"]]
    assert hrefs[0] == "https://desk.example/tickets/5158"
    assert hrefs[2] == "https://wiki.example/runbooks/sla-warning.md"


async def test_a_digest_is_one_incident_that_ends_when_all_in_it_have(stack: AsyncExitStack) -> None:
    line = await opened(stack, "pagerduty")
    own = fired(ticket_id="7")
    worse = fired(SlaKind.FULFILLED, own.alert, 2, ticket_id="7")
    message = gathered(fired(ticket_id="8"), fired(ticket_id="9"), worse, handles={own.alert.alert_id: "own"})
    assert await line.send(message) == Delivered("digest:digest-1")
    assert isinstance(await line.send(Over("digest-1:end", "digest-1")), Delivered)
    assert [(body["event_action"], body["dedup_key"]) for body in line.vendor.got] == [
        ("trigger", "deskpulse-digest-digest-1"),
        ("resolve", own.alert.alert_id),
        ("resolve", "deskpulse-digest-digest-1"),
    ]


async def test_a_limit_of_requests_does_not_start_a_large_digest_over_and_over(stack: AsyncExitStack) -> None:
    line = await opened(stack, "pagerduty")
    alerts = [fired(ticket_id=str(number)).alert for number in range(60)]
    ends = [fired(SlaKind.FULFILLED, alert, 2, ticket_id=alert.evidence[0].ticket_id) for alert in alerts]
    message = gathered(*ends, handles={alert.alert_id: "own" for alert in alerts})
    for _ in range(30):
        line.vendor.answers.extend([JSONResponse({"status": "success"}, status_code=202)] * 10)
        line.vendor.answers.extend([Response(status_code=429)] * 100)
        found = await line.send(message)
        line.vendor.answers.clear()
        if isinstance(found, Delivered):
            break
        assert found == Retry("HTTP 429")
    assert isinstance(found, Delivered)
    assert {body["dedup_key"] for body in line.vendor.got} == {alert.alert_id for alert in alerts}
    assert len(line.vendor.got) < 60 + 8 * 8, "what went through is not sent anew"


@pytest.mark.parametrize(
    ("errors", "gone"),
    [(["Invalid routing key"], True), (["'payload.severity' is invalid"], False), ("odd", False), (None, False)],
)
async def test_a_wrong_routing_key_switches_the_receiver_off(stack: AsyncExitStack, errors: object, gone: bool) -> None:
    line = await opened(stack, "pagerduty")
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    line.vendor.answers.append(JSONResponse(said, status_code=400))
    found = await line.send(notice(fired()))
    assert isinstance(found, Refused)
    assert found.gone is gone


# Alertmanager


async def test_an_alert_that_got_worse_ends_what_it_was_in_alertmanager(stack: AsyncExitStack) -> None:
    line = await opened(stack, "alertmanager push")
    warned, _, breached, quiet, _, ended = life()
    for event in (warned, breached, quiet, ended):
        await line.send(notice(event))
    shown = [
        [(one["labels"]["severity"], one["endsAt"] > "2026-03-02T10:31:00Z") for one in body]
        for body in line.vendor.got
    ]
    assert shown == [
        [("warning", True)],
        [("critical", True), ("warning", False)],
        [("critical", False), ("warning", False)],
        [("critical", False), ("warning", False)],
    ]
    assert line.vendor.got[0][0]["labels"]["alertname"] == "Deskpulse_first_response"
    assert line.vendor.got[0][0]["generatorURL"].startswith("https://deskpulse.example/?alert=")


async def test_open_alerts_live_on_in_alertmanager_by_being_pushed_anew(stack: AsyncExitStack) -> None:
    line = await opened(stack, "alertmanager push")
    assert isinstance(line.channel, Alertmanager)
    assert line.channel.repush_s == 60
    alerts = [fired(ticket_id=str(number)).alert for number in range(3)]
    assert await line.channel.refresh(alerts, AT_US) == Delivered()
    (body,) = line.vendor.got
    assert {one["endsAt"] for one in body} == {"2026-03-02T10:35:00Z"}
