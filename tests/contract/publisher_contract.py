"""What every publisher must do, whatever log it writes to; a subclass gives the log.

Only for tests. One class per interface: the embedded log is the first to run it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import pytest

from ingest.publisher import Publisher, PublishError

SESSION = "a" * 64
OTHER = "b" * 64


class PublishedLog(Protocol):
    """A log that a test can look into and break."""

    def publisher(self, **bounds: Any) -> Publisher:
        """A publisher of its own, not started. `bounds` as for `PublishBounds`."""
        ...

    def read(self) -> list[tuple[str, bytes]]:
        """Key and value of all records, by a reader that has nothing to do with the publisher."""
        ...

    def received_at(self) -> list[int]:
        """The log's own times of the records."""
        ...

    def set_clock(self, now_ms: int) -> None:
        """What the clock says from now on."""
        ...

    def stop_answering(self) -> None:
        """From now on the log takes nothing."""
        ...

    def answer_again(self) -> None:
        """And now it does."""
        ...


def with_publisher(
    log: PublishedLog,
    use: Callable[[Publisher], Coroutine[Any, Any, None]],
    **bounds: Any,
) -> None:
    """Runs `use` with a started publisher on an event loop of its own; stops it in the end."""

    async def main() -> None:
        publisher = log.publisher(**bounds)
        await publisher.start()
        try:
            await use(publisher)
        finally:
            await publisher.stop()

    asyncio.run(main())


async def until_ready(publisher: Publisher) -> None:
    for _ in range(400):
        if publisher.is_ready():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(publisher.reason_not_ready())


async def fails(publisher: Publisher) -> PublishError:
    with pytest.raises(PublishError) as caught:
        await publisher.publish(SESSION, b"refused")
    assert caught.value.retry_after_s >= 1
    assert caught.value.reason
    return caught.value


class PublisherContract(ABC):
    """Subclasses give the fixture `log`: an empty log."""

    @pytest.fixture
    @abstractmethod
    def log(self) -> PublishedLog:
        """What is tested, of one implementation."""

    def test_what_is_published_is_in_the_log_at_once(self, log: PublishedLog) -> None:
        async def use(publisher: Publisher) -> None:
            for number in range(5):
                value = bytes([number, 0, 255])
                await publisher.publish(SESSION, value)
                assert log.read()[-1] == (SESSION, value)

        with_publisher(log, use)
        assert len(log.read()) == 5

    def test_records_of_a_session_keep_the_order_of_the_calls(self, log: PublishedLog) -> None:
        async def use(publisher: Publisher) -> None:
            calls = [
                publisher.publish(session, b"%d" % number)
                for number in range(500)
                for session in (SESSION, OTHER)
            ]
            await asyncio.gather(*calls)

        with_publisher(log, use)
        for session in (SESSION, OTHER):
            found = [int(value) for key, value in log.read() if key == session]
            assert found == list(range(500))

    def test_a_large_record_goes_through(self, log: PublishedLog) -> None:
        value = bytes(9 * 1024 * 1024)

        async def use(publisher: Publisher) -> None:
            await publisher.publish(SESSION, value)

        with_publisher(log, use)
        assert log.read() == [(SESSION, value)]

    def test_arrival_times_never_run_backwards(self, log: PublishedLog) -> None:
        async def use(publisher: Publisher) -> None:
            for now_ms in (1_000, 5_000, 2_000, 6_000, 0):
                log.set_clock(now_ms)
                await publisher.publish(SESSION, b"x")

        with_publisher(log, use)
        log.set_clock(3_000)
        with_publisher(log, use)
        assert log.received_at() == [1_000, 5_000, 5_000, 6_000, 6_000, *[6_000] * 5]

    def test_what_is_in_flight_is_bounded_by_number(self, log: PublishedLog) -> None:
        async def use(publisher: Publisher) -> None:
            log.stop_answering()
            waiting = [asyncio.ensure_future(fails(publisher)) for _ in range(3)]
            await asyncio.sleep(0)
            assert publisher.records_in_flight == 3
            assert (await fails(publisher)).cause == "log_busy"
            await asyncio.gather(*waiting)
            log.answer_again()
            await until_ready(publisher)
            await publisher.publish(SESSION, b"after")
            assert (publisher.records_in_flight, publisher.bytes_in_flight) == (0, 0)

        with_publisher(log, use, records_max=3, deadline_s=0.2)

    def test_what_is_in_flight_is_bounded_by_bytes(self, log: PublishedLog) -> None:
        async def use(publisher: Publisher) -> None:
            log.stop_answering()
            waiting = asyncio.ensure_future(publisher.publish(SESSION, bytes(60_000)))
            await asyncio.sleep(0)
            assert publisher.bytes_in_flight > 60_000
            with pytest.raises(PublishError) as caught:
                await publisher.publish(SESSION, bytes(60_000))
            assert caught.value.cause == "log_busy"
            with pytest.raises(PublishError):
                await waiting
            log.answer_again()

        with_publisher(log, use, bytes_max=100_000, deadline_s=0.2)

    def test_a_record_that_was_given_up_keeps_its_place_until_the_log_answers(
        self, log: PublishedLog
    ) -> None:
        async def use(publisher: Publisher) -> None:
            log.stop_answering()
            assert (await fails(publisher)).cause in ("log_timeout", "log_away")
            cancelled = asyncio.ensure_future(publisher.publish(OTHER, b"cancelled"))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.sleep(0)
            assert publisher.records_in_flight >= 1
            log.answer_again()
            await until_ready(publisher)
            await publisher.publish(SESSION, b"after")
            assert publisher.records_in_flight == 0

        with_publisher(log, use, deadline_s=0.2)

    def test_a_log_that_is_away_is_told_and_comes_back(self, log: PublishedLog) -> None:
        async def use(publisher: Publisher) -> None:
            await publisher.publish(SESSION, b"before")
            assert publisher.is_ready()
            assert publisher.reason_not_ready() == ""
            log.stop_answering()
            await fails(publisher)
            await fails(publisher)
            for _ in range(400):
                if not publisher.is_ready():
                    break
                await asyncio.sleep(0.05)
            assert publisher.reason_not_ready()
            log.answer_again()
            await until_ready(publisher)  # by itself, also when nobody publishes
            await publisher.publish(SESSION, b"after")

        with_publisher(log, use, deadline_s=5.0)
        assert log.read() == [(SESSION, b"before"), (SESSION, b"after")]

    def test_stop_finishes_what_is_in_flight(self, log: PublishedLog) -> None:
        async def use(publisher: Publisher) -> None:
            calls = [
                asyncio.ensure_future(publisher.publish(SESSION, b"%d" % number))
                for number in range(2_000)
            ]
            await asyncio.sleep(0)
            await publisher.stop()
            await asyncio.gather(*calls)
            assert not publisher.is_ready()

        async def main() -> None:
            publisher = log.publisher()
            await publisher.start()
            await use(publisher)

        asyncio.run(main())
        assert [int(value) for _, value in log.read()] == list(range(2_000))
