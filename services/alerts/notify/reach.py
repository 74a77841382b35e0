"""Whether a receiver can be reached: its name, a connection, and its certificate. Nothing is ever sent."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.alerts.notify.outbound import CONNECT_S, PRIVATE, PrivateAddress, resolved, trusted
from services.config.receiver import Receiver


@dataclass(frozen=True, slots=True)
class Way:
    """Where a receiver's messages go first."""

    host: str
    port: int
    tls: bool
    private: bool


def way(receiver: Receiver) -> Way | None:
    """``None`` where that is not ours to know (Apprise)."""
    if receiver.email is not None:
        mail = receiver.email
        return Way(mail.host, mail.port, mail.tls == "tls", mail.allow_private)
    for one in (receiver.webhook, receiver.slack, receiver.teams, receiver.pagerduty, receiver.alertmanager):
        if one is None:
            continue
        for name in ("webhook_url", "workflow_url", "push_url", "url", "api_url"):
            value = getattr(one, name, None)
            if value is not None:
                text = value if isinstance(value, str) else value.get_secret_value()
                parts = urlsplit(text)
                tls = parts.scheme == "https"
                return Way(parts.hostname or "", parts.port or (443 if tls else 80), tls, one.allow_private)
    return None


async def problem(to: Way) -> str | None:
    """Why no message could get there, in a few words without the address; ``None`` when it could."""
    try:
        async with asyncio.timeout(CONNECT_S):
            address = await resolved(to.host, to.port, allow_private=to.private)
            tls = {"ssl": trusted(), "server_hostname": to.host} if to.tls else {}
            _, writer = await asyncio.open_connection(address, to.port, **tls)  # type: ignore[arg-type]
    except PrivateAddress:
        return PRIVATE
    except TimeoutError:
        return f"no connection within {CONNECT_S:.0f} s"
    except (socket.gaierror, UnicodeError):
        return "the name cannot be resolved"
    except ssl.SSLCertVerificationError as exc:
        return f"its certificate is not good ({exc.verify_message})"
    except ssl.SSLError as exc:
        return f"it does not speak TLS as it should ({exc.reason})"
    except OSError as exc:
        return f"no connection ({os.strerror(exc.errno) if exc.errno else type(exc).__name__})"
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return None
