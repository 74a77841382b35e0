"""Stand-ins for the services that alerts go to: they hold requests to the documented format, strictly, and misbehave as
they are told.

``answers`` is what the next requests get instead of the vendor's own answer: a response, or ``STALL``: none until the
end of the test. :func:`speaking` is a server that speaks no HTTP worth the name.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from services.operate.server import Server

STALL = "stall"


class Wrong(AssertionError):
    """A request that is not as the vendor documents it."""


def need(condition: object, what: str) -> None:
    if not condition:
        raise Wrong(what)


def only(found: dict[str, Any], required: set[str], optional: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    need(isinstance(found, dict), f"not an object: {found!r}")
    need(required <= set(found), f"missing: {sorted(required - set(found))}")
    need(set(found) <= required | set(optional), f"unknown: {sorted(set(found) - required - set(optional))}")


def web(url: object) -> None:
    need(
        isinstance(url, str) and urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc, f"no URL: {url!r}"
    )


@dataclass
class Vendor:
    """``check`` raises :class:`Wrong`; ``own`` makes the vendor's answer to a right request."""

    check: Callable[[Request, Any], None]
    own: Callable[[Request, Any], Response]
    got: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answers: deque[Response | str] = field(default_factory=deque)
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        app = FastAPI()
        self._end = asyncio.Event()

        @app.post("/{path:path}")
        async def take(request: Request, path: str) -> Response:
            raw = await request.body()
            try:
                body = json.loads(raw)
                need(request.headers["content-type"].startswith("application/json"), "content-type")
                self.check(request, body)
            except (Wrong, ValueError, KeyError) as exc:
                self.wrong.append(f"{path}: {exc!r}")
                return Response(status_code=400)
            self.got.append(body)
            self.paths.append(path)
            self.headers.append(dict(request.headers))
            answer: Response | str = self.answers.popleft() if self.answers else self.own(request, body)
            if answer == STALL:
                await self._end.wait()
                answer = Response(status_code=500)
            assert isinstance(answer, Response)
            return answer

        self.server = Server(app, "127.0.0.1", 0, drain_s=0.2)

    async def start(self) -> None:
        await self.server.start()

    async def stop(self) -> None:
        self._end.set()
        await self.server.stop()

    def url(self, path: str = "") -> str:
        return f"{self.server.url}/{path}"


# Slack: https://docs.slack.dev/reference/block-kit/blocks, https://docs.slack.dev/reference/methods/chat.postMessage

_LINK = re.compile(r"<https?://[^<>|\s]+\|[^<>]+>")
TOKEN = "xoxb-0123456789-secret"


def _mrkdwn(text: object, most: int) -> None:
    only(text, {"type", "text"})  # type: ignore[arg-type]
    assert isinstance(text, dict)
    need(text["type"] == "mrkdwn" and 1 <= len(text["text"]) <= most, f"mrkdwn of {len(text['text'])}")
    bare = _LINK.sub("", text["text"])
    need("<" not in bare and ">" not in bare, f"not escaped: {bare!r}")
    need(re.search(r"&(?!amp;|lt;|gt;)", bare) is None, f"not escaped: {bare!r}")


def slack_blocks(blocks: list[dict[str, Any]]) -> None:
    need(1 <= len(blocks) <= 50, "1 to 50 blocks")
    for block in blocks:
        match block.get("type"):
            case "header":
                only(block, {"type", "text"})
                only(block["text"], {"type", "text"}, {"emoji"})
                need(block["text"]["type"] == "plain_text" and 1 <= len(block["text"]["text"]) <= 150, "header text")
            case "section":
                only(block, {"type"}, {"text", "fields"})
                need("text" in block or "fields" in block, "a section has text or fields")
                if "text" in block:
                    _mrkdwn(block["text"], 3000)
                fields = block.get("fields", [{"type": "mrkdwn", "text": "-"}])
                need(1 <= len(fields) <= 10, "1 to 10 fields")
                for one in fields:
                    _mrkdwn(one, 2000)
            case "context":
                only(block, {"type", "elements"})
                need(1 <= len(block["elements"]) <= 10, "1 to 10 elements")
                for one in block["elements"]:
                    _mrkdwn(one, 3000)
            case other:
                raise Wrong(f"block {other}")


