"""The names that `/metrics` of collector and processor really give, and those that a query uses.

Only for tests.
"""

import re
from typing import Final

import httpx
import pytest

from tests.commands.processes import Server
from tests.commands.test_http_to_sql import GOLDEN, listening, play_golden

OF_OTHERS: Final = frozenset(
    (
        "ALERTS",
        "kubelet_volume_stats_available_bytes",
        "kubelet_volume_stats_capacity_bytes",
        "node_filesystem_avail_bytes",
        "node_filesystem_size_bytes",
        "up",
    )
)
"""Metrics that Prometheus itself, node-exporter and the kubelet give."""

_SAMPLE: Final = re.compile(r"^(?:# TYPE )?([a-z_]+)(?:\{.*\})? ", re.MULTILINE)
_TEXT: Final = re.compile(r'"[^"]*"')
_LABELS: Final = re.compile(r"\{[^}]*\}|\b(?:by|without|on|ignoring)\s*\([^)]*\)|\[[^\]]*\]")
_NAME: Final = re.compile(r"\b[a-zA-Z_]\w*\b(?!\s*\()")
_WORDS: Final = frozenset(("or", "and", "unless", "by", "without", "bool", "offset"))


def names_in(query: str) -> set[str]:
    """The metrics that a PromQL query asks for."""
    bare = _LABELS.sub(" ", _TEXT.sub('""', query))
    return set(_NAME.findall(bare)) - _WORDS


@pytest.fixture(scope="session")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Names of all metrics and samples of one `run`, which has the metrics of both parts."""
    server = Server(tmp_path_factory.mktemp("scraped"), ("run", "--listen", "127.0.0.1:0"), {})
    try:
        url = listening(server)
        play_golden(url, GOLDEN[0])
        text = httpx.get(f"{url}/metrics").raise_for_status().text
    finally:
        server.stop()
        server.end()
    return frozenset(_SAMPLE.findall(text))
