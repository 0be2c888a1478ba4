"""A real broker that wants TLS and a login, with certificates made for the test.

Only for tests. Beside its usual listener it has one for clients with a certificate (`SSL`) and one
for users with a password (`SASL_SSL`).
"""

import datetime as dt
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its types leave these out
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local import LocalKafka
from deploy.local.ports import HOST

USER, PASSWORD = "alice", 'p-lain;"= secret'
_LOGIN = "org.apache.kafka.common.security"
_DAY = dt.timedelta(days=1)


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
    own = _certificate("authority", authority, None)
    stranger = ec.generate_private_key(ec.SECP256R1())
    _write(directory / "ca.pem", own)
    _write(directory / "other-ca.pem", _certificate("stranger", stranger, None))
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, (own, authority))
        _write(directory / f"{name}.pem", key, certificate, own)
        _write(directory / f"{name}-key.pem", key)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    local = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName(local), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    return certificate.sign(issuer[1] if issuer else key, hashes.SHA256())


def _write(path: Path, *parts: x509.Certificate | ec.EllipticCurvePrivateKey) -> None:
    text = b""
    for part in parts:
        if isinstance(part, x509.Certificate):
            text += part.public_bytes(serialization.Encoding.PEM)
        else:
            text += part.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
    path.write_bytes(text)
