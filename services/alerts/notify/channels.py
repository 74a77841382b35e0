"""Which channel a receiver is reached by."""

from __future__ import annotations

from typing import Protocol

from services.alerts.delivery import Outcome
from services.alerts.link import Signer
from services.alerts.message import Message
from services.alerts.notify.alertmanager import Alertmanager
from services.alerts.notify.anything import Anything
from services.alerts.notify.mail import Mail
from services.alerts.notify.pagerduty import PagerDuty
from services.alerts.notify.slack import Slack
from services.alerts.notify.teams import Teams
from services.alerts.notify.webhook import Webhook
from services.alerts.notify.words import Wording
from services.config import template
from services.config.document import Document
from services.config.receiver import Receiver


class Channel(Protocol):
    """How to reach one receiver. ``address`` is a digest of where it is and of the credentials."""

    address: str

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One bounded attempt that does not raise."""

    async def close(self) -> None:
        """Lets go of what it keeps open."""


def channel(document: Document, name: str) -> Channel:
    """The channel of one of the document's receivers. Raises ValueError for what only the channel can tell."""
    receiver = document.receivers[name]
    wording = _wording(document, name, receiver)
    if receiver.slack is not None:
        return Slack(receiver.slack, wording)
    if receiver.teams is not None:
        return Teams(receiver.teams, wording)
    if receiver.pagerduty is not None:
        return PagerDuty(receiver.pagerduty, wording)
    if receiver.alertmanager is not None:
        return Alertmanager(name, receiver.alertmanager, wording)
    if receiver.email is not None:
        return Mail(receiver.email, wording)
    if receiver.apprise is not None:
        return Anything(receiver.apprise, wording)
    assert receiver.webhook is not None
    return Webhook(receiver.webhook, wording)


def problems(document: Document) -> list[str]:
    """What the document cannot know of its receivers, a line for each."""
    found = []
    for name, receiver in document.receivers.items():
        if receiver.apprise is None:
            continue
        try:
            channel(document, name)
        except ValueError as exc:
            found.append(f"receivers.{name}.apprise: {exc}")
    return found


def _wording(document: Document, name: str, receiver: Receiver) -> Wording:
    return Wording(
        board_url=document.board_url,
        runbooks_url=document.runbooks_url,
        message=template.parse(receiver.message) if receiver.message is not None else None,
        receiver=name,
        signer=Signer.of(document) if receiver.links else None,
        worst=receiver.gathering.worst if receiver.gathering is not None else 10,
    )
