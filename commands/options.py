"""From a group of settings to the flags of a command, and from flags and variables to values.

Beside the record's way. All that is wrong is told at once (`SettingsError`), each line naming the
setting the way the user gave it. Imports `settings`, `values`, `errors`.
"""

import difflib
import os
import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

import click
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from commands.common import ENV_PREFIX, Common
from commands.errors import SettingsError
from commands.settings import GROUPS, POSITIONAL, POSITIONAL_SEVERAL
from commands.values import duration_text, size_text

Settings = TypeVar("Settings", bound=Common)
# Kubernetes sets such variables for every service of a namespace; they are none of ours.
_OF_KUBERNETES: Final = re.compile(
    r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP)(_.*)?)?)"
)
_PASSWORD: Final = re.compile(r"(://[^:/@\s]*:)\S*@")
_PASSWORD_PARAMETER: Final = re.compile(r"([?&][\w.-]*password=)[^&\s]*")
HIDDEN: Final = "********"


class Origin(StrEnum):
    """Where the value of a setting came from."""

    DEFAULT = "default"
    VARIABLE = "variable"
    FLAG = "flag"


class Setting(NamedTuple):
    """One setting as the user knows it."""

    field: str
    flag: str
    variable: str
    info: FieldInfo

    @property
    def is_switch(self) -> bool:
        return self.info.annotation is bool

    @property
    def is_positional(self) -> bool:
        return self.info.json_schema_extra in (POSITIONAL, POSITIONAL_SEVERAL)

    @property
    def is_secret(self) -> bool:
        return "SecretStr" in str(self.info.annotation)

    @property
    def description(self) -> str:
        return self.info.description or ""


def settings_of(model: type[Common]) -> list[Setting]:
    """The settings of a command, in the order of its help: its own first, then group by group."""
    order = [name for group in GROUPS for name in group.__annotations__]
    place = {name: number for number, name in enumerate(order)}
    fields = sorted(model.model_fields.items(), key=lambda item: place.get(item[0], -1))
    return [_setting(name, info) for name, info in fields]


def _setting(name: str, info: FieldInfo) -> Setting:
    alias = info.validation_alias
    variable = alias if isinstance(alias, str) else ENV_PREFIX + name.upper()
    flag = "--" + variable.removeprefix(ENV_PREFIX).lower().replace("_", "-")
    if info.json_schema_extra in (POSITIONAL, POSITIONAL_SEVERAL):
        flag = name.upper()
    return Setting(name, flag, variable, info)


def takes(model: type[Settings]) -> Callable[[Callable[[Settings], None]], click.Command]:
    """Makes a command whose flags are the settings of `model`; the function gets them checked.

    A setting made with `POSITIONAL` is given by its place on the command line; of one made with
    `POSITIONAL_SEVERAL` the words come with commas between.
    """

    def decorate(function: Callable[[Settings], None]) -> click.Command:
        def callback(**flags: Any) -> None:
            words = {name: ",".join(v) for name, v in flags.items() if isinstance(v, tuple)}
            function(load(model, given(flags | words)))

        return click.Command(
            name=function.__name__.rstrip("_"),
            callback=callback,
            help=function.__doc__,
            params=[
                _argument(setting) if setting.is_positional else _option(setting)
                for setting in settings_of(model)
            ],
        )

    return decorate


def given(flags: dict[str, str | bool | None]) -> dict[str, str]:
    """The flags that were on the command line, as text."""
    return {name: str(value) for name, value in flags.items() if value not in (None, False)}


def current_flags() -> dict[str, str]:
    """The flags of the command that is running."""
    return given(click.get_current_context().params)


def _argument(setting: Setting) -> click.Argument:
    if setting.info.json_schema_extra == POSITIONAL_SEVERAL:
        return click.Argument([setting.field], nargs=-1, required=True)
    return click.Argument([setting.field], metavar=setting.flag, required=False)


def _option(setting: Setting) -> click.Option:
    text = setting.description
    if not setting.is_switch and setting.info.default not in (None, ""):
        text += f" [default: {value_text(setting, setting.info.default)}]"
    text += f" [{setting.variable}]"
    if setting.is_switch:
        return click.Option([setting.flag, setting.field], is_flag=True, help=text)
    return click.Option([setting.flag, setting.field], metavar=_metavar(setting), help=text)


