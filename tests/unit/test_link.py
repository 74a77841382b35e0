"""Signed links: what they say, what is no link, what they may do and how often, and the pages they lead to."""

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from structlog.testing import capture_logs

from schemas import codec
from schemas.alert import Alert, AlertEvent
from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts import app as api
from services.alerts import state
from services.alerts.alerting import Alerting
from services.alerts.feed import Feed
from services.alerts.link import Action, Grant, Signer, Told
from services.alerts.message import Notice, Trial
from services.alerts.notify import channels, mail, slack, teams, webhook
from services.alerts.notify.words import Wording
from services.alerts.store import RedisStore
from services.config.document import Document
from services.operate.health import Health
from services.state import client
from tests.support.news import AT, acknowledged, done, fired, notice
from tests.support.oncall import HOOK
from tests.support.sla import announcement

AT_US = from_datetime(AT)
KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OLDER = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


def document(**more: object) -> Document:
    return Document.model_validate(
        {
            "receivers": {"leads": HOOK},
            "routes": [{"receiver": "leads"}],
            "board_url": "https://desk.example/pulse/",
            "links": {"secrets": [KEY]},
            **more,
        }
    )


def signer(using: Document | None = None) -> Signer:
    found = Signer.of(using or document())
    assert found is not None
    return found


def token(url: str) -> str:
    return url.partition("?t=")[2]


def test_a_link_says_what_it_may_do_until_it_ends() -> None:
    event = fired(SlaKind.BREACHED)
    url = signer().url(event, Action.SNOOZE, "leads")
    assert url.startswith("https://desk.example/pulse/link?t=")
    assert url == signer().url(event, Action.SNOOZE, "leads"), "the same for every attempt"
    made_us = from_datetime(event.occurred_at)
    until_us = made_us + 3 * 86_400_000_000
    found = signer().read(token(url), until_us - 1)
    assert found == Grant(event.alert.alert_id, Action.SNOOZE, "leads", made_us, until_us)
    assert signer().read(token(url), until_us) is Told.EXPIRED


def test_any_other_letter_makes_it_no_link() -> None:
    text = token(signer().url(fired(SlaKind.BREACHED), Action.ACKNOWLEDGE, "leads"))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place, letter in enumerate(text):
        for other in letters[:: 7 if letter != "." else 1]:
            if other != letter:
                assert signer().read(text[:place] + other + text[place + 1 :], AT_US) is Told.FORGED
    for wrong in ("", ".", text + "A", text + "=", text + "\n", text[:-1], "é." + text, "A" * 5000, text.upper()):
        assert signer().read(wrong, AT_US) is Told.FORGED


def test_a_signature_of_something_else_by_the_same_key_is_no_link() -> None:
    payload = msgspec.json.encode(Grant("a", Action.SNOOZE, "leads", 0, 1 << 60))
    key = base64.b64decode(KEY.removeprefix("whsec_"))
    signature = hmac.digest(key, payload, "sha256")
    parts = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (payload, signature))
    assert signer().read(".".join(parts), AT_US) is Told.FORGED


def test_links_of_an_older_secret_count_while_it_is_listed() -> None:
    old = token(signer(document(links={"secrets": [OLDER]})).url(fired(), Action.OPEN, "leads"))
    both = signer(document(links={"secrets": [KEY, OLDER]}))
    assert isinstance(both.read(old, AT_US), Grant)
    assert signer().read(old, AT_US) is Told.FORGED


