"""docs/settings.md and .env.example, made of the models and of what is said about their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from schemas.ticket import Priority, Status
from services.config.document import Source
from services.config.environment import Environment
from services.config.reference import rules, vendors
from services.config.reference.document import CALENDAR, KEYS, TITLES
from services.config.rule import Pair, Threshold
from services.config.segment import DIMENSIONS


def settings() -> str:
    """The text of docs/settings.md."""
    return "\n".join(_settings()) + "\n"


def example() -> str:
    """The text of .env.example."""
    return "\n".join(_example()) + "\n"


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "<!-- Made by `python -m services.config.reference`; change it there. -->"
    yield ""
    yield "What the team decides is in one YAML document; where things are is in the environment."
    yield "`deskpulse check FILE` says what is wrong with a document, `deskpulse doctor` what is wrong with the rest."
    yield ""
    yield "## Environment"
    yield ""
    yield "| variable | default | |"
    yield "|---|---|---|"
    for name, field in Environment.model_fields.items():
        yield f"| `DESKPULSE_{name.upper()}` | {_default(field.default)} | {field.description} |"
    yield (
        "| `DESKPULSE_SECRETS_DIR` | | A folder whose files hold settings, each named like its variable in lower case "
        "(`deskpulse_kafka_sasl_password`). A variable that is set comes first. |"
    )
    yield ""
    yield "## YAML"
    yield ""
    yield (
        "The file that `DESKPULSE_CONFIG` names. `${NAME}` in any text takes a value from the environment; a name that "
        "is not set is a mistake. Unknown keys are mistakes too. Services follow the file while they run "
        "([what it takes to change it](guides/change-the-document.md))."
    )
    yield ""
    yield (
        "Durations: `90s`, `15m`, `4h`, `3d`, `2w`; a day is 24 hours of the clock that measures. Names: lower-case "
        "letters, digits, `-` and `_`."
    )
    yield ""
    yield f"Dimensions: {_list(DIMENSIONS)}. Statuses: {_list(Status)}. Priorities: {_list(Priority)}."
    for model, title in TITLES:
        yield from _table(f"### {title}", _rows(model))
        if model is Source:
            yield from _authentication()
            for vendor, options in vendors.OPTIONS.items():
                if options:
                    rows = [(key, form, "", meaning) for key, (form, meaning) in options.items()]
                    yield from _table(f"#### `options`, vendor `{vendor}`", rows)
            rows = [(key, form, "", meaning) for key, (form, meaning) in CALENDAR.items()]
            yield from _table("### `calendars.<name>`", rows)
    yield from _table("### `rules[]`: what every rule has", _rows(Threshold, rules.COMMON))
    for model in rules.OWN:
        title = "### `rules[].pairs[]`" if model is Pair else f"### `rules[]`, `type: {_type(model)}`"
        yield from _table(title, _rows(model, rules.own(model)))


def _type(model: type[BaseModel]) -> str:
    return str(model.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]


def _authentication() -> Iterator[str]:
    yield ""
    yield "#### `options.auth`: how the vendor authenticates"
    yield ""
    yield (
        "The first way of a vendor is taken when nothing is said. Where the secret is sent as it is, make it with "
        "`openssl rand -hex 32`; in the URL it is `?token=…` or `?secret=…`, and proxies may log it: let yours not."
    )
    yield ""
    yield "| vendor | `auth` | |"
    yield "|---|---|---|"
    for vendor, ways in vendors.AUTH.items():
        for way, meaning in ways.items():
            yield f"| {vendor} | `{way}` | {meaning} |"
    rows = [(option, form, "", meaning) for option, (form, meaning) in vendors.AUTH_OPTIONS.items()]
    yield from _table("#### `options` that a way to authenticate takes", rows)


def _rows(model: type[BaseModel], names: Iterable[str] | None = None) -> Iterator[tuple[str, str, str, str]]:
    for name in names if names is not None else model.model_fields:
        field = model.model_fields[name]
        form, meaning = KEYS[model][name]
        yield field.alias or name, form, "needed" if field.is_required() else _default(field.default), meaning


def _table(title: str, rows: Any) -> Iterator[str]:
    yield ""
    yield title
    yield ""
    yield "| key | written as | default | |"
    yield "|---|---|---|---|"
    for key, form, default, meaning in rows:
        yield f"| `{key}` | {form} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined or value in ((), {}, "") or isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{'+'.join(one) if isinstance(one, tuple) else one}`" for one in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _list(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _example() -> Iterator[str]:
    yield "# Copy to .env, which docker compose reads. Made by `python -m services.config.reference --env`."
    yield ""
    yield "# Secrets that deploy/config/deskpulse.yaml names. Zendesk shows its own beside the webhook; make the other"
    yield '# with:  echo "whsec_$(openssl rand -base64 32)"'
    yield "ZENDESK_SECRET="
    yield "GENERIC_SECRET="
    yield ""
    yield "# Where things are. docker-compose.yml sets the first ones itself. Shown are the defaults."
    for name, field in Environment.model_fields.items():
        yield ""
        yield f"# {field.description}"
        secret = SecretStr in getattr(field.annotation, "__args__", ())
        value = "" if field.default is None or secret else field.default
        shown = (
            value.as_posix() if isinstance(value, Path) else str(value).lower() if isinstance(value, bool) else value
        )
        yield f"# DESKPULSE_{name.upper()}={shown}"
