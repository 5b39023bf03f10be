"""Somebody in front of the console: opens pages, clicks, types, and writes down what the browser complains about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.clusters import Cluster

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response

PATIENCE_MS: Final = 30_000
_BLOCKED: Final = """
addEventListener("securitypolicyviolation", (event) => console.error(`blocked by policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


class Visitor:
    """`page` is Playwright's; the rest says what tests say often."""

    page: Page

    def __init__(self, browser: Browser, cluster: Cluster, screenshots: Path) -> None:
        self.cluster = cluster
        self.node_id = 1
        self._browser = browser
        self._screenshots = screenshots
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.expected_statuses: set[int] = set()
        """Refusals that a test provokes: Chromium writes each of them on its console."""

    # Coming and going

    async def enter(self, **options: Any) -> None:
        """A new window with nothing remembered; options are those of Playwright's `new_context`."""
        context = await self._browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options}
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        await context.add_init_script(_BLOCKED)
        self.page = await context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("response", self._answered)

    async def leave(self) -> None:
        for context in self._contexts:
            await context.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _answered(self, response: Response) -> None:
        # What "Failed to load resource" says, with the address.
        if response.status >= 400 and response.status not in self.expected_statuses:
            self.complaints.append(f"{response.status} for {response.request.method} {response.url}")

    def assert_no_complaints(self) -> None:
        assert not self.complaints, "\n".join(self.complaints)

    # Pages

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.cluster.place(self.node_id).ports.http}/"

    async def open(self, path: str = "/") -> None:
        """A page, until it shows its answers; `path` is what stands after the #."""
        await self.page.goto(f"{self.url}#{path}")
        await self.shows(path.split("?", maxsplit=1)[0])

    async def shows(self, path: str) -> None:
        await self.page.wait_for_function(
            "path => document.querySelector('main')?.dataset.path === path", arg=path, polling=50
        )

    async def screenshot(self, name: str) -> Path:
        path = self._screenshots / f"{name}.png"
        await self.page.screenshot(path=path)
        return path

    # Parts of a page

    def card(self, title: str) -> Locator:
        return self.page.get_by_role("region", name=title, exact=True)

    def row(self, table: str, key: str) -> Locator:
        """The row of a table by what its key is: a name, or topic-partition."""
        return self.page.get_by_role("grid", name=table, exact=True).locator(f'.grid-body > [data-key="{key}"]')

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def dialog_button(self, name: str) -> Locator:
        return self.page.locator("dialog footer").get_by_role("button", name=name, exact=True)

    async def fill(self, label: str, text: str) -> None:
        await self.page.get_by_label(label, exact=True).fill(text)

    async def says(self, text: str) -> None:
        """A notice in the corner."""
        await self.page.locator(".notice", has_text=text).first.wait_for()

    async def scrolls_sideways(self) -> bool:
        return bool(await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))