def test_what_is_offered_is_what_makes_sense() -> None:
    breached = fired(SlaKind.BREACHED)
    taken = acknowledged(breached.alert)
    snoozed = done(state.snooze(breached.alert, "ana", AT + timedelta(hours=1), AT))
    over = done(state.resolve(breached.alert, "ana", AT))
    offered = [list(signer().urls(event, "leads")) for event in (breached, taken, snoozed, over)]
    assert offered == [
        [Action.ACKNOWLEDGE, Action.SNOOZE, Action.OPEN],
        [Action.OPEN],
        [Action.ACKNOWLEDGE, Action.OPEN],
        [],
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"board_url": None}, "need board_url"),
        ({"board_url": "http://desk.example"}, "need board_url"),
        ({"board_url": "http://localhost.desk.example"}, "need board_url"),
        ({"links": {"secrets": ["whsec_c2hvcnQ="]}}, "at least 16 bytes"),
        ({"links": {"secrets": [KEY], "valid": "1m"}}, "from 5m to 30d"),
        ({"links": {"secrets": []}}, "at least 1 item"),
    ],
)
def test_mistakes_in_links_are_named_without_the_secret(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        document(**given)
    assert "c2hvcnQ" not in str([error["msg"] for error in caught.value.errors()])


def test_messages_carry_links_only_where_they_are_wanted() -> None:
    event = fired(SlaKind.BREACHED)
    wording = Wording(board_url="https://desk.example", receiver="leads", signer=signer())
    words = wording.event(event)
    assert [link.label for link in words.links] == ["Acknowledge", "Snooze 1 h", "Ticket 5158", "Alert"]
    for text in (mail.plain(words), mail.rich(words), str(slack.rendered(words)), teams.rendered(words).decode()):
        assert text.count("/link?t=") >= 3
        assert "&amp;amp;" not in text
    body = webhook.payload(notice(event), wording)
    assert codec.decode_alert(body) == event
    assert list(msgspec.json.decode(body)["links"]) == ["acknowledge", "snooze", "open"]
    without = Wording(board_url="https://desk.example")
    assert "/link" not in mail.plain(without.event(event))
    assert webhook.payload(notice(event), without) == notice(event).body
    assert "/link" not in mail.plain(wording.of(Trial("trial-1", "leads")))


async def _posted(name: str, using: Document) -> Wording:
    channel = channels.channel(using, name)
    try:
        wording: Wording = channel._wording  # type: ignore[attr-defined]
        return wording
    finally:
        await channel.close()


@pytest.mark.anyio
async def test_a_receiver_may_go_without() -> None:
    using = document(receivers={"leads": HOOK, "crowd": {**HOOK, "links": False}})
    assert (await _posted("leads", using)).signed(fired())
    assert not (await _posted("crowd", using)).signed(fired())
    assert not (await _posted("leads", document(links=None))).signed(fired())


class World:
    """The API's app on a real Redis, and an alert that fires."""

    def __init__(self, url: str, using: Document) -> None:
        self.at = AT
        self.writer, self.reader = client.writer(url), client.reader(url)
        self.registry = CollectorRegistry()
        self.app = api.build(
            using,
            writer=self.writer,
            reader=self.reader,
            feed=Feed(self.reader, self.reader),
            health=Health(),
            registry=self.registry,
            now=lambda: self.at,
        )
        self.store = RedisStore(self.writer, self.reader)
        self.alerting = Alerting(self.store, using, lambda: self.at, lambda event: None)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="https://desk.example")

    async def fires(self, kind: SlaKind = SlaKind.BREACHED, revision: int = 1) -> AlertEvent:
        step = await self.alerting.announced(announcement(kind, revision))
        assert step is not None
        assert step.event is not None
        return step.event

    async def alert(self, event: AlertEvent) -> Alert:
        found = await self.store.alert(event.alert.alert_id)
        assert found is not None
        return found

    def used(self, action: str, outcome: str) -> float:
        return self.registry.get_sample_value("deskpulse_links_total", {"action": action, "outcome": outcome}) or 0.0


def path(event: AlertEvent, action: Action, receiver: str = "leads") -> str:
    return "/link?t=" + token(signer().url(event, action, receiver))


@pytest.fixture
async def world(redis_db: str) -> AsyncIterator[World]:
    found = World(redis_db, document(api_tokens=["a-token-that-links-do-not-need"]))
    yield found
    await found.http.aclose()
    await found.writer.aclose()
    await found.reader.aclose()


@pytest.mark.anyio
@pytest.mark.redis
async def test_following_a_link_changes_nothing_and_its_button_acts_once(world: World) -> None:
    event = await world.fires()
    link = path(event, Action.ACKNOWLEDGE)
    for _ in range(3):
        page = await world.http.get(link)
        assert page.status_code == 200
        assert '<form method="post"><button type="submit">Acknowledge' in page.text
    assert (await world.alert(event)).version == 1
    done = await world.http.post(link)
    assert (done.status_code, "You have it" in done.text) == (200, True)
    after = await world.alert(event)
    assert (after.state.value, after.acknowledged_by) == ("acknowledged", "link sent to leads")
    again = await world.http.post(link)
    assert (again.status_code, "used already" in again.text) == (409, True)
    assert "<form" not in (await world.http.get(link)).text
    assert (await world.alert(event)).version == 2
    assert [world.used("acknowledge", outcome) for outcome in ("shown", "done", "used_up")] == [3, 1, 2]


