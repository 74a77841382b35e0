"""Which receivers get which message, and whether a message that waited is still worth sending."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from schemas.alert import Alert, AlertEvent, AlertState
from services.config.document import Route


class Worth(StrEnum):
    """Whether to send a message now."""

    SEND = "send"
    OVERTAKEN = "overtaken"
    """Something newer happened to the alert; its own message says all of it."""
    UNNEEDED = "unneeded"
    """It ends an alert that this receiver never heard of, or announces what is no longer so."""
    SILENCED = "silenced"
    """A silence covers the alert. When it ends, a message of its own says how things stand."""


def itself(name: str) -> tuple[str, ...]:
    """Whoever is reached under their own name."""
    return (name,)


def receivers(
    routes: Sequence[Route], alert: Alert, reached: Callable[[str], tuple[str, ...]] = itself
) -> tuple[str, ...]:
    """The receivers of every route that fits, each once, in the order of the routes. ``reached`` are those of whoever
    is on call by a schedule."""
    return tuple(dict.fromkeys(to for route in routes if matches(route, alert) for to in targets(route, reached)))


def targets(route: Route, reached: Callable[[str], tuple[str, ...]] = itself) -> tuple[str, ...]:
    """The receivers that one route leads to."""
    if route.receiver is not None:
        return (route.receiver,)
    return reached(route.schedule) if route.schedule is not None else ()


def matches(route: Route, alert: Alert) -> bool:
    """Whether every label that the route names has one of the values it lists."""
    return fits(route.match, alert)


def fits(match: Mapping[str, Sequence[str]], alert: Alert) -> bool:
    """Whether the alert has, of every label in ``match``, one of the values."""
    return all(alert.labels.get(label) in values for label, values in match.items())


def worth(event: AlertEvent, current: Alert | None, *, told: bool, met: bool = False) -> Worth:
    """``current`` is the alert as it stands now, ``None`` when it was forgotten; ``told`` whether this receiver ever
    took a message about it; ``met`` whether what it warns of was done meanwhile, though the alert's end is not here
    yet. Who was told before hears of that end; everybody else need not hear of the beginning."""
    if current is not None and current.silenced_by is not None:
        return Worth.SILENCED  # before what is overtaken: the silence is the reason that nothing newer says it
    if current is None or current.version > event.alert.version:
        return Worth.OVERTAKEN
    ends = event.alert.state is AlertState.RESOLVED
    if current.state is AlertState.RESOLVED and not ends:
        return Worth.OVERTAKEN
    if (ends and not told) or (met and not ends):
        return Worth.UNNEEDED
    return Worth.SEND
