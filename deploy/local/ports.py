"""Free ports of the loopback interface, for servers that must keep theirs over a restart.

Imports nothing of the project but the faults.
"""

import secrets
import socket
from typing import Final

from deploy.local.faults import LocalFault

HOST: Final = "127.0.0.1"
# Below the ports that systems give to outgoing connections. A port from there could be lost while
# its server is down: a client that keeps on knocking is in the end given that very port as its own
# and talks to itself, and the server cannot come back.
_FIRST: Final = 15_000
_LAST: Final = 32_000
_TRIES_MAX: Final = 200


class PortTaken(LocalFault):
    """Another program listens on the port that a server must have."""

    def __init__(self, server: str, port: int) -> None:
        super().__init__(
            f"port {port} for {server} is taken by another program",
            "Stop that program, or give another port.",
        )
        self.server = server
        self.port = port


class NoFreePort(LocalFault):
    """No port was found on which nobody listens."""

    def __init__(self) -> None:
        super().__init__(
            f"{_TRIES_MAX} ports of {HOST} between {_FIRST} and {_LAST} were tried, all are taken",
            "Stop what listens there, or give a port.",
        )


def is_free(port: int) -> bool:
    """Whether a server could listen there now. What remains of closed connections is no matter."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port(*others: int) -> int:
    """A free port that is none of `others`."""
    for _ in range(_TRIES_MAX):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if port not in others and is_free(port):
            return port
    raise NoFreePort