@pytest.mark.anyio
@pytest.mark.redis
async def test_a_snooze_link_cannot_be_played_again_after_the_snooze(world: World) -> None:
    event = await world.fires()
    link = path(event, Action.SNOOZE)
    assert (await world.http.post(link)).status_code == 200
    snoozed = await world.alert(event)
    assert snoozed.snoozed_until == AT + timedelta(hours=1)
    world.at += timedelta(hours=1)
    await world.alerting.wake()
    assert (await world.http.post(link)).status_code == 409
    transitions = await world.store.transitions(event.alert.alert_id)
    anew = transitions[-1]
    assert anew.transition.value == "snooze_ended"
    assert (await world.http.post(path(anew, Action.SNOOZE))).status_code == 200, "the newer message has its own link"
    told = (await world.store.transitions(event.alert.alert_id))[-1]
    assert (told.transition.value, told.actor) == ("snoozed", "link sent to leads")


@pytest.mark.anyio
@pytest.mark.redis
async def test_a_link_does_nothing_to_what_somebody_has_or_what_is_over(world: World) -> None:
    event = await world.fires()
    await world.alerting.act(event.alert.alert_id, lambda alert, at: state.acknowledge(alert, "ben", at))
    late = await world.http.post(path(event, Action.SNOOZE))
    assert (late.status_code, "Nothing was changed" in late.text, "ben" in late.text) == (409, True, True)
    await world.fires(SlaKind.FULFILLED, 2)
    assert (await world.http.post(path(event, Action.ACKNOWLEDGE))).status_code == 409
    opened = await world.http.get(path(event, Action.OPEN))
    assert (opened.status_code, "<form" in opened.text, "resolved" in opened.text) == (200, False, True)
    assert (await world.http.post(path(event, Action.OPEN))).status_code == 200
    other = fired(SlaKind.BREACHED, ticket_id="nobody knows")
    assert (await world.http.get(path(other, Action.OPEN))).status_code == 404


@pytest.mark.anyio
@pytest.mark.redis
async def test_pages_have_no_script_load_nothing_and_tell_nobody_where_they_were(world: World) -> None:
    event = await world.fires()
    world.at += timedelta(days=3)
    expired = path(event, Action.OPEN)
    world.at -= timedelta(minutes=1)
    statuses = []
    for link in (path(event, Action.ACKNOWLEDGE), expired, "/link?t=forged", "/link"):
        for method in ("GET", "POST"):
            if link == path(event, Action.ACKNOWLEDGE) and method == "POST":
                continue
            page = await world.http.request(method, link)
            statuses.append(page.status_code)
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "frame-ancestors 'none'" in policy
            assert "script-src" not in policy
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["cache-control"] == "no-store"
            assert "<script" not in page.text
            assert not re.search(r"(src|@import|url\()", page.text)
            assert token(link) in ("", "forged") or token(link) not in page.text
            style = re.search(r"<style>(.*?)</style>", page.text)
            assert style is not None
            digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
            assert f"sha256-{digest}" in policy, "the style is the one that the policy allows"
    assert statuses == [200, 200, 200, 403, 403, 403, 403]
    world.at += timedelta(minutes=1)
    gone = await world.http.get(expired)
    assert (gone.status_code, "expired" in gone.text) == (410, True)


@pytest.mark.anyio
@pytest.mark.redis
async def test_no_link_stands_in_a_log_or_a_metric(world: World) -> None:
    event = await world.fires()
    link = path(event, Action.ACKNOWLEDGE)
    with capture_logs() as lines:
        await world.http.get(link)
        await world.http.post(link)
        await world.http.post(link)
        await world.http.get("/link?t=forged")
    assert [line["outcome"] for line in lines if line["event"] == "link_followed"] == ["done"]
    metrics = (await world.http.get("/metrics")).text
    for text in (str(lines), metrics):
        assert token(link)[:40] not in text


@pytest.mark.anyio
@pytest.mark.redis
async def test_a_title_is_text_and_no_markup(world: World) -> None:
    step = await world.alerting.announced(announcement(SlaKind.BREACHED, 1, ticket_id="<script>x</script>", team="<b>"))
    assert step is not None
    assert step.event is not None
    page = (await world.http.get(path(step.event, Action.OPEN))).text
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.anyio
@pytest.mark.redis
async def test_without_a_secret_there_are_no_links(redis_db: str) -> None:
    found = World(redis_db, document(links=None))
    event = await found.fires()
    assert (await found.http.post(path(event, Action.ACKNOWLEDGE))).status_code == 403
    assert (await found.alert(event)).version == 1
    await found.http.aclose()
    await found.writer.aclose()
    await found.reader.aclose()


def test_the_message_of_a_link_names_whom_it_was_sent_to() -> None:
    event = done(state.acknowledge(fired(SlaKind.BREACHED).alert, "link sent to leads", AT))
    message = Notice("delivery-1", event, codec.encode(event))
    assert Wording().of(message).text.startswith("Somebody with the link sent to leads takes it.")
