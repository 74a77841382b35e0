"""``deskpulse state …``: of which version the state is, and holding one back during an upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.failure import NotNow
from services.cli import settings
from services.cli.settings import AsJson, print_json

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from services.state.survey import Survey

commands = typer.Typer(rich_markup_mode=None, help="The version of the state in Redis: see it, hold it, let it go.")


@commands.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """The version of the state in Redis: see it (as `state show` does), hold it, let it go."""
    if context.invoked_subcommand is None:
        show()


@commands.command("show")
def show(as_json: AsJson = False) -> None:
    """Say which versions occur, which one is written, who knows which, and what is left to rewrite.

    Exit code 1 when something is wrong: a process that is too old for the state, or nobody who rewrites it.

    \b
    Example:
      deskpulse state show
    """
    from services.state.survey import survey

    _tell(_asked(survey), as_json=as_json)


@commands.command("hold")
def hold(
    version: Annotated[
        int | None, typer.Argument(help="The version to stay at. Default: the one that is there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write nothing newer than VERSION, until `deskpulse state release`.

    Before an upgrade this keeps the way back open for as long as you like. After it, with replicas of the new release
    running, holding the older version rewrites everything as that, so that the older release can be installed again.

    \b
    Examples:
      deskpulse state hold
      deskpulse state hold 1
    """
    from services.state import survey as state

    async def held(redis: Redis) -> Survey:
        found = await state.survey(redis)
        known = found.known
        wanted = version
        if wanted is None:
            wanted = max((newest for _, newest in found.partitions.values()), default=known.newest)
        if not known.writes <= wanted <= known.newest:
            settings.fail(f"this release writes versions {known.writes} to {known.newest}, not {wanted}")
        await state.hold(redis, wanted)
        return await state.survey(redis)

    _tell(_asked(held), as_json=as_json)


@commands.command("release")
def release(as_json: AsJson = False) -> None:
    """Write the newest version that every running process knows: ends `deskpulse state hold`.

    \b
    Example:
      deskpulse state release
    """
    from services.state import survey as state

    async def released(redis: Redis) -> Survey:
        await state.hold(redis, None)
        return await state.survey(redis)

    _tell(_asked(released), as_json=as_json)


def _asked(ask: Callable[[Redis], Awaitable[Survey]]) -> Survey:
    from services.state import client

    settings.quiet_libraries()
    environment = settings.environment()

    async def asked() -> Survey:
        redis = client.writer(environment.redis())
        try:
            return await ask(redis)
        finally:
            await redis.aclose()

    try:
        return asyncio.run(asked())
    except ValueError as exc:
        settings.fail(str(exc))
    except NotNow as exc:
        settings.fail(f"{exc.what}; is DESKPULSE_REDIS_URL right?")


def _tell(found: Survey, *, as_json: bool) -> None:
    if as_json:
        print_json(found.shown())
    else:
        for line in _lines(found.shown()):
            typer.echo(line)
    if found.problems():
        raise typer.Exit(1)


def _lines(found: dict[str, Any]) -> list[str]:
    knows, spans, left = found["knows"], found["partitions"], found["left_to_rewrite"]
    newest, held = knows["newest"], "" if found["hold"] is None else " (held; `deskpulse state release` ends that)"
    rows = [
        (
            "This release",
            f"reads versions {knows['reads_from']} to {newest}, writes {knows['writes_from']} to {newest}",
        ),
        ("Written", f"version {found['written']}{held}"),
    ]
    for oldest, newest in sorted({(span["oldest"], span["newest"]) for span in spans.values()}):
        numbers = [number for number, span in spans.items() if (span["oldest"], span["newest"]) == (oldest, newest)]
        occur = f"version {oldest}" if oldest == newest else f"versions {oldest} to {newest}"
        rows.append(("Partitions", f"{', '.join(numbers)}: {occur}"))
    rows.append(("Beside them", f"version {found['shared']} in what partitions share, {found['alerts']} in alerts"))
    rows += [("Process", f"{who} knows versions up to {knows}") for who, knows in found["processes"].items()]
    rows.append(("To rewrite", f"{len(left)} of {len(spans)} partitions" if left else "nothing"))
    rows += [("PROBLEM", problem) for problem in found["problems"]]
    return [f"{name:<14} {said}" for name, said in rows]
