"""Asks the server in the same container how it is: exit code 0 for 200, else 1 and a line.

For images without curl: `python probe.py /readyz` (port 8080) or `python probe.py /readyz 9100`.
Beside the record's way; imports nothing of the project and nothing that is not Python's own.
"""

import http.client
import sys
from typing import Final

_PORT: Final = 8080
_ANSWERS_WITHIN_S: Final = 2.0
_SHOWN_BYTES_MAX: Final = 300


def main(path: str, port: int = _PORT) -> int:
    """The exit code."""
    # Not urllib: it would ask a proxy that the environment names.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWERS_WITHIN_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_SHOWN_BYTES_MAX).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        print(f"GET {path} on port {port}: {error}")
        return 1
    finally:
        connection.close()
    print(f"GET {path} on port {port}: {response.status} {body}".rstrip())
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *(int(text) for text in sys.argv[2:3])))
