"""Fixtures of the tests of deploy/."""

from tests.deploy.scraped import scraped

__all__ = ["scraped"]
