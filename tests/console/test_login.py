"""A node that asks for a token shows a login, and nothing else before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.cluster_fixtures import assert_no_traceback
from tests.clusters import Cluster
from tests.console.browser import Visitor

if TYPE_CHECKING:
    from playwright.async_api import Browser

TOKEN = "f00d-" * 8


@pytest_asyncio.fixture(loop_scope="session")
async def locked(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visitor]:
    """One node that listens for HTTP with a token."""
    directory = tmp_path_factory.mktemp("locked")
    token = directory / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    cluster = Cluster(directory / "cluster", 1, {"http.auth.token.file": str(token)})
    visitor = Visitor(browser, cluster, directory)
    try:
        cluster.start()
        await cluster.ready()
        await visitor.enter()
        yield visitor
        visitor.assert_no_complaints()
    finally:
        await visitor.leave()
        cluster.close()
    assert_no_traceback([cluster])


@pytest.mark.core
async def test_a_token_is_asked_for_and_opens_the_console(locked: Visitor) -> None:
    locked.expected_statuses = {401}
    page = locked.page
    await page.goto(f"{locked.url}#/topics")
    await locked.shows("/login")
    await locked.fill("Token", "wrong")
    await page.get_by_role("button", name="Log in").click()
    await page.locator(".problem", has_text="LOGIN_FAILED").wait_for()
    await locked.fill("Token", TOKEN)
    await page.get_by_role("button", name="Log in").click()
    await locked.shows("/topics")
    await locked.button("Create topic").wait_for()
    await locked.button("Log out").click()
    await locked.shows("/login")
