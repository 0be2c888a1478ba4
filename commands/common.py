"""What the settings of every command begin with.

Beside the record's way, under `settings`. Imports `logs`.
"""

from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from commands.logs import LogFormat, LogLevel

ENV_PREFIX: Final = "BOOKENDED_"


class Common(BaseSettings):
    """What every command takes."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        defer_build=True,  # a command reads the settings of one, and there are twenty
    )

    log_level: LogLevel = Field("info", description="Log lines from this level on go to stderr.")
    log_format: LogFormat = Field(
        "auto", description="Form of the log lines; auto is text on a terminal, else JSON."
    )
    debug: bool = Field(False, description="Show the traceback of an unexpected error.")
