"""A real Chromium for tests of pages: it tells what a page complains of, and what requests leave the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
_AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text()
Theme = Literal["light", "dark"]


def executable() -> str | None:
    """Where Chromium is on this machine, if it is."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Seen:
    """What a page did beyond showing itself."""

    def __init__(self, origin: str) -> None:
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self._origin = origin

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._origin, "data:")):
            self.outside.append(request.url)


class Chromium:
    """A browser. Each :meth:`page` is a person of their own: nothing is shared between pages."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @contextmanager
    def page(
        self, origin: str, path: str = "/", *, theme: Theme = "light", size: tuple[int, int] = (1440, 900)
    ) -> Iterator[tuple[Page, Seen]]:
        """The page at ``path``, in UTC."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, timezone_id="UTC", locale="en-GB"
        )
        try:
            page, seen = context.new_page(), Seen(origin)
            seen.watch(page)
            page.goto(f"{origin}{path}")
            yield page, seen
        finally:
            context.close()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A Chromium of its own, ended with the block."""
    found = executable()
    assert found is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        try:
            yield Chromium(browser)
        finally:
            browser.close()


def faults(page: Page) -> list[str]:
    """What the accessibility checker axe calls serious or critical on this page."""
    page.evaluate(_AXE)
    result: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {', '.join(node['html'][:120] for node in one['nodes'][:3])}"
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def picture(page: Page, name: str, folder: Path) -> Path:
    """A screenshot; kept in the folder that ``DESKPULSE_SCREENSHOTS`` names, if it is set."""
    kept = Path(os.environ.get("DESKPULSE_SCREENSHOTS") or folder)
    kept.mkdir(parents=True, exist_ok=True)
    file = kept / f"{name}.png"
    page.screenshot(path=file)
    return file
