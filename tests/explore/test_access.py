"""Who may look, what a browser may do with a page, and what else is answered."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from explore import access
from explore.reading import reading
from processor.database import open_database
from tests.explore.served import Site
from tests.reports.rows import Rows

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
            assert not re.search(r"https?://|<style|\sstyle=|\son\w+=|javascript:", text), path
            assert "|safe" not in text.replace(" ", ""), path


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


def _endless(connection: object, _: object) -> object:
    assert isinstance(connection, Connection)
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    return connection.execute(text(query)).scalar()


def test_it_can_write_nothing(engine: Engine) -> None:
    reader = open_database(engine.url.render_as_string(hide_password=False), read_only=True)
    with pytest.raises(DBAPIError), reading(reader) as connection:
        connection.execute(text("DELETE FROM live_projection"))
    reader.dispose()
