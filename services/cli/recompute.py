"""``deskpulse recompute``: promises of open tickets made anew after policies or calendars were edited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.failure import NotNow
from services.cli import settings
from services.cli.settings import AsJson, Config, print_json

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from services.fold.rules import Rules
    from services.state.address import Address

_LOOK_S: Final = 0.2
_NAMED: Final = 20


def recompute(
    policy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only tickets that this policy promises something to.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait until it is done.")
    ] = 60.0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make the promises of open tickets anew, after policies or calendars were edited.

    By itself an edited policy changes no timer that stands. After this, every open ticket has what the policies and
    calendars of now promise it. What its timers show stays; a promise that is found broken is broken from now on, not
    back in time; and it is announced as after a change of priority. The metrics workers do it beside the live events,
    once they follow the same document. Asking again changes nothing more. Exit code 1 when it is not done in time; it
    goes on all the same.

    \b
    Examples:
      deskpulse recompute --dry-run
      deskpulse recompute --policy vip
    """
    from services.config.document import ConfigInvalid
    from services.fold.rules import compiled

    settings.quiet_libraries()
    environment = settings.environment()
    file = settings.config_file(config, environment)
    document = settings.document(file)
    names = [known.name for known in document.sla_policies]
    if policy is not None and policy not in names:
        settings.fail(f"there is no policy '{policy}'; there is: {', '.join(names) or 'none'}")
    try:
        rules, url = compiled(document), environment.redis()
    except ConfigInvalid as exc:
        settings.fail(settings.problem_lines(file, exc.problems))
    except ValueError as exc:
        settings.fail(str(exc))
    try:
        found = asyncio.run(_done(url, rules, policy, wait_s, dry_run=dry_run))
    except NotNow as exc:
        settings.fail(f"{exc.what}; is DESKPULSE_REDIS_URL right?")
    if as_json:
        print_json(found)
    else:
        for line in _told(found):
            typer.echo(line)
    if not dry_run and not found["finished"]:
        raise typer.Exit(1)


async def _done(url: Address, rules: Rules, policy: str | None, wait_s: float, *, dry_run: bool) -> dict[str, Any]:
    from services import clock
    from services.state import client
    from services.state.recompute import Recomputes

    redis = client.writer(url)
    try:
        if dry_run:
            return await _tried(redis, rules, policy)
        recomputes = Recomputes(redis, redis)
        request = await recomputes.ask(clock.now_us(), rules.digest, policy)
        if request is None:
            settings.fail("an earlier request is still being worked on; ask again when it is done")
        ends_s = clock.steady_s() + wait_s
        while True:
            newest, partitions = await recomputes.newest(), await recomputes.partitions()
            shown = (newest if newest is not None and newest.id == request.id else request).shown(
                partitions, digest=rules.digest
            )
            if shown["finished"] or clock.steady_s() >= ends_s:
                return shown
            await asyncio.sleep(_LOOK_S)
    finally:
        await redis.aclose()


async def _tried(redis: Redis, rules: Rules, policy: str | None) -> dict[str, Any]:
    """What would change, by the tickets as they are stored now."""
    from services import clock
    from services.fold.recompute import recomputed
    from services.metrics.store import RedisStore

    store, at_us = RedisStore(redis), clock.now_us()
    looked, broken, changed = 0, 0, []
    cursor, seen = 0, set[str]()
    while True:
        cursor, tickets = await store.scan(cursor)
        for partition, keys in tickets.items():
            for key, entry in (await store.entries(partition, [key for key in keys if key not in seen])).items():
                seen.add(key)
                looked += 1
                found = recomputed(entry.ticket, at_us, rules, policy)
                if found is not None:
                    changed.append(key)
                    broken += any(timer.breached_us == found[0].settled_us for timer in found[0].timers)
        if cursor == 0:
            break
    return {"dry_run": True, "tickets": looked, "would_change": len(changed), "would_break": broken, "which": changed}


def _told(found: dict[str, Any]) -> list[str]:
    if "dry_run" in found:
        head = f"{found['would_change']} of {found['tickets']} tickets would change; "
        lines = [head + f"{found['would_break']} of them would have a promise broken now. Nothing was changed."]
        lines += [f"  {key}" for key in found["which"][:_NAMED]]
        if len(found["which"]) > _NAMED:
            lines.append(f"  … and {len(found['which']) - _NAMED} more; --json has all of them")
        return lines
    done, number = found["partitions"]["done"], found["partitions"]["all"]
    if found["finished"]:
        return [f"Done: the timers of {found['tickets_changed']} tickets changed (request {found['id']})."]
    return [
        f"Asked (request {found['id']}): {done} of {number} partitions are done. The metrics workers go on; if nothing",
        "moves, see whether they run and follow this document (recompute_waits in their logs).",
    ]
