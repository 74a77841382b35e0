"""Values that an admin's template rendered: flat text, where a placeholder may have been left standing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from schemas.failure import Invalid, Reason
from services.ingest.normalise.fields import Object

_MARKS: Final = ("{{", "{!", "${")
"""What begins a placeholder in Freshdesk, Gorgias and Zendesk, in Salesforce, and in ServiceNow."""


def rendered(body: Object, names: Iterable[str], path: str = "") -> dict[str, str | int | None]:
    """The fields ``names`` that the template has; the others are not looked at, a customer may write ``{{`` there.

    Raises :class:`Invalid`: UNRENDERED_TEMPLATE for a placeholder that the helpdesk left as it is, BAD_VALUE for
    anything that no template renders to.
    """
    return {name: _plain(body[name], path + name) for name in names if name in body}


def _plain(value: Any, where: str) -> str | int | None:
    if isinstance(value, str) and any(mark in value for mark in _MARKS):
        raise Invalid(
            Reason.UNRENDERED_TEMPLATE,
            f"{where} still holds a placeholder: it is misspelt, or nothing rendered this body",
        )
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise Invalid(Reason.BAD_VALUE, f"{where} must be text")
    return value
