"""A session's events out of Kafka, among those of others, whichever client the address names."""

from contextlib import closing

import pytest

from commands.session_log import LogOfSettings
from commands.settings import Exploring
from explore.log import LogTroubleError, Place
from models.avro import encode
from models.policy import DEFAULT_POLICY, Policy
from processor.kafka_reader import KafkaReader
from tests.explore.played import ID, a_session
from tests.kafka.broker import new_topic, producer
from tests.processor_shell.world import session_id
from tests.servers import KafkaServer


@pytest.mark.parametrize("client", ["", "?client=librdkafka"])
def test_a_session_out_of_kafka(kafka: KafkaServer, client: str) -> None:
    topic = new_topic(kafka.bootstrap)
    with closing(producer(topic)) as sending:
        for one in a_session():
            for key in (ID, session_id(2)):
                value = encode(key, (one,), offline=False)
                sending.send(topic.topic, value=value, key=key.encode(), partition=0)
        sending.flush()
    with closing(KafkaReader(topic)) as reader:
        log_id = reader.log_id()
    last = 2 * len(a_session()) - 1
    place = Place(ID, 0, 0, last, log_id, None, DEFAULT_POLICY, ())
    log = LogOfSettings(Exploring(log=f"kafka://{kafka.bootstrap}/{topic.topic}{client}"), None)
    received = log.events(place, 0)
    assert [it.event.type for it in received.events] == [one.type for one in a_session()]
    assert [it.offset for it in received.events] == list(range(0, last, 2))
    assert (received.start_offset, received.next_offset) == (0, last + 1)
    _, other = log.replays(place, (DEFAULT_POLICY, Policy(unclosed_break="ad")))
    assert other.session["ad_ms"] == 10_000
    with pytest.raises(LogTroubleError, match="another log"):
        log.events(place._replace(log_id="another"), 0)
