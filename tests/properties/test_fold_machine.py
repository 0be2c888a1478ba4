"""A session that hypothesis drives step by step, the fold beside the second reading.

Stateful: events in any order, late ones, repeats, ticks and checkpoints through the state's bytes;
after every step the rows must be what the second reading says (docs/rules.md).
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from models.records import Event, Record
from tests.production import Live
from tests.reference.arrivals import Arrival, Step, Tick
from tests.reference.compare import differences
from tests.reference.plans import SESSION_ID, T0, start_params
from tests.reference.reading import read
from tests.reference.strategies import FIELDS, KINDS

GAPS = st.sampled_from([0, 0, 1, 900, 2000, 10_000, 10_000, 26_000, 600_001])
RATES = st.sampled_from([0, 0, 1, 1, 1, 4, -1, 50])


class SessionMachine(RuleBasedStateMachine):
    """One session, sent by a client and folded by a processor."""

    def __init__(self) -> None:
        super().__init__()
        self.live = Live(lazy_ticks=False, reload=False)
        self.steps: list[Step] = []
        self.now = self.arrival = T0
        self.playhead_ms = 0
        self.send(Event("sessionStart", T0, 0, start_params()))

    def send(self, event: Event) -> None:
        arrived = event._replace(received_at=self.arrival)
        self.step(Arrival(Record(SESSION_ID, False, (arrived,))))

    def step(self, step: Step) -> None:
        self.steps.append(step)
        self.live.take(step)

    @rule(kind=KINDS, gap=GAPS, rate=RATES, params=FIELDS, qoe=FIELDS)
    def go_on(self, kind: str, gap: int, rate: int, params: object, qoe: object) -> None:
        """Time passes, the playhead moves, and something happens."""
        self.now += gap
        self.arrival += min(gap, 60_000)
        self.playhead_ms = max(0, self.playhead_ms + rate * gap)
        self.send(Event(kind, self.now, self.playhead_ms, params, qoe))  # type: ignore[arg-type]

    @rule(gap=GAPS)
    def ping(self, gap: int) -> None:
        self.now += gap
        self.arrival += min(gap, 60_000)
        self.playhead_ms += gap
        self.send(Event("ping", self.now, self.playhead_ms))

    @rule(kind=KINDS, back=st.sampled_from([1, 3000, 20_000, 700_000]))
    def come_late(self, kind: str, back: int) -> None:
        """An event from before: in time, late, or with a clock that was set back."""
        self.send(Event(kind, self.now - back, self.playhead_ms))  # type: ignore[arg-type]

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        arrivals = [s for s in self.steps if isinstance(s, Arrival)]
        self.send(data.draw(st.sampled_from(arrivals)).record.events[0])

    @rule(wait=st.sampled_from([0, 5001, 60_000]))
    def pause_for_breath(self, wait: int) -> None:
        self.arrival += wait

    @rule(wait=st.sampled_from([0, 5001, 600_001, 86_400_001]))
    def tick(self, wait: int) -> None:
        self.step(Tick(self.arrival + wait))
        self.arrival += wait

    @precondition(lambda self: self.live.figures is not None)
    @rule()
    def crash(self) -> None:
        """The processor writes, dies, and goes on from the bytes."""
        self.live.reload = True
        self.live.checkpoint()
        self.live.reload = False

    @invariant()
    def says_what_the_second_reading_says(self) -> None:
        self.live.checkpoint()
        assert differences(read(self.steps), self.live.reading()) == {}


SessionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestSession = SessionMachine.TestCase
