"""``/link``: what the signed links in messages lead to. Outside of tokens: the signature is who may.

GET shows a page and changes nothing, since mail scanners and link previews follow links; the button on it posts.
"""

from __future__ import annotations

import base64
import hashlib
import html
from http import HTTPStatus
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from structlog.stdlib import BoundLogger

from schemas.alert import Alert, AlertState
from schemas.instant import from_datetime, to_rfc3339
from services.alerts import link
from services.alerts.api.dependencies import Context, Now, Parts
from services.alerts.link import PATH, Action, Grant, Signer, Told
from services.alerts.state import Refusal

router = APIRouter(include_in_schema=False)
log: BoundLogger = structlog.get_logger("links")

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}h1{font-size:1.25rem}button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;"
    "background:#1a5fb4;color:#fff;cursor:pointer}dt{color:#5f6368}dd{margin:0 0 .5rem}"
    "@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181b}dt{color:#a0a4a8}a{color:#8ab4f8}}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
    "cross-origin-opener-policy": "same-origin",
}
"""No script, nothing from elsewhere, in no frame; the address goes to nobody and into no cache."""

_STATUS: Final = {
    Told.SHOWN: HTTPStatus.OK,
    Told.DONE: HTTPStatus.OK,
    Told.FORGED: HTTPStatus.FORBIDDEN,
    Told.EXPIRED: HTTPStatus.GONE,
    Told.USED_UP: HTTPStatus.CONFLICT,
    Told.GONE: HTTPStatus.NOT_FOUND,
    Told.TOO_LATE: HTTPStatus.CONFLICT,
}
_SAID: Final = {
    Told.FORGED: (
        "This link is not valid",
        "It was cut off on its way, changed, or is from before the secret was. Open the message and click again.",
    ),
    Told.EXPIRED: ("This link has expired", "Links in messages end after a while. Look for a newer message."),
    Told.USED_UP: ("This link was used already", "Each link acts once."),
    Told.GONE: ("There is no such alert any more", "Alerts that are over are kept for 30 days."),
}
_BUTTON: Final = {Action.ACKNOWLEDGE: "Acknowledge: I take it", Action.SNOOZE: "Snooze for one hour"}
Token = Annotated[str, Query(alias="t", max_length=2_000)]


@router.get(PATH)
async def show(parts: Parts, now: Now, token: Token = "") -> HTMLResponse:
    """The alert, and a button for what the link may do. Changes nothing."""
    found = _read(parts, token, from_datetime(now))
    if isinstance(found, Told):
        return _answered(parts, found, None, None)
    alert = await parts.store.alert(found.alert_id)
    told = await _hindered(parts, found, alert) or Told.SHOWN
    return _answered(parts, told, found, alert)


@router.post(PATH)
async def do(parts: Parts, now: Now, token: Token = "") -> HTMLResponse:
    """Does what the link may, once."""
    found = _read(parts, token, from_datetime(now))
    if isinstance(found, Told):
        return _answered(parts, found, None, None)
    alert = await parts.store.alert(found.alert_id)
    told = await _hindered(parts, found, alert)
    if told is not None or found.action is Action.OPEN:
        return _answered(parts, told or Told.SHOWN, found, alert)
    result = await parts.alerting.act(found.alert_id, lambda alert, at: link.act(found, alert, at))
    if isinstance(result, Refusal):  # somebody was quicker
        return _answered(parts, Told.TOO_LATE, found, await parts.store.alert(found.alert_id))
    return _answered(parts, Told.GONE if result is None else Told.DONE, found, result)


def _read(parts: Context, token: str, at_us: int) -> Grant | Told:
    signer = Signer.of(parts.document)
    return Told.FORGED if signer is None else signer.read(token, at_us)


async def _hindered(parts: Context, grant: Grant, alert: Alert | None) -> Told | None:
    if alert is None:
        return Told.GONE
    if grant.action is Action.OPEN:
        return None
    if link.used_up(grant, await parts.store.transitions(alert.alert_id)):
        return Told.USED_UP
    return None if link.possible(grant, alert) else Told.TOO_LATE


def _answered(parts: Context, told: Told, grant: Grant | None, alert: Alert | None) -> HTMLResponse:
    action = grant.action.value if grant is not None else "unknown"
    parts.link_uses.labels(action, told.value).inc()
    if told is Told.DONE and grant is not None:  # whoever forges is counted: a line for each would be theirs to fill
        log.info("link_followed", outcome=told.value, action=action, receiver=grant.receiver, alert_id=grant.alert_id)
    return HTMLResponse(_page(told, grant, alert), _STATUS[told], headers=HEADERS)


def _page(told: Told, grant: Grant | None, alert: Alert | None) -> str:
    title, text = _SAID.get(told, (alert.title if alert is not None else "", ""))
    if told is Told.DONE and grant is not None:
        done = "You have it" if grant.action is Action.ACKNOWLEDGE else "Quiet for an hour"
        title, text = done, "You can close this page."
    elif told is Told.TOO_LATE:
        title, text = "Nothing was changed", "The alert has moved on since the message was sent."
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(text)}</p>" if text else ""]
    if alert is not None:
        parts.append(_alert(alert, headed=title == alert.title))
    if told is Told.SHOWN and grant is not None and grant.action in _BUTTON:
        parts.append(f'<form method="post"><button type="submit">{_BUTTON[grant.action]}</button></form>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Deskpulse</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )


def _alert(alert: Alert, *, headed: bool) -> str:
    facts = [] if headed else [("Alert", alert.title)]
    facts += [("State", f"{alert.state.value}, {alert.severity.value}"), ("Since", _at(from_datetime(alert.starts_at)))]
    if alert.state is AlertState.ACKNOWLEDGED and alert.acknowledged_by:
        facts.append(("Acknowledged by", alert.acknowledged_by))
    if alert.state is AlertState.SNOOZED and alert.snoozed_until:
        facts.append(("Quiet until", _at(from_datetime(alert.snoozed_until))))
    if alert.silenced_by:
        facts.append(("Silenced by", alert.silenced_by))
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts)
    tickets = "".join(
        f'<p><a rel="noreferrer noopener" href="{html.escape(one.url)}">Ticket {html.escape(one.ticket_id)}</a></p>'
        for one in alert.evidence[:5]
        if one.url and one.url.startswith(("https://", "http://"))
    )
    return f"<p>{html.escape(alert.detail)}</p><dl>{rows}</dl>{tickets}"


def _at(at_us: int) -> str:
    return to_rfc3339(at_us // 1_000_000 * 1_000_000)
