"""The forecast in words: what is expected first, how far it can be trusted after."""

from __future__ import annotations

from typing import Final

from services.alerts.forecast.backtest import Backtest
from services.alerts.forecast.labour import Basis, Work
from services.alerts.forecast.volume import Method, Reason, Span, Volume
from services.config.duration import written

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WHY: Final = {
    Reason.BETTER: "Made of the usual week at the present level, which was better than last week's hours",
    Reason.NOT_BETTER: "These are last week's hours: what was tried instead was not better",
    Reason.TOO_SHORT: "These are last week's hours: too little is known to test anything else, which takes three weeks",
    Reason.NO_HISTORY: "Less than a week is known: nothing can be said yet",
}
_WHEN: Final = "a ticket's work falls into the hour in which it comes, or the next hours in which somebody is there."


def said(volume: Volume) -> str:
    """A few sentences."""
    if volume.method is Method.NONE or volume.whole is None:
        return f"{_WHY[volume.reason]}."
    days = len(volume.days)
    whole = f"About {number(volume.whole.expected)} tickets in {days} day{'s' * (days != 1)}"
    parts = [f"{whole}, in four of five such cases {between(volume.whole)}."]
    holidays = [day.day for day in volume.days if day.holiday]
    if holidays and volume.method is Method.PROFILE:
        names = ", ".join(f"{WEEKDAYS[day.weekday()]} {day.isoformat()}" for day in holidays)
        learnt = f"learnt from {volume.holidays_seen} closed days" if volume.holidays_seen else "taken as a day off"
        parts.append(f"Closed: {names} ({learnt}).")
    parts.append(_WHY[volume.reason] + (f" ({measured(volume.backtest)})." if volume.backtest else "."))
    return " ".join(parts)


def measured(test: Backtest) -> str:
    """How both methods did."""
    return (
        f"mean error {test.model.mae:.2f} tickets an hour, last week's hours {test.naive.mae:.2f}; "
        f"{test.model.coverage * 100:.0f} % of hours were within the interval, which promises 80 %; "
        f"{test.origins} forecasts of the past"
    )


def assumed(work: Work, occupancy: float) -> str:
    """What agents' hours are made of."""
    match work.basis:
        case Basis.CONFIGURED:
            spent = (work.per_ticket_s or 0) * occupancy
            return (
                f"Assumed: {written(spent)} of work for each ticket and {occupancy * 100:.0f} % of presence at work, "
                f"as configured; {_WHEN}"
            )
        case Basis.PACE:
            return (
                f"Assumed: the pace of the last four weeks, {work.solved} tickets solved in {work.agent_hours} hours "
                f"in which an agent was active, {written(work.per_ticket_s or 0)} for each; an hour counts whole "
                f"however little was done in it, and {_WHEN}"
            )
        case _:
            return (
                "No agents' hours: too few tickets were solved in the last four weeks to tell a pace; "
                "say it with forecast.handle_time."
            )


def between(span: Span) -> str:
    """``40 to 61``."""
    return f"{span.low} to {span.high}"


def number(value: float) -> str:
    """``7.3``, ``412``."""
    return f"{value:.1f}" if value < 20 else f"{value:.0f}"
