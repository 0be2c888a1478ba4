"""Column types, and columns made from the fields of the row types.

Beside the record's way: `models.tables` builds the SQL tables with it, so that `models.rows` stays
the one place where a figure gets its name. Imports nothing of the project; no I/O.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from sqlalchemy import JSON, BigInteger, Boolean, Column, Dialect, Double, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the text names no zone: all of it is UTC
_EPOCH_UTC: Final = _EPOCH.replace(tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_MINUTE: Final = timedelta(minutes=1)
_INSTANTS: Final = frozenset(
    ("started_at", "ended_at", "closed_at", "last_event_at", "at", "first_ts", "span_started_at")
)


class Instant(TypeDecorator[int]):
    """A UTC instant: whole ms since the epoch in Python, `YYYY-MM-DD HH:MM:SS.mmm` on SQLite,
    `timestamptz(3)` on PostgreSQL.

    The text sorts as time does and is what SQLite's date functions read.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        is_postgres = dialect.name == "postgresql"
        return TIMESTAMP(timezone=True, precision=3) if is_postgres else Text()

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return _EPOCH_UTC + value * _MS if dialect.name == "postgresql" else instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return (value - _EPOCH_UTC) // _MS if dialect.name == "postgresql" else instant_ms(value)


class Json(TypeDecorator[Any]):
    """A JSON object or array; `None` is SQL NULL, not JSON null. `jsonb` on PostgreSQL: there
    `json` can be neither compared nor grouped by."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        is_postgres = dialect.name == "postgresql"
        return JSONB(none_as_null=True) if is_postgres else JSON(none_as_null=True)


class Number(TypeDecorator[float]):
    """A number as the client sent it: a whole one stays whole."""

    impl = Numeric(asdecimal=False)
    cache_ok = True


def counting() -> TypeEngine[int]:
    """The type of a key that the database counts up: SQLite counts only `INTEGER`."""
    return BigInteger().with_variant(Integer(), "sqlite")


def instant_text(ms: int) -> str:
    """`ms` since the epoch (0 to the year 9999) as `YYYY-MM-DD HH:MM:SS.mmm`, UTC.

    Most are of few minutes, and written by the thousand: a minute's text is made once.
    """
    minute, rest_ms = divmod(ms, 60_000)
    digits = str(100_000 + rest_ms)
    return f"{_minute_text(minute)}:{digits[1:3]}.{digits[3:]}"


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    return (_EPOCH + minute * _MINUTE).isoformat(" ", "minutes")


def instant_ms(text: str) -> int:
    """The ms since the epoch that `instant_text` made `text` of."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MS


def row_columns(row_type: type[Any], *, key: Sequence[str] = ()) -> list[Column[Any]]:
    """One column a field of the NamedTuple `row_type`; those named in `key` are primary key."""
    return [
        _column(name, set(_kinds(hint)), name in key)
        for name, hint in get_type_hints(row_type).items()
    ]


def _column(name: str, kinds: set[type], is_key: bool) -> Column[Any]:
    nullable = NoneType in kinds
    kinds.discard(NoneType)
    return Column(name, _type(name, kinds), primary_key=is_key, nullable=nullable)


def _type(name: str, kinds: set[type]) -> TypeEngine[Any]:
    if name in _INSTANTS:
        return Instant()
    if kinds == {int, float}:
        return Number()
    (kind,) = kinds
    types: dict[type, type[TypeEngine[Any]]] = {
        bool: Boolean,
        int: BigInteger,
        float: Double,
        str: Text,
        dict: Json,
        tuple: Json,
    }
    return types[kind]()


def _kinds(hint: Any) -> list[type]:
    """The plain classes that a field's annotation admits."""
    origin = get_origin(hint)
    if origin is Literal:
        return [type(value) for value in get_args(hint)]
    if origin in (Union, UnionType):
        return [kind for part in get_args(hint) for kind in _kinds(part)]
    return [origin or hint]
