"""Quick starts of the broker: Java's own start cache, made once for each runtime.

From version 25 on Java writes down which classes a run loaded and how, and reads that back at later
starts: about 1.5 s of two cores instead of 5. A cache that does not fit is ignored by Java itself,
so nothing depends on it. Imports nothing of the project but its neighbours.
"""

import hashlib
from pathlib import Path
from typing import Final

from deploy.local.jars import KafkaHome
from deploy.local.java import Java

_MAJOR_MIN: Final = 25
# Java remarks at every start on small parts of the cache that it does not use.
_QUIET: Final = "-Xlog:aot*=off"


def start_cache(home: KafkaHome, java: Java) -> Path | None:
    """Where this runtime's cache is or belongs; None when it can make none."""
    if java.major < _MAJOR_MIN:
        return None
    place = hashlib.sha256(str(java.path).encode()).hexdigest()[:8]
    return home.directory / f"start-{java.version}-{place}.aot"


def reading_flags(home: KafkaHome, java: Java) -> tuple[str, ...]:
    """Flags for a start with the cache. An empty file: making one failed, and would again."""
    cache = start_cache(home, java)
    if cache is None or not cache.exists() or cache.stat().st_size == 0:
        return ()
    return (f"-XX:AOTCache={cache}", _QUIET)


def writing_flags(path: Path) -> tuple[str, ...]:
    """Flags for a run that writes the cache to `path` when it ends."""
    return (f"-XX:AOTCacheOutput={path}", _QUIET)
