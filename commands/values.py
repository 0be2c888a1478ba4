"""Texts of settings and what they stand for: addresses, durations, sizes, log and database URLs.

Beside the record's way. Every parser raises `ValueError` with a text that ends the sentence
"<setting>: ...". Imports `models` only.
"""

import importlib
import os
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from models.kafka_log import is_kafka_url, parse_kafka_url
from models.placement import parse_partition_counts, partition_counts_text

_UNITS_MS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
_SIZES: Final = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(ms|s|m|h|d)")
_SIZE: Final = re.compile(r"(\d{1,12})\s*(KiB|MiB|GiB|)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = "postgresql+psycopg://"
_PASSWORD_BYTES_MAX: Final = 1024


class Address(NamedTuple):
    """Where to listen. Port 0 lets the system choose a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:  # a name may be anybody's
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`HOST:PORT`, an IPv6 host in brackets."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address needs brackets; give for example [::1]:8080")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError("is not HOST:PORT; give for example 127.0.0.1:8080")
    return Address(host, int(port))


def parse_duration(value: object) -> object:
    """A number with a unit (`500ms`, `1.5s`, `10m`, `12h`, `7d`) as a `timedelta`."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError("is not a duration; give a number with a unit, for example 500ms, 10s, 7d")
    return timedelta(milliseconds=float(match[1]) * _UNITS_MS[match[2]])


def parse_size(value: object) -> object:
    """A number of bytes, or of KiB, MiB, GiB (`64MiB`)."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("is not a size; give a number with a unit, for example 64MiB")
    return int(match[1]) * _SIZES[match[2]]


def parse_instant(value: object) -> object:
    """`2026-03-01`, `2026-03-01T10:30`, `2026-03-01T10:30:00+01:00`; without a zone it is UTC."""
    if not isinstance(value, str):
        return value
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise ValueError(
            "is no instant; give for example 2026-03-01 or 2026-03-01T10:30:00Z"
        ) from error
    if instant.year < 1970:
        raise ValueError("is before 1970")
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def epoch_ms(instant: datetime | None) -> int | None:
    """An instant with a zone as ms since the epoch."""
    return None if instant is None else (instant - _EPOCH) // timedelta(milliseconds=1)


def duration_text(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back."""
    whole_ms = round(value.total_seconds() * 1000)
    for unit in ("d", "h", "m", "s"):
        if whole_ms and whole_ms % _UNITS_MS[unit] == 0:
            return f"{whole_ms // _UNITS_MS[unit]}{unit}"
    return f"{whole_ms}ms"


def size_text(value: int) -> str:
    """The shortest text that `parse_size` reads back."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _SIZES[unit] == 0:
            return f"{value // _SIZES[unit]}{unit}"
    return str(value)


def sqlite_path(url: str) -> Path:
    """The file that `sqlite:///…` names: relative with three slashes, absolute with four."""
    return Path(url[len(_SQLITE) :])


def _is_address(text: str) -> str:
    parse_address(text)
    return text


def _is_log_url(text: str) -> str:
    if is_kafka_url(text):
        parse_kafka_url(text)
        return text
    return _is_sqlite_url(text)


def _are_partition_counts(text: str) -> str:
    return partition_counts_text(parse_partition_counts(text))


def _is_instance_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", text) or text in (".", ".."):
        raise ValueError("is not of letters, digits, dots, hyphens and underscores")
    return text


def _is_database_url(text: str) -> str:
    if text.startswith(_POSTGRES):
        return _is_postgres_url(text)
    if text.startswith("postgres"):
        raise ValueError(f"is not a database URL; give {_POSTGRES}USER:PASSWORD@HOST:PORT/DATABASE")
    return _is_sqlite_url(text)


def _parts(url: str) -> Any:
    """SQLAlchemy's `URL`. Errors: `ValueError`."""
    # Imported only for who has a database's address: a tenth of a second, and `leave` has none.
    sqlalchemy = importlib.import_module("sqlalchemy")
    try:
        return sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise ValueError("no database URL") from error


def _is_postgres_url(text: str) -> str:
    try:
        url = _parts(text)
    except ValueError as error:
        raise ValueError(f"is not {_POSTGRES}USER:PASSWORD@HOST:PORT/DATABASE") from error
    if "@" in (url.host or ""):  # else a part of the password would be taken for one of the host
        raise ValueError(
            "has an @ in its password; write %40 for it, or give --database-password-file"
        )
    secret = next((name for name in url.query if "password" in name), None)
    if secret is not None:
        raise ValueError(
            f"has {secret} after the ?; give it before the @, or in a file by passfile="
        )
    if not url.database:
        raise ValueError(f"names no database; give {_POSTGRES}USER:PASSWORD@HOST:PORT/DATABASE")
    return text


def database_name(url: str) -> str:
    """How a database is called in front of people: the file, or the address without password."""
    return str(sqlite_path(url)) if url.startswith(_SQLITE) else str(_parts(url).render_as_string())


def with_password(url: str, password: str) -> str:
    """The address of a PostgreSQL database with this password in it."""
    made = _parts(url)
    if made.password is not None:
        raise ValueError("the address has a password already; give one of the two")
    return str(made.set(password=password).render_as_string(hide_password=False))


def read_password(path: Path) -> str:
    """The password in a file: its text without the line's end."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_PASSWORD_BYTES_MAX + 1).decode()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}); check path and owner") from error
    except UnicodeDecodeError as error:
        raise ValueError("holds more than text; give a file with the password alone") from error
    if mode & 0o007:
        raise ValueError(f"can be read by every user; run: chmod 600 {path}")
    password = text.rstrip("\r\n")
    if not password or len(text) > _PASSWORD_BYTES_MAX or not password.isprintable():
        raise ValueError("is not one line of text; give a file with the password alone")
    return password


def _is_sqlite_url(text: str) -> str:
    name = text[len(_SQLITE) :] if text.startswith(_SQLITE) else ""
    if not name or "?" in name or name == ":memory:":
        raise ValueError(
            "is not sqlite:///FILE; give for example sqlite:////var/lib/bookended/x.db"
        )
    return text


def _is_prefix(text: str) -> str:
    text = text.rstrip("/")
    if text and not re.fullmatch(r"(/[A-Za-z0-9._~-]+){1,8}", text):
        raise ValueError("is not a path; give for example /collect")
    return text


def _is_collector_url(text: str) -> str:
    parts = urlsplit(text)
    is_known = parts.scheme in ("http", "https") and parts.hostname
    if not is_known or parts.query or "@" in parts.netloc:
        raise ValueError("is not the URL of a collector; give for example http://127.0.0.1:8080")
    return text


def _is_data_path(path: Path) -> Path:
    if "?" in str(path):
        raise ValueError("has a ? in it, which a database URL cannot carry; choose another name")
    return path


DataPath = Annotated[Path, AfterValidator(_is_data_path)]
CollectorUrl = Annotated[str, AfterValidator(_is_collector_url)]
Listen = Annotated[str, AfterValidator(_is_address)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]
Size = Annotated[int, BeforeValidator(parse_size)]
InstanceId = Annotated[str, AfterValidator(_is_instance_id)]
PartitionCounts = Annotated[str, AfterValidator(_are_partition_counts)]
LogUrl = Annotated[str, AfterValidator(_is_log_url)]
DatabaseUrl = Annotated[str, AfterValidator(_is_database_url)]
Prefix = Annotated[str, AfterValidator(_is_prefix)]
