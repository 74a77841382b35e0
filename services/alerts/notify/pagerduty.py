"""PagerDuty, Events API v2: trigger, acknowledge, resolve.

https://developer.pagerduty.com/docs/send-alert-event. 202 is success, 400 an event that is never right, 429 too many,
5xx theirs. The key is the alert's id, and not what the alert is about: the resolution of an old alert that is tried
again late can then not close a new one. A digest opens one incident, which ends when all alerts in it have.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from schemas.alert import Alert, AlertEvent, AlertState, Severity
from schemas.instant import from_datetime, to_rfc3339
from services import clock
from services.alerts.delivery import Delivered, Outcome, Refused, Retry
from services.alerts.digest import Digest, severity
from services.alerts.message import Bulletin, Gathered, Message, Notice, Over, Trial
from services.alerts.notify.outbound import Answer, Outbound, fingerprint, outcome
from services.alerts.notify.words import Wording, Words, cut
from services.config.receiver import PagerDutyReceiver

SUMMARY: Final = 1_024
_AT_ONCE: Final = 8
_LONGEST_S: Final = 60.0
"""Of one attempt at a digest. Its lease is renewed meanwhile."""
_REMEMBERED: Final = 50
"""Messages that failed half-way whose events are remembered."""
_ACTION: Final = {
    AlertState.FIRING: "trigger",
    AlertState.ACKNOWLEDGED: "acknowledge",
    AlertState.SNOOZED: "acknowledge",
    AlertState.RESOLVED: "resolve",
}
_OWN: Final = "own"
"""The alert has an incident of its own. Otherwise its handle names the digest whose incident tells of it."""

_json = msgspec.json.Encoder()


class PagerDuty:
    """One service's integration."""

    def __init__(self, receiver: PagerDutyReceiver, wording: Wording) -> None:
        self._url = receiver.url
        self._key = receiver.routing_key.get_secret_value()
        self._wording = wording
        self._outbound = Outbound(allow_private=receiver.allow_private)
        self._through: dict[str, set[str]] = {}
        self.address = fingerprint(self._url, self._key)

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One attempt. Never raises for anything that the network or the receiver does. Events may be repeated: the
        same key is the same incident. Of a digest, those that went through are not sent anew by the next attempt: it
        would otherwise never get through a limit of requests."""
        if isinstance(message, Bulletin):
            return Refused("takes no reports")
        through = self._through.setdefault(message.message_id, set())
        failed: Outcome | None = None
        begun_s = clock.steady_s()
        for part in _parts(self._events(message)):
            left = [event for event in part if _name(event) not in through]
            for event, answered in zip(left, await asyncio.gather(*(self._sent(e, at_us) for e in left)), strict=True):
                if isinstance(answered, Delivered):
                    through.add(_name(event))
                else:
                    failed = failed or answered
            if clock.steady_s() - begun_s > _LONGEST_S:
                failed = failed or Retry("more than can be sent at once; the rest follows")
            if failed is not None:
                while len(self._through) > _REMEMBERED:
                    del self._through[next(iter(self._through))]
                return failed
        del self._through[message.message_id]
        if isinstance(message, Gathered):
            return Delivered(f"digest:{message.digest.digest_id}")
        if isinstance(message, Notice):
            return Delivered(_OWN if message.event.alert.state is AlertState.FIRING else message.handle)
        return Delivered()

    async def _sent(self, event: dict[str, Any], at_us: int) -> Outcome:
        answer = await self._outbound.post(self._url, _json.encode({"routing_key": self._key, **event}), {}, at_us)
        return meaning(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Closes the connections."""
        await self._outbound.close()

    def _events(self, message: Notice | Gathered | Over | Trial) -> list[dict[str, Any]]:
        match message:
            case Over():
                return [{"event_action": "resolve", "dedup_key": key_of_digest(message.digest_id)}]
            case Trial():
                words = self._wording.of(message)
                key = f"deskpulse-test-{message.message_id}"
                payload = {"summary": words.headline, "source": "deskpulse", "severity": Severity.INFO.value}
                return [
                    {"event_action": "trigger", "dedup_key": key, "payload": payload},
                    {"event_action": "resolve", "dedup_key": key},
                ]
            case Notice():
                return [self._event(message.event)]
            case Gathered():
                digest = message.digest
                # Those with an incident of their own are told on it; the rest is one incident.
                own = [event for event in digest.events if message.handles.get(event.alert.alert_id) == _OWN]
                firing = sum(event.alert.state is AlertState.FIRING for event in digest.events)
                anew = firing > sum(event.alert.state is AlertState.FIRING for event in own)
                return [*([self._digest(digest)] if anew else []), *(self._event(event) for event in own)]

    def _event(self, event: AlertEvent) -> dict[str, Any]:
        alert = event.alert
        action = _ACTION[alert.state]
        said: dict[str, Any] = {"event_action": action, "dedup_key": cut(alert.alert_id, 255)}
        if action == "trigger":
            words = self._wording.event(event)
            said |= {"payload": _payload(alert, words), **_links(words), **self._client(self._wording.alert_url(alert))}
        return said

    def _digest(self, digest: Digest) -> dict[str, Any]:
        words = self._wording.digest(digest)
        details = {
            "severity": dict(digest.by_severity),
            "team": dict(digest.by_team),
            "metric": dict(digest.by_metric),
            "worst": [row.text for row in words.rows],
        }
        payload = {
            "summary": cut(words.title, SUMMARY),
            "source": "deskpulse",
            "severity": severity(digest).value,
            "timestamp": to_rfc3339(from_datetime(digest.since)),
            "class": "digest",
            "custom_details": details,
        }
        said: dict[str, Any] = {"event_action": "trigger", "dedup_key": key_of_digest(digest.digest_id)}
        return said | {"payload": payload, **_links(words), **self._client(self._wording.list_url(digest))}

    def _client(self, url: str | None) -> dict[str, str]:
        return {"client": "Deskpulse", **({"client_url": url} if url else {})}


def meaning(answer: Answer) -> Outcome:
    """A key that is not known is refused with its name in ``errors``: no event with it will ever be taken."""
    if answer.status == 400:
        errors = answer.json.get("errors")
        about_the_key = isinstance(errors, list) and any("routing" in str(error).lower() for error in errors[:20])
        return Refused("HTTP 400, the routing key", gone=True) if about_the_key else Refused("HTTP 400")
    if answer.status in (401, 403):
        return Refused(f"HTTP {answer.status}", gone=True)
    return outcome(answer.status, answer.retry_after_s)


def _parts(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The first by itself, since it opens what others may end; then a few at a time."""
    rest = [events[start : start + _AT_ONCE] for start in range(1, len(events), _AT_ONCE)]
    return [events[:1], *rest] if events else []


def _name(event: dict[str, Any]) -> str:
    return f"{event['event_action']}:{event['dedup_key']}"


def key_of_digest(digest_id: str) -> str:
    """The key of a digest's incident."""
    return f"deskpulse-digest-{digest_id}"


def _payload(alert: Alert, words: Words) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "summary": cut(words.title, SUMMARY),
        "source": alert.labels.get("source", "deskpulse"),
        "severity": alert.severity.value,
        "timestamp": to_rfc3339(from_datetime(alert.starts_at)),
        "class": alert.labels.get("metric", "alert"),
        "custom_details": {"detail": words.text, **alert.labels},
    }
    if "team" in alert.labels:
        payload["group"] = alert.labels["team"]
    return payload


def _links(words: Words) -> dict[str, Any]:
    links = [{"href": link.url, "text": link.label} for link in words.links]
    return {"links": links} if links else {}
