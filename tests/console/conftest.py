"""One cluster of three processes and one Chromium for all tests of the console; each test has topics and pages of its own.

What a page says on its console, each error and each violation of the content security policy fails the test that caused it.
Screenshots lie in tests/console/screenshots afterwards; git ignores them.

`make test` runs those that are marked `core`, where there is a browser: each flow once. `make test-console` runs all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio

from tests.cluster_fixtures import assert_no_traceback
from tests.clusters import Cluster
from tests.console.browser import Visitor

if TYPE_CHECKING:
    from playwright.async_api import Browser

SCREENSHOTS: Final = Path(__file__).with_name("screenshots")
START_MS: Final = 60_000
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")


def why_not() -> str | None:
    if CHROMIUM is None:
        return "needs the package chromium"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "needs playwright, of the extra `browser`: make test-console"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop: the cluster and the browser are started once for each process of the tests."""
    reason = why_not()
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if "RAFTKAFKA_CONSOLE" not in os.environ and item.get_closest_marker("core") is None:
                item.add_marker(pytest.mark.skip(reason="one of the many in a browser: make test-console"))
            elif reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Three nodes that are ready. Tests must leave all of them up."""
    cluster = Cluster(tmp_path_factory.mktemp("console") / "cluster", 3, {})
    try:
        cluster.start()
        await cluster.ready()
        yield cluster
    finally:
        cluster.close()
    assert_no_traceback([cluster])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    from playwright.async_api import Error, async_playwright

    async with async_playwright() as playwright:
        # Root has no sandbox; /dev/shm is small in containers.
        try:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
                timeout=START_MS,
            )
        except Error as error:
            pytest.skip(f"{CHROMIUM} does not start here: {error.message.splitlines()[0]}")
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, shared: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[Visitor]:
    """Somebody in front of the console of node 1."""
    async with asyncio.timeout(100):
        visitor = Visitor(browser, shared, SCREENSHOTS / request.node.name)
        try:
            await visitor.enter()
            yield visitor
            visitor.assert_no_complaints()
        finally:
            await visitor.leave()
