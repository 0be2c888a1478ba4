"""How the brokers of a log in Kafka are known, and how they know us: TLS and SASL.

Beside the record's way, under `settings`. Imports `common`, `values` and `models`.
"""

import ssl
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from commands.common import Common
from commands.values import read_password
from models.kafka_log import KafkaSecurity


class Secured(Common):
    """How to get into Kafka. Secrets are never in the address of the log."""

    kafka_tls: bool = Field(
        False, description="Speak TLS with the brokers. The next three settings ask for it too."
    )
    kafka_ca: Path | None = Field(
        None,
        description="PEM file with the authorities that may sign the brokers' certificates. "
        "Default: the system's.",
    )
    kafka_cert: Path | None = Field(
        None, description="PEM file with this client's certificate, for brokers that want one."
    )
    kafka_key: Path | None = Field(
        None,
        description="PEM file with that certificate's key, without a passphrase.",
        validate_default=True,
    )
    kafka_sasl: Literal["plain", "scram-sha-256", "scram-sha-512"] | None = Field(
        None, description="How to log in to the brokers, by SASL. Default: not at all."
    )
    kafka_user: str | None = Field(None, description="The user to log in to the brokers as.")
    kafka_password: SecretStr | None = Field(
        None,
        description="The user's password. Better given as a variable: flags can be seen by other "
        "users of the machine.",
    )
    kafka_password_file: Path | None = Field(
        None, description="File with that password, instead of the password.", validate_default=True
    )

    @property
    def kafka_security(self) -> KafkaSecurity | None:
        """None: neither TLS nor a login."""
        files = (self.kafka_ca, self.kafka_cert, self.kafka_key)
        tls = self.kafka_tls or any(files)
        if not tls and self.kafka_sasl is None:
            return None
        ca, cert, key = (None if file is None else str(file) for file in files)
        mechanism = None if self.kafka_sasl is None else self.kafka_sasl.upper()
        return KafkaSecurity(
            tls, ca, cert, key, mechanism, self.kafka_user or "", self._kafka_password()
        )

    def _kafka_password(self) -> str:
        if self.kafka_password_file is not None:
            return read_password(self.kafka_password_file)
        return self.kafka_password.get_secret_value() if self.kafka_password else ""

    @field_validator("kafka_ca")
    @classmethod
    def _authorities_load(cls, ca: Path | None) -> Path | None:
        if ca is not None:
            try:
                ssl.create_default_context(cafile=ca)
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"has no certificates: {error.strerror or error}") from error
        return ca

    @field_validator("kafka_key")
    @classmethod
    def _client_certificate_loads(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        cert = info.data.get("kafka_cert")
        if (key is None) != (cert is None) and "kafka_cert" in info.data:
            missing = "--kafka-cert" if cert is None else "--kafka-key"
            raise ValueError(f"certificate and key go together; {missing} is missing")
        if key is not None and cert is not None:
            try:
                ssl.create_default_context().load_cert_chain(cert, key)
            except (OSError, ssl.SSLError) as error:
                reason = error.strerror or str(error)
                raise ValueError(f"is not the key of {cert}: {reason}") from error
        return key

    @field_validator("kafka_password_file")
    @classmethod
    def _login_is_whole(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if not {"kafka_sasl", "kafka_user", "kafka_password"} <= info.data.keys():
            return path
        password = info.data["kafka_password"]
        if path is not None and password is not None:
            raise ValueError("give the password or a file with the password, not both")
        given = (info.data["kafka_sasl"], info.data["kafka_user"], path or password)
        if any(given) and not all(given):
            raise ValueError(
                "a login needs --kafka-sasl, --kafka-user and a password (--kafka-password, or "
                "this file)"
            )
        if path is not None:
            read_password(path)
        return path
