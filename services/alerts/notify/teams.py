"""Microsoft Teams: an Adaptive Card to a workflow ("Post to a channel when a webhook request is received").

https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook: the
message with the card, at most 28 KB, and throttling, which is answered 429, or 200 with the error in the text. An
alert's own words are in text runs, which know no Markdown
(https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features). A workflow answers 202 without a body.
A message cannot be changed or answered later by a workflow: each one stands for itself.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from services.alerts.delivery import Delivered, Outcome, Refused, Retry
from services.alerts.message import Message, Over
from services.alerts.notify.outbound import Answer, Outbound, fingerprint, outcome
from services.alerts.notify.words import Row, Section, Tone, Wording, Words
from services.config.receiver import TeamsReceiver

MESSAGE_BYTES: Final = 28_000
_COLOUR: Final = {
    Tone.CRITICAL: "attention",
    Tone.WARNING: "warning",
    Tone.INFO: "accent",
    Tone.QUIET: "default",
    Tone.GOOD: "good",
}
_INNER: Final = re.compile(r"returned HTTP error (\d{3})")
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~])")
_json = msgspec.json.Encoder()


class Teams:
    """One channel or chat."""

    def __init__(self, receiver: TeamsReceiver, wording: Wording) -> None:
        self._url = receiver.workflow_url.get_secret_value()
        self._wording = wording
        self._outbound = Outbound(allow_private=receiver.allow_private)
        self.address = fingerprint(self._url)

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One attempt. Never raises for anything that the network or the receiver does."""
        if isinstance(message, Over):
            return Delivered()
        answer = await self._outbound.post(self._url, rendered(self._wording.of(message)), {}, at_us)
        return meaning(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Closes the connections."""
        await self._outbound.close()


def meaning(answer: Answer) -> Outcome:
    """401, 403 and 404: the address is no longer good, since its signature or its workflow is gone."""
    if inner := _INNER.search(answer.text):
        status = int(inner[1])
        if status == 429 or status >= 500:
            return Retry(f"HTTP {answer.status} with HTTP {status} inside", answer.retry_after_s)
        return Refused(f"HTTP {answer.status} with HTTP {status} inside")
    if answer.status in (401, 403, 404):
        return Refused(f"HTTP {answer.status}", gone=True)
    return outcome(answer.status, answer.retry_after_s)


def rendered(words: Words) -> bytes:
    """The request's body. Of a digest as many alerts are named as there is room for, of a report as many lines."""
    rows, sections = words.rows, words.sections
    while True:
        body = _json.encode(_message(words, rows, sections))
        if len(body) <= MESSAGE_BYTES or not (rows or sections):
            return body
        rows, sections = rows[:-1], sections if rows else _shorter(sections)


def _shorter(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Without the last line of the longest; a part without lines goes."""
    longest = max(sections, key=lambda section: len(section.rows))
    less = Section(longest.title, longest.rows[:-1])
    return tuple(less if one is longest else one for one in sections if one is not longest or less.rows)


def _message(words: Words, rows: tuple[Row, ...], sections: tuple[Section, ...] = ()) -> dict[str, Any]:
    title = {"type": "TextRun", "text": words.headline, "weight": "bolder", "size": "medium"}
    body: list[dict[str, Any]] = [
        {"type": "RichTextBlock", "inlines": [title | {"color": _COLOUR[words.tone]}]},
    ]
    if words.own is not None:
        body.append({"type": "TextBlock", "text": words.own(escaped), "wrap": True})
    elif words.text:
        body.append({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": words.text}]})
    if words.facts:
        facts = [{"title": name, "value": escaped(value)} for name, value in words.facts]
        body.append({"type": "FactSet", "facts": facts})
    for section in sections:
        head = {"type": "TextRun", "text": section.title, "weight": "bolder"}
        body.append({"type": "RichTextBlock", "inlines": [head], "spacing": "medium"})
        body += [_row(row) for row in section.rows]
    body += [_row(row) for row in rows]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }
    if words.links:
        actions = [{"type": "Action.OpenUrl", "title": link.label, "url": link.url} for link in words.links]
        card["actions"] = actions
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _row(row: Row) -> dict[str, Any]:
    run: dict[str, Any] = {"type": "TextRun", "text": row.text}
    if row.url is not None:
        run["selectAction"] = {"type": "Action.OpenUrl", "url": row.url}
    return {"type": "RichTextBlock", "inlines": [run], "spacing": "small"}


def escaped(text: str) -> str:
    """Without Markdown, and without the functions that a card would evaluate (``{{DATE(…)}}``)."""
    return _MARKUP.sub(r"\\\1", text)
