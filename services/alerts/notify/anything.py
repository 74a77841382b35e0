"""Whatever else Apprise reaches (https://github.com/caronc/apprise/wiki): chats, SMS gateways, push services.

Apprise makes its own connections. The host in a URL that names one is looked up before each message and refused when it
is private, and redirects are not followed; the address itself cannot be pinned. It says no more than whether it worked,
so whatever failed is tried again.
"""

from __future__ import annotations

import asyncio
import socket
from importlib.util import find_spec
from typing import Any, Final

from services.alerts.delivery import Delivered, Outcome, Refused, Retry
from services.alerts.message import Message, Over
from services.alerts.notify.outbound import CONNECT_S, PRIVATE, TIMEOUT_S, PrivateAddress, fingerprint, resolved
from services.alerts.notify.words import Tone, Wording, Words
from services.config.receiver import AppriseReceiver

MISSING: Final = "Apprise is not installed; install deskpulse[apprise]"
_TYPE: Final = {
    Tone.CRITICAL: "failure",
    Tone.WARNING: "warning",
    Tone.INFO: "info",
    Tone.QUIET: "info",
    Tone.GOOD: "success",
}
_OF_THIS_MACHINE: Final = frozenset({"dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})


class Anything:
    """One Apprise URL."""

    def __init__(self, receiver: AppriseReceiver, wording: Wording) -> None:
        """Raises ValueError for a URL that Apprise does not know, without repeating it, or when it is not there."""
        if find_spec("apprise") is None:
            raise ValueError(MISSING)
        import apprise

        url = receiver.url.get_secret_value()
        asset = apprise.AppriseAsset(
            app_id="Deskpulse",
            app_desc="Deskpulse",
            http_redirects=False,
            async_mode=True,
            plugin_paths=[],
            storage_mode="memory",
        )
        known: Any = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if known is None:
            raise ValueError("no URL that Apprise knows, see https://github.com/caronc/apprise/wiki")
        if url.partition(":")[0].lower() in _OF_THIS_MACHINE and not receiver.allow_private:
            raise ValueError("this speaks to the machine that Deskpulse runs on; set allow_private to allow it")
        known.socket_connect_timeout, known.socket_read_timeout = CONNECT_S, TIMEOUT_S - CONNECT_S
        self._known = known
        self._host = str(getattr(known, "host", None) or getattr(known, "smtp_host", None) or "")
        self._allow_private = receiver.allow_private
        self._wording = wording
        self.address = fingerprint(url)

    async def send(self, message: Message, at_us: int) -> Outcome:
        """One attempt. Never raises for anything that the network or the receiver does."""
        if isinstance(message, Over):
            return Delivered()
        words = self._wording.of(message)
        try:
            if "." in self._host or ":" in self._host or self._host == "localhost":
                async with asyncio.timeout(CONNECT_S):
                    await resolved(self._host, 443, allow_private=self._allow_private)
        except PrivateAddress:
            return Refused(PRIVATE)
        except (TimeoutError, socket.gaierror, UnicodeError):
            return Retry("the name cannot be resolved")
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):
                done = await self._known.async_notify(
                    body=text(words), title=words.headline, notify_type=_TYPE[words.tone], body_format="text"
                )
        except TimeoutError:
            return Retry(f"no answer within {2 * TIMEOUT_S:.0f} s", perhaps=True)
        except Exception as exc:  # plugins by many hands
            return Retry(f"Apprise failed ({type(exc).__name__})", perhaps=True)
        return Delivered() if done else Retry("Apprise could not deliver it")

    async def close(self) -> None:
        """Nothing is kept open between messages."""


def text(words: Words) -> str:
    """The message without markup."""
    parts = [words.body(str)]
    parts += ["\n".join([section.title, *(f"- {row.text}" for row in section.rows)]) for section in words.sections]
    parts.append("\n".join(f"- {row.text}" for row in words.rows))
    parts.append("\n".join(f"{link.label}: {link.url}" for link in words.links))
    return "\n\n".join(part for part in parts if part)
