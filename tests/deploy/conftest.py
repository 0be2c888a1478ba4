"""Fixtures of the tests of deploy/."""

from tests.deploy.roles import roles
from tests.deploy.scraped import scraped

__all__ = ["roles", "scraped"]
