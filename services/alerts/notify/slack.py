"""Slack: a message in a channel, with Block Kit.

Incoming webhooks (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks) post only. A bot's token
(https://docs.slack.dev/reference/methods/chat.postMessage and chat.update) also keeps one message for each alert up to
date and puts what happened to it into that message's thread. Limits of blocks:
https://docs.slack.dev/reference/block-kit/blocks; errors of webhooks:
https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.alert import AlertState
from services.alerts.delivery import Delivered, Outcome, Refused, Retry
from services.alerts.message import Bulletin, Gathered, Message, Notice, Over, Trial
from services.alerts.notify.outbound import Answer, Outbound, fingerprint, outcome
from services.alerts.notify.words import Tone, Wording, Words, cut
from services.config.receiver import SlackReceiver

HEADER: Final = 150
SECTION: Final = 3_000
FIELDS: Final = 10
_URL: Final = 1_500
"""A longer one is left out: with its text it would not fit into a section."""

_MARK: Final = {
    Tone.CRITICAL: ":red_circle:",
    Tone.WARNING: ":large_orange_circle:",
    Tone.INFO: ":large_blue_circle:",
    Tone.QUIET: ":white_circle:",
    Tone.GOOD: ":large_green_circle:",
}
_WORDS_OF_ERRORS: Final = frozenset("abcdefghijklmnopqrstuvwxyz_")
_GONE: Final = frozenset(
    {
        *("account_inactive", "channel_is_archived", "channel_not_found", "invalid_auth", "invalid_token"),
        *("is_archived", "missing_scope", "no_active_hooks", "no_service", "no_service_id", "no_team", "not_authed"),
        *("org_login_required", "team_disabled", "team_not_found", "token_expired", "token_revoked"),
    }
)
"""What will not be better with the next message: the credentials or the channel are no good."""
_LATER: Final = frozenset(
    {
        *("fatal_error", "internal_error", "ratelimited", "rate_limited", "request_timeout", "rollup_error"),
        *("service_unavailable", "team_added_to_org"),
    }
)
_LOST: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message"}
)
"""The earlier message cannot be changed any more: go on without it."""

_json = msgspec.json.Encoder()
Sent = Notice | Gathered | Trial | Bulletin


class Slack:
    """One channel."""

    def __init__(self, receiver: SlackReceiver, wording: Wording) -> None:
        self._webhook_url = receiver.webhook_url.get_secret_value() if receiver.webhook_url else None
        self._token = receiver.token.get_secret_value() if receiver.token else ""
        self._channel = receiver.channel or ""
        self._api_url = receiver.api_url.rstrip("/")
        self._wording = wording
        self._outbound = Outbound(allow_private=receiver.allow_private)
        self.address = fingerprint(self._webhook_url or self._api_url, self._token, self._channel)

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One attempt. Never raises for anything that the network or the receiver does."""
        if isinstance(message, Over):
            return Delivered()
        content = rendered(self._wording.of(message))
        if self._webhook_url is not None:
            answer = await self._outbound.post(self._webhook_url, _json.encode(content), {}, at_us)
            return webhook_outcome(answer) if isinstance(answer, Answer) else answer
        return await self._by_bot(message, content, at_us)

    async def close(self) -> None:
        """Closes the connections."""
        await self._outbound.close()

    async def _by_bot(self, message: Sent, content: dict[str, Any], at_us: int) -> Outcome:
        handle = message.handle if isinstance(message, Notice) else None
        thread: dict[str, Any] = {}
        if handle is not None:
            channel, ts, updates = [*handle.split("/"), "", ""][:3]
            if updates == "own":
                found = await self._called("chat.update", {"channel": channel, "ts": ts, **content}, at_us)
                if isinstance(found, Retry | Refused) and not _is_lost(found):
                    return found
            thread = {"channel": channel, "thread_ts": ts}
            if isinstance(message, Notice) and message.event.alert.state is AlertState.FIRING:
                thread["reply_broadcast"] = True  # it got worse, or began anew: the channel should see it
        found = await self._called("chat.postMessage", self._post(message, content, thread), at_us)
        if thread and isinstance(found, Refused) and _is_lost(found):
            found = await self._called("chat.postMessage", self._post(message, content, {}), at_us)
        if not isinstance(found, dict):
            return found
        if handle is not None:
            return Delivered(handle)
        where, when = found.get("channel"), found.get("ts")
        if not isinstance(where, str) or not isinstance(when, str):
            return Delivered()
        return Delivered(f"{where}/{when}/{'own' if isinstance(message, Notice) else 'digest'}")

    def _post(self, message: Sent, content: dict[str, Any], thread: dict[str, Any]) -> dict[str, Any]:
        about = {"event_type": "deskpulse_delivery", "event_payload": {"delivery_id": message.message_id}}
        return {"channel": self._channel, "metadata": about, **content, **thread}

    async def _called(self, method: str, arguments: dict[str, Any], at_us: int) -> dict[str, Any] | Retry | Refused:
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json; charset=utf-8"}
        answer = await self._outbound.post(f"{self._api_url}/{method}", _json.encode(arguments), headers, at_us)
        return api_outcome(answer) if isinstance(answer, Answer) else answer


