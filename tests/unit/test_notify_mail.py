"""E-mail through a real SMTP server: threads, escaping, protection, and every kind of "no"."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts.delivery import Delivered, Refused, Retry
from services.alerts.message import Trial
from services.alerts.notify import mail, outbound
from services.alerts.notify.mail import Mail
from services.alerts.notify.words import Wording
from services.config import template
from services.config.receiver import EmailReceiver
from tests.support.news import AT, acknowledged, fired, gathered, notice, odd
from tests.support.smtp import PASSWORD, USER, Mailbox
from tests.support.vendors import speaking

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

AT_US = from_datetime(AT)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with Mailbox(tmp_path) as found:
        yield found


def configured(box: Mailbox, **other: object) -> Mail:
    given = {
        "host": "localhost" if not box.implicit else "127.0.0.1",
        "port": box.port,
        "tls": "tls" if box.implicit else "starttls",
        "username": USER,
        "password": SecretStr(PASSWORD),
        "sender": "deskpulse@example.com",
        "to": ("lead@example.com", "second@example.com"),
        "ca_file": str(box.ca_file),
        "allow_private": True,
        **other,
    }
    message = given.pop("message", None)
    wording = Wording(message=template.parse(str(message)) if message else None)
    return Mail(EmailReceiver.model_validate(given), wording)


async def test_the_mails_of_an_alert_are_one_thread(box: Mailbox) -> None:
    sender = configured(box)
    event = fired()
    first = await sender.send(notice(event), AT_US)
    assert isinstance(first, Delivered)
    ended = fired(SlaKind.FULFILLED, event.alert, 2)
    assert await sender.send(notice(ended, first.handle), AT_US) == first
    one, two = box.got
    assert one["Message-ID"] == f"<delivery-of-{event.event_id}@example.com>"
    assert two["In-Reply-To"] == two["References"] == one["Message-ID"]
    assert two["Message-ID"] not in (None, one["Message-ID"])
    assert one["Subject"].startswith("[Deskpulse] Critical: First response promise broken: zendesk ticket 5158")
    assert two["Subject"] == f"Re: {one['Subject']}"
    assert (one["Importance"], two["Importance"]) == ("high", None)
    assert (one["Auto-Submitted"], one["From"]) == ("auto-generated", "Deskpulse <deskpulse@example.com>")
    assert box.to == [["lead@example.com", "second@example.com"]] * 2
    text = two.get_body(("plain",))
    assert text is not None
    assert text.get_content().startswith("Resolved: First response promise kept")
    assert "Ticket 5158: https://desk.example/tickets/5158" in text.get_content()


async def test_words_from_elsewhere_are_neither_headers_nor_markup(box: Mailbox) -> None:
    sender = configured(box, message="{title}\n{detail}")
    nasty = "a\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script> & \u202e"
    assert isinstance(await sender.send(notice(odd(fired(team="<b>x</b>"), nasty, nasty)), AT_US), Delivered)
    (got,) = box.got
    assert got["Bcc"] is None
    assert box.to == [["lead@example.com", "second@example.com"]]
    html = got.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "<b>x</b>" not in html.get_content()
    assert "&lt;script&gt;" in html.get_content()


async def test_a_digest_and_a_test_are_mails_too(box: Mailbox) -> None:
    sender = configured(box)
    events = [fired(ticket_id=str(number)) for number in range(40)]
    assert isinstance(await sender.send(gathered(*events), AT_US), Delivered)
    assert isinstance(await sender.send(Trial("t", "leads"), AT_US), Delivered)
    assert [mail_["Subject"] for mail_ in box.got] == [
        "[Deskpulse] Digest: 40 alerts (40 critical)",
        "[Deskpulse] Test: Test message, no alert",
    ]


async def test_implicit_tls_works_as_well(tmp_path: Path) -> None:
    async with Mailbox(tmp_path, implicit=True) as box:
        assert isinstance(await configured(box).send(notice(fired()), AT_US), Delivered)
        assert len(box.got) == 1


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ("451 4.3.0 try later", Retry("SMTP 451")),
        ("421 4.3.2 going down", Retry("SMTP 421")),
        ("552 5.3.4 too big", Refused("SMTP 552")),
        ("554 5.7.1 secret-of-a-stranger", Refused("SMTP 554")),
    ],
)
async def test_4xx_is_later_and_5xx_is_never(box: Mailbox, answer: str, meaning: Retry | Refused) -> None:
    box.answers.append(answer)
    assert await configured(box).send(notice(fired()), AT_US) == meaning
    assert box.got == []


async def test_mailboxes_are_refused_one_by_one(box: Mailbox) -> None:
    nobody = configured(box, to=("nobody@example.com",))
    full = configured(box, to=("full@example.com", "nobody@example.com"))
    some = configured(box, to=("nobody@example.com", "lead@example.com"))
    assert await nobody.send(notice(fired()), AT_US) == Refused("SMTP 550 to every recipient")
    assert await full.send(notice(fired()), AT_US) == Retry("SMTP 550 to every recipient")
    assert isinstance(await some.send(notice(fired()), AT_US), Delivered)
    assert box.to == [["lead@example.com"]]


async def test_a_wrong_password_switches_the_receiver_off(box: Mailbox) -> None:
    found = await configured(box, password=SecretStr("wrong")).send(notice(fired()), AT_US)
    assert found == Refused("SMTP 535 to the credentials", gone=True)


async def test_a_certificate_that_nobody_vouches_for_gets_no_password(box: Mailbox) -> None:
    found = await configured(box, ca_file=None).send(notice(fired()), AT_US)
    assert isinstance(found, Retry)
    assert box.got == []


async def test_a_server_that_stalls_is_given_up_and_perhaps_has_the_mail(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_S", 0.5)
    box.answers.append("STALL")
    found = await configured(box).send(notice(fired()), AT_US)
    assert isinstance(found, Retry)
    assert found.perhaps


async def test_a_server_that_says_nonsense_or_nothing_is_tried_again(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_S", 0.5)
    async with speaking(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        port = int(url.rpartition(":")[2])
        assert isinstance(await configured(box, port=port).send(notice(fired()), AT_US), Retry)
    assert isinstance(await configured(box, port=9).send(notice(fired()), AT_US), Retry)


async def test_no_mail_goes_through_a_private_server_unless_that_is_allowed(box: Mailbox) -> None:
    found = await configured(box, allow_private=False).send(notice(fired()), AT_US)
    assert found == Refused(outbound.PRIVATE)


async def test_a_mail_says_who_took_the_alert(box: Mailbox) -> None:
    taken = acknowledged(fired().alert)
    assert isinstance(await configured(box).send(notice(taken), AT_US), Delivered)
    text = box.got[0].get_body(("plain",))
    assert text is not None
    assert "ana takes it." in text.get_content()
