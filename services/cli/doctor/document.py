"""What is suspicious in a configuration that is valid. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any, Final

from schemas.sla import SlaMetric
from services.cli.doctor.finding import Finding, ok, problem, warning
from services.config.access import protected
from services.config.document import Document, Policy, Route
from services.ingest.verify.secret import GIVEN, PLACEHOLDER

SHORTEST: Final = 16
_WELL_KNOWN: Final = frozenset(
    {"secret", "password", "changeme", "change-me", "test", "example", "default", "admin", "deskpulse", "123456"}
)


def findings(document: Document, today: date, unset: Collection[str] = ()) -> Iterator[Finding]:
    """``unset`` are values that stand for secrets which nobody has made yet."""
    yield access(document)
    yield from secrets(document, unset)
    yield from calendars(document, today)
    yield from policies(document)
    yield from routes(document)


def access(document: Document) -> Finding:
    """Who may ask the API."""
    tokens, oidc = document.api_tokens, document.api.oidc
    if not protected(tokens, document.api):
        said = "the API asks nobody who they are: whoever reaches its port may do everything"
        return ok("api", f"{said} (fine on one machine; else configure api_tokens or api.oidc)")
    roles = ", ".join(f"{token.name or 'no name'}: {token.role.value}" for token in tokens)
    issuer = f"{'; ' if tokens else ''}people of {oidc.issuer}" if oidc is not None else ""
    return ok("api", f"tokens {roles}{issuer}" if tokens else issuer)


def secrets(document: Document, unset: Collection[str] = ()) -> Iterator[Finding]:
    """Those that can be guessed, and those that are still to be pasted."""
    named = [(f"sources.{name}", one.secrets[0].get_secret_value()) for name, one in document.sources.items()]
    named += [(f"api_tokens[{place}]", one.token.get_secret_value()) for place, one in enumerate(document.api_tokens)]
    seen: dict[str, str] = {}
    for where, value in named:
        if value in unset:
            continue
        bare = value.removeprefix("whsec_")
        if PLACEHOLDER in value:
            vendor = document.sources[where.removeprefix("sources.")].vendor
            fix = f"paste the real one into .env: {GIVEN.get(vendor, vendor)}"
            yield warning("secrets", f"{where}: still the placeholder that `deskpulse init` wrote", fix)
        elif bare.lower() in _WELL_KNOWN:
            yield problem("secrets", f"{where}: a word that everybody tries first", _NEW)
        elif len(bare) < SHORTEST:
            yield warning("secrets", f"{where}: shorter than {SHORTEST} characters, it can be guessed", _NEW)
        elif value in seen:
            yield warning("secrets", f"{where}: the same as {seen[value]}: who has one has both", _NEW)
        seen.setdefault(value, where)


_NEW: Final = "make one: openssl rand -hex 32; list it before the old one until the other side has it"


def calendars(document: Document, today: date) -> Iterator[Finding]:
    """Those whose list of holidays ended."""
    for name, definition in document.calendars.items():
        days = _dates(definition.get("holidays"))
        if days and max(days) < today and not definition.get("annual_holidays") and not definition.get("country"):
            fix = "add those to come, or `country`, or annual_holidays"
            yield warning("calendars", f"{name}: its last holiday was {max(days)}; from now on it has none", fix)


def _dates(listed: Any) -> list[date]:
    found = []
    for one in listed if isinstance(listed, list | tuple) else []:
        try:
            found.append(one if isinstance(one, date) else date.fromisoformat(str(one)))
        except ValueError:
            continue
    return found


def policies(document: Document) -> Iterator[Finding]:
    """Those that no ticket can ever come to."""
    fix = "put the narrower policy first, or take this one out"
    for number, policy in enumerate(document.sla_policies):
        unknown = set(policy.match.get("source", ())) - document.sources.keys()
        if unknown and not set(policy.match["source"]) & document.sources.keys():
            yield warning("policies", f"{policy.name}: matches no configured source ({', '.join(unknown)})", fix)
            continue
        for earlier in document.sla_policies[:number]:
            if _wider(earlier, policy):
                yield warning("policies", f"{policy.name}: never reached, {earlier.name} before it takes the same", fix)
                break
    if not document.sla_policies:
        yield ok("policies", "none: no promise is kept watch on (docs/guides/promises-and-hours.md)")


def _wider(earlier: Policy, later: Policy) -> bool:
    families = {metric is SlaMetric.GROUP_OWNERSHIP for metric in later.targets}
    if not families <= {metric is SlaMetric.GROUP_OWNERSHIP for metric in earlier.targets}:
        return False
    return all(
        dimension in later.match and set(later.match[dimension]) <= set(values)
        for dimension, values in earlier.match.items()
    )


def routes(document: Document) -> Iterator[Finding]:
    """Receivers that nothing leads to, and routes that lead nowhere."""
    used: set[str] = set()
    for route in document.routes:
        used |= _targets(route)
        members = document.schedules.get(route.schedule or "")
        if route.schedule is not None and members is None:
            yield problem("routes", f"the schedule {route.schedule} is not there", "name one of schedules")
    people = {person for person in document.people if person in used}
    lead = used | {to for plan in document.reports for to in _named(plan)}
    lead |= {to for name in people | document.people.keys() for to in _named(document.people[name])}
    lead |= {to for one in document.schedules.values() for to in _named(one)}
    fix = "add a route to it: routes: [{receiver: NAME}]"
    if document.receivers and not document.routes:
        yield warning("routes", "there are receivers and no routes: nobody is told of any alert", fix)
    elif not document.routes:
        yield ok("routes", "none: alerts are only shown by the API and the board")
    else:
        idle = [name for name in document.receivers if name not in lead]
        if idle:
            yield warning("routes", f"nothing leads to {', '.join(idle)}", fix)


def _targets(route: Route) -> set[str]:
    return {name for name in (route.receiver, route.schedule, *(step.to for step in route.escalate)) if name}


def _named(part: Any) -> set[str]:
    """Every text in a part of the document: what names a receiver there is among them."""
    found: set[str] = set()
    todo = [part.model_dump(mode="json")]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += [*one.values(), *one.keys()]
        elif isinstance(one, list | tuple):
            todo += one
        elif isinstance(one, str):
            found.add(one)
    return found
