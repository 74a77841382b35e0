"""``receivers`` of the document: where alerts go, one kind for each receiver.

Addresses that are secrets themselves (Slack, Teams, Apprise) are kept as such: no message, log or answer has them.
"""

from __future__ import annotations

import ssl
from email.headerregistry import Address
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas import standard_webhook
from services.config import template
from services.config.duration import seconds
from services.config.schedule import Quiet

KINDS: Final = ("webhook", "slack", "teams", "pagerduty", "alertmanager", "email", "apprise")
FOR_PEOPLE: Final = frozenset({"slack", "teams", "pagerduty", "email", "apprise"})
"""Kinds that are gathered into digests unless the document says otherwise; the others are read by machines."""


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("not an address such as https://host/path")
    if parts.username or parts.password:
        raise ValueError("an address must not hold a user name or a password")
    return text


def _secret_url(secret: SecretStr) -> SecretStr:
    _url(secret.get_secret_value())
    return secret


def _signing(secret: SecretStr) -> SecretStr:
    standard_webhook.key(secret.get_secret_value())
    return secret


def _said(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not text.isascii() or any(c.isspace() for c in text):
        raise ValueError("empty, or with characters that no key has")
    return secret


def _address(text: str) -> str:
    try:
        good = bool(Address(addr_spec=text).domain)
    except Exception:  # the parser of addresses raises what its own code stumbles over, such as an IndexError
        good = False
    if not good or not text.isascii():
        raise ValueError(f"'{text}' is no mail address such as support-leads@example.com")
    return text


def _template(text: str) -> str:
    template.parse(text)
    return text


def _span(text: str) -> str:
    if not 1 <= seconds(text) <= 86_400:
        raise ValueError("must be from 1s to 1d")
    return text


Url = Annotated[str, AfterValidator(_url)]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
Key = Annotated[SecretStr, AfterValidator(_said)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing)]
MailAddress = Annotated[str, AfterValidator(_address)]
Span = Annotated[str, AfterValidator(_span)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _must_be_tls(name: str, url: str | SecretStr | None, allow_private: bool) -> None:
    """Credentials and tickets go over the internet by TLS only."""
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    if text is not None and not text.startswith("https://") and not allow_private:
        raise ValueError(f"{name}: use https://; http:// is only for addresses in your network (allow_private)")


class WebhookReceiver(_Part):
    """A URL that gets every alert as JSON with a Standard Webhooks signature."""

    url: Url
    secrets: tuple[SigningSecret, ...] = Field(min_length=1)
    allow_private: bool = False


class SlackReceiver(_Part):
    """A channel, by an incoming webhook, or by a bot's token, which can also update and thread."""

    webhook_url: SecretUrl | None = None
    token: Key | None = None
    channel: str | None = Field(None, pattern=r"^[A-Za-z0-9#@._-]{1,80}$")
    api_url: Url = "https://slack.com/api"
    allow_private: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> SlackReceiver:
        if (self.webhook_url is None) == (self.token is None):
            raise ValueError("give either webhook_url (incoming webhook), or token and channel (a bot)")
        if (self.token is None) != (self.channel is None):
            raise ValueError("channel: belongs to token; an incoming webhook knows its channel")
        _must_be_tls("webhook_url", self.webhook_url, self.allow_private)
        _must_be_tls("api_url", self.api_url, self.allow_private)
        return self


class TeamsReceiver(_Part):
    """A channel or chat, by the address of a workflow."""

    workflow_url: SecretUrl
    allow_private: bool = False

    @model_validator(mode="after")
    def _tls(self) -> TeamsReceiver:
        _must_be_tls("workflow_url", self.workflow_url, self.allow_private)
        return self


class PagerDutyReceiver(_Part):
    """A service, by the integration key of Events API v2."""

    routing_key: Key
    url: Url = "https://events.pagerduty.com/v2/enqueue"
    allow_private: bool = False

    @model_validator(mode="after")
    def _right(self) -> PagerDutyReceiver:
        if len(self.routing_key.get_secret_value()) != 32:
            raise ValueError("routing_key: an integration key of Events API v2 has 32 characters")
        _must_be_tls("url", self.url, self.allow_private)
        return self


class AlertmanagerReceiver(_Part):
    """Alertmanager's own formats: pushed to its API, or as its webhook to whatever takes that."""

    push_url: Url | None = None
    webhook_url: SecretUrl | None = None
    bearer_token: Key | None = None
    repush: Span = "1m"
    allow_private: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> AlertmanagerReceiver:
        if (self.push_url is None) == (self.webhook_url is None):
            raise ValueError("give either push_url (an Alertmanager) or webhook_url (what takes its webhooks)")
        if self.bearer_token is not None:
            _must_be_tls("push_url", self.push_url, self.allow_private)
        _must_be_tls("webhook_url", self.webhook_url, self.allow_private)
        return self


class EmailReceiver(_Part):
    """People's mailboxes, by an SMTP server."""

    host: str = Field(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")
    port: int = Field(587, ge=1, le=65_535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    sender: MailAddress
    to: tuple[MailAddress, ...] = Field(min_length=1, max_length=100)
    ca_file: str | None = None
    allow_private: bool = False

    @model_validator(mode="after")
    def _right(self) -> EmailReceiver:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password: give both or neither")
        if self.tls == "none" and (self.password is not None or not self.allow_private):
            raise ValueError("tls: none is only for a server in your network (allow_private) without a password")
        if self.ca_file is not None:
            try:
                ssl.create_default_context(cafile=self.ca_file)
            except OSError as exc:
                raise ValueError(f"ca_file: cannot be read ({exc.strerror or 'no certificates in it'})") from None
        return self


class AppriseReceiver(_Part):
    """Anything that Apprise knows, by its URL."""

    url: SecretStr
    allow_private: bool = False


class Digest(_Part):
    """When messages are gathered: beyond ``after`` in ``per``, those of ``every`` go out as one with the ``worst``."""

    after: int = Field(10, ge=1, le=10_000)
    per: Span = "1m"
    every: Span = "1m"
    worst: int = Field(10, ge=1, le=30)


class Receiver(_Part):
    """Where alerts go. Exactly one kind."""

    webhook: WebhookReceiver | None = None
    slack: SlackReceiver | None = None
    teams: TeamsReceiver | None = None
    pagerduty: PagerDutyReceiver | None = None
    alertmanager: AlertmanagerReceiver | None = None
    email: EmailReceiver | None = None
    apprise: AppriseReceiver | None = None
    message: Annotated[str, AfterValidator(_template), Field(min_length=1, max_length=2000)] | None = None
    digest: Digest | Literal[False] | None = None
    quiet: Quiet | None = None
    links: bool = True

    @model_validator(mode="after")
    def _one_kind(self) -> Receiver:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            said = f"has {' and '.join(given)}" if given else "has none"
            raise ValueError(f"a receiver is exactly one of {', '.join(KINDS)}; this {said}")
        if self.message is not None and self.kind not in ("slack", "teams", "email", "apprise"):
            raise ValueError(f"message: {self.kind} has a fixed format; leave message out")
        return self

    @property
    def kind(self) -> str:
        """Which of :data:`KINDS` it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def gathering(self) -> Digest | None:
        """When its messages are gathered; ``None`` for never."""
        if self.digest is None:
            return Digest() if self.kind in FOR_PEOPLE else None
        return self.digest or None
