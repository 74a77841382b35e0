"""The values of a new configuration's ``${NAME}``: those that we may choose, and places for those that others make."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.cli.init.answers import Answers
from services.ingest.verify.secret import GIVEN, PLACEHOLDER

BOARD_TOKEN: Final = "DESKPULSE_API_TOKEN"  # noqa: S105 - the name of a variable
ALERTS: Final = "ALERTS_SECRET"


@dataclass(frozen=True, slots=True)
class Secret:
    """One line of ``.env``. ``where`` says where the real value is found, of one that is a placeholder; ``use`` what to
    do with one of ours."""

    name: str
    value: str
    use: str
    where: str | None = None


def made(answers: Answers) -> list[Secret]:
    """A new value for every name that the document for ``answers`` takes."""
    return list(_made(answers))


def _made(answers: Answers) -> Iterator[Secret]:
    for desk in answers.helpdesks:
        where = GIVEN.get(desk.vendor)
        if where is not None:
            use = f"{desk.vendor} signs its webhooks with it"
            yield Secret(desk.variable, PLACEHOLDER + _hex(16), use, where)
        else:
            # Help Scout takes 40 characters at most; Standard Webhooks wants its prefix.
            ours = _standard() if desk.vendor in ("generic", "cloudevents") else _hex(16)
            yield Secret(desk.variable, ours, f"paste it into {desk.vendor}: {desk.guide}")
        yield Secret(
            desk.variable.removesuffix("SECRET") + "HASH_KEY", _hex(32), "makes customers' pseudonyms; never change it"
        )
    kind, value = answers.alerts.kind, answers.alerts.value
    match kind:
        case "here" | "webhook":
            yield Secret(ALERTS, _standard(), "signs the alerts: whoever receives them checks with it")
        case "slack":
            where = "api.slack.com/apps > your app > Incoming Webhooks"
            yield _other(
                ALERTS, value, f"https://hooks.slack.com/services/{PLACEHOLDER}", "the channel's address", where
            )
        case "teams":
            where = "Teams > the channel > Workflows > Send webhook alerts to a channel"
            yield _other(ALERTS, value, f"https://example.com/{PLACEHOLDER}", "the workflow's address", where)
        case "pagerduty":
            where = "PagerDuty > Services > your service > Integrations > Events API V2"
            yield _other(ALERTS, value, PLACEHOLDER + _hex(10), "the integration key", where)
        case _:
            pass
    if answers.board == "token":
        yield Secret(BOARD_TOKEN, _hex(32), "opens the board and the query API")


def _other(name: str, value: str | None, placeholder: str, use: str, where: str) -> Secret:
    return Secret(name, value, use) if value else Secret(name, placeholder, use, where)


def _hex(size: int) -> str:
    return secrets.token_hex(size)


def _standard() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
