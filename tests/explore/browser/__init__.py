"""The explorer's pages in a real browser. A package, so that pytest ends the browser after the last
of these tests: while Playwright's loop runs, no async test of another folder could."""
