"""Alerts as signed webhooks (Standard Webhooks): a POST of the AlertEvent as JSON.

Signed as https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md has it. What is no
AlertEvent has a ``type`` (``digest`` or ``test``) in its place.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import standard_webhook
from services.alerts.delivery import Delivered, Outcome
from services.alerts.message import Bulletin, Gathered, Message, Notice, Over, Trial
from services.alerts.notify.outbound import Answer, Outbound, fingerprint, outcome
from services.alerts.notify.words import TRIAL_TITLE, Wording
from services.alerts.report.report import shown
from services.config.receiver import WebhookReceiver

_json = msgspec.json.Encoder()
_PLAIN = Wording()


class Webhook:
    """One receiver."""

    def __init__(self, receiver: WebhookReceiver, wording: Wording = _PLAIN) -> None:
        self._wording = wording
        self._url = receiver.url
        self._secrets = [secret.get_secret_value() for secret in receiver.secrets]
        self._outbound = Outbound(allow_private=receiver.allow_private)
        self.address = fingerprint(self._url)

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One attempt. Never raises for anything that the network or the receiver does."""
        if isinstance(message, Over):
            return Delivered()
        body = payload(message, self._wording)
        headers = standard_webhook.headers(self._secrets, message.message_id, at_us // 1_000_000, body)
        answer = await self._outbound.post(self._url, body, headers, at_us, read=False)
        return outcome(answer.status, answer.retry_after_s) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Closes the connections."""
        await self._outbound.close()


def payload(message: Notice | Gathered | Trial | Bulletin, wording: Wording = _PLAIN) -> bytes:
    """The body of the request: the event, with ``links`` where links that act are wanted."""
    if isinstance(message, Notice):
        links = wording.signed(message.event)
        if not links:
            return message.body
        named = {action.value: url for action, url in links.items()}
        return message.body[:-1] + b',"links":' + _json.encode(named) + b"}"
    if isinstance(message, Bulletin):
        return _json.encode({"type": "report", "report": shown(message.report)})
    if isinstance(message, Trial):
        return _json.encode({"type": "test", "message": TRIAL_TITLE, "receiver": message.receiver})
    digest = message.digest
    said: dict[str, Any] = {
        "type": "digest",
        "digest_id": digest.digest_id,
        "receiver": digest.receiver,
        "opened": digest.opened,
        "ended": digest.ended,
        "by_severity": dict(digest.by_severity),
        "by_team": dict(digest.by_team),
        "by_metric": dict(digest.by_metric),
        "events": [msgspec.Raw(body) for body in message.bodies],
    }
    return _json.encode(said)
