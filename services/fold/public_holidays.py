"""The public holidays of a country, by the `holidays` library (MIT, pure Python, no data to fetch).

A year's set is computed when first asked for, always from the same three years, because some holidays are observed
in the year beside their own: what a date is never depends on what was asked before. Feasts that follow the moon are
the library's estimates until they are announced; for some countries it knows a limited range of years.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache

# The library is imported where it is used: it takes a tenth of a second, and most calendars name no country.


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """The days off of a country (ISO 3166 code), or of one of its subdivisions."""

    country: str
    subdivision: str | None = None

    def closes(self, day: date) -> bool:
        """Whether the date is a public holiday there."""
        return day in _year(self.country, self.subdivision, day.year)


def countries() -> list[str]:
    """The codes that are known, sorted."""
    from holidays.registry import EntityLoader

    return sorted(EntityLoader.get_country_codes(include_aliases=False))


def subdivisions(country: str) -> list[str]:
    """The subdivisions of a known country that have holidays of their own."""
    from holidays.utils import country_holidays

    return list(country_holidays(country, expand=False).subdivisions)


def near(name: str, names: list[str]) -> str | None:
    """The name that was probably meant."""
    by_upper = {known.upper(): known for known in names}
    found = get_close_matches(name.upper(), by_upper, n=1)
    return by_upper[found[0]] if found else None


@lru_cache(maxsize=8192)
def _year(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    from holidays.utils import country_holidays

    around = range(max(year - 1, date.min.year), min(year + 1, date.max.year) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # years beyond what the library knows of a country: it has no holidays then
        known = country_holidays(country, subdiv=subdivision, years=around, expand=False)
    return frozenset(day for day in known if day.year == year)
