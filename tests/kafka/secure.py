"""A real broker that wants TLS and a login, with certificates made for the test.

Only for tests. Beside its usual listener it has one for clients with a certificate (`SSL`) and one
for users with a password (`SASL_SSL`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its types leave these out
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local import LocalKafka
from deploy.local.ports import HOST
from tests.certificates import certificate_of, write_pem

USER, PASSWORD = "alice", 'p-lain;"= secret'
_LOGIN = "org.apache.kafka.common.security"


class SecureKafka(LocalKafka):
    """`LocalKafka` with a listener for certificates and one for passwords."""

    port_count = 4
    listener_names = ("SSL", "SASL_SSL")

    @property
    def for_certificates(self) -> str:
        return f"{HOST}:{self.ports[2]}"

    @property
    def for_users(self) -> str:
        return f"{HOST}:{self.ports[3]}"

    def further_settings(self) -> Mapping[str, str]:
        certificates = self.directory / "certificates"
        if not certificates.is_dir():
            make_certificates(certificates)
        quoted = PASSWORD.replace('"', '\\\\"')
        return {
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,"
            "SASL_SSL:SASL_SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificates / "server.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates / "ca.pem"),
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f"{_LOGIN}.plain.PlainLoginModule "
            f'required user_{USER}="{quoted}";',
            **{
                f"listener.name.sasl_ssl.scram-sha-{bits}.sasl.jaas.config": f"{_LOGIN}.scram."
                "ScramLoginModule required;"
                for bits in (256, 512)
            },
        }

    def add_users(self) -> None:
        """SCRAM's users are kept by the broker itself."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            info = ScramCredentialInfo(mechanism, 4096)
            wanted: Any = UserScramCredentialUpsertion(USER, info, PASSWORD.encode())
            for done in admin.alter_user_scram_credentials([wanted]).values():
                done.result(10)


def make_certificates(directory: Path) -> None:
    """An authority, a server and a client that it signed, and another authority; all as PEM."""
    directory.mkdir()
    authority = ec.generate_private_key(ec.SECP256R1())
    own = certificate_of("authority", authority, None)
    stranger = ec.generate_private_key(ec.SECP256R1())
    write_pem(directory / "ca.pem", own)
    write_pem(directory / "other-ca.pem", certificate_of("stranger", stranger, None))
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = certificate_of(name, key, (own, authority))
        write_pem(directory / f"{name}.pem", key, certificate, own)
        write_pem(directory / f"{name}-key.pem", key)