def _slack_message(body: dict[str, Any]) -> None:
    need(1 <= len(body["text"]) <= 4000, "text for notifications")
    slack_blocks(body["blocks"])


def slack_webhook() -> Vendor:
    """An incoming webhook at ``/services/T0/B0/secret``."""

    def check(request: Request, body: Any) -> None:
        need(request.url.path == "/services/T0/B0/secret", "path")
        only(body, {"text", "blocks"}, {"unfurl_links", "unfurl_media"})
        _slack_message(body)

    return Vendor(check, lambda request, body: PlainTextResponse("ok"))


def slack_api() -> Vendor:
    """The Web API with one channel, ``C0123ABCD``, called ``leads``."""
    posted: list[str] = []

    def check(request: Request, body: Any) -> None:
        need(request.headers["authorization"] == f"Bearer {TOKEN}", "token")
        need(request.headers["content-type"] == "application/json; charset=utf-8", "Slack warns without a charset")
        shared = {"text", "blocks", "channel"}
        if request.url.path == "/api/chat.update":
            only(body, shared | {"ts"}, {"unfurl_links", "unfurl_media"})
            need(body["channel"] == "C0123ABCD", "chat.update takes ids of channels only")
            need(body["ts"] in posted, f"message_not_found {body['ts']}")
        else:
            need(request.url.path == "/api/chat.postMessage", request.url.path)
            only(body, shared, {"unfurl_links", "unfurl_media", "thread_ts", "reply_broadcast", "metadata"})
            need("thread_ts" not in body or body["thread_ts"] in posted, "thread_ts")
            if "metadata" in body:
                only(body["metadata"], {"event_type", "event_payload"})
        _slack_message(body)

    def own(request: Request, body: Any) -> Response:
        ts = body.get("ts") or f"17000000{len(posted):02d}.000100"
        if "ts" not in body:
            posted.append(ts)
        return JSONResponse({"ok": True, "channel": "C0123ABCD", "ts": ts})

    return Vendor(check, own)


# Teams: https://learn.microsoft.com/en-us/connectors/teams/#microsoft-teams-webhook, adaptive-card.json 1.4


