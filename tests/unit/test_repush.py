"""Open alerts live on in an Alertmanager; those that are quiet or over do not."""

from datetime import timedelta

import pytest

from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts import state
from services.alerts.memory import MemoryStore
from services.alerts.notify.alertmanager import Alertmanager
from services.alerts.notify.words import Wording
from services.alerts.repush import Repush
from services.config.document import Route
from services.config.receiver import AlertmanagerReceiver
from tests.support import vendors
from tests.support.news import AT
from tests.support.sla import announcement

pytestmark = pytest.mark.anyio


async def test_every_open_alert_that_is_routed_there_is_pushed_anew() -> None:
    store, at_us = MemoryStore(), from_datetime(AT)
    for number in range(703):
        step = state.decide(None, announcement(SlaKind.BREACHED, ticket_id=str(number)), AT)
        assert step is not None
        assert await store.apply(step)
    for number, team in ((801, "Sales"), (802, "Billing"), (803, "Billing")):
        step = state.decide(None, announcement(SlaKind.BREACHED, ticket_id=str(number), team=team), AT)
        assert step is not None
        assert await store.apply(step)
        if number == 802:
            over = state.decide(step.after, announcement(SlaKind.FULFILLED, 2, ticket_id="802"), AT)
            assert over is not None
            assert await store.apply(over)
        if number == 803:
            quiet = state.snooze(step.after, "ana", AT + timedelta(hours=1), AT)
            assert isinstance(quiet, state.Step)
            assert await store.apply(quiet)
    vendor = vendors.alertmanager_api()
    await vendor.start()
    receiver = AlertmanagerReceiver(push_url=vendor.url("am"), allow_private=True)
    channel = Alertmanager("am", receiver, Wording())
    routes = [Route(receiver="am", match={"team": ("Billing",)}), Route(receiver="other")]
    repush = Repush("am", channel, store, lambda: routes, lambda: at_us)
    try:
        assert await repush.once() == 703
        pushed = {alert["labels"]["fingerprint"] for body in vendor.got for alert in body}
        assert len(pushed) == 703
        assert vendor.wrong == []
        await store.disable("am", channel.address, "HTTP 401", at_us)
        assert await repush.once() == 0
    finally:
        await channel.close()
        await vendor.stop()
