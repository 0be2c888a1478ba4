"""The collector over its log, embedded or in Kafka, put together from the settings.

Part of the composition root: `run`, `collect` and `demo` serve what this makes. Imports `ingest`,
the settings and `embedded`.
"""

import importlib.metadata

from prometheus_client import CollectorRegistry

from commands.embedded import now_ms
from commands.kafka_clients import closes_reader, kafka_publisher
from commands.settings import Collecting
from commands.storage import make_directory_of
from ingest.app import AppConfig
from ingest.collector import Collector, embedded_collector
from ingest.server import Around, CollectorServer, ServerConfig, alone
from ingest.sids import Sids, load_key_file, load_or_create_key_file, parse_keys


def collector_server(
    settings: Collecting, registry: CollectorRegistry, around: Around = alone
) -> CollectorServer:
    """The server, not yet bound. `around`: what it serves beside the collector.

    Errors: `Failure`, and those that `known_failure` knows.
    """
    config = AppConfig(
        profile=settings.profile,
        path_prefix=settings.path_prefix,
        requests_max=settings.requests_max,
        body_bytes_max=settings.request_bytes_max,
        version=_version(),
    )
    keys = session_id_keys(settings)
    collector = _collector(settings, config, keys, registry)
    return CollectorServer(
        collector,
        ServerConfig(
            host=settings.address.host,
            port=settings.address.port,
            tls_cert=settings.tls_cert,
            tls_key=settings.tls_key,
            drain_grace_s=settings.drain_grace.total_seconds(),
            drain_s_max=round(settings.drain_max.total_seconds()),
        ),
        around,
    )


def _collector(
    settings: Collecting, config: AppConfig, keys: tuple[bytes, ...], registry: CollectorRegistry
) -> Collector:
    kafka = settings.kafka
    if kafka is None:
        return embedded_collector(config, settings.log_path, keys, now_ms, registry)
    publisher = kafka_publisher(kafka, settings.placement)
    return Collector(config, publisher, closes_reader(kafka), Sids(keys, now_ms), registry)


def session_id_keys(settings: Collecting) -> tuple[bytes, ...]:
    """The keys from the settings, or from the data directory, where one is made if need be."""
    if settings.sid_keys is not None:
        return parse_keys(settings.sid_keys.get_secret_value(), "session id keys")
    if settings.sid_key_file is not None:
        return load_key_file(settings.sid_key_file)
    path = settings.data / "sid.key"
    make_directory_of(path)
    return load_or_create_key_file(path)


def url_of(settings: Collecting, bound: tuple[str, int]) -> str:
    """Where a program on this machine reaches what is served, without the path prefix: health and
    metrics have none."""
    host, port = bound
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls_cert else 'http'}://{shown}:{port}"


def _version() -> str:
    try:
        return importlib.metadata.version("bookended")
    except importlib.metadata.PackageNotFoundError:
        return "0"