def _metavar(setting: Setting) -> str:
    kind = str(setting.info.annotation)
    if "Literal" in kind:
        return "|".join(re.findall(r"'([\w-]+)'", kind))
    for mark, metavar in (
        ("Path", "PATH"),
        ("timedelta", "DURATION"),
        ("datetime.datetime", "INSTANT"),
        ("int", "NUMBER"),
        ("float", "NUMBER"),
        ("Secret", "TEXT"),
    ):
        if mark in kind:
            return metavar
    return {"listen": "HOST:PORT", "log": "URL", "database": "URL", "url": "URL"}.get(
        setting.field, "TEXT"
    )


def load(model: type[Settings], flags: dict[str, str]) -> Settings:
    """The checked settings: flags, then variables, then defaults.

    Errors: `SettingsError` with one line for each setting that cannot hold.
    """
    by_field = {setting.field: setting for setting in settings_of(model)}
    values: dict[str, Any] = {}
    for name, text in flags.items():
        alias = by_field[name].info.validation_alias
        values[alias if isinstance(alias, str) else name] = text
    try:
        return model(**values)
    except ValidationError as error:
        known = {key: item for item in by_field.values() for key in (item.field, item.variable)}
        lines = (_line(known[str(detail["loc"][0])], detail, flags) for detail in error.errors())
        raise SettingsError(tuple(dict.fromkeys(lines))) from error


def origin(setting: Setting, flags: dict[str, str]) -> Origin:
    """Which of flag, variable and default gave the value."""
    if setting.field in flags:
        return Origin.FLAG
    return Origin.VARIABLE if _variable_text(setting) else Origin.DEFAULT


def _variable_text(setting: Setting) -> str:
    found = (text for name, text in os.environ.items() if name.upper() == setting.variable)
    return next(found, "")


def _line(setting: Setting, detail: ErrorDetails, flags: dict[str, str]) -> str:
    by_flag = origin(setting, flags) is Origin.FLAG
    name = setting.flag if by_flag else setting.variable
    if setting.is_positional:
        name, by_flag = setting.flag, True
    if detail["type"] == "value_error":
        problem = str(detail.get("ctx", {}).get("error"))
    else:
        problem = _in_plain_words(setting, detail)
    text = "" if setting.is_secret else flags.get(setting.field) or _variable_text(setting)
    if not text:
        return f"{name}: {problem}"
    separator = " " if by_flag else "="
    return f"{name}{separator}{_masked(text)}: {problem}"


def _masked(url: str) -> str:
    return _PASSWORD_PARAMETER.sub(rf"\1{HIDDEN}", _PASSWORD.sub(rf"\1{HIDDEN}@", url))


def _in_plain_words(setting: Setting, detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "is missing; --help shows what it is"
        case "int_parsing" | "int_type" | "int_from_float":
            return "is not a whole number"
        case "float_parsing" | "float_type":
            return "is not a number"
        case "bool_parsing":
            return "is neither true nor false"
        case "literal_error":
            return f"is not one of {detail['ctx']['expected']}"
        case "greater_than":
            return f"is too small; it must be more than {_bound(setting, 'gt')}"
        case "greater_than_equal":
            return f"is too small; the least is {_bound(setting, 'ge')}"
        case "less_than_equal":
            return f"is too large; the most is {_bound(setting, 'le')}"
        case _:
            return detail["msg"]


def _bound(setting: Setting, name: str) -> str:
    """A bound as the user would write it; the error itself carries it only as Python text."""
    bounds = (getattr(mark, name) for mark in setting.info.metadata if hasattr(mark, name))
    return value_text(setting, next(bounds, None))


def value_text(setting: Setting, value: object) -> str:
    """A value as the user would write it; secrets hidden."""
    if value is None or value == "":
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if setting.field.endswith("_bytes_max") and isinstance(value, int):
        return size_text(value)
    return _masked(str(value))


OF_LOCAL: Final = frozenset(
    ("BOOKENDED_LOCAL_DATA", "BOOKENDED_KAFKA_PORT", "BOOKENDED_POSTGRES_PORT")
)
"""Variables of `bookended local`, whose servers have no settings of ours."""


def unknown_variables(models: tuple[type[Common], ...]) -> list[str]:
    """A line for each `BOOKENDED_…` variable that no command reads, with the likely name."""
    known = {setting.variable for model in models for setting in settings_of(model)}
    known |= OF_LOCAL
    lines = []
    for name in sorted(os.environ):
        stray = name.upper().startswith(ENV_PREFIX) and name.upper() not in known
        if stray and not _OF_KUBERNETES.fullmatch(name.removeprefix(ENV_PREFIX)):
            near = difflib.get_close_matches(name.upper(), known, n=1)
            lines.append(f"{name} is no setting" + (f"; is {near[0]} meant?" if near else ""))
    return lines
