"""Player states such as mute or full screen: when each was on (docs/rules.md "Player states").

Part of the pure core. A period is a stretch of the session's clock with the state on. Untracked
time and a clock that is set back end it, and another one begins behind them: so the periods of a
state add up to its time, unless there were more than are kept.
"""

from models.limits import PERIODS_MAX, PLAYER_STATES_MAX
from models.records import Event
from models.rows import PlayerStateRow
from processor.findings import find
from processor.state import SessionState
from processor.things import NEVER, PlayerState, copy_of


def enter_state(state: SessionState, event: Event, name: str) -> None:
    """Begins a player state; in it nothing happens."""
    if state.player_states is None:
        state.player_states = {}
    entered = state.player_states.get(name)
    if entered is None:
        if len(state.player_states) >= PLAYER_STATES_MAX:
            find(state, "too_many_states", event.ts, f"player state {name} was ignored")
            return
        entered = PlayerState(len(state.player_states) + 1)
        state.player_states[name] = entered
    if entered.since == NEVER:
        entered.count += 1
        entered.since = state.clock


def leave_state(state: SessionState, name: str) -> None:
    """Ends a player state; outside it nothing happens."""
    left = state.player_states.get(name) if state.player_states else None
    if left is not None and left.since != NEVER:
        _end(left, state.clock)


def break_off(state: SessionState, ts: int) -> None:
    """Lets the states that are on go on at `ts`: from the session's clock up to there none was."""
    for entered in (state.player_states or {}).values():
        if entered.since != NEVER:
            _end(entered, state.clock)
            entered.since = ts


def player_state_rows(state: SessionState) -> list[PlayerStateRow]:
    """The rows of all player states so far, running ones up to now."""
    return [
        _row(name, _ended(entered, state.clock))
        for name, entered in (state.player_states or {}).items()
    ]


def _end(left: PlayerState, at: int) -> None:
    """What took no time is no period; what comes after as many as are kept is in the time alone."""
    if at > left.since:
        left.total_ms += at - left.since
        if len(left.periods) < 2 * PERIODS_MAX:
            left.periods = (*left.periods, left.since, at)
    left.since = NEVER


def _ended(entered: PlayerState, at: int) -> PlayerState:
    if entered.since == NEVER:
        return entered
    now = copy_of(entered)
    _end(now, at)
    return now


def _row(name: str, now: PlayerState) -> PlayerStateRow:
    periods = tuple(zip(now.periods[::2], now.periods[1::2], strict=True))
    return PlayerStateRow(now.number, name, now.count, now.total_ms, periods)
