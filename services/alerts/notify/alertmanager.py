"""Alertmanager's formats, both ways.

Push: ``POST /api/v2/alerts`` of an Alertmanager
(https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml), so that its routing, grouping and silences
apply. An alert lives there until its ``endsAt``, so open ones are pushed anew all the time; should we fall silent, it
lets them go. Webhook: version 4 of what an Alertmanager posts
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), for whatever takes that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.alert import Alert, AlertState, Severity
from schemas.instant import from_datetime, to_rfc3339
from services.alerts.delivery import Delivered, Outcome, Refused
from services.alerts.message import Bulletin, Gathered, Message, Notice, Over
from services.alerts.notify.outbound import Answer, Outbound, fingerprint, outcome
from services.alerts.notify.words import TRIAL_TITLE, Wording
from services.config.duration import seconds
from services.config.receiver import AlertmanagerReceiver

_NEVER: Final = "0001-01-01T00:00:00Z"
_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")
_MISSED: Final = 4
"""Pushes that may fail in a row before an Alertmanager takes an alert for resolved."""
_json = msgspec.json.Encoder()


class Alertmanager:
    """One Alertmanager, or one taker of its webhooks."""

    def __init__(self, name: str, receiver: AlertmanagerReceiver, wording: Wording) -> None:
        self._name = name
        self._push_url = f"{receiver.push_url.rstrip('/')}/api/v2/alerts" if receiver.push_url else None
        self._webhook_url = receiver.webhook_url.get_secret_value() if receiver.webhook_url else ""
        token = receiver.bearer_token.get_secret_value() if receiver.bearer_token else ""
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._wording = wording
        self._outbound = Outbound(allow_private=receiver.allow_private)
        self.address = fingerprint(self._push_url or self._webhook_url, token)
        self.repush_s: int | None = seconds(receiver.repush) if self._push_url else None

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One attempt. Never raises for anything that the network or the receiver does. May be repeated: the same
        labels are the same alert."""
        match message:
            case Over():
                return Delivered()
            case Bulletin():
                return Refused("takes no reports")
            case Notice():
                alerts = [message.event.alert]
            case Gathered():
                alerts = [event.alert for event in message.digest.events]
            case _:
                alerts = []
        if self._push_url is not None:
            pushed = [entry for alert in alerts for entry in self._pushed(alert, at_us)] or [_trial(self._name, at_us)]
            return await self._posted(self._push_url, _json.encode(pushed), at_us)
        key = f"{self._name}:{message.message_id}"
        if isinstance(message, Notice):
            key = message.event.alert.alert_id
        return await self._posted(self._webhook_url, _json.encode(self._webhook(alerts, key, at_us)), at_us)

    async def refresh(self, alerts: Sequence[Alert], at_us: int) -> Outcome:
        """Pushes open alerts anew, so that they live on there."""
        assert self._push_url is not None
        pushed = [entry for alert in alerts for entry in self._pushed(alert, at_us)[:1]]
        return await self._posted(self._push_url, _json.encode(pushed), at_us)

    async def close(self) -> None:
        """Closes the connections."""
        await self._outbound.close()

    async def _posted(self, url: str, body: bytes, at_us: int) -> Outcome:
        answer = await self._outbound.post(url, body, self._headers, at_us, read=False)
        if not isinstance(answer, Answer):
            return answer
        if answer.status in (401, 403):
            return Refused(f"HTTP {answer.status}", gone=True)
        return outcome(answer.status, answer.retry_after_s)

    def _pushed(self, alert: Alert, at_us: int) -> list[dict[str, Any]]:
        """The alert, and for one that got worse the end of what it was: other labels are another alert there."""
        assert self.repush_s is not None
        over = alert.state in (AlertState.RESOLVED, AlertState.SNOOZED)
        since_us = from_datetime(alert.starts_at)
        at_us = max(at_us, since_us)  # an end before the beginning would be refused
        until_us = at_us if over else at_us + _MISSED * self.repush_s * 1_000_000
        said = {
            "labels": labels(alert),
            "annotations": self._annotations(alert),
            "startsAt": _at(since_us),
            "endsAt": _at(until_us),
        }
        if url := self._wording.alert_url(alert):
            said["generatorURL"] = url
        before = {**labels(alert), "severity": Severity.WARNING.value}
        if alert.severity is not Severity.CRITICAL:
            return [said]
        return [said, {**said, "labels": before, "endsAt": _at(at_us)}]

    def _webhook(self, alerts: Sequence[Alert], key: str, at_us: int) -> dict[str, Any]:
        shown: list[dict[str, Any]] = [
            {
                "status": "resolved" if alert.state is AlertState.RESOLVED else "firing",
                "labels": labels(alert),
                "annotations": self._annotations(alert),
                "startsAt": _at(from_datetime(alert.starts_at)),
                "endsAt": _at(from_datetime(alert.ends_at or alert.updated_at))
                if alert.state is AlertState.RESOLVED
                else _NEVER,
                "generatorURL": self._wording.alert_url(alert) or "",
                "fingerprint": alert.alert_id,
            }
            for alert in alerts
        ] or [{**_trial(self._name, at_us), "status": "resolved", "fingerprint": key}]
        return {
            "version": "4",
            "groupKey": key,
            "truncatedAlerts": 0,
            "status": "firing" if any(entry["status"] == "firing" for entry in shown) else "resolved",
            "receiver": self._name,
            "groupLabels": {},
            "commonLabels": _common([entry["labels"] for entry in shown]),
            "commonAnnotations": _common([entry["annotations"] for entry in shown]),
            "externalURL": self._wording.board_url or "",
            "alerts": shown,
        }

    def _annotations(self, alert: Alert) -> dict[str, str]:
        found = {
            "summary": alert.title,
            "description": alert.detail,
            "runbook_url": self._wording.runbook_url(alert) or alert.runbook,
            "ticket_url": next((shown.url for shown in alert.evidence if shown.url), None),
            "acknowledged_by": alert.acknowledged_by,
        }
        return {name: value for name, value in found.items() if value}


def labels(alert: Alert) -> dict[str, str]:
    """What an alert is known by. Names are made to fit Prometheus; empty values do not exist there."""
    given = {_NAME.sub("_", name): value for name, value in alert.labels.items() if value}
    if "metric" in given:
        given["alertname"] = f"Deskpulse_{_NAME.sub('_', given['metric'])}"
    return {"alertname": "Deskpulse", **given, "fingerprint": alert.fingerprint, "severity": alert.severity.value}


def _trial(name: str, at_us: int) -> dict[str, Any]:
    """An alert that is over at once."""
    return {
        "labels": {"alertname": "DeskpulseTest", "severity": "info", "receiver": name},
        "annotations": {"summary": TRIAL_TITLE},
        "startsAt": _at(at_us - 1_000_000),
        "endsAt": _at(at_us),
        "generatorURL": "",
    }


def _common(found: Sequence[dict[str, str]]) -> dict[str, str]:
    first = found[0]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in found)}


def _at(at_us: int) -> str:
    return to_rfc3339(at_us // 1000 * 1000)
