"""E-mail by SMTP (RFC 5321), the mails of one alert in one thread (RFC 5322, section 3.6.4).

Text first, the same as plain HTML beside it. A mail's ``Message-ID`` is the same for every attempt. An answer of 4xx is
"later", of 5xx "never" (RFC 5321, section 4.2.1); credentials that are not taken switch the receiver off.
"""

from __future__ import annotations

import asyncio
import html
import socket
import ssl
from contextlib import suppress
from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime
from typing import Final

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException

from schemas.instant import to_datetime
from services.alerts.delivery import Delivered, Outcome, Refused, Retry
from services.alerts.message import Message, Notice, Over
from services.alerts.notify.outbound import CONNECT_S, PRIVATE, TIMEOUT_S, PrivateAddress, fingerprint, resolved
from services.alerts.notify.words import Tone, Wording, Words, cut
from services.config.receiver import EmailReceiver

_COLOUR: Final = {
    Tone.CRITICAL: "#b3261e",
    Tone.WARNING: "#a15c00",
    Tone.INFO: "#1a5fb4",
    Tone.QUIET: "#5f6368",
    Tone.GOOD: "#1e7b34",
}


class Mail:
    """One set of mailboxes."""

    def __init__(self, receiver: EmailReceiver, wording: Wording) -> None:
        self._to = receiver
        self._password = receiver.password.get_secret_value() if receiver.password else None
        self._tls = ssl.create_default_context(cafile=receiver.ca_file)
        self._wording = wording
        known = (receiver.host, str(receiver.port), receiver.tls, receiver.username or "", self._password or "")
        self.address = fingerprint(*known, receiver.sender, *receiver.to)

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One attempt. Never raises for anything that the network or the receiver does."""
        if isinstance(message, Over):
            return Delivered()
        words = self._wording.of(message)
        domain = self._to.sender.rpartition("@")[2]
        own_id = f"<{message.message_id}@{domain}>"
        mail, handle = EmailMessage(policy=POLICY), f"{own_id} {words.headline}"
        mail["Subject"] = cut(f"[Deskpulse] {words.headline}", 200)
        if isinstance(message, Notice) and message.handle is not None:
            # The same subject and the first mail's id: what mail programs make a thread of.
            handle = message.handle
            first_id, _, headline = handle.partition(" ")
            mail.replace_header("Subject", cut(f"Re: [Deskpulse] {headline}", 200))
            mail["In-Reply-To"] = first_id
            mail["References"] = first_id
        mail["From"] = f"Deskpulse <{self._to.sender}>"
        mail["To"] = ", ".join(self._to.to)
        mail["Date"] = format_datetime(to_datetime(at_us).astimezone(UTC))
        mail["Message-ID"] = own_id
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        if words.tone is Tone.CRITICAL:
            mail["Importance"] = "high"
        mail.set_content(plain(words))
        mail.add_alternative(rich(words), subtype="html")
        failed = await self._sent(mail)
        return failed or Delivered(handle)

    async def close(self) -> None:
        """Nothing is kept open between mails."""

    async def _sent(self, mail: EmailMessage) -> Outcome | None:
        to = self._to
        try:
            async with asyncio.timeout(CONNECT_S):
                address = await resolved(to.host, to.port, allow_private=to.allow_private)
                connection = await _connected(address, to.port)
        except PrivateAddress:
            return Refused(PRIVATE)
        except (TimeoutError, OSError, UnicodeError) as exc:
            return Retry(f"no connection ({type(exc).__name__})")
        handed_over = False
        client = aiosmtplib.SMTP(
            hostname=to.host,
            port=None,
            sock=connection,
            use_tls=to.tls == "tls",
            start_tls=to.tls == "starttls",
            tls_context=None if to.tls == "none" else self._tls,
            timeout=TIMEOUT_S,
            local_hostname="deskpulse.invalid",
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await client.connect()
                if to.username is not None and self._password is not None:
                    await client.login(to.username, self._password)
                handed_over = True
                await client.send_message(mail, sender=to.sender, recipients=list(to.to))
                with suppress(SMTPException, OSError):
                    await client.quit()
        except aiosmtplib.SMTPAuthenticationError as exc:
            said = f"SMTP {exc.code} to the credentials"
            return Refused(said, gone=True) if exc.code >= 500 else Retry(said)
        except aiosmtplib.SMTPRecipientsRefused as exc:
            codes = [refusal.code for refusal in exc.recipients]
            said = f"SMTP {max(codes)} to every recipient"
            return Retry(said) if any(code < 500 for code in codes) else Refused(said)
        except SMTPResponseException as exc:
            said = f"SMTP {exc.code}"
            return Refused(said) if 500 <= exc.code < 600 else Retry(said)
        except ssl.SSLError as exc:
            return Retry(f"no TLS ({type(exc).__name__})")
        except aiosmtplib.SMTPNotSupported:
            return Refused("the server offers no such TLS or login")
        except (SMTPException, OSError, ValueError, TimeoutError) as exc:
            return Retry(f"the connection broke ({type(exc).__name__})", perhaps=handed_over)
        finally:
            transport = client.transport
            client.close()
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()  # it owns the connection, and need not say good-bye
            else:
                connection.close()
        return None


async def _connected(address: str, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def plain(words: Words) -> str:
    """The mail as text."""
    parts = [words.headline, words.body(str)]
    parts.append("\n".join(f"{name}: {value}" for name, value in words.facts))
    for section in words.sections:
        lines = (f"- {row.text}" + (f"\n  {row.url}" if row.url else "") for row in section.rows)
        parts.append("\n".join([section.title, *lines]))
    parts.append("\n".join(f"- {row.text}" + (f"\n  {row.url}" if row.url else "") for row in words.rows))
    parts.append("\n".join(f"{link.label}: {link.url}" for link in words.links))
    return "\n\n".join(part for part in parts if part) + "\n"


def rich(words: Words) -> str:
    """The mail as HTML: no images, no scripts, nothing from elsewhere."""
    body = html.escape(words.body(str)).replace("\n", "<br>")
    facts = "".join(
        f"<tr><th align=left>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in words.facts
    )
    rows = "".join(f"<li>{_linked(row.text, row.url)}</li>" for row in words.rows)
    sections = "".join(
        f"<h3>{html.escape(section.title)}</h3><ul>"
        + "".join(f"<li>{_linked(row.text, row.url)}</li>" for row in section.rows)
        + "</ul>"
        for section in words.sections
    )
    links = " · ".join(_linked(link.label, link.url) for link in words.links)
    return (
        "<!doctype html><html><body style='font-family:sans-serif'>"
        f"<h2 style='color:{_COLOUR[words.tone]}'>{html.escape(words.headline)}</h2><p>{body}</p>"
        + (f"<table>{facts}</table>" if facts else "")
        + sections
        + (f"<ul>{rows}</ul>" if rows else "")
        + (f"<p>{links}</p>" if links else "")
        + "</body></html>"
    )


def _linked(text: str, url: str | None) -> str:
    return html.escape(text) if url is None else f'<a href="{html.escape(url)}">{html.escape(text)}</a>'
