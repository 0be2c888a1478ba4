"""Latencies of any number of requests in bounded memory: counts by two significant digits.

Beside the record's way. Imports nothing of the project.
"""

from collections import Counter


class Latencies:
    """Counts; a percentile is exact to 5 %."""

    def __init__(self) -> None:
        self._by_microseconds: Counter[int] = Counter()

    def add(self, latency_s: float) -> None:
        self._by_microseconds[_two_digits(round(latency_s * 1_000_000))] += 1

    def percentile_ms(self, share: float) -> float | None:
        """The latency that `share` (0 to 1) of all did not exceed; None when there were none."""
        wanted = share * self._by_microseconds.total()
        seen = 0
        for value, count in sorted(self._by_microseconds.items()):
            seen += count
            if seen >= wanted:
                return value / 1000
        return None


def _two_digits(value: int) -> int:
    scale = 1
    while value >= 100 * scale:
        scale *= 10
    return round(value / scale) * scale
