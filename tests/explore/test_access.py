"""Who may look, what a browser may do with a page, and what else is answered."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

import explore.pages
from explore import access
from explore.reading import reading
from explore.reports import overview
from processor.database import open_database
from tests.explore.served import Site
from tests.reports.rows import Rows

WIRE_BYTES_MAX: Final = 200_000
TOKEN: Final = "0123456789abcdef-only-for-tests"
ROOT: Final = Path(__file__).resolve().parents[2]


def test_every_answer_bounds_the_browser(site: Site) -> None:
    for path in ("/explore/sessions", "/explore/session?id=x", "/explore/nothing", "/explore/"):
        headers = site.ask(path).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_nothing_needs_what_the_policy_forbids() -> None:
    """No inline script, style or handler; nothing from another host."""
    for path in (ROOT / "explore").rglob("*.*"):
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text(encoding="utf-8")
            if path.parent.name == "uplot":  # the library names itself in a comment
                text = re.sub(r"^/\*!.*?\*/", "", text)
            assert not re.search(r"https?://|<style|\sstyle=|\son\w+=|javascript:", text), path
            assert "|safe" not in text.replace(" ", ""), path


def test_the_first_page_is_small(rows: Rows, site: Site) -> None:
    for hour in range(24):
        rows.session(f"s{hour}", f"{hour:02}:00", content_ms=1_000, finding_count=1)
    paths = ["/explore/overview?range=week", "/explore/static/icon.svg"]
    page = site.ask(paths[0])
    paths += [script.attributes["src"] for script in page.all("script")]
    paths += [link.attributes["href"] for link in page.all("link")]
    answers = [site.packed(path) for path in dict.fromkeys(paths)]
    assert len(answers) == 7
    assert all(status == 200 for status, _, _ in answers)
    assert sum(size for _, size, _ in answers) < WIRE_BYTES_MAX
    assert sum(is_packed for _, _, is_packed in answers) == 6  # all but the icon


def test_the_chart_library_comes_with_its_licence() -> None:
    folder = ROOT / "explore/static/uplot"
    assert "MIT License" in (folder / "LICENSE").read_text(encoding="utf-8")
    named = {path.name for path in folder.iterdir()} - {"LICENSE"}
    assert len(named) == 2
    scripts = (ROOT / "explore/templates/plot_scripts.html").read_text(encoding="utf-8")
    assert all(f"/explore/static/uplot/{name}" in scripts for name in named)


def test_a_defect_is_told_with_its_number(
    engine: Engine, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("only for tests")

    monkeypatch.setattr(explore.pages, "overview", broken)
    page = site.ask("/explore/overview")
    assert page.status == 500
    assert "A defect of bookended" in page.all("h1")[0].text
    assert "log says of request" in page.text
    assert "only for tests" not in page.text


@pytest.mark.parametrize("path", ["overview", "sessions", "findings", "retention", "session"])
def test_time_and_filters_stay_on_every_link_between_pages(
    rows: Rows, site: Site, path: str
) -> None:
    asked = {"range": "week", "channel": "a&b", "player": "tv", "version": "1"}
    asked |= {"id": "s"} if path == "session" else {}
    rows.session(
        "s", "10:00", player_name="tv", app_version="1", channel="a&b", finding_count=1,
        content_id="film", content_length_s=100.0, content_started=True,
    )  # fmt: skip
    rows.finding("s", "ping_gap")
    page = site.ask(f"/explore/{path}?{urlencode(asked)}")
    assert page.status == 200
    links = [urlsplit(link.attributes["href"]) for link in page.all("a")]
    pages = [link for link in links if link.path.startswith("/explore/") and link.query]
    others = {link.path.removeprefix("/explore/") for link in pages}
    assert {"overview", "sessions", "findings", "retention"} <= others
    for link in pages:
        kept = dict(parse_qsl(link.query))
        missing = asked.items() - kept.items() - {("id", "s")}
        assert len(missing) <= ("Drop the filter" in page.text and link.path.endswith(path)), link


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_pages_can_only_be_read(site: Site, method: str) -> None:
    answer = site.ask("/explore/sessions", method)
    assert answer.status == 405
    assert answer.all("h1")
    assert site.ask("/explore/sessions", "HEAD").text == ""


def test_what_is_not_there(site: Site) -> None:
    for path in ("/explore/nothing", "/explore/static/none.css", "/explore/static/../app.py"):
        assert site.ask(path).status == 404
    assert site.ask("/explore").headers["location"].endswith("/explore/overview")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"X_Forwarded_For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
    ],
)
def test_without_a_token_only_this_machine_may_look(site: Site, headers: dict[str, str]) -> None:
    answer = site.ask("/explore/sessions", **headers)
    assert answer.status == 403
    assert "--explore-token-file" in answer.text


@pytest.mark.parametrize("host", ["localhost:8081", "127.0.0.1", "[::1]:8081"])
def test_this_machine_by_any_of_its_names(site: Site, host: str) -> None:
    assert site.ask("/explore/sessions", Host=host).status == 200


def test_with_a_token_nobody_looks_without_it(engine: Engine, serve: Callable[..., Site]) -> None:
    site = serve(engine, token=TOKEN)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"{access.COOKIE}={TOKEN}"}):
        answer = site.ask("/explore/sessions?range=all", **headers)
        assert answer.status == 401
        (target,) = [e for e in answer.all("input") if e.attributes["name"] == "next"]
        assert target.attributes["value"] == "/explore/sessions?range=all"
    assert site.ask("/explore/sessions", Authorization=f"Bearer {TOKEN}").status == 200
    assert site.ask(f"/explore/sessions?token={TOKEN}").status == 401
    other_host = {"Host": "stats.example", "Authorization": f"Bearer {TOKEN}"}
    assert site.ask("/explore/sessions", **other_host).status == 200


def log_in(site: Site, **form: str) -> tuple[int, str, str]:
    kind = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = site.ask("/explore/login", "POST", urlencode(form), **kind)
    found = answer.headers
    return answer.status, found.get("location", ""), found.get("set-cookie", "")


def test_the_form_lets_in_by_a_cookie(engine: Engine, serve: Callable[..., Site]) -> None:
    site = serve(engine, token=TOKEN)
    assert log_in(site, token="wrong", next="/explore/sessions") == (401, "", "")
    status, location, cookie = log_in(site, token=TOKEN, next="/explore/sessions?range=all")
    assert (status, location) == (303, "/explore/sessions?range=all")
    assert TOKEN not in cookie
    for part in ("HttpOnly", "SameSite=strict", "Path=/explore"):
        assert part in cookie
    assert site.ask("/explore/sessions", Cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/explore/\\evil"])
def test_the_form_leads_nowhere_else(
    engine: Engine, serve: Callable[..., Site], target: str
) -> None:
    site = serve(engine, token=TOKEN)
    assert log_in(site, token=TOKEN, next=target)[1] == "/explore/"
    assert log_in(site, token="x" * 10_000)[0] == 413


def test_a_database_of_another_schema(engine: Engine, serve: Callable[..., Site]) -> None:
    page = serve(engine, unfit="It has schema 9999. Install a later release.").sessions()
    assert page.status == 503
    assert "schema 9999" in page.text


def test_a_database_that_cannot_be_read(
    rows: Rows, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explore.reading.STATEMENT_S_MAX", 0.001)
    monkeypatch.setattr("explore.pages.session_page", _endless)
    page = site.sessions()
    assert page.status == 503
    assert "took too long" in page.text


def _endless(connection: object, *_: object) -> object:
    assert isinstance(connection, Connection)
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    return connection.execute(text(query)).scalar()


def test_it_can_write_nothing(engine: Engine) -> None:
    reader = open_database(engine.url.render_as_string(hide_password=False), read_only=True)
    with pytest.raises(DBAPIError), reading(reader) as connection:
        connection.execute(text("DELETE FROM live_projection"))
    reader.dispose()


def test_pages_that_add_up_take_turns(
    rows: Rows, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time, which keep no list waiting; who has no turn in time is told so."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def waiting(*asked: Any) -> Any:
        begun.release()
        assert go_on.wait(30)
        return overview(*asked)

    monkeypatch.setattr("explore.pages.overview", waiting)
    monkeypatch.setattr("explore.pages._WAIT_S_MAX", 0.1)
    rows.session("a", "10:00")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(site.ask, "/explore/overview")
        assert begun.acquire(timeout=30)
        for name in ("overview", "findings", "retention", "retention?content=a"):
            page = site.ask(f"/explore/{name}")
            assert page.status == 503
            assert "Others are reading such pages now" in page.text
        assert site.sessions().status == site.session("a").status == 200
        go_on.set()
        assert first.result().status == 200
    assert site.ask("/explore/findings").status == 200
