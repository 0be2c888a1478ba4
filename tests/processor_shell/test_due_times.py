"""Due times against the plain way: look at every session."""

from hypothesis import given
from hypothesis import strategies as st

from processor.due_times import DueTimes

IDS = st.sampled_from("abcdef")
TIMES = st.integers(0, 60)
STEPS = st.lists(st.tuples(st.sampled_from(["set", "drop", "take"]), IDS, TIMES), max_size=40)


@given(STEPS, st.integers(1, 3))
def test_exactly_what_is_due_is_taken(steps: list[tuple[str, str, int]], sessions_max: int) -> None:
    now: dict[str, int] = {}
    due = DueTimes(now.get)
    for step, session_id, time in steps:
        if step == "set":
            now[session_id] = time
            due.set(session_id, time)
        elif step == "drop":
            now.pop(session_id, None)
        else:
            take_all(due, now, time, sessions_max)


def take_all(due: DueTimes, now: dict[str, int], until: int, sessions_max: int) -> None:
    """Slice by slice, each of them all that is due up to the time that it names."""
    reached = -1
    while reached < until:
        taken, reached = due.take(until, sessions_max)
        expected = sorted(i for i, at in now.items() if at <= reached)
        assert sorted(taken) == expected
        assert reached == until or len(taken) >= sessions_max
        for session_id in taken:
            del now[session_id]
    assert not [i for i, at in now.items() if at <= until]


def test_a_due_time_that_moves_leaves_no_pile_behind() -> None:
    now = {"a": 0}
    due = DueTimes(now.get)
    for at in range(10_000):
        now["a"] = at
        due.set("a", at)
    assert len(due._heap) == 1
    assert due.take(9_998, 10) == ([], 9_998)
    assert due.take(9_999, 10) == (["a"], 9_999)
