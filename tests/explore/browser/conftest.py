"""One Chromium for all of these tests, and the explorer on a database filled once a kind."""

import glob
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from sqlalchemy import Engine

import migrations
from processor.database import open_database
from tests.explore.browser import chromium
from tests.explore.browser.audience import fill
from tests.explore.browser.tabs import SHOTS, WIDE, Tab
from tests.explore.served import Site, serving
from tests.postgres import admin
from tests.servers import PostgresServer, say

Open = Callable[..., Tab]
Profile = Callable[..., BrowserContext]


class Filled(NamedTuple):
    """A database with an audience in it, and the explorer on it."""

    engine: Engine
    site: Site


@pytest.fixture(scope="package")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        pytest.fail(chromium.WHAT_TO_DO)
    SHOTS.mkdir(exist_ok=True)
    say(pytestconfig, f"Screenshots of the explorer: {SHOTS.relative_to(pytestconfig.rootpath)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def profile(browser: Browser) -> Profile:
    """A browser's profile, one for all tests that want it alike: a new one costs the start of half
    a Chromium, and the explorer's pages leave nothing in it but the cache."""
    return cache(partial(new_profile, browser))


def new_profile(browser: Browser, width: int, height: int, **more: Any) -> BrowserContext:
    viewport: Any = {"width": width, "height": height}
    return browser.new_context(viewport=viewport, reduced_motion="reduce", **more)


@pytest.fixture(scope="package")
def sqlite_filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    directory: Path = tmp_path_factory.mktemp("browser")
    yield from _filled(f"sqlite:///{directory}/analytics.db")


@pytest.fixture(scope="package")
def postgres_filled(postgres: PostgresServer) -> Iterator[Filled]:
    yield from _filled(postgres.database("browser"))
    with admin(postgres) as connection:
        connection.execute("DROP DATABASE browser WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def filled(request: pytest.FixtureRequest) -> Any:
    """The audience, in each kind of database."""
    return request.getfixturevalue(f"{request.param}_filled")


def _filled(url: str) -> Iterator[Filled]:
    engine = open_database(url)
    try:
        migrations.upgrade(engine)
        fill(engine)
        with serving(engine) as site:
            yield Filled(engine, site)
    finally:
        engine.dispose()


@pytest.fixture
def open_tab(browser: Browser, profile: Profile, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a tab on an explorer; at the test's end none may have complained of anything. A test
    that failed leaves pictures of its tabs. `fresh`: in a profile of its own, for a test that sets
    its clock or looks at what a newcomer loads."""
    tabs: list[Tab] = []
    failed_before = request.session.testsfailed
    name = f"failed-{request.node.name.replace('/', '_')}"
    for old in SHOTS.glob(f"{glob.escape(name)}-*.png"):  # of a run before
        old.unlink()
    with ExitStack() as stack:

        def begin(
            site: Site, size: tuple[int, int] = WIDE, *, fresh: bool = False, **more: Any
        ) -> Tab:
            context = new_profile(browser, *size, **more) if fresh else profile(*size, **more)
            tabs.append(Tab(context, site.url))
            stack.callback(context.close if fresh else tabs[-1].page.close)
            return tabs[-1]

        yield begin
        if request.session.testsfailed > failed_before:
            for number, tab in enumerate(tabs):
                tab.shot(f"{name}-{number}")
    assert [complaint for tab in tabs for complaint in tab.complaints] == []
