"""Whether receivers can be reached. Nothing is sent to them."""

from __future__ import annotations

import asyncio

from services.alerts.notify import reach
from services.cli.doctor.finding import Finding, ok, problem
from services.config.document import Document


async def look(document: Document) -> list[Finding]:
    """One for each receiver, in the order of the document."""
    return list(await asyncio.gather(*(_one(name, document) for name in document.receivers)))


async def _one(name: str, document: Document) -> Finding:
    receiver = document.receivers[name]
    to = reach.way(receiver)
    if to is None:
        return ok("receivers", f"{name}: {receiver.kind}; try it: deskpulse receivers test {name}")
    why = await reach.problem(to)
    if why is None:
        tls = ", its certificate is good" if to.tls else ""
        return ok("receivers", f"{name}: {receiver.kind} at {to.host}:{to.port} can be reached{tls}")
    local = to.host in ("127.0.0.1", "localhost", "::1")
    fix = (
        "start what listens there, for example: deskpulse receivers listen"
        if local
        else f"correct receivers.{name}, or let this machine out to it; then: deskpulse receivers test {name}"
    )
    return problem("receivers", f"{name}: {receiver.kind} at {to.host}:{to.port}: {why}", fix)