def teams() -> Vendor:
    """A workflow."""

    def check(request: Request, body: Any) -> None:
        need(request.query_params.get("sig") == "secret", "the address has its signature")
        need(len(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()) <= 28 * 1024, "28 KB at most")
        only(body, {"type", "attachments"})
        need(body["type"] == "message" and len(body["attachments"]) == 1, "one card")
        (attachment,) = body["attachments"]
        only(attachment, {"contentType", "content"}, {"contentUrl"})
        need(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", "contentType")
        card = attachment["content"]
        only(card, {"$schema", "type", "version", "body"}, {"actions", "msteams"})
        need((card["type"], card["version"]) == ("AdaptiveCard", "1.4"), "card")
        for element in card["body"]:
            _element(element)
        for action in card.get("actions", []):
            only(action, {"type", "title", "url"})
            need(action["type"] == "Action.OpenUrl", "action")
            web(action["url"])

    return Vendor(check, lambda request, body: Response(status_code=202))


def _element(element: dict[str, Any]) -> None:
    match element.get("type"):
        case "RichTextBlock":
            only(element, {"type", "inlines"}, {"spacing"})
            for run in element["inlines"]:
                only(run, {"type", "text"}, {"weight", "size", "color", "selectAction"})
                need(run["type"] == "TextRun" and run["text"], "run")
                colours = ("default", "accent", "good", "warning", "attention")
                need(run.get("color", "default") in colours, "color")
                if "selectAction" in run:
                    only(run["selectAction"], {"type", "url"})
                    web(run["selectAction"]["url"])
        case "TextBlock":
            only(element, {"type", "text"}, {"wrap"})
            need(element["text"], "text")
        case "FactSet":
            only(element, {"type", "facts"})
            for fact in element["facts"]:
                only(fact, {"title", "value"})
        case other:
            raise Wrong(f"element {other}")


# PagerDuty: https://developer.pagerduty.com/docs/send-alert-event

ROUTING_KEY = "0123456789abcdef0123456789abcdef"


def pagerduty() -> Vendor:
    """Events API v2."""

    def check(request: Request, body: Any) -> None:
        need(request.url.path == "/v2/enqueue", "path")
        need(body.get("routing_key") == ROUTING_KEY, "routing_key")
        need(0 < len(body["dedup_key"]) <= 255, "dedup_key")
        action = body["event_action"]
        if action in ("acknowledge", "resolve"):
            only(body, {"routing_key", "event_action", "dedup_key"})
            return
        need(action == "trigger", "event_action")
        required = {"routing_key", "event_action", "dedup_key", "payload"}
        only(body, required, {"links", "images", "client", "client_url"})
        payload = body["payload"]
        optional = {"timestamp", "component", "group", "class", "custom_details"}
        only(payload, {"summary", "source", "severity"}, optional)
        need(0 < len(payload["summary"]) <= 1024 and payload["source"], "summary and source")
        need(payload["severity"] in ("critical", "warning", "error", "info"), "severity")
        if "timestamp" in payload:
            need(datetime.fromisoformat(payload["timestamp"]).tzinfo is not None, "timestamp")
        for link in body.get("links", []):
            only(link, {"href"}, {"text"})
            web(link["href"])

    def own(request: Request, body: Any) -> Response:
        said = {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}
        return JSONResponse(said, status_code=202)

    return Vendor(check, own)


# Alertmanager: api/v2/openapi.yaml (postableAlerts) and notify/webhook/webhook.go (version 4)

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _labels(found: dict[str, str]) -> None:
    need(all(_LABEL.fullmatch(name) and isinstance(value, str) for name, value in found.items()), f"labels {found}")


def alertmanager_api() -> Vendor:
    """An Alertmanager."""

    def check(request: Request, body: Any) -> None:
        need(request.url.path == "/am/api/v2/alerts", "path")
        need(isinstance(body, list) and body, "a list")
        for alert in body:
            only(alert, {"labels"}, {"annotations", "startsAt", "endsAt", "generatorURL"})
            need(alert["labels"].get("alertname") and all(alert["labels"].values()), "labels with values")
            _labels(alert["labels"])
            _labels(alert.get("annotations", {}))
            starts, ends = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
            need(starts <= ends, "start time must be before end time")

    return Vendor(check, lambda request, body: Response(status_code=200))


def alertmanager_webhook() -> Vendor:
    """What takes the webhooks of an Alertmanager."""

    def check(request: Request, body: Any) -> None:
        shared = {"status", "commonLabels", "commonAnnotations", "groupLabels", "alerts"}
        only(body, shared | {"version", "groupKey", "truncatedAlerts", "receiver", "externalURL"})
        need(body["version"] == "4" and body["groupKey"] and body["truncatedAlerts"] == 0, "version 4")
        keys = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
        for alert in body["alerts"]:
            only(alert, keys)
            need(alert["status"] in ("firing", "resolved"), "status")
            need((alert["status"] == "firing") == alert["endsAt"].startswith("0001-"), "endsAt")
            _labels(alert["labels"])
        firing = any(alert["status"] == "firing" for alert in body["alerts"])
        need(body["status"] == ("firing" if firing else "resolved"), "status of the group")
        for name, value in body["commonLabels"].items():
            need(all(alert["labels"].get(name) == value for alert in body["alerts"]), "commonLabels")

    return Vendor(check, lambda request, body: Response(status_code=200))


# Any other: the JSON plugin of Apprise


def apprise_json() -> Vendor:
    """What Apprise's ``json://`` posts to. It names its own user agent."""
    return Vendor(lambda request, body: None, lambda request, body: Response(status_code=200))


@asynccontextmanager
async def speaking(*chunks: bytes, endless: bytes = b"") -> AsyncIterator[str]:
    """The URL of a server that takes a request, says ``chunks``, then ``endless`` again and again, and hangs up."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
            while endless:
                writer.write(endless)
                await writer.drain()
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
