"""Apprise: what it knows goes out, what it does not is said at the start, and private hosts are not spoken to."""

import pytest
from fastapi.responses import Response
from pydantic import SecretStr

from schemas.instant import from_datetime
from services.alerts.delivery import Delivered, Refused, Retry
from services.alerts.notify import anything, outbound
from services.alerts.notify.anything import Anything
from services.alerts.notify.words import Wording
from services.config.receiver import AppriseReceiver
from tests.support import vendors
from tests.support.news import AT, fired, gathered, notice

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
pytest.importorskip("apprise", reason="the optional dependency Apprise is not installed")

AT_US = from_datetime(AT)


def configured(url: str, *, private: bool = True) -> Anything:
    return Anything(AppriseReceiver(url=SecretStr(url), allow_private=private), Wording())


async def test_apprise_delivers_and_what_fails_is_tried_again() -> None:
    vendor = vendors.apprise_json()
    await vendor.start()
    try:
        found = configured(f"json://127.0.0.1:{vendor.server.port}/hook")
        assert await found.send(notice(fired()), AT_US) == Delivered()
        assert await found.send(gathered(fired(), fired(ticket_id="9")), AT_US) == Delivered()
        vendor.answers.append(Response(status_code=500))
        assert await found.send(notice(fired()), AT_US) == Retry("Apprise could not deliver it")
        vendor.answers.append(Response(status_code=307, headers={"location": "/elsewhere"}))
        assert isinstance(await found.send(notice(fired()), AT_US), Retry)
    finally:
        await vendor.stop()
    assert vendor.got[0]["title"].startswith("Critical: First response promise broken")
    assert "https://desk.example/tickets/5158" in vendor.got[0]["message"]
    assert vendor.got[0]["type"] == "failure"
    assert set(vendor.paths) == {"hook"}


async def test_apprise_speaks_to_no_private_host_unless_that_is_allowed() -> None:
    shy = configured("json://127.0.0.1:9/hook", private=False)
    assert await shy.send(notice(fired()), AT_US) == Refused(outbound.PRIVATE)


@pytest.mark.parametrize("url", ["secret-thing", "nosuch://secret-thing", ""])
def test_a_url_that_apprise_does_not_know_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(ValueError, match="no URL that Apprise knows") as refused:
        configured(url)
    assert "secret-thing" not in str(refused.value)


def test_the_machines_own_notifications_are_no_receiver_by_default() -> None:
    with pytest.raises(ValueError, match="allow_private"):
        configured("syslog://", private=False)


def test_it_is_said_when_apprise_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anything, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"install deskpulse\[apprise\]"):
        configured("json://127.0.0.1/")
