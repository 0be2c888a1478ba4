"""`bookended schema`: the Avro schema of the log's records, for those who write or read the log.

Beside the record's way. Imports `models.avro`.
"""

import json
from typing import Any

import click
from pydantic import Field, field_validator

from commands.common import ENV_PREFIX, Common
from commands.options import takes
from commands.tables import stderr, stdout, table
from models.avro import SCHEMA_VERSIONS, schema_fingerprint, schema_text


class Printing(Common):
    """The schema to print."""

    schema_version: int = Field(
        SCHEMA_VERSIONS[-1], description="Print this version instead of the newest."
    )
    versions: bool = Field(False, description="List the versions instead of printing one.")
    json_output: bool = Field(
        False,
        description="List the versions as one JSON object. (A schema is JSON as it is.)",
        validation_alias=f"{ENV_PREFIX}JSON",
    )

    @field_validator("schema_version")
    @classmethod
    def _is_released(cls, version: int) -> int:
        if version not in SCHEMA_VERSIONS:
            raise ValueError(f"there are versions {SCHEMA_VERSIONS[0]} to {SCHEMA_VERSIONS[-1]}")
        return version


@takes(Printing)
def command(settings: Printing) -> None:
    """Prints the Avro schema of the log's records: `bookended schema > session_record.avsc`.

    The schema alone goes to standard output. A record begins with C3 01 and the fingerprint of its
    version; what else a record must be: docs/producers.md.
    """
    if settings.versions or settings.json_output:
        _list(settings)
        return
    version = settings.schema_version
    click.echo(schema_text(version), nl=False)
    stderr().print(
        f"version {version} of {SCHEMA_VERSIONS[-1]}, fingerprint {schema_fingerprint(version)}",
        highlight=False,
    )


def _list(settings: Printing) -> None:
    if settings.json_output:
        print(json.dumps({"versions": [_as_json(version) for version in SCHEMA_VERSIONS]}))
        return
    sheet = table("version", "fingerprint", "what")
    for version in SCHEMA_VERSIONS:
        is_newest = version == SCHEMA_VERSIONS[-1]
        what = "written and read" if is_newest else "read"
        sheet.add_row(str(version), schema_fingerprint(version), what)
    stdout().print(sheet)


def _as_json(version: int) -> dict[str, Any]:
    return {
        "version": version,
        "fingerprint": schema_fingerprint(version),
        "is_newest": version == SCHEMA_VERSIONS[-1],
    }