def webhook_outcome(answer: Answer) -> Outcome:
    """An incoming webhook answers in text: ``ok``, or the name of an error with a matching status."""
    error = _error(answer.text.strip())
    if answer.status == 200 and error in (None, "ok"):
        return Delivered()
    return _failed(answer, None if error == "ok" else error)


def api_outcome(answer: Answer) -> dict[str, Any] | Retry | Refused:
    """The Web API answers 200 also to what it refuses: ``ok`` in the body tells."""
    said = answer.json
    if answer.status == 200 and said.get("ok") is True:
        return said
    failed = _failed(answer, _error(said.get("error")))
    if isinstance(failed, Delivered):
        return Retry("HTTP 200 with an answer that is not Slack's", perhaps=True)
    return failed


def _failed(answer: Answer, error: str | None) -> Outcome:
    said = f"HTTP {answer.status}" + (f" {error}" if error else "")
    if answer.status == 429 or error in _LATER:
        return Retry(said, answer.retry_after_s)
    if error in _GONE:
        return Refused(said, gone=True)
    if error is not None and answer.status < 500:
        return Refused(said)
    return outcome(answer.status, answer.retry_after_s)


def _error(text: object) -> str | None:
    """The name of an error; ``None`` for what is none, such as a page of HTML: that is not repeated anywhere."""
    return text if isinstance(text, str) and 0 < len(text) <= 60 and set(text) <= _WORDS_OF_ERRORS else None


def _is_lost(found: Retry | Refused) -> bool:
    return found.problem.rpartition(" ")[2] in _LOST


def rendered(words: Words) -> dict[str, Any]:
    """``text`` is what notifications and screen readers say, ``blocks`` what is shown."""
    headline = cut(f"{_MARK[words.tone]} {words.headline}", HEADER)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": headline, "emoji": True}}]
    if text := words.body(escaped):
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": shortened(text, SECTION)}})
    if words.facts:
        fields = [
            {"type": "mrkdwn", "text": cut(f"*{escaped(name)}*\n{escaped(value) or '-'}", 2_000)}
            for name, value in words.facts[:FIELDS]
        ]
        blocks.append({"type": "section", "fields": fields})
    for part in words.sections:
        lines = [f"*{escaped(part.title)}*", *(f"• {_linked(row.text, row.url)}" for row in part.rows)]
        blocks += [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in _packed(lines)]
    rows = _packed([f"• {_linked(row.text, row.url)}" for row in words.rows])
    blocks += [{"type": "section", "text": {"type": "mrkdwn", "text": lines}} for lines in rows]
    if words.links:
        elements = [{"type": "mrkdwn", "text": _linked(link.label, link.url)} for link in words.links[:10]]
        blocks.append({"type": "context", "elements": elements})
    return {"text": escaped(cut(words.headline, 500)), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def escaped(text: str) -> str:
    """``&``, ``<`` and ``>`` control Slack's text, nothing else does.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shortened(text: str, most: int) -> str:
    """As :func:`cut`, but of text that is escaped already: never within an entity or a link."""
    if len(text) <= most:
        return text
    text = text[: most - 1]
    for begin, end in (("&", ";"), ("<", ">")):
        if text.rfind(begin) > text.rfind(end):
            text = text[: text.rfind(begin)]
    return text + "…"


def _linked(text: str, url: str | None) -> str:
    return escaped(text) if url is None or len(url) > _URL else f"<{escaped(url)}|{escaped(text)}>"


def _packed(lines: list[str]) -> list[str]:
    """The lines in as few sections as hold them."""
    packed: list[str] = []
    for line in lines:
        if packed and len(packed[-1]) + 1 + len(line) <= SECTION:
            packed[-1] += "\n" + line
        else:
            packed.append(line)
    return packed
